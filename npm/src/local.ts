/**
 * A server of one's own: the program `r2vfs`, started on this machine.
 *
 * A started program outlives a parent that is killed, and one for every render of an agent fills the
 * machine. {@link localServer} starts one for each set of options in a process, hands the program a
 * pipe whose end is held by this process alone (`--exit-with-stdin`: when we end in any way, the
 * kernel closes it), and never keeps this process running.
 *
 * Node's modules are asked for only when they are needed, and not by `import`: bundlers for Workers
 * follow imports, and there is nothing to start there.
 */

import { R2vfsError } from './error.ts';

/** What the program is started with, where no `url` is given. */
export interface LocalOptions {
  /** The bucket: `r2://BUCKET/PREFIX`, `s3://…` or a directory (`r2vfs -b`). */
  location?: string;
  /** The program: `r2vfs` on the path by default, or what the variable `R2VFS_BIN` names. */
  binary?: string;
  /** Further options of `r2vfs serve`, such as `['--config', 'mounts.toml']`. */
  args?: string[];
}

/** The program's start, its first listing excluded, takes some 10 ms. */
const START_MS = 30_000;

/** What is kept of the program's standard error, to be told when it does not start. */
const MAX_STDERR = 4_096;

const POLL_MS = 10;

interface Server {
  address: Promise<string>;
  stop(): Promise<void>;
}

const servers = new Map<string, Server>();

/**
 * The address of the server of these options, started if it does not run.
 *
 * @throws {R2vfsError} `config` where there is no Node, no such program, or it refuses its options.
 */
export function localServer(options: LocalOptions): Promise<string> {
  const key = JSON.stringify([options.location, options.binary, options.args]);
  let server = servers.get(key);
  if (!server) {
    const forget = () => {
      if (servers.get(key) === server) servers.delete(key);
    };
    server = start(options, forget);
    servers.set(key, server);
  }
  return server.address;
}

/** Stops the servers that this process started, and waits for their end. Tests want it; others need not. */
export async function stopLocalServers(): Promise<void> {
  await Promise.all([...servers.values()].map((server) => server.stop()));
}

/** The parts of Node that are used. */
interface Node {
  childProcess: typeof import('node:child_process');
  fs: typeof import('node:fs');
  os: typeof import('node:os');
  path: typeof import('node:path');
  env: Record<string, string | undefined>;
}

function node(): Node {
  const { process } = globalThis as { process?: Partial<typeof import('node:process')> };
  const get = process?.getBuiltinModule;
  const childProcess = get?.('node:child_process');
  if (!get || !childProcess?.spawn || !process.versions?.node) {
    throw new R2vfsError({
      kind: 'config',
      message: 'there is no option `url`, and no program can be started here',
      hint: 'give the address of `r2vfs serve`',
    });
  }
  return {
    childProcess,
    fs: get('node:fs'),
    os: get('node:os'),
    path: get('node:path'),
    env: process.env ?? {},
  };
}

function start(options: LocalOptions, forget: () => void): Server {
  let child: import('node:child_process').ChildProcess | undefined;
  const address = launch(options, (started) => {
    child = started;
    started.once('exit', forget);
  });
  address.catch(forget);
  return {
    address,
    async stop() {
      forget();
      await address.catch(() => undefined);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child?.once('exit', resolve));
      child.ref();
      child.stdin?.end();
      await ended;
    },
  };
}

async function launch(
  options: LocalOptions,
  started: (child: import('node:child_process').ChildProcess) => void,
): Promise<string> {
  const { childProcess, fs, os, path, env } = node();
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'r2vfs-'));
  try {
    const portFile = path.join(directory, 'url');
    const args = ['serve'];
    if (options.location !== undefined) args.push('-b', options.location);
    args.push('--listen', '127.0.0.1:0', '--port-file', portFile, '--exit-with-stdin');
    args.push(...(options.args ?? []));
    const binary = options.binary ?? env['R2VFS_BIN'] ?? 'r2vfs';
    const child = childProcess.spawn(binary, args, { stdio: ['pipe', 'ignore', 'pipe'] });
    started(child);
    let failure: Error | undefined;
    let said = '';
    child.once('error', (error) => (failure = error));
    // The program is gone and the pipe with it: its end is told by `exit`.
    child.stdin.on('error', () => undefined);
    child.stderr.setEncoding('utf8');
    child.stderr.on('data', (chunk: string) => (said = (said + chunk).slice(-MAX_STDERR)));
    // None of these keeps this process running.
    child.unref();
    for (const pipe of [child.stdin, child.stderr]) (pipe as unknown as { unref(): void }).unref();

    const until = Date.now() + START_MS;
    for (;;) {
      const url = written(fs, portFile);
      if (url !== undefined) return `${url}/`;
      if (failure) {
        throw new R2vfsError({
          kind: 'config',
          message: 'the program `r2vfs` cannot be started',
          hint: 'install it (`cargo install --path .`), name it with the option `binary`, or give a `url`',
          cause: failure,
        });
      }
      if (child.exitCode !== null || child.signalCode !== null || Date.now() > until) {
        child.stdin.end();
        const last = said.trim().split('\n').slice(-3).join('; ');
        throw new R2vfsError({
          kind: 'config',
          message: `\`r2vfs serve\` did not start${last ? `: ${last}` : ''}`,
          hint: 'give the option `location`, or a `url`; the program must be built with its feature `server`, as it is by default',
        });
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** The address in the file, once it is there as a whole. */
function written(fs: Node['fs'], file: string): string | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  return /^(http:\/\/127\.0\.0\.1:\d+)\/?\n$/.exec(text)?.[1];
}
