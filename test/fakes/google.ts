import { randomUUID } from 'node:crypto';
import { FakeGoogleLogin, administratorAt, type FakeKeyFile } from './google-login.ts';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

/** What is known of a key beside its name and value. */
interface About {
  readonly serviceAccountEmail?: string;
  readonly restrictions?: object;
  readonly displayName?: string;
}

/** Google's API Keys API, its token endpoint and Gemini's list of models, as specification and documentation have them. */
export class FakeGoogle implements AsyncDisposable {
  /** The key of Rekey's own service account. */
  readonly admin: FakeKeyFile;
  readonly keys: FakeKeys = new FakeKeys(() => this.#nextId);
  readonly about: Map<string, About> = new Map();
  /** When keys were deleted; they are kept. */
  readonly deleted: Map<string, string> = new Map();
  readonly server: UpstreamServer;
  /** How long an operation takes. */
  operationMs = 10;
  /** It binds and restricts what is bound and restricted. */
  heeds = true;
  /** Code with which the next operation ends. */
  nextCode = 0;
  readonly #login = new FakeGoogleLogin();
  readonly #operations = new Map<string, { readonly at: number; readonly code: number; act?: () => void }>();
  #nextId = '';

  private constructor(server: UpstreamServer) {
    this.server = server;
    this.admin = administratorAt(`${server.url}/token`);
    this.#login.learn(this.admin);
  }

  static async start(): Promise<FakeGoogle> {
    const fake: { current?: FakeGoogle } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeGoogle(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The administrative secret, where this is reached at `url`. */
  secret(url: string): object {
    return { ...this.admin, adminUrl: url, token_uri: `${url}/token` };
  }

  /** A key that is there at once; without a word on it, one that may do everything. */
  add(project: string, name: string, about: About = {}, id: string = randomUUID()): FakeKey {
    this.#nextId = id;
    this.about.set(id, about);
    return this.keys.add(project, name, 'AQ.');
  }

  private answer(asked: Asked): Reply {
    this.sweep();
    const { path, method } = asked;
    if (path === '/token') return this.#login.answer(asked);
    if (path === '/v1beta/models') return this.models(asked.headers['x-goog-api-key']);
    if (!this.#login.tokens.has(bearerOf(asked) ?? '')) return refusal(401, 'UNAUTHENTICATED');
    const operation = /^\/v2\/(operations\/[^/]+)$/.exec(path)?.[1];
    if (operation !== undefined) return this.operation(operation);
    if (path === '/v2/keys:lookupKey') return this.lookUp(asked.query.get('keyString'));
    const [, project = '', id, part] =
      /^\/v2\/projects\/([^/]+)\/locations\/global\/keys(?:\/([^/]+?)(\/keyString)?)?$/.exec(path) ?? [];
    if (project === '') return refusal(404, 'NOT_FOUND');
    if (id === undefined)
      return method === 'POST' ? this.create(project, asked) : this.list(project, asked.query);
    const key = this.keys.all.get(id);
    if (key?.owner !== project) return refusal(404, 'NOT_FOUND');
    if (part !== undefined) return { status: 200, body: { keyString: key.value } };
    if (method === 'GET') return { status: 200, body: this.shown(key) };
    if (!key.active) return refusal(404, 'NOT_FOUND');
    return this.begin(() => {
      key.active = false;
      this.deleted.set(key.id, new Date().toISOString());
    });
  }

  private lookUp(value: string | null): Reply {
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    if (key === undefined) return refusal(403, 'PERMISSION_DENIED');
    const parent = 'projects/123456789012/locations/global';
    return { status: 200, body: { parent, name: `${parent}/keys/${key.id}` } };
  }

  private models(value: string | string[] | undefined): Reply {
    if (!this.keys.use(String(value))) return refusal(400, 'INVALID_ARGUMENT', { reason: 'API_KEY_INVALID' });
    return { status: 200, body: { models: [{ name: 'models/gemini-3.1-flash' }] } };
  }

  private create(project: string, { query, body }: Asked): Reply {
    const id = query.get('keyId') ?? randomUUID();
    const {
      annotations = {},
      displayName = '',
      ...rest
    } = (body ?? {}) as About & {
      annotations?: Record<string, string>;
    };
    if (!/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(id) || displayName.length > 63)
      return refusal(400, 'INVALID_ARGUMENT');
    const isTaken = this.keys.all.has(id) || this.#operations.get(`operations/make.${id}`)?.act !== undefined;
    if (isTaken) return refusal(409, 'ALREADY_EXISTS');
    const live = this.keys.of(project).filter(({ active }) => active);
    if (live.length >= this.keys.room) return refusal(429, 'RESOURCE_EXHAUSTED');
    const about = this.heeds ? { displayName, ...rest } : { displayName };
    return this.begin(() => this.add(project, annotations['rekey'] ?? '', about, id), `make.${id}`);
  }

  private begin(act: () => void, id: string = randomUUID()): Reply {
    const name = `operations/${id}`;
    const code = this.nextCode;
    this.nextCode = 0;
    this.#operations.set(name, { at: Date.now() + this.operationMs, code, ...(code === 0 ? { act } : {}) });
    return this.operation(name);
  }

  private operation(name: string): Reply {
    const known = this.#operations.get(name);
    if (known === undefined) return refusal(404, 'NOT_FOUND');
    if (known.at > Date.now()) return { status: 200, body: { name } };
    const error = known.code === 0 ? {} : { error: { code: known.code, message: 'not for AQ.quoted' } };
    return {
      status: 200,
      body: { name, done: true, ...error, ...(known.code === 0 ? { response: {} } : {}) },
    };
  }

  private list(project: string, query: URLSearchParams): Reply {
    const size = Number(query.get('pageSize') ?? 50);
    const from = Number(query.get('pageToken') ?? 0);
    const live = this.keys.of(project).filter(({ active }) => active);
    const more = live.length > from + size ? { nextPageToken: String(from + size) } : {};
    return {
      status: 200,
      body: { keys: live.slice(from, from + size).map((key) => this.shown(key)), ...more },
    };
  }

  private shown({ id, name, owner, createdAt }: FakeKey): object {
    const deleteTime = this.deleted.get(id);
    return {
      name: `projects/${owner}/locations/global/keys/${id}`,
      uid: randomUUID(),
      createTime: new Date(createdAt).toISOString(),
      etag: 'W/"1"',
      annotations: { rekey: name },
      ...this.about.get(id),
      ...(deleteTime === undefined ? {} : { deleteTime }),
    };
  }

  private sweep(): void {
    for (const operation of this.#operations.values()) {
      if (operation.at > Date.now()) continue;
      const { act } = operation;
      delete operation.act;
      act?.();
    }
  }
}

function refusal(code: number, status: string, detail: object = {}): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  const message = 'not for AQ.quoted_by_the_upstream';
  return { status: code, body: { error: { code, message, status, details: [detail] } } };
}
