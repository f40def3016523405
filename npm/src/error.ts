/**
 * The one error of this package.
 *
 * A `fetch` that fails, a status and a JSON body are three ways in which a server says no, and a
 * model understands none of them. {@link R2vfsError} carries the kind that the server's own library
 * uses, named by what the caller can do about it, the path, and what to do next. It reads in two ways:
 * as one line for logs (`message`), and for models as the server's tools say it ({@link R2vfsError.text}).
 */

/**
 * What a caller can act on. The server's kinds; `protocol` is also an answer that is not one of an
 * r2vfs server. Kinds may be added.
 */
export type ErrorKind =
  | 'invalid-path'
  | 'invalid-pattern'
  | 'invalid-argument'
  | 'config'
  | 'not-found'
  | 'no-index'
  | 'wrong-type'
  | 'no-bucket'
  | 'credentials'
  | 'forbidden'
  | 'changed'
  | 'archived'
  | 'too-large'
  | 'undecodable'
  | 'unavailable'
  | 'deadline'
  | 'budget'
  | 'cancelled'
  | 'io'
  | 'unauthorized'
  | 'rate-limited'
  | 'protocol'
  | (string & {});

/** What an {@link R2vfsError} is made of. */
export interface ErrorParts {
  kind: ErrorKind;
  /** What was wrong, without the path and without a final full stop. */
  message: string;
  /** The canonical path that it is about. */
  path?: string | undefined;
  /** What to do next. */
  hint?: string | undefined;
  /** The HTTP status, where a server answered. */
  status?: number | undefined;
  /** Milliseconds after which the server would take another call. */
  retryAfterMs?: number | undefined;
  /** For logs only; it may name an endpoint, the message never does. */
  cause?: unknown;
}

/** What was wrong, where, and what to do next. */
export class R2vfsError extends Error {
  override readonly name = 'R2vfsError';
  readonly kind: ErrorKind;
  readonly path: string | undefined;
  readonly hint: string | undefined;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;
  readonly #said: string;

  constructor(parts: ErrorParts) {
    super(sentence(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.kind = parts.kind;
    this.path = parts.path;
    this.hint = parts.hint;
    this.status = parts.status;
    this.retryAfterMs = parts.retryAfterMs;
    this.#said = parts.message;
  }

  /** For a model, as the server's tools say it over MCP: `error: PATH: MESSAGE`, then `next: HINT`. */
  get text(): string {
    const where = this.path === undefined ? '' : `${visible(this.path)}: `;
    const next = this.hint === undefined ? '' : `\nnext: ${visible(this.hint)}`;
    return `error: ${where}${visible(this.#said)}${next}`;
  }

  /** As the server's JSON has it. */
  toJSON(): { hint?: string; kind: string; message: string; path?: string } {
    const { hint, kind, path } = this;
    return {
      ...(hint !== undefined && { hint }),
      kind,
      message: this.#said,
      ...(path !== undefined && { path }),
    };
  }
}

/** What a model reads of an error, in the form that the call's arguments ask for. */
export function told(error: R2vfsError, args: unknown): string {
  const isStructured = (args as { format?: unknown } | null | undefined)?.format === 'structured';
  return isStructured ? JSON.stringify(error) : error.text;
}

/** Throws the error of a call as frameworks take it, whose models read the `message` of what a tool throws. */
export function thrown(error: unknown, args: unknown): never {
  throw error instanceof R2vfsError ? new ToolError(told(error, args), { cause: error }) : error;
}

/** A tool that failed; its message is for the model, and `cause` is the {@link R2vfsError}. */
class ToolError extends Error {
  override readonly name = 'ToolError';
}

/**
 * Characters that take no room or reorder others: a name that holds one must not pass for another.
 * Those that the server makes visible.
 */
const UNSEEN = new RegExp(
  '[\\p{Cc}\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e' +
    '\\u2060-\\u206f\\u3164\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff0-\\ufffb' +
    '\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}]',
  'gu',
);

function visible(text: string): string {
  return text.replace(UNSEEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** As the server's library prints its errors: `PATH: MESSAGE (HINT)`. */
function sentence({ message, path, hint }: ErrorParts): string {
  return (path ? `${path}: ` : '') + message + (hint ? ` (${hint})` : '');
}

/** Kinds for answers of proxies and of servers that say nothing but a status. */
const BY_STATUS: Record<number, [ErrorKind, string]> = {
  401: ['unauthorized', 'the server does not accept the token'],
  403: ['forbidden', 'the server refuses this'],
  404: ['not-found', 'there is no such file or directory'],
  413: ['too-large', 'this is larger than the server allows'],
  429: ['rate-limited', 'the server gets too many calls'],
  503: ['unavailable', 'the server is not available'],
  504: ['deadline', 'the server did not answer in time'],
};

/** The error of a response whose status is not one of success. */
export function errorOf(response: Response, body: string): R2vfsError {
  const { status } = response;
  const retryAfterMs = retryAfter(response.headers.get('retry-after'));
  let told: unknown;
  try {
    told = (JSON.parse(body) as { error?: unknown } | null)?.error;
  } catch {
    told = undefined;
  }
  if (typeof told === 'object' && told !== null) {
    const { kind, message, path, hint } = told as Record<string, unknown>;
    if (typeof kind === 'string' && typeof message === 'string') {
      return new R2vfsError({
        kind,
        message,
        path: typeof path === 'string' ? path : undefined,
        hint: typeof hint === 'string' ? hint : undefined,
        status,
        retryAfterMs,
      });
    }
  }
  const [kind, message] = BY_STATUS[status] ?? [
    'protocol',
    `the answer has status ${status} and is not one of an r2vfs server`,
  ];
  const hint = kind === 'unauthorized' ? 'give the option `token`' : undefined;
  return new R2vfsError({ kind, message, hint, status, retryAfterMs });
}

/** `Retry-After` in its form of seconds; servers of ours send no dates. */
function retryAfter(header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header) ? Number(header) * 1000 : undefined;
}
