import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** A request to an upstream. */
export interface Asked {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** The JSON or form that was sent; undefined where there is none. */
  readonly body: unknown;
  /** The same as it was sent. */
  readonly text: string;
}

/** What an upstream answers. */
export interface Reply {
  readonly status: number;
  /** Sent as JSON; a text as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What goes wrong with one request. `lost` does the work and drops the answer; `reset` does nothing; `not-http` answers with
 * bytes that aren't HTTP.
 */
export type Fault =
  | { readonly kind: 'lost' | 'reset' | 'hang' | 'malformed' | 'huge' | 'not-http' }
  | ({ readonly kind: 'reply' } & Reply);

/** What is quoted by answers that are broken; nothing of it may come out at the other end. */
const QUOTED = 'sk-leaked-canary-0123456789';
const SILENT: ReadonlySet<string> = new Set(['lost', 'reset', 'hang', 'not-http']);

/** An upstream's API behind real HTTP, whose requests can be made to go wrong. */
export class UpstreamServer implements AsyncDisposable {
  /** What was asked, in order, and how it was answered; 0 where it wasn't. */
  readonly asked: { readonly method: string; readonly path: string; readonly status: number }[] = [];
  readonly #server: Server;
  readonly #answer: (asked: Asked) => Reply | Promise<Reply>;
  readonly #holds: {
    readonly on: (asked: Asked) => boolean;
    readonly arrived: () => void;
    readonly opened: Promise<void>;
  }[] = [];
  #faults: {
    readonly on: (asked: Asked) => boolean;
    readonly fault: Fault;
    readonly met: () => void;
  }[] = [];

  private constructor(answer: (asked: Asked) => Reply | Promise<Reply>) {
    this.#answer = answer;
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
  }

  static async start(answer: (asked: Asked) => Reply | Promise<Reply>): Promise<UpstreamServer> {
    const server = new UpstreamServer(answer);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next request that `on` is true of goes wrong, `times` over; returns what tells whether all of that has happened. */
  fail(fault: Fault, on: (asked: Asked) => boolean = () => true, times = 1): () => boolean {
    let left = times;
    for (let count = 0; count < times; count++) this.#faults.push({ on, fault, met: () => left-- });
    return () => left === 0;
  }

  /** The next request that `on` is true of waits, before anything of it is done. */
  hold(on: (asked: Asked) => boolean): { readonly held: Promise<unknown>; readonly release: () => void } {
    const [arrival, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    this.#holds.push({ on, arrived: arrival.resolve, opened: gate.promise });
    return { held: arrival.promise, release: gate.resolve };
  }

  /** No request goes wrong any more. */
  heal(): void {
    this.#faults = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://upstream');
    const sent = await text(request);
    const asked: Asked = {
      method: request.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: bodyOf(sent),
      text: sent,
    };
    const { method, path } = asked;
    const held = this.#holds.findIndex(({ on }) => on(asked));
    const [hold] = held === -1 ? [] : this.#holds.splice(held, 1);
    hold?.arrived();
    await hold?.opened;
    const at = this.#faults.findIndex(({ on }) => on(asked));
    const due = at === -1 ? undefined : this.#faults.splice(at, 1)[0];
    due?.met();
    const fault = due?.fault;
    const reply = fault?.kind === 'reply' ? fault : undefined;
    const { status, body, headers } = reply ?? (isUndone(fault) ? { status: 0 } : await this.#answer(asked));
    const isSilent = fault !== undefined && SILENT.has(fault.kind);
    this.asked.push({ method, path, status: isSilent ? 0 : status });
    if (fault?.kind === 'hang') return;
    if (isSilent) {
      if (fault.kind === 'not-http') request.socket.write(`${QUOTED}\r\n\r\n`);
      request.socket.destroy();
      return;
    }
    const payload = payloadOf(fault, body);
    // An empty answer has no type: nothing could be read as that.
    const type = payload === '' ? {} : { 'content-type': 'application/json' };
    // What says that there is no content can have none.
    const said = status === 204 && payload !== '' ? 200 : status;
    response.writeHead(said, { ...type, ...headers }).end(payload);
  }
}

/** A key of a fake upstream. */
export interface FakeKey {
  readonly id: string;
  readonly value: string;
  /** Who owns it, e.g. project and service account. */
  readonly owner: string;
  readonly createdAt: number;
  name: string;
  active: boolean;
  lastUsed: number | null;
  /** How many uses are still refused: a new key spreads slowly. */
  refusals: number;
}

/** The keys that an upstream knows. */
export class FakeKeys {
  readonly all: Map<string, FakeKey> = new Map();
  /** How many uses of each new key are refused. */
  slowness = 0;
  /** How many keys an owner may have. */
  room = Infinity;
  readonly #newId: () => string;

  /** `newId` makes ids of the form that the upstream has. */
  constructor(newId: () => string = () => `key_${randomBytes(8).toString('hex')}`) {
    this.#newId = newId;
  }

  add(owner: string, name: string, prefix: string, id = this.#newId()): FakeKey {
    const value = `${prefix}${randomBytes(24).toString('base64url')}`;
    const key = { id, value, owner, name, active: true, lastUsed: null, refusals: this.slowness };
    const added = { ...key, createdAt: Date.now() };
    this.all.set(id, added);
    return added;
  }

  hasRoom(owner: string): boolean {
    return this.of(owner).length < this.room;
  }

  /** Shows none of them from now on, until what it answers with is called. */
  hide(): () => void {
    const hidden = [...this.all];
    this.all.clear();
    return () => hidden.forEach(([id, key]) => this.all.set(id, key));
  }

  of(owner: string): FakeKey[] {
    return [...this.all.values()].filter((key) => key.owner === owner);
  }

  /** Uses a key: true where it is taken. */
  use(value: string | undefined): boolean {
    const key = [...this.all.values()].find((each) => each.value === value);
    if (key === undefined || !key.active) return false;
    if (key.refusals-- > 0) return false;
    key.lastUsed = Date.now();
    return true;
  }
}

/** The token of `Authorization: Bearer`. */
export function bearerOf({ headers }: Asked): string | undefined {
  return /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1];
}

function payloadOf(fault: Fault | undefined, body: unknown): string {
  if (fault?.kind === 'malformed') return `{"id": "${QUOTED}`;
  if (fault?.kind === 'huge') return JSON.stringify({ id: QUOTED, padding: 'x'.repeat(5 * 1024 * 1024) });
  if (typeof body === 'string') return body;
  return body === undefined ? '' : JSON.stringify(body);
}

function isUndone(fault: Fault | undefined): boolean {
  return fault?.kind === 'reset' || fault?.kind === 'hang';
}

function bodyOf(sent: string): unknown {
  if (sent === '') return undefined;
  try {
    return JSON.parse(sent) as unknown;
  } catch {
    return Object.fromEntries(new URLSearchParams(sent));
  }
}
