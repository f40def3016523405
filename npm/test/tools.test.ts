import assert from 'node:assert/strict';
import { test } from 'node:test';

import { anthropicTools, aiSdkTools, createTools, openAiChatTools, openAiTools, runTool } from 'r2vfs/tools';

import { fakeServer } from './fake-server.ts';

const NAMES = ['list', 'stat', 'read', 'glob', 'grep', 'search'];

test('there are six tools, in one order, each with a schema', () => {
  const tools = createTools({ url: 'http://127.0.0.1:1' });
  assert.deepEqual(tools.map(({ name }) => name), NAMES);
  for (const { name, description, inputSchema } of tools) {
    assert.ok(description.length > 20, name);
    assert.equal(inputSchema.type, 'object', name);
    for (const required of inputSchema.required ?? []) assert.ok(required in inputSchema.properties, name);
  }
});

test('each format holds all of every tool', () => {
  const tools = createTools({ url: 'http://127.0.0.1:1' });
  const chat = openAiChatTools(tools).map(({ function: f }) => [f.name, f.description, f.parameters]);
  const responses = openAiTools(tools).map((t) => [t.name, t.description, t.parameters]);
  const anthropic = anthropicTools(tools).map((t) => [t.name, t.description, t.input_schema]);
  const sdk = Object.entries(aiSdkTools(tools, (schema) => schema as unknown)).map(([name, t]) => [
    name,
    t.description,
    t.inputSchema,
  ]);
  const expected = tools.map((t) => [t.name, t.description, t.inputSchema]);
  for (const format of [chat, responses, anthropic, sdk]) assert.deepEqual(format, expected);
});

test('what a model gets wrong comes back as words', async () => {
  await using fake = await fakeServer({ '/a.md': 'x' });
  const tools = createTools({ url: fake.url });
  const cases: [string, unknown, RegExp][] = [
    ['bash', {}, /there is no tool "bash"\nnext: .*list, stat, read, glob, grep, search/],
    ['read', '{"path": ', /arguments of read are no JSON/],
    ['read', '"x"', /not an object/],
    ['read', { path: '/b.md' }, /\/b\.md: there is no such file/],
    ['read', { pth: '/a.md' }, /no argument pth\nnext: .*path/],
  ];
  for (const [name, args, message] of cases) {
    const { text, isError } = await runTool(tools, name, args);
    assert.ok(isError, text);
    assert.match(text, message);
  }
  assert.equal((await runTool(tools, 'list', '')).isError, false);
  assert.equal((await runTool(tools, 'read', '{"path": "/a.md"}')).isError, false);
});

test('an abort is no words for the model', async () => {
  const tools = createTools({ url: 'http://127.0.0.1:1' });
  const signal = AbortSignal.abort(new Error('stopped'));
  await assert.rejects(runTool(tools, 'list', {}, { signal }), /stopped/);
  const { list } = aiSdkTools(tools, (schema) => schema as unknown);
  await assert.rejects(list.execute({}, { abortSignal: signal }), /stopped/);
});
