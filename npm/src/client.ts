/**
 * Calls the JSON API of `r2vfs serve` with nothing but `fetch`.
 *
 * An MCP client would do for tools, but it keeps a session, brings a dependency, and its results are
 * text for models; a file needs bytes. One stateless POST for a tool and one GET for an object run
 * wherever there is `fetch`, and closing the connection is what cancels the work on the server: so an
 * `AbortSignal` is all that {@link Client} needs to hand on.
 */

import type { Answer, Answers, ToolName } from './answers.ts';
import { BodyTooLarge, bytesOf, textOf } from './body.ts';
import { R2vfsError, errorOf } from './error.ts';
import { type LocalOptions, localServer } from './local.ts';

/** Where the server is. Without `url`, the program `r2vfs` is started on this machine (Node only). */
export interface ServerOptions extends LocalOptions {
  /** The server's address, such as `https://r2vfs.example`; a path in it stays in front of `/v1`. */
  url?: string;
  /** The tenant's bearer token. */
  token?: string;
  /** Instead of the global `fetch`, such as a Worker's service binding. */
  fetch?: typeof fetch;
  /** Milliseconds after which a call is given up, 60,000 by default. The server's own deadline is shorter. */
  timeoutMs?: number;
  /** The largest object that is read as a whole, in bytes: 16 MiB by default. */
  maxFileBytes?: number;
}

/** A tool's answer as a model reads it. */
export interface ToolText {
  text: string;
  /** Nothing that was asked for is missing. */
  complete: boolean;
}

/** What goes with one call. */
export interface CallOptions {
  /** Ends the call here and on the server. */
  signal?: AbortSignal | undefined;
}

/** Three times the server's default deadline: a server that hangs must not hang an agent. */
const TIMEOUT_MS = 60_000;

/** An eighth of what a Worker has, and far more than a model can read. */
const MAX_FILE_BYTES = 16 << 20;

/** The server's structured answers stay below this: 8 MiB of text, with JSON's escapes. */
const MAX_ANSWER_BYTES = 32 << 20;

/** Characters of an answer for a model at most, as the server keeps to in its texts. */
const MAX_TEXT = 40_000;

/** An error's body; what is longer comes from some proxy. */
const MAX_ERROR_BYTES = 64 << 10;

/** A rate limit is waited out if that takes no longer than this, ... */
const MAX_WAIT_MS = 5_000;

/** ... and so many times: a limit that holds on is the caller's to know of. */
const MAX_WAITS = 2;

/** A server, reached by `fetch`. Keeps no state but, for a local server, its address. */
export class Client {
  readonly #address: () => Promise<string>;
  readonly #token: string | undefined;
  readonly #fetch: typeof fetch;
  readonly #timeoutMs: number;
  readonly #maxFileBytes: number;

