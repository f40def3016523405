import assert from 'node:assert/strict';
import { test } from 'node:test';

import { fakeServer } from './fake-server.ts';
import { flueWorker, toolsWorker } from './worker.ts';

const FILES = { '/docs/faq.md': 'question', '/docs/%2E%2E/é.md': 'odd' };

test('the tools load in a Worker without Node and call the server', { timeout: 180_000 }, async () => {
  await using fake = await fakeServer(FILES, {
    token: 's3cret',
    before: ({ args }) => (args['path'] === '/hangs' ? new Promise(() => {}) : undefined),
  });
  await using worker = await toolsWorker(fake.url, 's3cret');
  const list = await worker.ask({ name: 'list', args: { path: '/docs' } });
  assert.match(String(list['text']), /\/docs\/faq\.md/);
  const none = await worker.ask({ name: 'read', args: { path: '/none' } });
  assert.deepEqual([none['isError'], /no such file/.test(String(none['text']))], [true, true]);

  const aborted = await worker.ask({ name: 'read', args: { path: '/hangs' }, abortMs: 100 });
  assert.match(String(aborted['thrown']), /Timeout/);
  await fake.dropped;

  const local = await worker.ask({ name: 'list', args: {}, local: true });
  assert.match(String(local['text']), /no option `url`.*no program can be started here/);
});

test('the Flue sandbox works in a Worker, over a service binding', { timeout: 180_000 }, async () => {
  await using fake = await fakeServer(FILES, { token: 's3cret' });
  await using worker = await flueWorker(fake.url, 's3cret');
  const { read, ...said } = await worker.ask({ path: '/docs/%2E%2E/é.md' });
  assert.deepEqual(said, {
    names: ['list', 'stat', 'read', 'glob', 'grep', 'search'],
    text: 'odd',
    entries: ['docs'],
    missing: false,
    refused: 'sandbox_operation_unsupported',
  });
  assert.match(String(read), /odd/);
});
