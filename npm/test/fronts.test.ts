import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import type { ToolName } from 'r2vfs/tools';

import { type Fronts, frontsOf, type Said } from './fronts.ts';
import { alone, indexed, KB, ODD, skip } from './real.ts';

const options = { skip, timeout: 600_000 };
const noIndex = mkdtempSync(join(tmpdir(), 'r2vfs-none-'));
after(() => rmSync(noIndex, { recursive: true }));

type Call = [ToolName, Record<string, unknown>];

/**
 * Of each tool what it does, what models write instead, and what it refuses. No file is read whole
 * before another call asks for it: a server then knows its lines, which a new process does not.
 */
const CALLS: Call[] = [
  ['list', {}],
  ['list', { path: '/troubleshooting' }],
  ['list', { recursive: true, limit: 20 }],
  ['list', { path: '/howto/', limit: 3 }],
  ['list', { dir_path: '/faq', max_results: 2 }],
  ['stat', { path: '/howto/lifecycle-rules.md' }],
  ['stat', { path: '/howto' }],
  ['stat', { path: '/ja/' }],
  ['read', { path: '/troubleshooting/slow-down.md' }],
  ['read', { file_path: '/troubleshooting/clock-skew.md', offset: 8, limit: 5 }],
  ['read', { path: '/data/usage.csv', tail: 3 }],
  ['read', { path: '/ja/index.md', limit: null }],
  ['read', { path: '/howto' }],
  ['glob', { pattern: 'howto/*{key,token}*' }],
  ['glob', { pattern: '**/*.md', limit: 7 }],
  ['glob', { pattern: '*.nothing' }],
  ['grep', { pattern: 'SlowDown' }],
  ['grep', { pattern: 'SlowDown', path: '/troubleshooting', output_mode: 'content', context: 1 }],
  ['grep', { pattern: '検索|Zugang', output_mode: 'count' }],
  ['grep', { regex: 'retry', '-i': true, include: 'faq/*.md', output_mode: 'content', head_limit: 4 }],
  ['grep', { pattern: 'a(b', literal: true }],
  ['grep', { pattern: 'no such words' }],
  ['grep', { pattern: 'the', dry_run: true }],
  ['search', { query: 'reduce your request rate', limit: 3 }],
  ['search', { q: 'Wie lange gilt eine URL?', path: '/faq' }],
  ['search', { query: 'xyzzyplugh' }],
  // What is refused.
  ['list', { path: '/nothing' }],
  ['list', { cursor: 'forged' }],
  ['list', { limit: '10' }],
  ['stat', { path: '/troubleshooting/slowdown.md' }],
  ['stat', {}],
  ['stat', { path: '/a\u202eb\u0007' }],
  ['read', { path: '/faq/limits.md', offset: 1000 }],
  ['read', { path: '/../etc/passwd' }],
  ['read', { path: '/index.md', pth: null }],
  ['glob', { pattern: 'a{b' }],
  ['glob', { pattern: '*', pth: '/' }],
  ['grep', { pattern: 'a(b' }],
  ['grep', { pattern: 'x', output_mode: 'lines' }],
  ['search', { query: '' }],
];

test('each tool says the same, whichever way it is asked', options, async () => {
  await using fronts = await frontsOf(indexed(KB));
  for (const [tool, args] of CALLS) {
    const { answer } = await unanimous(fronts, tool, args);
    // Where a way stops it goes on, each with its own cursor.
    const cursors = answer && new Map(answer.map(([name, said]) => [name, cursorOf(said)] as const));
    if (cursors && [...cursors.values()].some((cursor) => cursor !== undefined)) {
      await unanimous(fronts, tool, args, cursors);
    }
  }
});

test('an answer too large for a model is whole for programs, and the same text for all', options, async () => {
  await using fronts = await frontsOf(indexed(KB));
  const calls: Call[] = [
    ['read', { path: '/data/gateway-2026-06-14.log' }],
    ['grep', { pattern: 'gw-fra-1', output_mode: 'content', limit: 2000 }],
    ['list', { recursive: true, limit: 100_000 }],
  ];
  for (const [tool, args] of calls) {
    const what = `${tool} ${JSON.stringify(args)}`;
    const ask = async (format: 'structured' | 'text') =>
      Promise.all(fronts.all.map(async (front) => [front.name, await front.ask(tool, args, format)] as const));
    const texts = await ask('text');
    for (const [name, said] of texts) assert.deepEqual(steady(said), steady(texts[0]![1]), `${name}: ${what}`);
    const answers = new Map(await ask('structured'));
    const same = (names: string[]) => {
      const first = answers.get(names[0]!)!;
      for (const name of names) assert.deepEqual(steady(answers.get(name)!), steady(first), `${name}: ${what}`);
      return JSON.stringify(first).length;
    };
    // MCP cuts what is structured as it cuts text, because models read it.
    const forModels = same(['MCP stdio', 'MCP HTTP']);
    assert.ok(forModels <= 40_000, what);
    assert.ok(same(['command line', 'JSON API', 'npm, programs']) > 0);
    // What asks for a format gets what a model gets; an answer that is too large all the same is refused.
    for (const name of ['npm, models', 'npm, Flue']) {
      const said = answers.get(name)!;
      if ('refusal' in said) assert.match(said.refusal, /more than the 40000 that a model is given/, what);
      else assert.ok(JSON.stringify(said).length <= 40_100, what);
    }
  }
});

