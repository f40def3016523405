import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createMcpConnection, defineTool, SandboxOperationUnsupportedError } from '@flue/runtime';
import { getVirtualSandbox, stopLocalServers } from 'r2vfs';
import { Client, createTools, runTool, type ToolName } from 'r2vfs/tools';

import { generated, schemasOf } from '../scripts/generate-tools.mjs';
import { converse, type Ran, type Step } from './agent.ts';
import { bucketOf } from './bucket.ts';
import { alone, binary, indexed, indexFor, KB, ODD, realServer, skip } from './real.ts';
import { flueWorker, toolsWorker } from './worker.ts';

const options = { skip, timeout: 300_000 };
const directory = mkdtempSync(join(tmpdir(), 'r2vfs-test-'));
const kb = { binary, location: KB, args: alone(skip ? '' : indexFor(KB)) };
after(async () => {
  await stopLocalServers();
  rmSync(directory, { recursive: true });
});

test('the schemas are those of the server', options, () => {
  const file = new URL('../src/tools.generated.ts', import.meta.url);
  assert.equal(readFileSync(file, 'utf8'), generated(schemasOf(binary)), 'run `npm run generate`');
});

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
    const sandbox = await getVirtualSandbox({ binary, location: root, args: alone(directory) }).createSandbox({ id: 'x' });
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

test('a key of any spelling is listed, looked at and read under one path', options, async () => {
  const keys = JSON.parse(readFileSync(join(ODD, 'keys.json'), 'utf8')) as { key: string; path: string }[];
  await using bucket = await bucketOf(Object.fromEntries(keys.map(({ key }) => [key, `object ${key}`])));
  await using server = await realServer([...bucket.args, ...alone(directory)]);
  const client = new Client({ url: server.url });
  const { entries, envelope } = await client.call('list', { recursive: true, limit: 100_000 });
  assert.equal(envelope.complete, true);
  const files = entries.map(({ path }) => path).filter((path) => !path.endsWith('/'));
  assert.deepEqual(files.toSorted(), keys.map(({ path }) => path).toSorted());
  const sandbox = await getVirtualSandbox({ url: server.url }).createSandbox({ id: 'x' });
  for (const { key, path } of keys) {
    assert.equal((await sandbox.stat(path)).size, Buffer.byteLength(`object ${key}`), path);
    assert.equal(await sandbox.readFile(path), `object ${key}`, path);
    const { lines } = await client.call('read', { path });
    assert.equal(lines.map(({ text }) => text).join('\n'), `object ${key}`.replace(/\r?\n$/, ''), path);
  }
});

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
    ({ text }) => ({ tool: as('read'), args: { path: path(text), offset: 14, limit: 5 } }),
    ({ text }) => ({ answer: /Retry with [^.]*/.exec(text)?.[0] ?? `not found in ${text}` }),
  ];
}

function assertSolved({ answer, said }: Ran): void {
  assert.equal(answer, 'Retry with exponential backoff and jitter');
  const [list, grep, search, read] = said;
  assert.deepEqual(said.map(({ isError }) => isError), [false, false, false, false]);
  assert.match(list!.text, /\/troubleshooting\//);
  assert.match(grep!.text, /^\/troubleshooting\/slow-down\.md$/m);
  assert.match(search!.text, /^1\. \/troubleshooting\/slow-down\.md:/);
  assert.match(read!.text, /^ {4}14\t/m);
}

test('a Flue agent answers from the articles', options, async () => {
  const ran = await converse({ sandbox: getVirtualSandbox(kb) }, 'Uploads get 503.', ticket((tool) => tool));
  assertSolved(ran);
  assert.deepEqual(ran.offered.toSorted(), ['glob', 'grep', 'list', 'read', 'search', 'stat', 'task']);
});

test('in a Flue agent neither the model nor the application writes or runs anything', options, async () => {
  const tampers = defineTool({
    name: 'tamper',
    description: 'Tries all that would change something.',
    harness: true,
    async run({ harness: { sandbox } }) {
      const verbs = {
        writeFile: () => sandbox.writeFile('/index.md', ''),
        mkdir: () => sandbox.mkdir('/new', { recursive: true }),
        rm: () => sandbox.rm('/index.md', { force: true }),
        exec: () => sandbox.exec('rm -rf /'),
      };
      const ends = Object.entries(verbs).map(async ([name, verb]) => {
        const end = await verb().then(
          () => 'done',
          (error: unknown) => (error instanceof SandboxOperationUnsupportedError ? error.type : String(error)),
        );
        return [name, end];
      });
      return { output: [...(await Promise.all(ends)), (await sandbox.readFile('/index.md')).length > 0] };
    },
  });
  const ran = await converse({ sandbox: getVirtualSandbox(kb), tools: [tampers] }, 'Tidy up.', [
    () => ({ tool: 'tamper', args: {} }),
    () => ({ tool: 'write', args: { path: '/index.md', content: '' } }),
    () => ({ tool: 'edit', args: { path: '/index.md', oldText: 'a', newText: 'b' } }),
    () => ({ tool: 'bash', args: { command: 'rm -rf /' } }),
    ({ text }) => ({ answer: text }),
  ]);
  const [tampered, ...others] = ran.said;
  assert.deepEqual(JSON.parse(tampered!.text), [
    ...['writeFile', 'mkdir', 'rm', 'exec'].map((verb) => [verb, 'sandbox_operation_unsupported']),
    true,
  ]);
  for (const [at, name] of ['write', 'edit', 'bash'].entries()) {
    assert.equal(others[at]?.isError, true, name);
    assert.match(others[at].text, new RegExp(`${name}.*not found`, 'i'));
  }
});

test('a Flue agent answers from the articles over MCP', options, async () => {
  await using server = await realServer(indexed(KB));
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
  await using server = await realServer(indexed(KB));
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
