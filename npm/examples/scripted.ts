/**
 * Stands in for a model in the examples, so that they run without a key: it greps, reads the article
 * that was found, and answers with its advice. It sees what a model sees, the texts of the tools.
 */

import { createTools, type ToolsOptions } from 'r2vfs/tools';

/** The server that `R2VFS_URL` names or, without it, `r2vfs` over the articles of the repository. */
export const options: ToolsOptions = process.env['R2VFS_URL']
  ? { url: process.env['R2VFS_URL'] }
  : { location: `${import.meta.dirname}/../../fixtures/kb` };

export const tools = createTools(options);

export const question = 'Our uploads get 503 SlowDown. What should the program do?';

/** The next step after these answers of tools, the oldest first. */
export function next(answers: readonly string[]) {
  const [found, article] = answers;
  if (found === undefined) {
    return { name: 'grep', args: { pattern: 'Retry with', path: '/troubleshooting' } } as const;
  }
  if (article === undefined) {
    return { name: 'read', args: { path: /\/\S+\.md/.exec(found)?.[0] ?? '/' } } as const;
  }
  return { answer: /Retry with[^.\n]*/.exec(article)?.[0] ?? 'I do not know.' };
}