  constructor(options: ServerOptions = {}) {
    const { url, token } = options;
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      throw new R2vfsError({
        kind: 'config',
        message: 'the option `token` is empty or has characters that no token has',
        hint: 'take it from `r2vfs token new`, without a line break',
      });
    }
    if (url === undefined) {
      this.#address = () => localServer(options);
    } else {
      const address = Promise.resolve(base(url));
      this.#address = () => address;
    }
    this.#token = token;
    // A Worker's fetch must not be called with another `this`.
    const given = options.fetch;
    this.#fetch = given ? (input, init) => given(input, init) : (input, init) => fetch(input, init);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#maxFileBytes = options.maxFileBytes ?? MAX_FILE_BYTES;
  }

  /**
   * Runs a tool and gives its typed answer, whole: a program has more room than a model.
   *
   * @throws {R2vfsError} for what the server refuses and for a server that cannot be reached; and
   * the signal's reason once that is aborted.
   */
  async call<N extends ToolName>(
    name: N,
    args: Record<string, unknown>,
    options: CallOptions = {},
  ): Promise<Answers[N]> {
    const { format: _, ...rest } = args;
    return (await this.#answer(name, rest, options)) as Answers[N];
  }

  /**
   * Runs a tool and gives what a model reads: the text that the server makes for models or, where
   * `args` has the `format` `"structured"`, the typed answer as JSON.
   *
   * @throws as {@link Client.call} does.
   */
  async text(
    name: ToolName,
    args: Record<string, unknown>,
    options: CallOptions = {},
  ): Promise<ToolText> {
    if (args['format'] === 'structured') {
      const answer = await this.#answer(name, args, options);
      const text = JSON.stringify(answer);
      if (text.length > MAX_TEXT) {
        throw new R2vfsError({
          kind: 'too-large',
          message: `the answer has ${text.length} characters, more than the ${MAX_TEXT} that a model is given`,
          hint: 'ask for less with `limit`, or for text',
        });
      }
      return { text, complete: answer.envelope.complete };
    }
    const { text, complete } = await this.#post(name, { ...args, format: 'text' }, options);
    if (typeof text !== 'string' || typeof complete !== 'boolean') throw foreign();
    return { text, complete };
  }

  /**
   * The bytes of a whole file.
   *
   * @throws {R2vfsError} `too-large` for more than `maxFileBytes`; and as {@link Client.call} does.
   */
  async object(path: string, options: CallOptions = {}): Promise<Uint8Array> {
    return await this.#send(`v1/object/${objectPath(path)}`, { method: 'GET' }, options, (response) =>
      bytesOf(response, this.#maxFileBytes).catch((error: unknown) => {
        if (!(error instanceof BodyTooLarge)) throw error;
        const size = error.length === undefined ? '' : `${error.length} bytes, `;
        throw new R2vfsError({
          kind: 'too-large',
          message: `the file has ${size}more than the ${this.#maxFileBytes} that are read as a whole`,
          path,
          hint: 'read it by lines with the read tool, or raise `maxFileBytes`',
          cause: error,
        });
      }),
    );
  }

  async #answer(name: ToolName, args: Record<string, unknown>, options: CallOptions): Promise<Answer> {
    const answer = await this.#post(name, args, options);
    if (typeof answer['envelope'] !== 'object' || answer['envelope'] === null) throw foreign();
    return answer as Answer;
  }

  async #post(
    name: ToolName,
    args: Record<string, unknown>,
    options: CallOptions,
  ): Promise<Record<string, unknown>> {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(args),
    };
    return await this.#send(`v1/${name}`, init, options, async (response) => {
      let answer: unknown;
      try {
        answer = JSON.parse(textOf(await bytesOf(response, MAX_ANSWER_BYTES)));
      } catch (error) {
        if (error instanceof SyntaxError) throw foreign(error);
        if (error instanceof BodyTooLarge) throw overlong(error);
        throw error;
      }
      if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) throw foreign();
      return answer as Record<string, unknown>;
    });
  }

  /** One exchange, its body included, under the caller's signal and the timeout. */
  async #send<T>(
    route: string,
    init: { method: string; headers?: Record<string, string>; body?: string },
    { signal }: CallOptions,
    take: (response: Response) => Promise<T>,
  ): Promise<T> {
    signal?.throwIfAborted();
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const headers: Record<string, string> = { ...init.headers };
    if (this.#token !== undefined) headers['authorization'] = `Bearer ${this.#token}`;
    try {
      for (let waits = 0; ; waits += 1) {
        const address = await this.#address();
        // A redirect would carry the arguments to a server that nobody named.
        const response = await this.#fetch(address + route, {
          ...init,
          headers,
          redirect: 'manual',
          signal: either,
        });
        if (response.status === 200) return await take(response);
        const body = await bytesOf(response, MAX_ERROR_BYTES).then(textOf, (error: unknown) => {
          if (error instanceof BodyTooLarge) return '';
          throw error;
        });
        const refusal = errorOf(response, body);
        const wait = refusal.retryAfterMs;
        const limited = response.status === 429 && wait !== undefined && wait <= MAX_WAIT_MS;
        if (!limited || waits === MAX_WAITS) throw refusal;
        await sleep(wait, either);
      }
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (error instanceof R2vfsError) throw error;
      if (timeout.aborted) {
        throw new R2vfsError({
          kind: 'deadline',
          message: `the server did not answer within ${this.#timeoutMs} ms`,
          hint: 'narrow the path or the glob, or raise `timeoutMs`',
          cause: error,
        });
      }
      throw new R2vfsError({
        kind: 'unavailable',
        message: 'the r2vfs server cannot be reached',
        hint: 'check that it runs and that the option `url` is its address',
        cause: error,
      });
    }
  }
}

/** The address with one `/` at its end. */
function base(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const speaks = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  if (!parsed || !speaks || parsed.username || parsed.password || parsed.search || parsed.hash) {
    throw new R2vfsError({
      kind: 'config',
      message: 'the option `url` is not the address of a server',
      hint: 'write it like https://r2vfs.example, without user, query and fragment; a token is an option of its own',
    });
  }
  return parsed.href.endsWith('/') ? parsed.href : `${parsed.href}/`;
}

/**
 * A canonical path as the tail of a URL. `fetch` itself resolves `.` and `..` in an address and so
 * would ask for another object; the canonical spelling has neither (a key's own are `%2E` and
 * `%2E%2E`, whose `%` is encoded once more here).
 */
function objectPath(path: string): string {
  const segments = path.split('/');
  const wrong = !path.startsWith('/') || segments.slice(1, -1).includes('');
  if (wrong || segments.some((segment) => segment === '.' || segment === '..')) {
    throw new R2vfsError({
      kind: 'invalid-path',
      message: 'the path is not in its canonical spelling',
      path,
      hint: 'write it from the root, without `.`, `..` and empty segments',
    });
  }
  return segments.slice(1).map(encodeURIComponent).join('/');
}

function overlong(cause: BodyTooLarge): R2vfsError {
  return new R2vfsError({
    kind: 'too-large',
    message: `the answer has more than the ${MAX_ANSWER_BYTES} bytes that are taken of one`,
    hint: 'ask with a lower `limit` and go on with the cursor, or narrow the path',
    cause,
  });
}

function foreign(cause?: unknown): R2vfsError {
  return new R2vfsError({
    kind: 'protocol',
    message: 'the answer is not one of an r2vfs server',
    hint: 'check that the option `url` is the address of `r2vfs serve`',
    cause,
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
  });
}
