import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { run } from '../../../cli/program.ts';
import type { Io } from '../../../cli/io.ts';
import { problemOf } from '../../../shared/api/problems.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';

/** A request that reached the stand-in. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

export type Reply = { status?: number; body?: unknown; text?: string; type?: string } | 'cut' | 'never';
type Route = Reply | readonly Reply[] | ((seen: Seen) => Reply | Promise<Reply>);

export interface StandIn {
  readonly url: string;
  readonly seen: Seen[];
  routes: Record<string, Route>;
  close(): Promise<void>;
}

/** What a deployment without token families answers; a test about those names routes of its own. */
function withoutFamilies({ method, path }: Seen): Reply | undefined {
  const [, name] = /\/v1\/families(\/[^/]+)?$/.exec(path) ?? [undefined, undefined];
  if (method !== 'GET' || !path.includes('/v1/families')) return undefined;
  return name === undefined
    ? { body: { families: [] } }
    : refusal(new RekeyError('ERR_NOT_FOUND', `no token family "${name.slice(1)}"`));
}

/** A real server on a loopback port in place of the API (and of CloudFormation). An array answers call by call. */
export async function startStandIn(): Promise<StandIn> {
  const seen: Seen[] = [];
  const counts = new Map<string, number>();
  const stand: StandIn = { url: '', seen, routes: {}, close: async () => {} };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://localhost');
      const text = Buffer.concat(chunks).toString();
      const isForm = request.headers['content-type']?.includes('form') === true;
      const one: Seen = {
        method: request.method ?? '',
        path: url.pathname,
        query: Object.fromEntries(url.searchParams),
        headers: request.headers,
        body: text === '' || isForm ? text : JSON.parse(text),
      };
      const name = `${one.method} ${one.path}`;
      const empty = stand.routes[name] === undefined ? withoutFamilies(one) : undefined;
      if (empty !== undefined) return send(response, request, empty);
      seen.push(one);
      const count = counts.get(name) ?? 0;
      counts.set(name, count + 1);
      const route = stand.routes[name] ?? { status: 404, body: { message: 'Not Found' } };
      void Promise.resolve(pick(route, one, count)).then((reply) => send(response, request, reply));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return Object.assign(stand, {
    url: `http://127.0.0.1:${address.port}`,
    close: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  });
}

function send(response: ServerResponse, request: IncomingMessage, reply: Reply): void {
  if (reply === 'never') return;
  if (reply === 'cut') {
    request.socket.destroy();
    return;
  }
  response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'application/json' });
  response.end(reply.text ?? JSON.stringify(reply.body ?? {}));
}

function pick(route: Route, seen: Seen, count: number): Reply | Promise<Reply> {
  if (typeof route === 'function') return route(seen);
  if (typeof route === 'string' || !isList(route)) return route;
  return route[Math.min(count, route.length - 1)] ?? 'cut';
}

function isList(route: Reply | readonly Reply[]): route is readonly Reply[] {
  return Array.isArray(route);
}

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface World {
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly tty?: boolean;
  readonly answer?: string | (() => Promise<string>);
  /** What is piped in; without it, `tty` says whether standard input is a terminal. */
  readonly input?: string;
  /** The browser of whoever sits here. */
  readonly browser?: (url: string) => void;
  /** Hears what is said, as it is said. */
  readonly hears?: (text: string) => void;
  /** What time it is at each look; without it time stands still. */
  readonly now?: () => number;
}

export const ENV = {
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'not-a-real-key',
  AWS_REGION: 'eu-central-1',
  AWS_CONFIG_FILE: '/dev/null',
};

/** Runs a command line in this process and gives what a shell would see. */
export async function rekey(
  stand: StandIn | undefined,
  args: readonly string[],
  world: World = {},
): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const tty = world.tty ?? false;
  const answer = async (): Promise<string> =>
    typeof world.answer === 'function' ? world.answer() : (world.answer ?? '');
  const io: Io = {
    env: { ...ENV, ...(stand === undefined ? {} : { REKEY_API_URL: stand.url }), ...world.env },
    cwd: world.cwd ?? process.cwd(),
    stdoutIsTty: tty,
    stderrIsTty: tty,
    stdinIsTty: tty && world.input === undefined,
    stdout: (text) => {
      stdout += text;
      world.hears?.(text);
    },
    stderr: (text) => {
      stderr += text;
      world.hears?.(text);
    },
    ask: async (question) => {
      stderr += question;
      return answer();
    },
    askTerminal: async (question) => {
      if (!tty) return undefined;
      stderr += question;
      return answer();
    },
    input: async () => new Redacted(world.input ?? ''),
    open: (url) => world.browser?.(url),
    now: world.now ?? (() => Date.parse('2026-11-22T12:00:00.000Z')),
  };
  const exit = await run(args, io, { pollMs: 5, pause: async () => {} });
  return { exit, stdout, stderr };
}

/** The answer that refuses with an error. */
export function refusal(error: RekeyError): Reply {
  const document = problemOf(error);
  return { status: document.status, body: document, type: 'application/problem+json' };
}
