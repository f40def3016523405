// A Worker without Node's modules: the plain tools, as they are built, unbundled.
import { createTools, runTool } from '../../dist/tools.js';

export default {
  async fetch(request, env) {
    const { name, args, abortMs, local } = await request.json();
    try {
      const tools = createTools(local ? {} : { url: env.URL, token: env.TOKEN });
      const signal = abortMs === undefined ? undefined : AbortSignal.timeout(abortMs);
      return Response.json(await runTool(tools, name, args, { signal }));
    } catch (error) {
      return Response.json({ thrown: String(error) });
    }
  },
};
