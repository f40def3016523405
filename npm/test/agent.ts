/**
 * A real Flue agent whose model follows a script: no network, no key. What the script says next may
 * depend on what the tools answered, so a wrong answer of a tool leads it astray as it would a model.
 */

import type { Context } from '@earendil-works/pi-ai';
import {
  type FauxResponseFactory,
  fauxAssistantMessage,
  fauxProvider,
  fauxText,
  fauxToolCall,
} from '@earendil-works/pi-ai/providers/faux';
import { init, type SandboxFactory, type ToolDefinition, useModel, useSandbox, useTool } from '@flue/runtime';
import { start } from '@flue/runtime/node';

/** What the last tool said. */
export interface Said {
  text: string;
  isError: boolean;
}

/** The model's next step: a call of a tool, or the answer. */
export type Step = (said: Said) => { tool: string; args: Record<string, unknown> } | { answer: string };

export interface Ran {
  answer: string;
  /** What each tool call was answered with, in order. */
  said: Said[];
  /** The names of the tools that the model was offered. */
  offered: string[];
  systemPrompt: string;
}

/**
 * Runs one conversation to its end, or until `abortWhen` settles. One at a time: a process holds one
 * Flue runtime.
 */
export async function converse(
  has: { sandbox?: SandboxFactory; tools?: ToolDefinition[]; cwd?: string; abortWhen?: Promise<void> },
  question: string,
  steps: Step[],
): Promise<Ran> {
  const faux = fauxProvider({ provider: 'scripted', models: [{ id: 'scripted' }] });
  const ran: Ran = { answer: '', said: [], offered: [], systemPrompt: '' };
  const respond =
    (step: Step, first: boolean): FauxResponseFactory =>
    (context) => {
      ran.offered = (context.tools ?? []).map(({ name }) => name);
      ran.systemPrompt = context.systemPrompt ?? '';
      const said = first ? { text: '', isError: false } : lastSaid(context);
      if (!first) ran.said.push(said);
      const next = step(said);
      if ('answer' in next) return fauxAssistantMessage([fauxText(next.answer)]);
      return fauxAssistantMessage([fauxToolCall(next.tool, next.args)], { stopReason: 'toolUse' });
    };
  faux.setResponses(steps.map((step, at) => respond(step, at === 0)));

  function Support() {
    useModel('scripted/scripted');
    if (has.sandbox) useSandbox(has.sandbox, has.cwd === undefined ? undefined : { cwd: has.cwd });
    for (const tool of has.tools ?? []) useTool(tool);
    return 'Answer from the articles.';
  }
  await using _flue = await start({
    agents: [{ agent: Support, name: 'support' }],
    providers: [faux.provider],
  });
  const agent = init(Support, { id: `ticket-${Math.random()}` });
  const receipt = await agent.dispatch(question);
  void has.abortWhen?.then(() => agent.abort());
  ran.answer = (await agent.read(receipt)).text;
  return ran;
}

function lastSaid(context: Context): Said {
  const message = context.messages.at(-1);
  if (message?.role !== 'toolResult') throw new Error(`the model was not given a result: ${message?.role}`);
  const text = message.content.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`));
  return { text: text.join('\n'), isError: message.isError };
}
