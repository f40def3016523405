/**
 * The one error of this package.
 *
 * A `fetch` that fails, a status and a JSON body are three ways in which a server says no, and a
 * model understands none of them. {@link R2vfsError} carries the kind that the server's own library
 * uses, named by what the caller can do about it, the path, and what to do next.
 */

/**
 * What a caller can act on. The server's kinds, and of this package: `unauthorized`, `rate-limited`,
 * and `protocol` (the answer is not one of an r2vfs server). Kinds may be added.
 */
export type ErrorKind =
  | 'invalid-path'
  | 'invalid-pattern'
  | 'invalid-argument'
  | 'config'
  | 'not-found'
  | 'no-index'
  | 'wrong-type'
  | 'forbidden'
  | 'changed'
  | 'archived'
  | 'too-large'
  | 'undecodable'
  | 'unavailable'
  | 'deadline'
  | 'budget'
  | 'cancelled'
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

/** An error whose `message` is the sentence that a model should read. */
export class R2vfsError extends Error {
  override readonly name = 'R2vfsError';
  readonly kind: ErrorKind;
  readonly path: string | undefined;
  readonly hint: string | undefined;
  readonly status: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(parts: ErrorParts) {
    super(sentence(parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.kind = parts.kind;
    this.path = parts.path;
    this.hint = parts.hint;
    this.status = parts.status;
    this.retryAfterMs = parts.retryAfterMs;
  }
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
