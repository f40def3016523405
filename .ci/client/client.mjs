// The official TypeScript client in one revision: `client.mjs URL REVISION`.

import assert from 'node:assert/strict';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';

const [url, revision] = process.argv.slice(2);
const options = revision === '2025-11-25' ? {} : { versionNegotiation: { mode: 'auto' } };
const client = new Client({ name: 'check', version: '1' }, options);
await client.connect(new StreamableHTTPClientTransport(new URL(`${url}/mcp`)));

const { tools } = await client.listTools();
assert.deepEqual(
  tools.map(({ name }) => name),
  ['list', 'stat', 'read', 'glob', 'grep', 'search'],
);
const found = await client.callTool({ name: 'grep', arguments: { pattern: 'SlowDown' } });
assert.ok(found.content[0].text.includes('/troubleshooting/slow-down.md'));
assert.equal(found.structuredContent, undefined);
const wrong = await client.callTool({
  name: 'read',
  arguments: { path: '/troubleshooting/slow-dwn.md' },
});
assert.ok(wrong.isError && wrong.content[0].text.includes('slow-down.md'));
const { resourceTemplates } = await client.listResourceTemplates();
assert.equal(resourceTemplates[0].uriTemplate, 'r2vfs:///{+path}');
await client.close();
