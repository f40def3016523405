/**
 * A small honest server of the JSON API over files in memory: it lists, reads and greps them, checks
 * the token, answers errors in the API's form, and remembers what it was asked. It knows one spelling
 * of each argument and substrings instead of regexes: what it does not know it refuses.
 */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeOptions {
  token?: string;
  /** Before an answer to this request; may answer itself and give `true`. */
  before?: (request: Asked, response: ServerResponse) => boolean | void | Promise<boolean | void>;
}

export interface Asked {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  args: Record<string, unknown>;
}

export interface Fake extends AsyncDisposable {
  url: string;
  asked: Asked[];
  /** Settles when the client closes a connection before its answer. */
  dropped: Promise<void>;
}

class Refusal extends Error {
  readonly status: number;
  readonly error: Record<string, unknown>;

  constructor(status: number, kind: string, message: string, path?: string, hint?: string) {
    super(message);
    this.status = status;
    this.error = { kind, message, ...(path && { path }), ...(hint && { hint }) };
  }
}

const MODIFIED = Date.UTC(2026, 5, 14, 12);

export async function fakeServer(
  files: Record<string, string | Uint8Array>,
  options: FakeOptions = {},
): Promise<Fake> {
  const asked: Asked[] = [];
  let drop = () => {};
  const dropped = new Promise<void>((resolve) => (drop = resolve));
  const bytes = new Map(Object.entries(files).map(([path, text]) => [path, Buffer.from(text)]));

  const server = createServer(async (request, response) => {
    response.on('close', () => response.writableFinished || drop());
    try {
      let body = '';
      for await (const chunk of request) body += chunk;
      const { method = '', url = '', headers } = request;
      const args = body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
      const one = { method, url, headers, args };
      asked.push(one);
      if (options.token && headers.authorization !== `Bearer ${options.token}`) {
        throw new Refusal(401, 'unauthorized', 'the token is not known');
      }
      if (await options.before?.(one, response)) return;
      const object = /^\/v1\/object(\/.*)$/.exec(url)?.[1];
      if (method === 'GET' && object !== undefined) {
        const content = file(bytes, decodeURIComponent(object));
        response.writeHead(200, { 'content-length': content.byteLength }).end(content);
        return;
      }
      const tool = /^\/v1\/(\w+)$/.exec(url)?.[1];
      if (method !== 'POST' || tool === undefined) throw new Refusal(404, 'not-found', 'no route');
      send(response, 200, answer(bytes, tool, args));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      send(response, error.status, { error: error.error });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    dropped,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

export function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

type Files = Map<string, Buffer>;

function answer(files: Files, tool: string, args: Record<string, unknown>): unknown {
  const { format, ...rest } = args;
  const result = run(files, tool, rest);
  const { limited, ...fields } = result;
  const envelope = {
    complete: limited === undefined,
    ...(limited !== undefined && { incomplete: [{ reason: 'limit', detail: 'the limit is reached' }], cursor: limited }),
    listed: files.size,
    searched: 0,
    matched: 0,
    as_of: MODIFIED,
    cost: {},
    elapsed_ms: 0,
  };
  if (format !== 'text') return { ...fields, envelope };
  return { text: `${JSON.stringify(fields)}\n[${envelope.complete ? 'complete' : 'more'}]`, complete: envelope.complete };
}

function run(files: Files, tool: string, args: Record<string, unknown>): Record<string, unknown> & { limited?: string } {
  const known: Record<string, string[]> = {
    list: ['path', 'limit', 'cursor'],
    stat: ['path'],
    read: ['path', 'offset', 'limit'],
    glob: ['pattern', 'path'],
    grep: ['pattern', 'path', 'output_mode'],
    search: ['query', 'path'],
  };
  const names = known[tool];
  if (!names) throw new Refusal(404, 'not-found', 'no route');
  const odd = Object.keys(args).find((name) => !names.includes(name));
  if (odd !== undefined) {
    throw new Refusal(400, 'invalid-argument', `${tool} has no argument ${odd}`, undefined, `the arguments are ${names.join(', ')}`);
  }
  const path = (args['path'] as string | undefined) ?? '/';
  if (!path.startsWith('/') || /\/\.\.?(\/|$)/.test(path)) {
    throw new Refusal(400, 'invalid-path', 'the path is not canonical', path);
  }
  const below = path.endsWith('/') ? path : `${path}/`;
  const inside = () => [...files.keys()].filter((key) => key === path || key.startsWith(below)).sort();
  switch (tool) {
    case 'stat':
      if (files.has(path)) return { path, kind: 'file', size: files.get(path)?.byteLength, modified: MODIFIED };
      if (inside().length > 0) return { path: below, kind: 'directory' };
      throw missing(path);
    case 'list': {
      if (inside().length === 0 || !inside().some((key) => key.startsWith(below))) throw missing(path);
      const entries = new Map<string, object>();
      for (const key of inside().filter((key) => key.startsWith(below))) {
        const name = key.slice(below.length);
        const slash = name.indexOf('/');
        const entry = slash < 0 ? key : below + name.slice(0, slash + 1);
        entries.set(entry, slash < 0 ? { path: entry, size: files.get(key)?.byteLength } : { path: entry });
      }
      const from = Number(args['cursor'] ?? 0);
      const until = from + Number(args['limit'] ?? 1000);
      const more = until < entries.size ? { limited: String(until) } : {};
      return { entries: [...entries.values()].slice(from, until), ...more };
    }
    case 'read': {
      const lines = file(files, path).toString().split('\n');
      const offset = Number(args['offset'] ?? 1);
      return { path, lines: lines.slice(offset - 1).map((text, at) => ({ number: offset + at, text })) };
    }
    case 'glob': {
      const end = String(args['pattern']).replace(/^.*\*/, '');
      return { paths: inside().filter((key) => key.endsWith(end)) };
    }
    case 'grep': {
      const pattern = String(args['pattern']);
      const hits = inside().filter((key) => files.get(key)?.includes(pattern));
      return { files: hits.map((path) => ({ path })) };
    }
    default:
      return { hits: inside().filter((key) => files.get(key)?.includes(String(args['query']))) };
  }
}

function file(files: Files, path: string): Buffer {
  const content = files.get(path);
  if (content) return content;
  const directory = [...files.keys()].some((key) => key.startsWith(`${path}/`));
  if (directory) throw new Refusal(400, 'wrong-type', 'this is a directory, not a file', path, 'list it instead');
  throw missing(path);
}

function missing(path: string): Refusal {
  return new Refusal(404, 'not-found', 'there is no such file or directory', path, 'list the directory above it');
}
