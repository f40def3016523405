/**
 * Numbered lines of a text that is at hand as a whole.
 *
 * The server makes such text for objects. What Flue packages with a skill never reaches the server,
 * and a model must be able to read both alike; so this gives the server's form for a string.
 */

import { R2vfsError } from './error.ts';

/** Lines of an answer, as the server's `read` gives. */
const MAX_LINES = 2_000;

/** Bytes of text of an answer, as the server's `read` gives. */
const MAX_BYTES = 50_000;

/** Which lines are wanted: the first is 1. */
export interface WindowOptions {
  offset?: unknown;
  limit?: unknown;
  tail?: unknown;
}

/**
 * The lines as `NUMBER<tab>TEXT`, and a last line in brackets that says what is shown.
 *
 * @throws {R2vfsError} `invalid-argument` for an offset past the end and for numbers that are none.
 */
export function windowOf(text: string, path: string, options: WindowOptions): { text: string; complete: boolean } {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  const total = lines.length;
  const limit = number('limit', options.limit) ?? MAX_LINES;
  const tail = number('tail', options.tail);
  const offset = tail === undefined ? (number('offset', options.offset) ?? 1) : Math.max(1, total - tail + 1);
  if (offset > Math.max(1, total)) {
    throw new R2vfsError({
      kind: 'invalid-argument',
      message: `the offset ${offset} is past the end: there are ${total} lines`,
      path,
      hint: `give an offset from 1 to ${Math.max(1, total)}, or ask for the tail`,
    });
  }
  const encoder = new TextEncoder();
  const shown: string[] = [];
  let bytes = 0;
  for (let at = offset; at <= total && shown.length < Math.min(limit, MAX_LINES); at += 1) {
    const line = (lines[at - 1] ?? '').replace(/\r$/, '');
    bytes += encoder.encode(line).byteLength + 1;
    // One line at least, or a reader would never come past a long one.
    if (bytes > MAX_BYTES && shown.length > 0) break;
    shown.push(`${String(at).padStart(6)}\t${line.slice(0, MAX_BYTES)}`);
  }
  const last = offset + shown.length - 1;
  const complete = last >= total;
  const range = shown.length === 0 ? 'the file is empty' : `lines ${offset}-${last} of ${total}`;
  const more = complete ? '' : `; read on with offset=${last + 1}`;
  return { text: [...shown, `[${range}${more}]`].join('\n'), complete };
}

function number(name: string, value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1) return value;
  throw new R2vfsError({
    kind: 'invalid-argument',
    message: `the argument ${name} is no number from 1`,
    hint: 'lines are counted from 1',
  });
}
