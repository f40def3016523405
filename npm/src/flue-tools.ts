/**
 * The six tools as Flue's models see them.
 *
 * Flue checks arguments against the schema before a tool runs, and its message says only that they
 * "must NOT have additional properties"; the server's says which name is right. So the schema that
 * is shown leaves the judging of unknown names to the server, which takes the names that models know
 * from other tools.
 */

import type { Sandbox, SandboxToolFactory } from '@flue/runtime';

import type { ToolName } from './answers.ts';
import type { Client, ToolText } from './client.ts';
import { thrown } from './error.ts';
import { type Place, placed } from './place.ts';
import { TOOLS } from './tools.generated.ts';
import { windowOf } from './window.ts';

type AgentTool = ReturnType<SandboxToolFactory>[number];

/** Where Flue serves what is packaged with a skill; it answers `readFile` there itself. */
const PACKAGED = '/.flue/packaged-skills/';

/**
 * A fresh list of the tools over this sandbox, whose working directory may be narrower than the
 * one that was made.
 */
export function flueTools(client: Client, sandbox: Sandbox, prefix: string): AgentTool[] {
  const { cwd } = sandbox;
  const place: Place = { cwd, prefix, resolve: (path) => sandbox.resolvePath(path), also: PACKAGED };
  return TOOLS.map(({ name, title, description, inputSchema }) => {
    const { additionalProperties: _, ...parameters } = inputSchema;
    return {
      name,
      label: title,
      description,
      parameters,
      prepareArguments(args: unknown) {
        try {
          return placed(name, args, place);
        } catch (error) {
          thrown(error, args);
        }
      },
      async execute(_id: string, params: unknown, signal?: AbortSignal) {
        const args = params as Record<string, unknown>;
        try {
          const { text, complete } = await run(client, sandbox, name, args, signal);
          return { content: [{ type: 'text' as const, text }], details: { complete } };
        } catch (error) {
          thrown(error, args);
        }
      },
    };
  });
}

async function run(
  client: Client,
  sandbox: Sandbox,
  name: ToolName,
  args: Record<string, unknown>,
  signal: AbortSignal | undefined,
): Promise<ToolText> {
  const { path } = args;
  if (name !== 'read' || typeof path !== 'string' || !path.startsWith(PACKAGED)) {
    return await client.text(name, args, { signal });
  }
  signal?.throwIfAborted();
  return windowOf(await sandbox.readFile(path), path, args);
}
