import { randomBytes, randomUUID } from 'node:crypto';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const ROLES = /^(Project|ControlPlane|DataPlane)(Editor|Viewer)$/;

/** Pinecone's login, its administration of API keys and its list of indexes, as its specifications have them. */
export class FakePinecone implements AsyncDisposable {
  readonly clientId = 'client-0123456789abcdef';
  readonly clientSecret = 'pcsa-secret-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys(randomUUID);
  readonly roles: Map<string, readonly string[]> = new Map();
  /** The API, which gives tokens too, and a host of its own for them. */
  readonly server: UpstreamServer;
  readonly login: UpstreamServer;
  /** How long a key goes on after its deletion was taken. */
  deletionMs = 100;
  /** How many keys a project may have. */
  quota = Number.POSITIVE_INFINITY;
  /** A version of the API that knows none gives every key its default. */
  knowsRoles = true;
  readonly #tokens = new Set<string>();
  readonly #leaving = new Map<string, number>();

  private constructor(server: UpstreamServer, login: UpstreamServer) {
    this.server = server;
    this.login = login;
  }

  static async start(): Promise<FakePinecone> {
    const fake: { current?: FakePinecone } = {};
    const [server, login] = await Promise.all([
      UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 }),
      UpstreamServer.start((asked) => fake.current?.token(asked) ?? { status: 500 }),
    ]);
    return (fake.current = new FakePinecone(server, login));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    await this.login[Symbol.asyncDispose]();
  }

  /** A key as it is made in the console, or without a word on roles. */
  add(project: string, name: string, roles: readonly string[] = ['ProjectEditor']): FakeKey {
    const key = this.keys.add(project, name, 'pckey_');
    this.roles.set(key.id, roles);
    return key;
  }

  private token({ method, path, headers, body }: Asked): Reply {
    if (method !== 'POST' || path !== '/oauth/token') return { status: 404, body: {} };
    const { client_id: id, client_secret: secret, ...rest } = (body ?? {}) as Record<string, unknown>;
    const isAsked =
      rest['grant_type'] === 'client_credentials' && rest['audience'] === 'https://api.pinecone.io/';
    if (headers['x-pinecone-api-version'] === undefined || !isAsked)
      return { status: 400, body: { error: 'invalid_request', error_description: 'Bad request' } };
    if (id !== this.clientId || secret !== this.clientSecret)
      return { status: 401, body: { error: 'access_denied', error_description: `no ${String(secret)}` } };
    const token = randomBytes(24).toString('base64url');
    this.#tokens.add(token);
    return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: 1800 } };
  }

  private answer(asked: Asked): Reply {
    this.sweep();
    const { method, path, headers } = asked;
    if (path === '/oauth/token') return this.token(asked);
    if (headers['x-pinecone-api-version'] === undefined) return refusal(400, 'INVALID_ARGUMENT');
    if (path === '/indexes') return this.indexes(headers['api-key']);
    if (!this.#tokens.has(bearerOf(asked) ?? '')) return refusal(401, 'UNAUTHENTICATED');
    const project = /^\/admin\/projects\/([^/]+)\/api-keys$/.exec(path)?.[1];
    if (project !== undefined && method === 'POST') return this.create(project, asked.body);
    if (project !== undefined) {
      return { status: 200, body: { data: this.keys.of(project).map((key) => this.shown(key)) } };
    }
    const about = /^\/admin\/(projects|organizations)\/([^/]+)$/.exec(path);
    if (about !== null) return { status: 200, body: placeOf(about[1] ?? '', about[2] ?? '') };
    const key = this.keys.all.get(/^\/admin\/api-keys\/([^/]+)$/.exec(path)?.[1] ?? '');
    if (key === undefined) return refusal(404, 'NOT_FOUND');
    if (method === 'GET') return { status: 200, body: this.shown(key) };
    if (method === 'PATCH') return this.rename(key, asked.body);
    this.#leaving.set(key.id, this.#leaving.get(key.id) ?? Date.now() + this.deletionMs);
    return { status: 202 };
  }

  private indexes(value: string | string[] | undefined): Reply {
    if (!this.keys.use(String(value))) return refusal(401, 'UNAUTHENTICATED');
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    const roles = this.roles.get(key?.id ?? '') ?? [];
    if (roles.every((role) => role.startsWith('DataPlane'))) return refusal(403, 'FORBIDDEN');
    return { status: 200, body: { indexes: [] } };
  }

  private create(project: string, body: unknown): Reply {
    const { name = '', roles } = (body ?? {}) as { name?: string; roles?: string[] };
    const isValid = name.length >= 1 && name.length <= 80 && (roles ?? []).every((role) => ROLES.test(role));
    if (!isValid) return refusal(400, 'INVALID_ARGUMENT');
    if (this.keys.of(project).length >= this.quota) return refusal(403, 'QUOTA_EXCEEDED');
    const key = this.add(project, name, this.knowsRoles ? roles : undefined);
    return { status: 201, body: { key: this.shown(key), value: key.value } };
  }

  private rename(key: FakeKey, body: unknown): Reply {
    const { name = key.name } = (body ?? {}) as { name?: string };
    if (name.length < 1 || name.length > 80) return refusal(400, 'INVALID_ARGUMENT');
    key.name = name;
    return { status: 200, body: this.shown(key) };
  }

  private shown({ id, name, owner }: FakeKey): object {
    return { id, name, project_id: owner, roles: this.roles.get(id) ?? [] };
  }

  private sweep(): void {
    for (const [id, goneAt] of this.#leaving) if (goneAt <= Date.now()) this.keys.all.delete(id);
  }
}

function placeOf(kind: string, id: string): object {
  const common = { id, name: 'agents', created_at: '2026-01-01T00:00:00Z' };
  return kind === 'projects'
    ? { ...common, max_pods: 0, force_encryption_with_cmek: false, organization_id: 'org-agents' }
    : { ...common, plan: 'Standard', payment_status: 'Active', support_tier: 'Pro' };
}

function refusal(status: number, code: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { status, error: { code, message: 'not for pckey_quoted_by_the_upstream' } } };
}
