import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A provider of an API that takes a set of live keys, in the paths and forms of OpenAI and Anthropic. */
export interface KeyServer extends AsyncDisposable {
  readonly url: string;
  /** Keys that are taken. */
  readonly live: Set<string>;
  /** What was asked, in order. */
  readonly requests: {
    readonly path: string;
    readonly key: string;
    readonly status: number;
    readonly body: string;
  }[];
}

export async function startKeyServer(...live: string[]): Promise<KeyServer> {
  const state = { live: new Set(live), requests: [] as KeyServer['requests'] };
  const server = createServer((request, response) => {
    void answer(state, request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...state,
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function answer(
  { live, requests }: Pick<KeyServer, 'live' | 'requests'>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const body = await text(request);
  const path = request.url ?? '';
  const own = request.headers['x-api-key'];
  const key = typeof own === 'string' ? own : (request.headers.authorization ?? '').replace('Bearer ', '');
  const forbidden = path.startsWith('/forbidden');
  const status = live.has(key) ? (forbidden ? 403 : 200) : 401;
  requests.push({ path, key, status, body });
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(status === 200 ? content(path, key) : refusal(path)));
}

function content(path: string, key: string): object {
  const said = `done with ${key}`;
  if (path === '/v1/chat/completions') {
    const message = { role: 'assistant', content: said };
    return { id: 'c1', object: 'chat.completion', choices: [{ index: 0, message, finish_reason: 'stop' }] };
  }
  if (path === '/v1/messages') {
    const usage = { input_tokens: 1, output_tokens: 1 };
    return { id: 'm1', type: 'message', role: 'assistant', content: [{ type: 'text', text: said }], usage };
  }
  return { said };
}

function refusal(path: string): object {
  const error = { type: 'authentication_error', code: 'invalid_api_key', message: 'invalid key' };
  return path === '/v1/messages' ? { type: 'error', error } : { error };
}
