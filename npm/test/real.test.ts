import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createMcpConnection, SandboxOperationUnsupportedError } from '@flue/runtime';
import { getVirtualSandbox, stopLocalServers } from 'r2vfs';
import { Client, createTools, runTool, type ToolName } from 'r2vfs/tools';

import { generated, schemasOf } from '../scripts/generate-tools.mjs';
import { converse, type Ran, type Step } from './agent.ts';
import { binary, KB, ODD, realServer, skip } from './real.ts';
import { flueWorker, toolsWorker } from './worker.ts';

const options = { skip, timeout: 120_000 };
const kb = { binary, location: KB };
after(stopLocalServers);

test('the schemas are those of the server', options, () => {
  const file = new URL('../src/tools.generated.ts', import.meta.url);
  assert.equal(readFileSync(file, 'utf8'), generated(schemasOf(binary)), 'run `npm run generate`');
});

test('each tool answers as the command line does, as text and as an object', options, async () => {
  const calls: [ToolName, Record<string, unknown>][] = [
    ['list', { path: '/troubleshooting/' }],
    ['list', { recursive: true, limit: 20 }],
    ['stat', { path: '/troubleshooting/slow-down.md' }],
    ['read', { path: '/troubleshooting/slow-down.md', offset: 8, limit: 5 }],
    ['read', { path: '/data/gateway-2026-06-14.log', tail: 3 }],
    ['glob', { pattern: 'howto/*{key,token}*' }],
    ['grep', { pattern: 'SlowDown', path: '/troubleshooting', output_mode: 'content', context: 1 }],
    ['grep', { pattern: 'the', limit: 3 }],
    ['grep', { pattern: 'no such words' }],
  ];
  const client = new Client(kb);
  for (const [name, args] of calls) {
    const commandLine = (format: string) => {
      const words = ['-b', KB, 'tool', name, JSON.stringify({ ...args, format })];
      const { status, stdout, stderr } = spawnSync(binary, words, { encoding: 'utf8' });
      // 1 says that nothing was found, which is an answer.
      assert.ok(status === 0 || status === 1, stderr);
      return stdout;
    };
    const what = `${name} ${JSON.stringify(args)}`;
    const answer = await client.call(name, args);
    assert.deepEqual(steady(answer), steady(JSON.parse(commandLine('structured'))), what);
    const { text, complete } = await client.text(name, args);
    assert.equal(steadyText(text), steadyText(commandLine('text').replace(/\n$/, '')), what);
    assert.equal(complete, answer.envelope.complete, what);
  }
});

/** Without what differs from process to process: time, cost, and the key that signs cursors. */
function steady(answer: object): unknown {
  const { envelope, ...fields } = answer as { envelope: Record<string, unknown> };
  const { elapsed_ms: _, as_of: __, cost: ___, cursor, ...kept } = envelope;
  return { ...fields, envelope: { ...kept, more: cursor !== undefined } };
}

function steadyText(text: string): string {
  return text.replace(/"cursor":"[^"]*"/g, '"cursor":"…"');
}

test('pages join to the whole', options, async () => {
  const client = new Client(kb);
  const whole = await client.call('glob', { pattern: '**/*.md' });
  const paths: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await client.call('glob', { pattern: '**/*.md', limit: 20, ...(cursor && { cursor }) });
    paths.push(...page.paths);
    cursor = page.envelope.cursor;
  } while (cursor);
  assert.ok(paths.length > 60);
  assert.deepEqual(paths, whole.paths);
});

for (const [name, root] of [
  ['articles', KB],
  ['odd objects', ODD],
] as const) {
  test(`the file verbs give the ${name} as they are stored`, options, async () => {
    const sandbox = await getVirtualSandbox({ binary, location: root }).createSandbox({ id: 'x' });
    const walk = async (path: string): Promise<number> => {
      const names = readdirSync(join(root, path)).sort();
      assert.deepEqual((await sandbox.readdir(path)).sort(), names, path);
      let files = 0;
      for (const name of names) {
        const below = path === '/' ? `/${name}` : `${path}/${name}`;
        const { size, isDirectory, mtime } = await sandbox.stat(below);
        assert.equal(await sandbox.exists(below), true);
        if (isDirectory) {
          assert.deepEqual([size, mtime], [undefined, undefined], below);
          files += await walk(below);
          continue;
        }
        const file = statSync(join(root, below));
        assert.equal(size, file.size, below);
        assert.ok(Math.abs(mtime!.getTime() - file.mtimeMs) < 1000, below);
        assert.ok(Buffer.from(await sandbox.readFileBuffer(below)).equals(readFileSync(join(root, below))), below);
        files += 1;
      }
      return files;
    };
    assert.ok((await walk('/')) >= 20);
  });
}

