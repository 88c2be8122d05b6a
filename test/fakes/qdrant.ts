import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto';
import { FakeDeployHook } from './deploy-hook.ts';
import { FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const PATH = /^\/collections(?:\/([^/]+)(?:\/(exists|points)(?:\/([^/]+))?)?)?$/;
/** How much later than `exp` a token is still taken. */
const LEEWAY_SECONDS = 30;

/** What a login may do: read all (`r`), everything (`m`), or this to each collection. */
type Access = 'r' | 'm' | readonly { readonly collection: string; readonly access: 'r' | 'rw' }[];

interface Claims {
  readonly exp?: number;
  readonly access?: Access;
  readonly value_exists?: { readonly collection: string; readonly matches: readonly Match[] };
}
interface Match {
  readonly key: string;
  readonly value: unknown;
}

/** The configuration by which a server was started. */
export interface FakeQdrantConfig {
  readonly apiKey?: string | undefined;
  readonly altApiKey?: string | undefined;
  /** Keys beyond the two that there are: as many servers as it takes, behind one address. */
  readonly others?: readonly string[];
  readonly jwtRbac: boolean;
}

/**
 * A Qdrant server, after its source: static keys that count from its start, tokens whose signature, `exp`, `access` and
 * `value_exists` it checks, and points of collections.
 */
export class FakeQdrant implements AsyncDisposable {
  readonly server: UpstreamServer;
  /** The points of `rekey_tokens`, by which tokens live; no value of a token is known here. */
  readonly keys: FakeKeys = new FakeKeys(randomUUID);
  readonly payloads: Map<string, Readonly<Record<string, unknown>>> = new Map();
  readonly collections: Set<string> = new Set(['documents', 'memories', 'rekey_tokens']);
  /** The access of tokens that were taken. */
  readonly seen: Claims[] = [];
  /** An old version knows no `value_exists`. */
  knowsValueExists = true;
  /** Longest page of points. */
  pageSize = 1000;
  /** How many uses of each new token are refused. */
  slowness = 0;
  #running: FakeQdrantConfig;

  private constructor(server: UpstreamServer, config: FakeQdrantConfig) {
    this.server = server;
    this.#running = config;
  }

  /** `before` answers what isn't for the server. */
  static async start(
    config: Partial<FakeQdrantConfig> = {},
    before: (asked: Asked) => Reply | undefined = () => undefined,
  ): Promise<FakeQdrant> {
    const fake: { current?: FakeQdrant } = {};
    const server = await UpstreamServer.start(
      (asked) => before(asked) ?? fake.current?.answer(asked) ?? { status: 500 },
    );
    return (fake.current = new FakeQdrant(server, { jwtRbac: true, ...config }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** Starts it again: only now another configuration counts. */
  restart(config: FakeQdrantConfig): void {
    this.#running = config;
  }

  /** A token that anybody with the key may sign. */
  static sign(claims: object, apiKey: string, header: object = { alg: 'HS256', typ: 'JWT' }): string {
    const content = [header, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    return `${content}.${mac(content, apiKey)}`;
  }

  /** A point of `rekey_tokens`. */
  addPoint(name: string, id: string = randomUUID()): FakeKey {
    const key = this.keys.add('rekey_tokens', name, '', id);
    key.refusals = this.slowness;
    this.payloads.set(id, { token: id, name });
    return key;
  }

  private answer(asked: Asked): Reply {
    const access = this.accessOf(asked.headers['api-key']);
    if (typeof access === 'number') return refusal(access);
    const [, collection, what, id] = PATH.exec(asked.path) ?? [];
    const { method } = asked;
    if (asked.path === '/collections' && method === 'GET') {
      const names = [...this.collections].filter((name) => may(access, name, 'r'));
      return done({ collections: names.map((name) => ({ name })) });
    }
    if (collection === undefined) return refusal(404);
    if (what === undefined && method === 'PUT') {
      if (access !== 'm') return refusal(403);
      if (this.collections.has(collection)) return refusal(409);
      this.collections.add(collection);
      return done(true);
    }
    const writes = method === 'PUT' || id === 'delete';
    if (!may(access, collection, writes ? 'rw' : 'r')) return refusal(403);
    if (what === 'exists') return done({ exists: this.collections.has(collection) });
    if (!this.collections.has(collection)) return refusal(404);
    return this.points(asked, id);
  }

  private points({ method, query, body }: Asked, id: string | undefined): Reply {
    // What doesn't wait may be seen by nobody yet.
    if ((method === 'PUT' || id === 'delete') && query.get('wait') !== 'true') return refusal(400);
    if (method === 'PUT') return this.upsert(body);
    if (id === 'delete') {
      const { points = [] } = body as { points?: string[] };
      for (const each of points) this.keys.all.delete(each);
      return done({ operation_id: 1, status: 'completed' });
    }
    if (id === 'scroll') return this.scroll(body);
    if (method !== 'GET') return refusal(404);
    const key = this.keys.all.get(id ?? '');
    return key === undefined ? refusal(404) : done(this.shown(key));
  }

  private upsert(body: unknown): Reply {
    type Point = { id?: unknown; vector?: unknown; payload?: Record<string, unknown> };
    const { points = [] } = body as { points?: Point[] };
    const isValid = points.every(({ id, vector }) => UUID.test(String(id)) && typeof vector === 'object');
    if (!isValid) return refusal(400);
    for (const { id, payload = {} } of points) {
      this.addPoint(String(payload['name']), String(id));
      this.payloads.set(String(id), payload);
    }
    return done({ operation_id: 1, status: 'completed' });
  }

  private scroll(body: unknown): Reply {
    const { limit = 10, offset } = body as { limit?: number; offset?: string };
    const all = [...this.keys.all.values()].toSorted((one, other) => (one.id < other.id ? -1 : 1));
    const from = offset === undefined ? 0 : all.findIndex(({ id }) => id >= offset);
    const to = from + Math.min(limit, this.pageSize);
    const points = from < 0 ? [] : all.slice(from, to).map((key) => this.shown(key));
    return done({ points, next_page_offset: all[to]?.id ?? null });
  }

  private shown({ id }: FakeKey): object {
    return { id, payload: this.payloads.get(id) ?? {} };
  }

  /** What a login may do; the status of the refusal where it isn't taken. */
  private accessOf(header: string | string[] | undefined): Access | number {
    const { apiKey, altApiKey, others = [], jwtRbac } = this.#running;
    const keys = [apiKey, altApiKey, ...others].filter((each) => each !== undefined && each !== '');
    if (keys.length === 0) return 'm';
    if (typeof header !== 'string') return 401;
    if (keys.includes(header)) return 'm';
    if (!jwtRbac) return 401;
    const claims = keys.map((key) => claimsOf(header, key ?? ''));
    const taken = claims.find((each) => typeof each === 'object');
    if (taken === undefined) return claims.includes(403) ? 403 : 401;
    const refused = this.knowsValueExists ? this.refusalByValue(taken) : undefined;
    if (refused !== undefined) return refused;
    this.seen.push(taken);
    return taken.access ?? 'm';
  }

  private refusalByValue({ value_exists: wanted }: Claims): number | undefined {
    if (wanted === undefined) return undefined;
    if (!this.collections.has(wanted.collection)) return 403;
    const key = [...this.keys.all.values()].find(({ id }) => {
      const payload = this.payloads.get(id) ?? {};
      return wanted.matches.every(({ key: field, value }) => payload[field] === value);
    });
    if (key === undefined || wanted.collection !== 'rekey_tokens') return 401;
    return key.refusals-- > 0 ? 401 : undefined;
  }
}

/** The claims of a token; 403 where its signature or its time is wrong, 401 where it is none. */
function claimsOf(token: string, apiKey: string): Claims | number {
  const [header = '', content = '', signature = '', more] = token.split('.');
  if (more !== undefined || signature === '') return 401;
  try {
    const { alg } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { alg?: unknown };
    if (alg !== 'HS256') return 401;
    const [given, right] = [signature, mac(`${header}.${content}`, apiKey)].map((each) => Buffer.from(each));
    if (given === undefined || right === undefined) return 401;
    if (given.length !== right.length || !timingSafeEqual(given, right)) return 403;
    const claims = JSON.parse(Buffer.from(content, 'base64url').toString()) as Claims;
    const isOver = claims.exp !== undefined && claims.exp + LEEWAY_SECONDS < Date.now() / 1000;
    return isOver ? 403 : claims;
  } catch {
    return 401;
  }
}

function mac(content: string, key: string): string {
  return createHmac('sha256', key).update(content).digest('base64url');
}

function may(access: Access, name: string, wanted: 'r' | 'rw'): boolean {
  if (access === 'm') return true;
  if (access === 'r') return wanted === 'r';
  return access.some((each) => each.collection === name && (wanted === 'r' || each.access === 'rw'));
}

function done(result: unknown): Reply {
  return { status: 200, body: { result, status: 'ok', time: 0.001 } };
}

function refusal(status: number): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { status: { error: 'not for eyJhb-quoted-by-the-upstream' }, time: 0.001 } };
}

/** Without a key a server would be open. */
const NOBODYS = randomUUID();

/** A Qdrant server whose static keys an operator's hook deploys. */
export class FakeDeployedQdrant implements AsyncDisposable {
  readonly hook: FakeDeployHook;
  readonly qdrant: FakeQdrant;

  private constructor(hook: FakeDeployHook, qdrant: FakeQdrant) {
    this.hook = hook;
    this.qdrant = qdrant;
  }

  static async start(): Promise<FakeDeployedQdrant> {
    const made: { qdrant?: FakeQdrant } = {};
    const hook = new FakeDeployHook((configuration) => {
      const [last, altApiKey, ...others] = [...configuration.values()].map(({ value }) => value ?? '');
      const apiKey = last ?? (hook.locks ? NOBODYS : undefined);
      made.qdrant?.restart({ apiKey, altApiKey, others, jwtRbac: true });
    });
    const spreading = (asked: Asked): Reply | undefined => {
      const key = asked.headers['api-key'];
      const isLate = typeof key === 'string' && hook.isSpreading(key);
      return hook.answer(asked) ?? (isLate ? refusal(401) : undefined);
    };
    made.qdrant = await FakeQdrant.start({ apiKey: NOBODYS }, spreading);
    return new FakeDeployedQdrant(hook, made.qdrant);
  }

  get server(): UpstreamServer {
    return this.qdrant.server;
  }

  get keys(): FakeKeys {
    return this.hook.keys;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.qdrant[Symbol.asyncDispose]();
  }
}