test('of odd objects each way says the same, and that there is no index', options, async () => {
  await using fronts = await frontsOf(['-b', ODD, ...alone(noIndex)]);
  const files = readdirSync(ODD);
  assert.ok(files.length > 25);
  for (const file of files) await unanimous(fronts, 'read', { path: `/${file}`, limit: 20 });
  await unanimous(fronts, 'grep', { pattern: 'e', output_mode: 'content', limit: 100 });
  await unanimous(fronts, 'grep', { pattern: '.', output_mode: 'count' });
  const { refusal } = await unanimous(fronts, 'search', { query: 'x' });
  assert.match(String(refusal), /index/);
});

/** Asks every way in both forms; all must agree in each. */
async function unanimous(fronts: Fronts, tool: ToolName, args: object, cursors?: Map<string, string | undefined>) {
  const result: { answer?: [string, Said][]; refusal?: string } = {};
  for (const format of ['structured', 'text'] as const) {
    const said = await Promise.all(
      fronts.all.map(async ({ name, ask }): Promise<[string, Said]> => {
        const cursor = cursors?.get(name);
        return [name, await ask(tool, { ...args, ...(cursor !== undefined && { cursor }) }, format)];
      }),
    );
    const [[, first]] = said as [[string, Said]];
    const what = `${tool} ${JSON.stringify(args)} as ${format}${cursors ? ', second page' : ''}`;
    for (const [name, one] of said) assert.deepEqual(steady(one), steady(first), `${name}: ${what}`);
    if ('refusal' in first) {
      assert.match(first.refusal, /^error: /, what);
      result.refusal = first.refusal;
    } else {
      assert.ok((format === 'structured' ? 'answer' : 'text') in first, what);
      if (format === 'structured') result.answer = said;
    }
  }
  return result;
}

function cursorOf(said: Said): string | undefined {
  return 'answer' in said ? (said.answer['envelope'] as { cursor?: string }).cursor : undefined;
}

/** Without what differs from process to process: time, cost, what an index did, and the key that signs cursors. */
function steady(said: Said): unknown {
  // A server that listed a moment ago need not list again.
  if ('text' in said) {
    return said.text
      .replace(/"cursor":"[^"]*"/g, '"cursor":"…"')
      .replace(/requests: \d+ list/, 'requests: … list')
      .replace(/; note: the bucket was listed again since the page before: [^;\]]*/, '');
  }
  // On the command line an error is text in both forms, in the JSON API it is an object in both.
  if ('refusal' in said) return said.refusal.startsWith('{') ? refusalOf(said.refusal) : said.refusal;
  const { envelope, ...fields } = said.answer;
  // Whether an index is worth asking depends on how much of the listing is there when it is asked.
  const { elapsed_ms, as_of, cost, cursor, notes, index: _, ...kept } = envelope as Record<string, unknown>;
  // A new process lists again for a second page, and says so.
  const told = ((notes ?? []) as string[]).filter((note) => !note.startsWith('the bucket was listed again'));
  // They are there, whatever they are.
  const kinds = [elapsed_ms, as_of, cost, cursor].map((value) => typeof value);
  return { ...fields, envelope: { ...kept, told, kinds } };
}

function refusalOf(json: string): string {
  const { kind, message, path, hint, ...more } = JSON.parse(json) as Record<string, string>;
  assert.deepEqual([typeof kind, more], ['string', {}], json);
  const text = `error: ${path === undefined ? '' : `${path}: `}${message}${hint === undefined ? '' : `\nnext: ${hint}`}`;
  // JSON holds the path as it is, a text holds it visible.
  return text.replaceAll('\u202e', '\\u{202e}').replaceAll('\u0007', '\\u{7}');
}
