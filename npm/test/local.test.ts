import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createTools, stopLocalServers } from 'r2vfs/tools';

import { binary, KB, skip } from './real.ts';

const directory = mkdtempSync(join(tmpdir(), 'r2vfs-test-'));
after(() => rmSync(directory, { recursive: true }));

/** A program in the place of `r2vfs`, as the contract of its options says. */
function program(name: string, body: string): string {
  const path = join(directory, name);
  writeFileSync(path, `#!${process.execPath}\n${body}`);
  chmodSync(path, 0o755);
  return path;
}

const SERVES = program(
  'serves',
  `const { appendFileSync, existsSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
const after = (name) => args[args.indexOf(name) + 1];
if (args[0] !== 'serve' || !args.includes('--exit-with-stdin')) process.exit(3);
const server = require('node:http').createServer((request, response) => {
  if (args.includes('--dies-once') && !existsSync(after('--dies-once'))) {
    writeFileSync(after('--dies-once'), '');
    process.exit(1);
  }
  response.end(JSON.stringify({ text: process.pid + ' ' + after('-b'), complete: true }));
});
server.listen(0, '127.0.0.1', () => {
  // Half of it first: a reader must not take that for the whole.
  const url = 'http://127.0.0.1:' + server.address().port + '\\n';
  writeFileSync(after('--port-file'), url.slice(0, -3));
  setTimeout(() => appendFileSync(after('--port-file'), url.slice(-3)), 50);
});
process.stdin.on('end', () => process.exit(0)).resume();
`,
);

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function ended(pid: number): Promise<void> {
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

async function pidOf(options: Parameters<typeof createTools>[0]): Promise<number> {
  const [list] = createTools(options);
  return Number.parseInt((await list!.execute({})).text);
}

test('one program serves all sandboxes of the same options, and stops', { timeout: 180_000 }, async () => {
  const options = { binary: SERVES, location: './kb' };
  const [one, two, other] = await Promise.all([
    pidOf(options),
    pidOf({ ...options }),
    pidOf({ ...options, location: './other' }),
  ]);
  assert.equal(one, two);
  assert.notEqual(one, other);
  const [list] = createTools(options);
  assert.match((await list!.execute({})).text, / \.\/kb$/);
  await stopLocalServers();
  assert.equal(alive(one), false);
  assert.equal(alive(other), false);
  assert.notEqual(await pidOf(options), one, 'it starts again when it is needed');
  await stopLocalServers();
});

test('a program that died is started again', { timeout: 180_000 }, async () => {
  const options = { binary: SERVES, location: './kb', args: ['--dies-once', join(directory, 'died')] };
  const tools = createTools(options);
  await assert.rejects(tools[0]!.execute({}), { kind: 'unavailable' });
  // The same tools, once the system has told of the end.
  while (await tools[0]!.execute({}).then(() => false, () => true));
  await stopLocalServers();
});

test('the program ends with a parent that is killed, and keeps none running', { timeout: 180_000 }, async () => {
  await endsWithItsParent(SERVES, async (said) => Number.parseInt(said));
});

test('the real program does so too', { skip, timeout: 180_000 }, async () => {
  const pid = join(directory, 'pid');
  const real = join(directory, 'real');
  // The program itself, which has said who it is.
  writeFileSync(real, `#!/bin/sh\necho $$ > '${pid}'\nexec '${binary}' --no-disk-cache "$@"\n`);
  chmodSync(real, 0o755);
  await endsWithItsParent(real, async (said) => {
    assert.match(said, /\/troubleshooting\//);
    return Number.parseInt(readFileSync(pid, 'utf8'));
  });
});

async function endsWithItsParent(program: string, pidOf: (said: string) => Promise<number>): Promise<void> {
  const parent = (last: string) =>
    spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { createTools } from 'r2vfs/tools';
        const [list] = createTools({ binary: ${JSON.stringify(program)}, location: ${JSON.stringify(KB)} });
        console.log((await list.execute({})).text);
        ${last}`,
      ],
      { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
    );
  const killed = parent('setInterval(() => {}, 1000);');
  const [line] = (await once(killed.stdout, 'data')) as [Buffer];
  const pid = await pidOf(line.toString());
  assert.ok(alive(pid));
  killed.kill('SIGKILL');
  await ended(pid);
  const done = parent('');
  const [its] = (await once(done.stdout, 'data')) as [Buffer];
  assert.deepEqual(await once(done, 'exit'), [0, null]);
  await ended(await pidOf(its.toString()));
}

test('what does not start says why', { timeout: 180_000 }, async () => {
  await assert.rejects(pidOf({ binary: join(directory, 'none') }), {
    kind: 'config',
    message: /cannot be started.*option `binary`/,
  });
  const refuses = program('refuses', `console.error('no location'); process.exit(2);`);
  await assert.rejects(pidOf({ binary: refuses }), { kind: 'config', message: /did not start: no location/ });
});
