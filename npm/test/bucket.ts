/**
 * A bucket behind S3's protocol, as far as a reader uses it: lists, ranged gets, heads. It can hold
 * its answers back, and tells who hung up meanwhile: that is how one sees whether a program that was
 * told to stop has stopped.
 */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Bucket extends AsyncDisposable {
  /** What `r2vfs` needs to read it. */
  args: string[];
  /** The keys of all gets so far. */
  gets: string[];
  /** Gets that wait for {@link Bucket.release}. */
  held: Set<string>;
  /** From now on gets wait. */
  hold(): void;
  /** Gets are answered again, those that wait too. */
  release(): void;
  /** Settles once so many gets wait, ... */
  waiting(count: number): Promise<void>;
}

const MODIFIED = new Date(Date.UTC(2026, 5, 14, 12));

export async function bucketOf(objects: Record<string, string>): Promise<Bucket> {
  const stored = new Map(
    Object.entries(objects).map(([key, text]) => {
      const bytes = Buffer.from(text);
      return [key, { bytes, etag: `"${createHash('md5').update(bytes).digest('hex')}"` }] as const;
    }),
  );
  const gets: string[] = [];
  const held = new Set<string>();
  let waits: Promise<void> | undefined;
  let release = () => {};
  let changed = () => {};

  const list = (query: URLSearchParams): string => {
    const prefix = query.get('prefix') ?? '';
    const delimiter = query.get('delimiter');
    const after = query.get('continuation-token') ?? query.get('start-after') ?? '';
    const most = Number(query.get('max-keys') ?? 1000);
    const entries = new Map<string, string>();
    // In the order of UTF-8 bytes, which is not that of JavaScript's strings.
    const keys = [...stored.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    let next = '';
    for (const key of keys) {
      if (!key.startsWith(prefix) || Buffer.compare(Buffer.from(key), Buffer.from(after)) <= 0) continue;
      const end = delimiter ? key.indexOf(delimiter, prefix.length) : -1;
      const name = end < 0 ? key : key.slice(0, end + 1);
      if (end >= 0 && (entries.has(name) || after.startsWith(name))) continue;
      if (entries.size === most) {
        next = [...entries.keys()].at(-1) ?? '';
        break;
      }
      const { bytes, etag } = stored.get(key)!;
      entries.set(
        name,
        end < 0
          ? `<Contents><Key>${encodeURIComponent(key)}</Key><LastModified>${MODIFIED.toISOString()}</LastModified>` +
              `<ETag>${etag.replaceAll('"', '&quot;')}</ETag><Size>${bytes.length}</Size><StorageClass>STANDARD</StorageClass></Contents>`
          : `<CommonPrefixes><Prefix>${encodeURIComponent(name)}</Prefix></CommonPrefixes>`,
      );
    }
    return (
      '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult><Name>articles</Name><EncodingType>url</EncodingType>' +
      `<Prefix>${encodeURIComponent(prefix)}</Prefix><MaxKeys>${most}</MaxKeys><KeyCount>${entries.size}</KeyCount>` +
      `<IsTruncated>${next !== ''}</IsTruncated>${next && `<NextContinuationToken>${escaped(next)}</NextContinuationToken>`}` +
      `${[...entries.values()].join('')}</ListBucketResult>`
    );
  };

  const get = async (key: string, method: string, range: string | undefined, response: ServerResponse) => {
    const object = stored.get(key);
    if (!object) return refuse(response, method, 404, 'NoSuchKey');
    const { bytes, etag } = object;
    if (method === 'GET') {
      gets.push(key);
      if (waits) {
        held.add(key);
        response.on('close', () => (held.delete(key), changed()));
        changed();
        await waits;
        if (response.destroyed) return;
      }
    }
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
    const first = Number(from ?? 0);
    const last = Math.min(bytes.length - 1, to ? Number(to) : Infinity);
    if (range && first >= bytes.length) return refuse(response, method, 416, 'InvalidRange');
    response.writeHead(range ? 206 : 200, {
      'content-length': last - first + 1,
      'content-type': 'text/plain',
      'last-modified': MODIFIED.toUTCString(),
      etag,
      ...(range && { 'content-range': `bytes ${first}-${last}/${bytes.length}` }),
    });
    response.end(method === 'GET' ? bytes.subarray(first, last + 1) : undefined);
  };

  const server = createServer((request, response) => {
    const { method = '', url = '' } = request;
    // Not by `URL`, which would read `..` of a key as a way up.
    const [path = '', query = ''] = url.split('?', 2) as [string, string?];
    const key = decodeURIComponent(path.replace(/^\/articles\/?/, ''));
    if (key !== '') return void get(key, method, request.headers.range, response);
    if (method !== 'GET' || !query.includes('list-type=2')) return refuse(response, method, 404, 'NoSuchKey');
    response.writeHead(200, { 'content-type': 'application/xml' }).end(list(new URLSearchParams(query)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    args: ['-b', 's3://articles', '--endpoint', `http://127.0.0.1:${port}`, '--region', 'auto', '--anonymous', '--index', 'off'],
    gets,
    held,
    hold: () => (waits = new Promise((resolve) => (release = resolve))),
    release() {
      waits = undefined;
      release();
    },
    async waiting(count) {
      while (held.size !== count) await new Promise<void>((resolve) => (changed = resolve));
    },
    async [Symbol.asyncDispose]() {
      release();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function refuse(response: ServerResponse, method: string, status: number, code: string): void {
  const body = `<Error><Code>${code}</Code><Message>no</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(method === 'HEAD' ? undefined : body);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