test('what is not there, and what would write', options, async () => {
  const sandbox = await getVirtualSandbox(kb).createSandbox({ id: 'x' });
  const missing = { type: 'r2vfs_not_found', code: 'ENOENT' };
  await assert.rejects(sandbox.readFile('/troubleshooting/slowdown.md'), missing);
  await assert.rejects(sandbox.readdir('/none'), missing);
  await assert.rejects(sandbox.stat('/troubleshooting/slowdown.md'), {
    ...missing,
    message: /did you mean \/troubleshooting\/slow-down\.md/,
  });
  await assert.rejects(sandbox.readFile('/troubleshooting'), { type: 'r2vfs_wrong_type', code: 'EISDIR' });
  assert.equal(await sandbox.exists('/none'), false);
  for (const write of [
    sandbox.writeFile('/troubleshooting/slow-down.md', ''),
    sandbox.mkdir('/new'),
    sandbox.rm('/troubleshooting', { recursive: true, force: true }),
    sandbox.exec('rm -rf /'),
  ]) {
    await assert.rejects(write, SandboxOperationUnsupportedError);
  }
});

test('a model that errs is told how to go on', options, async () => {
  const tools = createTools(kb);
  const cases: [ToolName, object, RegExp][] = [
    ['read', { path: '/troubleshooting/slowdown.md' }, /did you mean \/troubleshooting\/slow-down\.md/],
    ['grep', { pattern: 'a(' }, /literal/],
    ['grep', { pattern: 'x', pth: '/' }, /path/],
    ['read', { path: '/../etc/passwd' }, /`\.\.` is not followed/],
    ['list', { cursor: 'forged' }, /cursor/],
  ];
  for (const [name, args, message] of cases) {
    const { text, isError } = await runTool(tools, name, args);
    assert.ok(isError, `${name} ${JSON.stringify(args)}: ${text}`);
    assert.match(text, message);
  }
});

/** What a support agent does with a ticket; `as` is how its tools are named. */
function ticket(as: (tool: ToolName) => string): Step[] {
  const path = (text: string) => /\/troubleshooting\/slow-down\.md/.exec(text)?.[0];
  return [
    () => ({ tool: as('list'), args: {} }),
    ({ text }) => ({
      tool: as('grep'),
      args: { pattern: '503 SlowDown', path: /\/troubleshooting\//.exec(text)?.[0] },
    }),
    ({ text }) => {
      assert.ok(path(text), text);
      return { tool: as('search'), args: { query: 'reduce your request rate' } };
    },
    // With an index a ranking; without one the advice to grep. Both are answers to go on from.
    ({ text }) => ({
      tool: as('read'),
      args: { path: path(text) ?? '/troubleshooting/slow-down.md', offset: 14, limit: 5 },
    }),
    ({ text }) => ({ answer: /Retry with [^.]*/.exec(text)?.[0] ?? `not found in ${text}` }),
  ];
}

function assertSolved({ answer, said }: Ran): void {
  assert.equal(answer, 'Retry with exponential backoff and jitter');
  const [list, grep, search, read] = said;
  assert.deepEqual([list?.isError, grep?.isError, read?.isError], [false, false, false]);
  assert.match(list!.text, /\/troubleshooting\//);
  assert.match(search!.text, search!.isError ? /index.*grep|grep.*index/is : /slow-down\.md/);
  assert.match(read!.text, /^ {4}14\t/m);
}

test('a Flue agent answers from the articles', options, async () => {
  assertSolved(await converse({ sandbox: getVirtualSandbox(kb) }, 'Uploads get 503.', ticket((tool) => tool)));
});

test('a Flue agent answers from the articles over MCP', options, async () => {
  await using server = await realServer(['-b', KB]);
  const connection = await createMcpConnection({ name: 'r2vfs', url: `${server.url}/mcp` });
  try {
    const as = (tool: ToolName) => `mcp__r2vfs__${tool}`;
    const names = connection.tools.map(({ name }) => name);
    assert.deepEqual(names, (['list', 'stat', 'read', 'glob', 'grep', 'search'] as const).map(as));
    const ran = await converse({ tools: connection.tools }, 'Uploads get 503.', ticket(as));
    assertSolved(ran);
    // What a model pays for twice.
    for (const { text } of ran.said) assert.doesNotMatch(text, /Structured content/);
  } finally {
    await connection.close();
  }
});

test('a Worker calls the server, with Flue and without', options, async () => {
  await using server = await realServer(['-b', KB]);
  await using plain = await toolsWorker(server.url);
  const { text } = await plain.ask({
    name: 'grep',
    args: { pattern: 'SlowDown', path: '/troubleshooting/', output_mode: 'content' },
  });
  assert.match(String(text), /\/troubleshooting\/slow-down\.md:2:title: 503 SlowDown/);
  await using flue = await flueWorker(server.url);
  const said = await flue.ask({ path: '/troubleshooting/slow-down.md' });
  assert.equal(said['text'], readFileSync(join(KB, 'troubleshooting/slow-down.md'), 'utf8'));
  assert.match(String(said['read']), /^ {5}2\ttitle: 503 SlowDown$/m);
  assert.equal(said['refused'], 'sandbox_operation_unsupported');
});
