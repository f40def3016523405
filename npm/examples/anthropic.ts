// Anthropic's messages. With a key, leave `apiKey` and `fetch` out of the client.
import Anthropic from '@anthropic-ai/sdk';
import { anthropicTools, runTool } from 'r2vfs/tools';

import { next, question, tools } from './scripted.ts';

const client = new Anthropic({ apiKey: 'none', fetch: scripted });
const messages: Anthropic.MessageParam[] = [{ role: 'user', content: question }];

for (;;) {
  const { content, stop_reason } = await client.messages.create({
    model: 'claude-sonnet-4-6',
    max_tokens: 1024,
    messages,
    tools: anthropicTools(tools),
  });
  messages.push({ role: 'assistant', content });
  if (stop_reason !== 'tool_use') {
    for (const block of content) if (block.type === 'text') console.log(block.text);
    break;
  }
  const results: Anthropic.ToolResultBlockParam[] = [];
  for (const block of content) {
    if (block.type !== 'tool_use') continue;
    const { text, isError } = await runTool(tools, block.name, block.input);
    results.push({ type: 'tool_result', tool_use_id: block.id, content: text, is_error: isError });
  }
  messages.push({ role: 'user', content: results });
}

/** Answers as the API does. */
async function scripted(_url: unknown, init?: { body?: unknown }): Promise<Response> {
  const request = JSON.parse(String(init?.body)) as Anthropic.MessageCreateParamsNonStreaming;
  const blocks = request.messages.flatMap(({ content }) => (typeof content === 'string' ? [] : content));
  const answers = blocks.flatMap((block) => (block.type === 'tool_result' ? [String(block.content)] : []));
  const step = next(answers);
  return Response.json(
    'answer' in step
      ? { role: 'assistant', content: [{ type: 'text', text: step.answer }], stop_reason: 'end_turn' }
      : {
          role: 'assistant',
          content: [{ type: 'tool_use', id: `call-${answers.length}`, name: step.name, input: step.args }],
          stop_reason: 'tool_use',
        },
  );
}
