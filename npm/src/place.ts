/**
 * Where a sandbox stands in the server's tree, and what that makes of a tool's arguments.
 *
 * The server takes absolute canonical paths and begins at its root where there is none. An agent
 * that was told "working directory: /docs" writes `faq.md` and expects a grep without a path to
 * stay in `/docs`. {@link Place} says where that is; {@link placed} writes it into the arguments.
 *
 * Nothing is renamed: a path reads the same in arguments, answers and errors, and on the server.
 */

import type { ToolName } from './answers.ts';
import { R2vfsError } from './error.ts';
import { TOOLS } from './tools.generated.ts';

/** Where a sandbox begins and how far it reaches. */
export interface PlaceOptions {
  /** The directory that relative paths start from, and where tools without a path begin: `prefix` by default. */
  cwd?: string;
  /**
   * The directory that the sandbox does not leave: `/` by default. It keeps an agent to its task;
   * what a caller must not see belongs into another tenant, because the server enforces that.
   */
  prefix?: string;
}

/** The working directory, the way relative paths are read, and the bound. */
export interface Place {
  /** Absolute, without a `/` at its end but for the root. */
  cwd: string;
  /** A relative path as an absolute one. */
  resolve(path: string): string;
  /** `''` for the whole tree, else like `/docs`. */
  prefix: string;
  /** What is reached outside the prefix all the same, because it is not the server's; ends in `/`. */
  also?: string;
}

/**
 * The place of these options.
 *
 * @throws {R2vfsError} `config` for paths that are not absolute and for a `cwd` outside `prefix`.
 */
export function placeOf({ cwd, prefix }: PlaceOptions): Place {
  const within = directory('prefix', prefix ?? '/');
  const at = directory('cwd', cwd ?? prefix ?? '/');
  const place = placeAt(at, within === '/' ? '' : within);
  if (!reaches(place, at)) {
    throw new R2vfsError({
      kind: 'config',
      message: 'the option `cwd` lies outside `prefix`',
      hint: 'give a directory below `prefix`, or leave `cwd` out',
    });
  }
  return place;
}

function placeAt(cwd: string, prefix: string): Place {
  return {
    cwd,
    prefix,
    resolve: (path) => normal(path.startsWith('/') ? path : `${cwd}/${path}`),
  };
}

function directory(name: string, path: string): string {
  if (!path.startsWith('/') || path !== normal(path) + (path.endsWith('/') && path !== '/' ? '/' : '')) {
    throw new R2vfsError({
      kind: 'config',
      message: `the option \`${name}\` is not the canonical path of a directory`,
      hint: 'write it from the root, like /docs',
    });
  }
  return normal(path);
}

/** Without `.`, `..` and empty segments, as the paths of a POSIX system are read. */
function normal(path: string): string {
  const segments: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop();
    else if (segment !== '' && segment !== '.') segments.push(segment);
  }
  return `/${segments.join('/')}`;
}

function reaches({ prefix }: Pick<Place, 'prefix'>, path: string): boolean {
  // The server refuses `..`; with a bound to keep it is not left to the server.
  return (path === prefix || path.startsWith(`${prefix}/`)) && !path.split('/').includes('..');
}

/**
 * Refuses a path outside the place's prefix.
 *
 * @throws {R2vfsError} `forbidden`.
 */
export function assertReached(place: Pick<Place, 'prefix' | 'also'>, path: string): void {
  const own = place.also !== undefined && path.startsWith(place.also);
  if (place.prefix !== '' && !own && !reaches(place, path)) {
    throw new R2vfsError({
      kind: 'forbidden',
      message: `this is outside ${place.prefix}/, which this sandbox does not leave`,
      path,
      hint: `give a path below ${place.prefix}/`,
    });
  }
}

/** What models call the path, from other tools; the server takes these names too. */
const PATH_NAMES = [
  'path',
  'file_path',
  'filePath',
  'absolute_path',
  'relative_path',
  'dir_path',
  'directory',
];

/** The tools that begin at the root where no path is given. */
const BEGIN_ANYWHERE: readonly ToolName[] = ['list', 'glob', 'grep', 'search'];

/**
 * The arguments of a call from this place: relative paths are resolved, and where no path is given
 * the working directory is. Nulls, which models write for what they leave out, are left out where
 * there is such an argument: Flue would refuse them. Everything else is the server's to judge.
 *
 * @throws {R2vfsError} `invalid-argument` for what is no object, and where a bound is to be kept and
 * no path is known; `forbidden` for a path outside.
 */
export function placed(name: ToolName, args: unknown, place: Place): Record<string, unknown> {
  if (typeof args !== 'object' || args === null || Array.isArray(args)) {
    throw new R2vfsError({
      kind: 'invalid-argument',
      message: `the arguments of ${name} are not an object`,
      hint: 'give them as {"path": "/"}',
    });
  }
  const known = TOOLS.find((tool) => tool.name === name)?.inputSchema.properties ?? {};
  const isLeftOut = (key: string) => key in known || PATH_NAMES.includes(key);
  const kept = Object.entries(args).filter(([key, value]) => value !== undefined && !(value === null && isLeftOut(key)));
  const result: Record<string, unknown> = Object.fromEntries(kept);
  const given = PATH_NAMES.find((key) => key in result);
  if (given !== undefined) {
    const value = result[given];
    delete result[given];
    result['path'] = Array.isArray(value)
      ? value.map((path: unknown) => placedPath(path, place))
      : placedPath(value, place);
  }
  if (isNone(result['path']) && BEGIN_ANYWHERE.includes(name) && place.cwd !== '/') {
    result['path'] = `${place.cwd}/`;
    assertReached(place, place.cwd);
  }
  // A name for the path that only the server knows must not lead round the bound.
  if (place.prefix !== '' && isNone(result['path'])) {
    throw new R2vfsError({
      kind: 'invalid-argument',
      message: `${name}: the argument \`path\` is missing`,
      hint: `give a path below ${place.prefix}/`,
    });
  }
  return result;
}

function isNone(path: unknown): boolean {
  return path === undefined || path === '' || (Array.isArray(path) && path.length === 0);
}

/** An absolute path stays as it is written, so that the server can say what is wrong with it. */
function placedPath(path: unknown, place: Place): unknown {
  if (typeof path !== 'string' || path === '') return path;
  let absolute = path;
  if (!path.startsWith('/')) {
    absolute = place.resolve(path);
    if (path.endsWith('/') && absolute !== '/') absolute += '/';
  }
  assertReached(place, absolute);
  return absolute;
}
