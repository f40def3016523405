import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

import { fakeServer } from './fake-server.ts';

for (const name of ['ai-sdk', 'anthropic', 'flue', 'openai']) {
  test(`the example ${name} runs without a model`, { timeout: 180_000 }, async () => {
    await using fake = await fakeServer({
      '/troubleshooting/index.md': 'see below',
      '/troubleshooting/slow-down.md': 'What helps:\nRetry with exponential backoff. Wait.',
      '/else.md': 'Retry with nothing.',
    });
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [`${import.meta.dirname}/../examples/${name}.ts`],
      { env: { ...process.env, R2VFS_URL: fake.url } },
    );
    assert.equal(stdout.trim(), 'Retry with exponential backoff');
    assert.deepEqual(fake.asked.map(({ url }) => url).filter((url) => /grep|read/.test(url)), ['/v1/grep', '/v1/read']);
  });
}
