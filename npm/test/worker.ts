/** Workers in workerd, by Miniflare, that call a server through this package. */

import { build } from 'esbuild';
import { Miniflare } from 'miniflare';

const HERE = import.meta.dirname;

export interface Worker extends AsyncDisposable {
  ask(body: unknown): Promise<Record<string, unknown>>;
}

/** A Worker of the plain tools, from the modules of `dist` as they are. */
export async function toolsWorker(url: string, token = 'none'): Promise<Worker> {
  return started({
    modulesRoot: `${HERE}/..`,
    modules: true,
    modulesRules: [{ type: 'ESModule', include: ['**/*.js', '**/*.mjs'] }],
    scriptPath: `${HERE}/worker/tools.mjs`,
    bindings: { URL: url, TOKEN: token },
  });
}

/** A Worker with Flue, bundled as its deployment would be, and the server behind a service binding. */
export async function flueWorker(url: string, token = 'none'): Promise<Worker> {
  const { outputFiles } = await build({
    entryPoints: [`${HERE}/worker/flue.mjs`],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    conditions: ['workerd', 'worker'],
    external: ['node:*', 'cloudflare:*'],
    logLevel: 'error',
  });
  return started({
    modules: [{ type: 'ESModule', path: 'worker.mjs', contents: outputFiles[0]!.text }],
    compatibilityFlags: ['nodejs_compat'],
    bindings: { TOKEN: token },
    serviceBindings: {
      R2VFS: (request: Request) => {
        const { pathname, search } = new URL(request.url);
        return fetch(new URL(pathname + search, url), request as RequestInit) as never;
      },
    },
  });
}

async function started(worker: Record<string, unknown>): Promise<Worker> {
  const miniflare = new Miniflare({ compatibilityDate: '2026-06-01', ...worker } as never);
  const at = await miniflare.ready.catch(async (error: unknown) => {
    await miniflare.dispose();
    throw error;
  });
  return {
    async ask(body) {
      const response = await fetch(at, { method: 'POST', body: JSON.stringify(body) });
      const text = await response.text();
      try {
        return JSON.parse(text) as Record<string, unknown>;
      } catch {
        throw new Error(`the Worker failed: ${text.slice(0, 2000)}`);
      }
    },
    [Symbol.asyncDispose]: () => miniflare.dispose(),
  };
}
