// A Worker with Flue: the sandbox as `useSandbox` takes it, without an agent round it.
import { getVirtualSandbox } from 'r2vfs';

export default {
  async fetch(request, env) {
    const { path } = await request.json();
    const factory = getVirtualSandbox({
      url: 'http://r2vfs.internal',
      token: env.TOKEN,
      fetch: (input, init) => env.R2VFS.fetch(input, init),
    });
    const sandbox = await factory.createSandbox({ id: 'one' });
    const tools = factory.tools(sandbox, { subagents: {} });
    const read = tools.find(({ name }) => name === 'read');
    const refused = await sandbox.writeFile('/new.md', '').then(
      () => 'written',
      ({ type }) => type,
    );
    return Response.json({
      names: tools.map(({ name }) => name),
      text: await sandbox.readFile(path),
      entries: await sandbox.readdir('/'),
      missing: await sandbox.exists('/none'),
      read: (await read.execute('id', { path })).content[0].text,
      refused,
    });
  },
};
