import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';

/**
 * A real MCP server with one tool, which lets nobody in without an access token that `isLive` takes, and says so as the
 * protocol has it: 401 with the address of its metadata (RFC 9728).
 */
export class McpTools implements AsyncDisposable {
  /** Access tokens that were presented, and whether each was taken. */
  readonly presented: { readonly token: string; readonly taken: boolean }[] = [];
  /** Requests for anything else than the protocol's own endpoint. */
  readonly strayed: string[] = [];
  readonly #server: Server;
  readonly #isLive: (token: string) => Promise<boolean>;

  private constructor(isLive: (token: string) => Promise<boolean>) {
    this.#isLive = isLive;
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  static async start(isLive: (token: string) => Promise<boolean>): Promise<McpTools> {
    const tools = new McpTools(isLive);
    await new Promise<void>((resolve) => tools.#server.listen(0, '127.0.0.1', resolve));
    return tools;
  }

  get url(): URL {
    return new URL(`http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/mcp`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url !== '/mcp') {
      this.strayed.push(request.url ?? '');
      response.writeHead(404).end();
      return;
    }
    const [, token = ''] = /^Bearer (.+)$/.exec(request.headers.authorization ?? '') ?? [];
    const taken = token !== '' && (await this.#isLive(token));
    this.presented.push({ token, taken });
    if (!taken) {
      const metadata = new URL('/.well-known/oauth-protected-resource/mcp', this.url).href;
      response
        .writeHead(401, {
          'www-authenticate': `Bearer error="invalid_token", resource_metadata="${metadata}"`,
        })
        .end();
      return;
    }
    const server = new McpServer({ name: 'tools', version: '1.0.0' });
    server.registerTool('greet', { description: 'Greets' }, () => ({
      content: [{ type: 'text', text: 'hello' }],
    }));
    const transport = new StreamableHTTPServerTransport({});
    response.on('close', () => void server.close());
    await server.connect(transport);
    await transport.handleRequest(request, response);
  }
}
