import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { createMcpConnection } from '@flue/runtime';
import { getVirtualSandbox } from 'r2vfs';
import { Client, createTools, runTool } from 'r2vfs/tools';

import { alone, binary, KB, realServer, skip } from './real.ts';
import { flueWorker, toolsWorker } from './worker.ts';

const options = { skip, timeout: 300_000 };
const directory = mkdtempSync(join(tmpdir(), 'r2vfs-tenant-'));
after(() => rmSync(directory, { recursive: true }));

/** A tenant's token and its digest. */
function newToken(): { token: string; digest: string } {
  const said = execFileSync(binary, ['token', 'new'], { encoding: 'utf8' });
  const digest = /sha256:\w+/.exec(said)?.[0];
  const token = said.split(/\s+/).find((word) => word.length > 20 && !word.includes('sha256'));
  assert.ok(token && digest, said);
  return { token, digest };
}

async function serverOf(tenants: { digest: string; below: string; more?: string }[]) {
  const config = join(directory, `${Math.random()}.toml`);
  const tables = tenants.map(
    ({ digest, below, more }, at) =>
      `[[tenant]]\nname = "t${at}"\ntokens = ["${digest}"]\n${more ?? ''}\n[[tenant.mount]]\npoint = "/"\nlocation = "${KB}/${below}"\n`,
  );
  writeFileSync(config, tables.join('\n'));
  return await realServer(['--config', config, ...alone(directory)]);
}

test('a token shows its tenant and no other, in Node, in a Worker, with Flue and over MCP', options, async () => {
  const [faq, howto] = [newToken(), newToken()];
  await using server = await serverOf([
    { digest: faq.digest, below: 'faq' },
    { digest: howto.digest, below: 'howto' },
  ]);
  const { url } = server;
  const names = async (token: string) =>
    (await getVirtualSandbox({ url, token }).createSandbox({ id: 'x' })).readdir('/');
  assert.ok((await names(faq.token)).includes('billing.md'));
  assert.ok((await names(howto.token)).includes('lifecycle-rules.md'));
  for (const token of [howto.token.slice(0, -1), `${faq.token}x`, undefined]) {
    const client = new Client({ url, ...(token !== undefined && { token }) });
    const refused = { kind: 'unauthorized', status: 401 };
    await assert.rejects(client.call('list', {}), refused);
    await assert.rejects(client.object('/billing.md'), refused);
  }
  await using plain = await toolsWorker(url, faq.token);
  assert.match(String((await plain.ask({ name: 'list', args: {} }))['text']), /\/billing\.md/);
  await using flue = await flueWorker(url, howto.token);
  assert.match(String((await flue.ask({ path: '/lifecycle-rules.md' }))['text']), /lifecycle/i);

  const connection = await createMcpConnection({ name: 'r2vfs', url: `${url}/mcp`, auth: faq.token });
  assert.equal(connection.tools.length, 6);
  await connection.close();
  await assert.rejects(createMcpConnection({ name: 'r2vfs', url: `${url}/mcp`, auth: 'wrong' }));
});

test('a rate limit of the server is waited out, or told', options, async () => {
  const { token, digest } = newToken();
  await using server = await serverOf([{ digest, below: 'faq', more: 'rate = 1.0\nburst = 1' }]);
  const client = new Client({ url: server.url, token });
  // The second is over the limit for a second, and comes through.
  for (let call = 0; call < 2; call += 1) await client.call('stat', { path: '/billing.md' });
  const many = await Promise.allSettled(Array.from({ length: 40 }, () => client.call('stat', { path: '/billing.md' })));
  const kinds = new Set(many.map((one) => (one.status === 'rejected' ? (one.reason as { kind: string }).kind : 'through')));
  assert.deepEqual([...kinds].toSorted(), ['rate-limited', 'through']);
});

test('nothing outside the prefix comes back, whatever a model writes', options, async () => {
  await using server = await realServer(['-b', KB, ...alone(directory)]);
  const tools = createTools({ url: server.url, prefix: '/faq' });
  const tries: [string, Record<string, unknown>][] = [
    ['list', { recursive: true }],
    ['list', { path: '/' }],
    ['list', { path: '..' }],
    ['stat', { path: '/howto' }],
    ['read', { path: '/howto/index.md' }],
    ['read', { path: '/faq/../howto/index.md' }],
    ['read', { path: '/faq/..%2Fhowto/index.md' }],
    ['read', { path: '', file_path: '/howto/index.md' }],
    ['read', { dir_path: '/howto/index.md' }],
    ['glob', { pattern: '/howto/*' }],
    ['glob', { pattern: '../howto/*' }],
    ['glob', { pattern: '**' }],
    ['glob', { pattern: '{/howto/*,**}', path: null }],
    ['grep', { pattern: 'bucket', glob: '/howto/**' }],
    ['grep', { pattern: 'bucket', path: ['/faq', '/howto'] }],
    ['grep', { pattern: 'bucket', glob: '!/faq/**' }],
    ['grep', { regex: 'bucket', dir_path: '/howto' }],
    ['search', { query: 'bucket', path: '/howto' }],
  ];
  let shown = 0;
  for (const [name, args] of tries) {
    const { text } = await runTool(tools, name, { ...args, format: 'text' });
    const paths = text.split('\n').flatMap((line) => /^(?:\w+ +[\d ,.\w:-]*)?(\/[^:\s]+)/.exec(line)?.[1] ?? []);
    for (const path of paths) assert.ok(path.startsWith('/faq/'), `${name} ${JSON.stringify(args)}: ${path}`);
    assert.doesNotMatch(text, /lifecycle/, `${name} ${JSON.stringify(args)}`);
    shown += paths.length;
  }
  assert.ok(shown > 10, 'what is inside is there');
});
