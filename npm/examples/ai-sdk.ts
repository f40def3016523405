// The Vercel AI SDK. With a key, give `generateText` a model of a provider instead of the scripted one.
import { generateText, isStepCount, jsonSchema } from 'ai';
import { MockLanguageModelV4 } from 'ai/test';
import { aiSdkTools } from 'r2vfs/tools';

import { next, question, tools } from './scripted.ts';

const { text } = await generateText({
  model: scripted(),
  tools: aiSdkTools(tools, jsonSchema),
  stopWhen: isStepCount(10),
  prompt: question,
});
console.log(text);

/** Answers as a provider does. */
function scripted() {
  const usage = {
    inputTokens: { total: 0, noCache: 0, cacheRead: 0, cacheWrite: 0 },
    outputTokens: { total: 0, text: 0, reasoning: 0 },
  };
  return new MockLanguageModelV4({
    doGenerate: async ({ prompt }) => {
      const answers = prompt.flatMap((message) =>
        message.role !== 'tool'
          ? []
          : message.content.flatMap((part) =>
              part.type === 'tool-result' && part.output.type === 'text' ? [part.output.value] : [],
            ),
      );
      const step = next(answers);
      return 'answer' in step
        ? {
            content: [{ type: 'text', text: step.answer }],
            finishReason: { unified: 'stop', raw: undefined },
            usage,
            warnings: [],
          }
        : {
            content: [
              {
                type: 'tool-call',
                toolCallId: `call-${answers.length}`,
                toolName: step.name,
                input: JSON.stringify(step.args),
              },
            ],
            finishReason: { unified: 'tool-calls', raw: undefined },
            usage,
            warnings: [],
          };
    },
  });
}
