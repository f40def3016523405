import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createMcpConnection } from '@flue/runtime';
import { getVirtualSandbox } from 'r2vfs';
import { aiSdkTools, Client, createTools, runTool } from 'r2vfs/tools';

import { converse } from './agent.ts';
import { type Bucket, bucketOf } from './bucket.ts';
import { alone, realServer, skip } from './real.ts';
import { toolsWorker } from './worker.ts';

const directory = mkdtempSync(join(tmpdir(), 'r2vfs-abort-'));
after(() => rmSync(directory, { recursive: true }));

const FILES = 200;
/** Gets that the server has under way at once. */
const AT_ONCE = 3;
/** Where only time ends a call: enough for it to have begun on a busy machine. */
const AFTER_MS = 5_000;
const grep = { pattern: 'needle' };

/** Ways to begin a grep that is told to stop once `begun` settles, and that fails when it is. */
const WAYS: Record<string, (url: string, begun: Promise<void>) => Promise<void>> = {
  async 'a program'(url, begun) {
    const signal = signalAfter(begun);
    await assert.rejects(new Client({ url }).call('grep', grep, { signal }), /enough/);
  },
  async 'a program whose time is over'(url, begun) {
    const timeoutMs = AFTER_MS;
    const outcome = new Client({ url, timeoutMs }).call('grep', grep);
    await Promise.all([begun, assert.rejects(outcome, { kind: 'deadline' })]);
  },
  async 'a loop of tools'(url, begun) {
    const signal = signalAfter(begun);
    await assert.rejects(runTool(createTools({ url }), 'grep', grep, { signal }), /enough/);
  },
  async 'the AI SDK'(url, begun) {
    const tools = aiSdkTools(createTools({ url }), (schema) => schema as unknown);
    await assert.rejects(tools.grep.execute(grep, { abortSignal: signalAfter(begun) }), /enough/);
  },
  async 'a Flue agent'(url, begun) {
    const has = { sandbox: getVirtualSandbox({ url }), abortWhen: begun };
    await assert.rejects(converse(has, 'Look', [() => ({ tool: 'grep', args: grep })]), { outcome: 'aborted' });
  },
  async 'a Flue agent over MCP'(url, begun) {
    const connection = await createMcpConnection({ name: 'r2vfs', url: `${url}/mcp` });
    const has = { tools: connection.tools, abortWhen: begun };
    const ran = converse(has, 'Look', [() => ({ tool: 'mcp__r2vfs__grep', args: grep })]);
    await assert.rejects(ran, { outcome: 'aborted' });
    await connection.close();
  },
  async 'a Worker'(url, begun) {
    await using worker = await toolsWorker(url);
    const said = worker.ask({ name: 'grep', args: grep, abortMs: AFTER_MS });
    await begun;
    assert.match(String((await said)['thrown']), /Timeout/);
  },
};

for (const [name, way] of Object.entries(WAYS)) {
  test(`the server stops fetching where a call is given up by ${name}`, { skip, timeout: 300_000 }, async () => {
    const files = Array.from({ length: FILES }, (_, n) => [`${n}.md`, `hay ${n}`] as const);
    await using bucket: Bucket = await bucketOf(Object.fromEntries(files));
    const log = join(directory, `${name}.jsonl`);
    const args = [...bucket.args, ...alone(directory), '--concurrency', String(AT_ONCE)];
    await using server = await realServer(args, ['--audit-log', log]);
    bucket.hold();
    await way(server.url, bucket.waiting(AT_ONCE));
    // It hangs up on the bucket, without an answer to what it asked ...
    await bucket.waiting(0);
    bucket.release();
    // ... and asks for nothing more: another call is through, and says what there is.
    const list = await new Client({ url: server.url }).call('list', { limit: 1000 });
    assert.equal(list.entries.length, FILES);
    assert.equal(bucket.gets.length, AT_ONCE);
    const lines = readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as Line);
    // Flue itself lists the working directory.
    const greps = lines.filter(({ tool }) => tool === 'grep');
    assert.deepEqual(greps.map(({ outcome }) => outcome), ['cancelled']);
    assert.ok(greps[0]!.cost['get_requests']! <= AT_ONCE);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^r2vfs_calls_total\{[^}]*tool="grep"[^}]*outcome="cancelled"[^}]*\} 1$/m);
  });
}

interface Line {
  tool: string;
  outcome: string;
  cost: Record<string, number>;
}

function signalAfter(begun: Promise<void>): AbortSignal {
  const controller = new AbortController();
  void begun.then(() => controller.abort(new Error('enough')));
  return controller.signal;
}
