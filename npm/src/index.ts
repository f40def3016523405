/**
 * A read-only virtual sandbox for Flue agents, over the files of a bucket.
 *
 * {@link getVirtualSandbox} gives what `useSandbox` takes. Other frameworks find the same six tools
 * in `r2vfs/tools`, which does not need Flue.
 */

import type { Sandbox, SandboxFactory, SandboxToolFactory } from '@flue/runtime';

import { Client, type ServerOptions } from './client.ts';
import { flueTools } from './flue-tools.ts';
import { type PlaceOptions, placeOf } from './place.ts';
import { type SandboxRules, createSandbox } from './sandbox.ts';

/** Options of {@link getVirtualSandbox}. */
export interface VirtualSandboxOptions extends ServerOptions, PlaceOptions, SandboxRules {}

/** What `useSandbox` takes, with tools of its own. */
export interface VirtualSandboxFactory extends SandboxFactory {
  createSandbox(options: { id: string }): Promise<Sandbox>;
  tools: SandboxToolFactory;
}

/**
 * A sandbox over what an r2vfs server shows: six tools that read, file verbs that read, and nothing
 * that writes or runs.
 *
 * Nothing is sent and nothing is started before the agent first reads. The result may be awaited.
 *
 * @throws {R2vfsError} `config` for options that cannot be right.
 */
export function getVirtualSandbox(options: VirtualSandboxOptions = {}): VirtualSandboxFactory {
  const client = new Client(options);
  const place = placeOf(options);
  return {
    createSandbox: () => Promise.resolve(createSandbox(client, place, options)),
    tools: (sandbox) => flueTools(client, sandbox, place.prefix),
  };
}

export type * from './answers.ts';
export { type CallOptions, Client, type ServerOptions, type ToolText } from './client.ts';
export { type ErrorKind, R2vfsError } from './error.ts';
export { SandboxReadError } from './flue-error.ts';
export { type LocalOptions, stopLocalServers } from './local.ts';
export type { PlaceOptions } from './place.ts';
export type { SandboxRules } from './sandbox.ts';
