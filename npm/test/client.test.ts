import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Client, R2vfsError } from 'r2vfs/tools';

import { fakeServer, send } from './fake-server.ts';

/** The error of a promise that must fail, of the package's class. */
async function refused(promise: Promise<unknown>): Promise<R2vfsError> {
  const error = await promise.then(
    (value) => assert.fail(`it gave ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof R2vfsError, String(error));
  return error;
}

test('a tool is one POST with its arguments and the token', async () => {
  await using fake = await fakeServer({ '/a.md': 'one\n' }, { token: 's3cret' });
  const client = new Client({ url: `${fake.url}/`, token: 's3cret' });
  const answer = await client.call('stat', { path: '/a.md' });
  assert.equal(answer.size, 4);
  assert.equal(answer.envelope.complete, true);
  const { text, complete } = await client.text('list', {});
  assert.match(text, /\/a\.md/);
  assert.equal(complete, true);
  assert.deepEqual(
    fake.asked.map(({ method, url, args }) => [method, url, args]),
    [
      ['POST', '/v1/stat', { path: '/a.md' }],
      ['POST', '/v1/list', { format: 'text' }],
    ],
  );
});

test('a model that asks for structure gets the answer as JSON', async () => {
  await using fake = await fakeServer({ '/a.md': 'one\n' });
  const client = new Client({ url: fake.url });
  const { text } = await client.text('stat', { path: '/a.md', format: 'structured' });
  assert.equal((JSON.parse(text) as { kind: string }).kind, 'file');
  assert.deepEqual(fake.asked.at(-1)?.args, { path: '/a.md', format: 'structured' });
});

test('an answer that no model could take is refused, not handed on', async () => {
  const files = Object.fromEntries(Array.from({ length: 1000 }, (_, n) => [`/${'long'.repeat(10)}-${n}.md`, '']));
  await using fake = await fakeServer(files);
  const client = new Client({ url: fake.url });
  assert.equal((await client.call('list', {})).entries.length, 1000, 'a program has room');
  const error = await refused(client.text('list', { format: 'structured' }));
  assert.equal(error.kind, 'too-large');
  assert.equal((await client.text('list', { format: 'structured', limit: 10 })).complete, false);
});

test('a refusal keeps kind, path and hint, and reads as the library prints it', async () => {
  await using fake = await fakeServer({ '/a.md': '' });
  const client = new Client({ url: fake.url });
  const error = await refused(client.call('stat', { path: '/b.md' }));
  assert.equal(error.kind, 'not-found');
  assert.equal(error.status, 404);
  assert.equal(error.path, '/b.md');
  assert.equal(error.message, '/b.md: there is no such file or directory (list the directory above it)');
  assert.equal(error.text, 'error: /b.md: there is no such file or directory\nnext: list the directory above it');
  assert.equal(
    JSON.stringify(error),
    '{"hint":"list the directory above it","kind":"not-found","message":"there is no such file or directory","path":"/b.md"}',
  );
});

test('what a model reads of an error hides nothing', () => {
  const error = new R2vfsError({ kind: 'not-found', message: 'no\u0000\ne', path: '/a\u202eb\u{e0041}', hint: 'é\u200b' });
  assert.equal(error.text, 'error: /a\\u{202e}b\\u{e0041}: no\\u{0}\\u{a}e\nnext: é\\u{200b}');
});

test('no error names the server or the token', async () => {
  await using fake = await fakeServer({}, { token: 'right' });
  const wrong = new Client({ url: fake.url, token: 'wrong-t0ken' });
  assert.equal((await refused(wrong.text('list', {}))).kind, 'unauthorized');
  const nobody = new Client({ url: 'http://127.0.0.1:1/secret-path', token: 'wrong-t0ken' });
  const gone = await refused(nobody.text('list', {}));
  assert.equal(gone.kind, 'unavailable');
  for (const { message } of [await refused(wrong.text('list', {})), gone]) {
    assert.doesNotMatch(message, /127\.0\.0\.1|secret-path|t0ken/);
  }
});

test('options that cannot be right are refused before anything is sent', () => {
  const bad = ['ftp://x', 'x', 'http://user@x', 'http://:pass@x', 'https://x/?token=1', ''];
  for (const url of bad) assert.throws(() => new Client({ url }), { kind: 'config' }, url);
  for (const token of ['', 'a b', 'a\n']) {
    assert.throws(() => new Client({ url: 'http://x', token }), { kind: 'config' }, token);
  }
});

test('what is no answer of an r2vfs server is told as such', async () => {
  for (const body of ['<html>', '[]', '"x"', '{}', '{"text": 1, "complete": true}']) {
    await using fake = await fakeServer(
      {},
      { before: (_, response) => (response.end(body), true) },
    );
    const client = new Client({ url: fake.url });
    assert.equal((await refused(client.text('list', {}))).kind, 'protocol', body);
    assert.equal((await refused(client.call('list', {}))).kind, 'protocol', body);
  }
});

test('a redirect is not followed', async () => {
  await using other = await fakeServer({ '/a.md': '' });
  await using fake = await fakeServer(
    {},
    {
      before(_, response) {
        response.writeHead(307, { location: `${other.url}/v1/list` }).end();
        return true;
      },
    },
  );
  const error = await refused(new Client({ url: fake.url }).text('list', {}));
  assert.equal(error.status, 307);
  assert.equal(other.asked.length, 0);
});

test('an aborted signal ends the request at the server', { timeout: 60_000 }, async () => {
  const controller = new AbortController();
  await using fake = await fakeServer(
    {},
    {
      // Never answers: the abort must be what ends it.
      before: () => (controller.abort(new Error('enough')), new Promise(() => {})),
    },
  );
  const client = new Client({ url: fake.url });
  await assert.rejects(client.text('grep', { pattern: 'x' }, { signal: controller.signal }), /enough/);
  await fake.dropped;
  await assert.rejects(client.text('list', {}, { signal: controller.signal }), /enough/);
  assert.equal(fake.asked.length, 1, 'an aborted signal sends nothing');
});

test('a server that hangs is given up', { timeout: 60_000 }, async () => {
  await using fake = await fakeServer({}, { before: () => new Promise(() => {}) });
  const error = await refused(new Client({ url: fake.url, timeoutMs: 50 }).text('list', {}));
  assert.equal(error.kind, 'deadline');
  await fake.dropped;
});

test('a short rate limit is waited out, a long one and a lasting one are told', async () => {
  let left = 2;
  await using fake = await fakeServer(
    { '/a.md': '' },
    {
      before({ args }, response) {
        if (left-- <= 0) return false;
        response.setHeader('retry-after', args['path'] === '/long' ? '60' : '0');
        send(response, 429, { error: { kind: 'rate-limited', message: 'too many calls' } });
        return true;
      },
    },
  );
  const client = new Client({ url: fake.url });
  await client.text('list', {});
  assert.equal(fake.asked.length, 3);
  left = 1;
  const long = await refused(client.text('list', { path: '/long' }));
  assert.equal(long.retryAfterMs, 60_000);
  assert.equal(fake.asked.length, 4);
  left = 3;
  assert.equal((await refused(client.text('list', {}))).kind, 'rate-limited');
  assert.equal(fake.asked.length, 7);
});

test('an object is asked for by its canonical path, however odd', async () => {
  const files = {
    '/a/%2E%2E/b.md': 'dots',
    '/100% off?#.md': 'sale',
    '/ja/検索.md': '日本語',
    '/a%2Fb.md': 'percent',
  };
  await using fake = await fakeServer(files);
  const client = new Client({ url: fake.url });
  for (const [path, text] of Object.entries(files)) {
    assert.equal(Buffer.from(await client.object(path)).toString(), text, path);
  }
});

test('no path leads fetch to another address', async () => {
  await using fake = await fakeServer({ '/a.md': '' });
  const client = new Client({ url: fake.url });
  for (const path of ['/../stat', '/a/..', '/./a.md', 'a.md', '//a.md', '/a//b', '']) {
    assert.equal((await refused(client.object(path))).kind, 'invalid-path', path);
  }
  assert.equal(fake.asked.length, 0);
});

test('an object above the bound is not taken, announced or not', async () => {
  const big = Buffer.alloc(100_000);
  await using fake = await fakeServer(
    { '/big': big },
    {
      before({ url }, response) {
        if (url.endsWith('announced')) {
          response.writeHead(200, { 'content-length': 5e9 }).flushHeaders();
          return new Promise(() => {});
        }
        if (!url.endsWith('chunked')) return false;
        response.write(big);
        response.end(big);
        return true;
      },
    },
  );
  const client = new Client({ url: fake.url, maxFileBytes: 99_999 });
  const silent = await refused(client.object('/announced'));
  assert.match(silent.message, /5000000000 bytes/, 'what is announced is refused before it comes');
  const announced = await refused(client.object('/big'));
  assert.equal(announced.kind, 'too-large');
  assert.match(announced.message, /100000 bytes.*read tool/);
  assert.equal((await refused(client.object('/chunked'))).kind, 'too-large');
  assert.equal((await new Client({ url: fake.url, maxFileBytes: 100_000 }).object('/big')).byteLength, 100_000);
});

test('an answer that is too long is told as such, and what to do', async () => {
  await using fake = await fakeServer(
    {},
    {
      before(_, response) {
        response.writeHead(200, { 'content-length': 5e9 }).flushHeaders();
        return new Promise(() => {});
      },
    },
  );
  const error = await refused(new Client({ url: fake.url }).call('glob', { pattern: '**' }));
  assert.equal(error.kind, 'too-large');
  assert.match(error.hint ?? '', /lower `limit`/);
});
