// OpenAI's chat completions. With a key, leave `apiKey` and `fetch` out of the client.
import OpenAI from 'openai';
import { openAiChatTools, runTool } from 'r2vfs/tools';

import { next, question, tools } from './scripted.ts';

const client = new OpenAI({ apiKey: 'none', fetch: scripted });
const messages: OpenAI.ChatCompletionMessageParam[] = [{ role: 'user', content: question }];

for (;;) {
  const { choices } = await client.chat.completions.create({
    model: 'gpt-5',
    messages,
    tools: openAiChatTools(tools),
  });
  const message = choices[0]!.message;
  messages.push(message);
  if (!message.tool_calls) {
    console.log(message.content);
    break;
  }
  for (const call of message.tool_calls) {
    if (call.type !== 'function') continue;
    const { text } = await runTool(tools, call.function.name, call.function.arguments);
    messages.push({ role: 'tool', tool_call_id: call.id, content: text });
  }
}

/** Answers as the API does. */
async function scripted(_url: unknown, init?: { body?: unknown }): Promise<Response> {
  const request = JSON.parse(String(init?.body)) as OpenAI.ChatCompletionCreateParamsNonStreaming;
  const answers = request.messages.filter(({ role }) => role === 'tool').map(({ content }) => String(content));
  const step = next(answers);
  const message =
    'answer' in step
      ? { role: 'assistant', content: step.answer }
      : {
          role: 'assistant',
          content: null,
          tool_calls: [
            {
              id: `call-${answers.length}`,
              type: 'function',
              function: { name: step.name, arguments: JSON.stringify(step.args) },
            },
          ],
        };
  return Response.json({ choices: [{ index: 0, message, finish_reason: 'stop' }] });
}
