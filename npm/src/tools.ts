/**
 * The six tools for every framework: JSON Schemas with an `execute`, and the shapes that the common
 * interfaces want them in. Needs no framework itself.
 *
 * Frameworks differ in wrapping, not in substance: a name, a description, a JSON Schema and a
 * function from arguments to text. {@link createTools} makes that once; the rest only wraps.
 */

import { Client, type CallOptions, type ServerOptions, type ToolText } from './client.ts';
import type { ToolName } from './answers.ts';
import { R2vfsError, thrown, told } from './error.ts';
import { type PlaceOptions, placeOf, placed } from './place.ts';
import { type JsonSchema, TOOLS } from './tools.generated.ts';

/** Options of {@link createTools}. */
export interface ToolsOptions extends ServerOptions, PlaceOptions {}

/** One tool. */
export interface Tool {
  name: ToolName;
  /** A title for people. */
  title: string;
  /** What it does, for a model. */
  description: string;
  /** Of the arguments: JSON Schema 2020-12. */
  inputSchema: JsonSchema;
  /**
   * Runs the tool and gives the text for the model.
   *
   * @throws {R2vfsError} whose `text` is for the model.
   */
  execute(args: unknown, options?: CallOptions): Promise<ToolText>;
}

/**
 * The tools over what an r2vfs server shows: list, stat, read, glob, grep, search.
 *
 * @throws {R2vfsError} `config` for options that cannot be right.
 */
export function createTools(options: ToolsOptions = {}): Tool[] {
  const client = new Client(options);
  const place = placeOf(options);
  return TOOLS.map(({ name, title, description, inputSchema }) => ({
    name,
    title,
    description,
    inputSchema,
    execute: async (args, call) => await client.text(name, placed(name, args, place), call),
  }));
}

/** What a model's call of a tool came to. */
export interface ToolOutcome {
  /** The answer, or in words what was wrong. */
  text: string;
  isError: boolean;
}

/**
 * Runs the tool that a model named, with the arguments as it wrote them: an object, or JSON.
 * What a model can mend comes back as text; only an aborted signal throws.
 */
export async function runTool(
  tools: readonly Tool[],
  name: string,
  args: unknown,
  options?: CallOptions,
): Promise<ToolOutcome> {
  let given = args;
  try {
    const tool = tools.find((tool) => tool.name === name);
    if (!tool) {
      throw new R2vfsError({
        kind: 'invalid-argument',
        message: `there is no tool ${JSON.stringify(name)}`,
        hint: `the tools are ${tools.map((tool) => tool.name).join(', ')}`,
      });
    }
    if (typeof args === 'string') given = parsed(name, args);
    const { text } = await tool.execute(given, options);
    return { text, isError: false };
  } catch (error) {
    if (!(error instanceof R2vfsError)) throw error;
    return { text: told(error, given), isError: true };
  }
}

function parsed(name: string, args: string): unknown {
  try {
    return args.trim() === '' ? {} : JSON.parse(args);
  } catch (error) {
    throw new R2vfsError({
      kind: 'invalid-argument',
      message: `the arguments of ${name} are no JSON`,
      hint: 'give an object like {"path": "/"}',
      cause: error,
    });
  }
}

/** For OpenAI's chat completions: the value of `tools`. */
export function openAiChatTools(tools: readonly Tool[]) {
  return tools.map(({ name, description, inputSchema }) => ({
    type: 'function' as const,
    function: { name, description, parameters: inputSchema, strict: false },
  }));
}

/**
 * For OpenAI's responses: the value of `tools`. Not strict, because a strict schema must require
 * every argument.
 */
export function openAiTools(tools: readonly Tool[]) {
  return tools.map(({ name, description, inputSchema }) => ({
    type: 'function' as const,
    name,
    description,
    parameters: inputSchema,
    strict: false,
  }));
}

/** For Anthropic's messages: the value of `tools`. */
export function anthropicTools(tools: readonly Tool[]) {
  return tools.map(({ name, description, inputSchema }) => ({
    name,
    description,
    input_schema: inputSchema,
  }));
}

/**
 * For the Vercel AI SDK: the value of `tools`. Hand in its own `jsonSchema`:
 *
 * ```ts
 * import { generateText, jsonSchema } from 'ai';
 * await generateText({ model, tools: aiSdkTools(createTools({ url, token }), jsonSchema), prompt });
 * ```
 */
export function aiSdkTools<S>(tools: readonly Tool[], jsonSchema: (schema: never) => S) {
  const entries = tools.map(({ name, title, description, inputSchema, execute }) => {
    const tool = {
      title,
      description,
      inputSchema: jsonSchema(inputSchema as never),
      execute: async (args: unknown, call?: { abortSignal?: AbortSignal | undefined }) =>
        await execute(args, { signal: call?.abortSignal }).then(
          ({ text }) => text,
          (error: unknown) => thrown(error, args),
        ),
    };
    return [name, tool] as const;
  });
  return Object.fromEntries(entries) as Record<ToolName, (typeof entries)[number][1]>;
}

export type * from './answers.ts';
export { type CallOptions, Client, type ServerOptions, type ToolText } from './client.ts';
export { type ErrorKind, R2vfsError } from './error.ts';
export { type LocalOptions, stopLocalServers } from './local.ts';
export type { PlaceOptions } from './place.ts';
export type { JsonSchema } from './tools.generated.ts';
