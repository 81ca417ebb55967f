// The TypeScript SDK's client, one call after the other, as an assistant makes them.
// ERA COMMAND|URL [TOKEN]: prints one JSON document a line.

import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [era, target, token] = process.argv.slice(1);
const say = document => console.log(JSON.stringify(document));

const transport = target.startsWith('http')
    ? new StreamableHTTPClientTransport(new URL(target), {
          requestInit: { headers: { Authorization: `Bearer ${token}` } },
      })
    : new StdioClientTransport({ command: target, env: process.env });
const client = new Client(
    { name: 'typescript', version: '1' },
    { capabilities: { elicitation: { form: {}, url: {} } }, versionNegotiation: { mode: era } },
);
client.setRequestHandler('elicitation/create', async ({ params }) => {
    say({ asked: params.url, message: params.message });
    return { action: 'accept' };
});
await client.connect(transport);
say({ tools: (await client.listTools()).tools.map(tool => tool.name) });
const login = await client.callTool({ name: 'aws_sso_login', arguments: {} });
say({ login: login.structuredContent });
const command = JSON.parse(process.env.COMMAND);
const run = await client.callTool({ name: 'aws_sso_exec_command', arguments: command });
say({ output: run.content[0].text });
await client.close();
