/**
 * The real program, for tests that need it. `R2VFS_BIN` names a build with the feature `server`, on by default;
 * without it those tests are skipped, and say so.
 */

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The program, or nothing. */
export const binary: string = process.env['R2VFS_BIN'] ?? '';

/** For the option `skip` of a test. */
export const skip: string | false = reason();

/** The articles of the repository. */
export const KB = join(import.meta.dirname, '../../fixtures/kb');

/** Objects that are odd. */
export const ODD = join(import.meta.dirname, '../../fixtures/odd');

function reason(): string | false {
  const why = lack();
  if (why === false) return false;
  const note = `${why}: tests of the real server are left out`;
  console.error(`r2vfs: ${note}`);
  return note;
}

function lack(): string | false {
  if (binary === '') return 'R2VFS_BIN is not set';
  try {
    execFileSync(binary, ['serve', '--help'], { stdio: 'ignore' });
    return false;
  } catch {
    return `${binary} has no command \`serve\` (build it with its default features)`;
  }
}

const indexes = new Map<string, string>();

/** Where an index of this directory is, made for this test. */
export function indexFor(location: string): string {
  let directory = indexes.get(location);
  if (directory === undefined) {
    directory = mkdtempSync(join(tmpdir(), 'r2vfs-index-'));
    indexes.set(location, directory);
    execFileSync(binary, ['-b', location, ...alone(directory), 'index', 'build'], { stdio: 'ignore' });
  }
  return directory;
}

/** Options that name this directory and an index of it. */
export function indexed(location: string): string[] {
  return ['-b', location, ...alone(indexFor(location))];
}

/** Options for a program that uses nothing of this machine's own: its indexes are here, if there are any. */
export function alone(indexes: string): string[] {
  return ['--index-dir', indexes, '--no-disk-cache'];
}

process.once('exit', () => {
  for (const directory of indexes.values()) rmSync(directory, { recursive: true, force: true });
});

export interface Real extends AsyncDisposable {
  url: string;
}

/** A server that this test can address itself; `args` are options of the program, `more` those of `serve`. */
export async function realServer(args: string[], more: string[] = []): Promise<Real> {
  const directory = mkdtempSync(join(tmpdir(), 'r2vfs-real-'));
  const file = join(directory, 'url');
  const child = spawn(
    binary,
    [...args, 'serve', '--listen', '127.0.0.1:0', '--port-file', file, '--exit-with-stdin', ...more],
    { stdio: ['pipe', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  while (!existsSync(file)) {
    if (child.exitCode !== null) throw new Error(`r2vfs serve ended with ${child.exitCode}: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    url: readFileSync(file, 'utf8').trim(),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
      rmSync(directory, { recursive: true });
    },
  };
}
