/**
 * Reads the body of a response up to a bound.
 *
 * `response.text()` takes what comes: a log of 5 GB, asked for as one file, ends a Worker, which has
 * 128 MB. Here a body is counted as it arrives and given up at the bound.
 */

/** A body was longer than its bound; `length` is what the server announced, if it did. */
export class BodyTooLarge extends Error {
  readonly length: number | undefined;

  constructor(length: number | undefined) {
    super('the body is larger than its bound');
    this.length = length;
  }
}

/**
 * All bytes of the body, at most `most`.
 *
 * @throws {BodyTooLarge} and stops the transfer; and what reading the body fails with.
 */
export async function bytesOf(response: Response, most: number): Promise<Uint8Array> {
  const header = response.headers.get('content-length');
  const announced = header !== null && /^\d+$/.test(header) ? Number(header) : undefined;
  // The length counts encoded bytes, so it can only ever be too small a figure for the text.
  if (announced !== undefined && announced > most) {
    await response.body?.cancel();
    throw new BodyTooLarge(announced);
  }
  if (response.body === null) return new Uint8Array();
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    length += value.byteLength;
    if (length > most) {
      await reader.cancel();
      throw new BodyTooLarge(announced);
    }
    chunks.push(value);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}

/** The body as UTF-8 text: invalid bytes become U+FFFD, a byte order mark stays, as in Node's `fs`. */
export function textOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
}
