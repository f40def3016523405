/**
 * The ways to a tool: the command line, MCP on standard input and output, MCP over HTTP, the JSON API,
 * and this package, for programs, for models and for Flue's models. Each is asked as its users ask it.
 */

import { spawn } from 'node:child_process';

import { Client as McpClient, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { getVirtualSandbox } from 'r2vfs';
import { Client, createTools, R2vfsError, runTool, type ToolName } from 'r2vfs/tools';

import { binary, type Real, realServer } from './real.ts';

/** What one way says: the typed answer, the text, or why there is neither. */
export type Said = { answer: Record<string, unknown> } | { text: string } | { refusal: string };

export interface Front {
  name: string;
  ask(tool: ToolName, args: Record<string, unknown>, format: 'structured' | 'text'): Promise<Said>;
}

export interface Fronts extends AsyncDisposable {
  all: Front[];
}

/** All ways to what `args` name; `args` are options of the program. */
export async function frontsOf(args: string[]): Promise<Fronts> {
  const server: Real = await realServer(args);
  const close: (() => PromiseLike<unknown>)[] = [() => server[Symbol.asyncDispose]()];
  const mcp = async (name: string, transport: ConstructorParameters<typeof StdioClientTransport>[0] | URL) => {
    const client = new McpClient({ name: 'test', version: '1' });
    await client.connect(
      transport instanceof URL ? new StreamableHTTPClientTransport(transport) : new StdioClientTransport(transport),
    );
    close.unshift(() => client.close());
    return { name, ask: (tool, args, format) => askMcp(client, tool, args, format) } satisfies Front;
  };
  const options = { url: server.url };
  const client = new Client(options);
  const tools = createTools(options);
  const factory = getVirtualSandbox(options);
  const flue = factory.tools(await factory.createSandbox({ id: 'x' }), { subagents: {} });
  const all: Front[] = [
    { name: 'command line', ask: (tool, given, format) => askProgram(args, tool, given, format) },
    await mcp('MCP stdio', { command: binary, args: [...args, 'mcp'], stderr: 'inherit' }),
    await mcp('MCP HTTP', new URL(`${server.url}/mcp`)),
    { name: 'JSON API', ask: (tool, given, format) => askApi(server.url, tool, given, format) },
    {
      name: 'npm, programs',
      async ask(tool, given, format) {
        try {
          if (format === 'text') return { text: (await client.text(tool, given)).text };
          return { answer: await client.call(tool, given) };
        } catch (error) {
          if (error instanceof R2vfsError) return { refusal: format === 'text' ? error.text : JSON.stringify(error) };
          throw error;
        }
      },
    },
    {
      name: 'npm, models',
      async ask(tool, given, format) {
        // As a model writes it.
        const { text, isError } = await runTool(tools, tool, JSON.stringify({ ...given, format }));
        return isError ? { refusal: text } : format === 'text' ? { text } : { answer: parsed(text) };
      },
    },
    {
      name: 'npm, Flue',
      async ask(name, given, format) {
        const tool = flue.find((tool) => tool.name === name)!;
        try {
          const { content } = await tool.execute('id', tool.prepareArguments!({ ...given, format }), undefined);
          const text = content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n');
          return format === 'text' ? { text } : { answer: parsed(text) };
        } catch (error) {
          return { refusal: (error as Error).message };
        }
      },
    },
  ];
  return {
    all,
    async [Symbol.asyncDispose]() {
      for (const one of close) await one();
    },
  };
}

function parsed(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

async function askProgram(args: string[], tool: string, given: object, format: string): Promise<Said> {
  const child = spawn(binary, [...args, 'tool', tool, JSON.stringify({ ...given, format })], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [out, said, status] = await Promise.all([
    child.stdout.setEncoding('utf8').toArray(),
    child.stderr.setEncoding('utf8').toArray(),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  const text = out.join('').replace(/\n$/, '');
  // 1 says that nothing was found, which is an answer.
  if (status === 0 || status === 1) return format === 'text' ? { text } : { answer: parsed(text) };
  // The command line's own frame round the same words, in both forms.
  const refusal = said.join('').trimEnd().replace(/^r2vfs: /, 'error: ').replace('\n  next: ', '\nnext: ');
  return { refusal };
}

async function askMcp(client: McpClient, name: string, given: object, format: string): Promise<Said> {
  // Text is what MCP gives by itself.
  const args = format === 'text' ? given : { ...given, format };
  const { content, structuredContent, isError } = await client.callTool({ name, arguments: { ...args } });
  const text = content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n');
  if (isError) return { refusal: text };
  if (structuredContent === undefined) return { text };
  // Clients print both, and the model pays twice.
  if (text !== '') throw new Error(`${name} answers twice: ${text}`);
  return { answer: structuredContent as Record<string, unknown> };
}

async function askApi(url: string, tool: string, given: object, format: string): Promise<Said> {
  const response = await fetch(`${url}/v1/${tool}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    // The typed answer is what the API gives by itself.
    body: JSON.stringify(format === 'text' ? { ...given, format } : given),
  });
  const body = (await response.json()) as Record<string, unknown>;
  if (response.status === 200) return typeof body['text'] === 'string' ? { text: body['text'] } : { answer: body };
  return { refusal: JSON.stringify(body['error']) };
}
