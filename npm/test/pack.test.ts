import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

const ROOT = join(import.meta.dirname, '..');
const directory = mkdtempSync(join(tmpdir(), 'r2vfs-pack-'));
after(() => rmSync(directory, { recursive: true }));

function run(program: string, args: string[], cwd: string): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

test('the package holds what is needed, and works where nothing else is installed', { timeout: 300_000 }, () => {
  run(process.execPath, ['scripts/licences.mjs'], ROOT);
  // Without its scripts, which would build dist anew under the other tests.
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory], ROOT);
  const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  const surplus = paths.filter((path) => !/^dist\/[\w.-]+\.(js|d\.ts)$/.test(path)).sort();
  assert.deepEqual(surplus, ['LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'package.json']);

  const home = join(directory, 'node_modules/r2vfs');
  mkdirSync(home, { recursive: true });
  run('tar', ['xzf', filename, '--strip-components=1', '-C', home], directory);
  const names = run(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `import { createTools } from 'r2vfs/tools';
      console.log(createTools({ url: 'http://127.0.0.1:1' }).map(({ name }) => name).join());`,
    ],
    directory,
  );
  assert.equal(names.trim(), 'list,stat,read,glob,grep,search');

  // Types of its own, without this repository's settings and without Node's.
  writeFileSync(
    join(directory, 'consumer.ts'),
    `import { type Answers, Client, createTools, openAiTools, R2vfsError } from 'r2vfs/tools';
    const answer: Answers['stat'] = await new Client({ url: 'http://x' }).call('stat', { path: '/' });
    export const size: number | undefined = answer.size;
    export const names: ('list' | 'stat' | 'read' | 'glob' | 'grep' | 'search')[] = createTools().map((t) => t.name);
    export const strict: boolean | undefined = openAiTools(createTools())[0]?.strict;
    // @ts-expect-error: types are there, so a wrong one is told.
    export const wrong: string = new R2vfsError({ kind: 'x', message: 'y' }).status;
    `,
  );
  const settings = { strict: true, noEmit: true, module: 'nodenext', target: 'es2022', types: [], lib: ['es2022', 'dom'] };
  writeFileSync(join(directory, 'package.json'), '{"type": "module"}');
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: settings, files: ['consumer.ts'] }));
  run(process.execPath, [join(ROOT, 'node_modules/.bin/tsc'), '-p', directory], directory);
});
