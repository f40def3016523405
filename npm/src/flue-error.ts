/** What the file verbs throw: an error of Flue's own family, so that `instanceof FlueError` holds. */

import { FlueError } from '@flue/runtime';

import { type ErrorKind, R2vfsError } from './error.ts';

/** What code written for a local file system looks for. */
const CODES: Partial<Record<ErrorKind, string>> = {
  'not-found': 'ENOENT',
  'wrong-type': 'EISDIR',
  'invalid-path': 'ENOENT',
  forbidden: 'EACCES',
  unauthorized: 'EACCES',
  'too-large': 'EFBIG',
};

/** A read that failed. `type` is `r2vfs_` and the kind, such as `r2vfs_not_found`. */
export class SandboxReadError extends FlueError {
  /** As Node's `fs` would say: `ENOENT`, `EISDIR`, `EACCES`, `EFBIG`; absent for others. */
  readonly code: string | undefined;

  constructor(operation: string, error: R2vfsError) {
    const { kind, path, hint, status } = error;
    super({
      type: `r2vfs_${kind.replaceAll('-', '_')}`,
      message: error.message,
      details: hint ?? '',
      dev: '',
      meta: { operation, kind, ...(path !== undefined && { path }), ...(status !== undefined && { status }) },
      cause: error,
    });
    this.name = 'SandboxReadError';
    this.code = CODES[kind];
  }
}

/** Runs a file verb; what it cannot do is told in Flue's words. */
export async function verb<T>(operation: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw error instanceof R2vfsError ? new SandboxReadError(operation, error) : error;
  }
}
