/**
 * The file verbs that application code, and Flue itself, calls on the sandbox.
 *
 * Hiding the write tools from a model is not read-only: `harness.sandbox` reaches the same object.
 * So {@link createSandbox} reads, and every other verb throws Flue's own error before anything is
 * sent. Flue also looks for instructions in the working directory and puts them into the system
 * prompt; the files of a bucket are data that others wrote, so that is off unless it is asked for.
 */

import {
  type FileStat,
  type Sandbox,
  SandboxOperationUnsupportedError,
  sandboxFromDriver,
} from '@flue/runtime';

import { textOf } from './body.ts';
import type { Client } from './client.ts';
import { R2vfsError } from './error.ts';
import { verb } from './flue-error.ts';
import { type Place, assertReached } from './place.ts';

/** What of a bucket Flue may take for its own. */
export interface SandboxRules {
  /**
   * Let Flue find `AGENTS.md`, `CLAUDE.md` and `.agents/skills` of the working directory and obey
   * them. Only for buckets that nobody but you can write to. Off by default: `exists` then answers
   * `false` for these names, which is how Flue looks for them; they can still be read.
   */
  workspaceInstructions?: boolean;
  /**
   * The most names that `readdir` gives, 1,000 by default; it throws where there are more. Flue
   * puts the names of the working directory into each system prompt, and leaves them out then.
   */
  maxDirEntries?: number;
}

const MAX_DIR_ENTRIES = 1_000;

/** What Flue asks `exists` for when it looks for instructions. */
const INSTRUCTIONS = /\/(AGENTS\.md|CLAUDE\.md|\.agents\/skills)$/;

function refuse(operation: string): Promise<never> {
  return Promise.reject(
    new SandboxOperationUnsupportedError({
      operation,
      provider: 'r2vfs',
      options: ['read-only object storage'],
    }),
  );
}

/** The sandbox of one agent: a plain object, because Flue copies its members. */
export function createSandbox(client: Client, place: Place, rules: SandboxRules): Sandbox {
  const most = rules.maxDirEntries ?? MAX_DIR_ENTRIES;
  const bytes = async (path: string) => {
    assertReached(place, path);
    return await client.object(path);
  };
  const driver = {
    readFile: (path: string) => verb('readFile', async () => textOf(await bytes(path))),
    readFileBuffer: (path: string) => verb('readFileBuffer', () => bytes(path)),
    stat: (path: string) => verb('stat', () => stat(client, place, path)),
    readdir: (path: string) => verb('readdir', () => names(client, place, path, most)),
    exists: async (path: string) => {
      if (!rules.workspaceInstructions && INSTRUCTIONS.test(path)) return false;
      try {
        await stat(client, place, path);
        return true;
      } catch {
        // The contract: it never throws. What cannot be asked for is not there to be used.
        return false;
      }
    },
    writeFile: () => refuse('writeFile'),
    mkdir: () => refuse('mkdir'),
    rm: () => refuse('rm'),
    exec: () => refuse('exec'),
  };
  return sandboxFromDriver(driver, place.cwd);
}

/** What is at the path. A store has no times for directories, and none are made up. */
async function stat(client: Client, place: Place, path: string): Promise<FileStat> {
  assertReached(place, path);
  const { kind, size, modified } = await client.call('stat', { path });
  return {
    isFile: kind === 'file',
    isDirectory: kind === 'directory',
    ...(size !== undefined && { size }),
    ...(modified !== undefined && { mtime: new Date(modified) }),
  };
}

/** The names in a directory, whole or not at all. */
async function names(client: Client, place: Place, path: string, most: number): Promise<string[]> {
  assertReached(place, path);
  const directory = path === '/' ? '/' : `${path}/`;
  // A file and a directory may have one name.
  const found = new Set<string>();
  let cursor: string | undefined;
  do {
    const limit = Math.min(most + 1, 1_000);
    const page = await client.call('list', { path: directory, limit, ...(cursor && { cursor }) });
    for (const { path: entry } of page.entries) {
      found.add(entry.slice(directory.length).replace(/\/$/, ''));
    }
    const lost = page.envelope.incomplete?.find(({ reason }) => reason !== 'limit');
    if (lost) {
      throw new R2vfsError({ kind: 'unavailable', message: lost.detail, path: directory });
    }
    if (found.size > most) {
      throw new R2vfsError({
        kind: 'too-large',
        message: `there are more than ${most} entries`,
        path: directory,
        hint: 'list it in pages with the list tool, or raise `maxDirEntries`',
      });
    }
    cursor = page.envelope.cursor;
  } while (cursor !== undefined);
  return [...found];
}
