import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createTools, runTool } from 'r2vfs/tools';

import { fakeServer } from './fake-server.ts';

const FILES = { '/docs/faq.md': 'question', '/docs/en/a.md': 'answer', '/secret.md': 'answer' };

test('relative paths and no path mean the working directory', async () => {
  await using fake = await fakeServer(FILES);
  const tools = createTools({ url: fake.url, cwd: '/docs' });
  const calls: [string, object, string | undefined][] = [
    ['stat', { path: 'faq.md' }, '/docs/faq.md'],
    ['stat', { path: './en/../faq.md' }, '/docs/faq.md'],
    ['list', { path: 'en/' }, '/docs/en/'],
    ['stat', { path: '/secret.md' }, '/secret.md'],
    ['list', {}, '/docs/'],
    ['glob', { pattern: '*.md', path: '' }, '/docs/'],
    ['grep', { pattern: 'answer', path: null }, '/docs/'],
    ['search', { query: 'answer' }, '/docs/'],
    ['read', { file_path: 'faq.md' }, '/docs/faq.md'],
  ];
  for (const [name, args, path] of calls) {
    const { text, isError } = await runTool(tools, name, args);
    assert.equal(isError, false, text);
    assert.equal(fake.asked.at(-1)?.args['path'], path, `${name} ${JSON.stringify(args)}`);
  }
});

test('at the root a call stays as it is written', async () => {
  await using fake = await fakeServer(FILES);
  const tools = createTools({ url: fake.url });
  await runTool(tools, 'grep', { pattern: 'answer' });
  assert.deepEqual(fake.asked.at(-1)?.args, { pattern: 'answer', format: 'text' });
  const { text, isError } = await runTool(tools, 'read', { path: '/docs/../secret.md' });
  assert.ok(isError);
  assert.match(text, /not canonical/, 'the server says what is wrong with an absolute path');
});

test('nothing outside the prefix is asked for', async () => {
  await using fake = await fakeServer({ ...FILES, '/docs2/a.md': '' });
  const tools = createTools({ url: fake.url, prefix: '/docs/' });
  const outside = ['/secret.md', '/', '/docs2/a.md', '../secret.md', '/docs/../secret.md', '/doc'];
  for (const path of outside) {
    for (const name of ['list', 'stat', 'read']) {
      const { text, isError } = await runTool(tools, name, { path });
      assert.ok(isError);
      assert.match(text, /outside \/docs\//, path);
    }
    const grep = await runTool(tools, 'grep', { pattern: 'x', path: ['/docs', path] });
    assert.ok(grep.isError, path);
  }
  assert.equal(fake.asked.length, 0);
  await runTool(tools, 'grep', { pattern: 'answer' });
  await runTool(tools, 'read', { path: '/docs/faq.md' });
  await runTool(tools, 'list', { path: '/docs' });
  assert.deepEqual(fake.asked.map(({ args }) => args['path']), ['/docs/', '/docs/faq.md', '/docs']);
});

test('a path under a name that only the server knows does not lead round the prefix', async () => {
  await using fake = await fakeServer(FILES);
  const tools = createTools({ url: fake.url, prefix: '/docs' });
  for (const args of [{ newName: '/secret.md' }, { path: '', newName: '/secret.md' }, { path: null }]) {
    const { text, isError } = await runTool(tools, 'read', args);
    assert.ok(isError);
    assert.match(text, /`path` is missing/);
  }
  assert.equal(fake.asked.length, 0);
});

test('a null is left out where there is such an argument, and judged where there is none', async () => {
  await using fake = await fakeServer(FILES);
  const tools = createTools({ url: fake.url });
  await runTool(tools, 'read', { path: '/docs/faq.md', limit: null, tail: undefined });
  assert.deepEqual(fake.asked.at(-1)?.args, { path: '/docs/faq.md', format: 'text' });
  assert.match((await runTool(tools, 'read', { path: '/docs/faq.md', lines: null })).text, /no argument lines/);
});

test('places that cannot be are refused', () => {
  const url = 'http://127.0.0.1:1';
  for (const wrong of [{ prefix: 'docs' }, { prefix: '/a//b' }, { cwd: '/a/../b' }, { cwd: '' }]) {
    assert.throws(() => createTools({ url, ...wrong }), { kind: 'config' }, JSON.stringify(wrong));
  }
  assert.throws(() => createTools({ url, prefix: '/docs', cwd: '/docs2' }), { kind: 'config' });
  createTools({ url, prefix: '/docs/', cwd: '/docs/en/' });
});
