import { randomBytes, randomUUID } from 'node:crypto';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const ORGANIZATION = '-FakeOrganization000';
const ROLE = /^(Org(Owner|Manager|Member|BillingAdmin)|(Project|ControlPlane|DataPlane)[A-Z][a-z]+)$/;

interface Binding {
  readonly resource_type: string;
  readonly resource_id: string;
  readonly role: string;
}

/**
 * Pinecone's service accounts, their role bindings and their login, as its documentation of 2026-04 has them: a key here is a
 * service account, by its client id.
 */
export class FakePineconeAccounts implements AsyncDisposable {
  readonly keys: FakeKeys = new FakeKeys(() => randomBytes(16).toString('hex'));
  /** API and login: one server, so that both can be made to go wrong. */
  readonly server: UpstreamServer;
  /** The service account of a person, which owns the organization. */
  readonly owner: FakeKey;
  /** How long one goes on after its deletion was taken. */
  deletionMs = 60;
  /** How many a page of a listing has. */
  page = 100;
  /** What Pinecone gives beside what is asked for. */
  generous: readonly Binding[] = [];
  readonly #ids = new Map<string, string>();
  readonly #bindings = new Map<string, readonly Binding[]>();
  readonly #tokens = new Map<string, string>();
  readonly #leaving = new Map<string, number>();

  private constructor(server: UpstreamServer) {
    this.server = server;
    this.owner = this.add('of a person', ['OrgOwner']);
  }

  static async start(): Promise<FakePineconeAccounts> {
    const fake: { current?: FakePineconeAccounts } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakePineconeAccounts(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** A service account as a person makes it, with roles in the words of a target. */
  add(name: string, roles: readonly string[]): FakeKey {
    const key = this.keys.add(ORGANIZATION, name, 'pcsa_');
    this.#ids.set(key.id, randomUUID());
    const bindings = roles.map((each) => {
      const [role = '', project] = each.split('@');
      return project === undefined
        ? { resource_type: 'organization', resource_id: ORGANIZATION, role }
        : { resource_type: 'project', resource_id: project, role };
    });
    this.#bindings.set(key.id, bindings);
    return key;
  }

  /** Leaves the organization with its owner alone. */
  clear(): void {
    for (const id of this.keys.all.keys()) if (id !== this.owner.id) this.keys.all.delete(id);
  }

  /** The administrative secret with one of them. */
  secret({ id, value }: FakeKey): { clientId: string; clientSecret: string } {
    return { clientId: id, clientSecret: value };
  }

  /** Whether a login is let in, asked without Rekey. */
  async takes(value: string): Promise<boolean> {
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    const body = JSON.stringify({
      client_id: key?.id ?? 'nobody',
      client_secret: value,
      grant_type: 'client_credentials',
      audience: 'https://api.pinecone.io/',
    });
    const headers = { 'content-type': 'application/json', 'x-pinecone-api-version': '2026-04' };
    return (await fetch(`${this.server.url}/oauth/token`, { method: 'POST', headers, body })).ok;
  }

  private answer(asked: Asked): Reply {
    for (const [id, goneAt] of this.#leaving) if (goneAt <= Date.now()) this.keys.all.delete(id);
    const { method, path, headers } = asked;
    if (headers['x-pinecone-api-version'] === undefined) return refusal(400, 'INVALID_ARGUMENT');
    if (path === '/oauth/token') return this.token(asked);
    const login = this.#tokens.get(bearerOf(asked) ?? '') ?? '';
    if (!this.keys.all.has(login)) return refusal(401, 'UNAUTHENTICATED');
    if (path === '/admin/projects') return { status: 200, body: { data: [] } };
    const isOwner = this.#bindings.get(login)?.some(({ role }) => role === 'OrgOwner') === true;
    if (!isOwner) return refusal(403, 'FORBIDDEN');
    if (path === '/admin/role-bindings') return this.listBindings(asked.query);
    if (path === '/admin/service-accounts') {
      if (method === 'POST') return this.create(asked.body);
      return this.pageOf(
        [...this.keys.all.values()].map((key) => this.shown(key)),
        asked.query,
      );
    }
    const id = /^\/admin\/service-accounts\/([^/]+)$/.exec(path)?.[1];
    const key = [...this.keys.all.values()].find((each) => this.#ids.get(each.id) === id);
    if (key === undefined) return refusal(404, 'NOT_FOUND');
    if (method === 'PATCH') return this.rename(key, asked.body);
    if (method === 'DELETE') {
      this.#leaving.set(key.id, this.#leaving.get(key.id) ?? Date.now() + this.deletionMs);
      return { status: 202 };
    }
    return { status: 200, body: this.shown(key) };
  }

  private token({ method, body }: Asked): Reply {
    const { client_id: id, client_secret: secret, ...rest } = (body ?? {}) as Record<string, unknown>;
    const isAsked =
      rest['grant_type'] === 'client_credentials' && rest['audience'] === 'https://api.pinecone.io/';
    if (method !== 'POST' || !isAsked) return { status: 400, body: { error: 'invalid_request' } };
    const key = this.keys.all.get(String(id));
    const isKnown = key?.value === secret && this.keys.use(key?.value);
    if (!isKnown) {
      return { status: 401, body: { error: 'access_denied', error_description: `no ${String(secret)}` } };
    }
    const token = randomBytes(24).toString('base64url');
    this.#tokens.set(token, String(id));
    return { status: 200, body: { access_token: token, token_type: 'Bearer', expires_in: 1800 } };
  }

  private create(body: unknown): Reply {
    const { name = '', role_bindings: asked = [] } = (body ?? {}) as {
      name?: string;
      role_bindings?: Partial<Binding>[];
    };
    const isValid = asked.every(({ resource_type: type, resource_id: id, role = '' }) => {
      return ROLE.test(role) && (type === 'organization') === (id === undefined);
    });
    if (name.length < 1 || name.length > 80 || !isValid) return refusal(400, 'INVALID_ARGUMENT');
    if (!this.keys.hasRoom(ORGANIZATION)) return refusal(429, 'QUOTA_EXCEEDED');
    const key = this.add(name, []);
    const bindings = asked.map(({ resource_type = '', resource_id = ORGANIZATION, role = '' }): Binding => ({
      resource_type,
      resource_id,
      role,
    }));
    this.#bindings.set(key.id, [...bindings, ...this.generous]);
    return { status: 201, body: { service_account: this.shown(key), client_secret: key.value } };
  }

  private rename(key: FakeKey, body: unknown): Reply {
    const { name = key.name } = (body ?? {}) as { name?: string };
    if (name.length < 1 || name.length > 80) return refusal(400, 'INVALID_ARGUMENT');
    key.name = name;
    return { status: 200, body: this.shown(key) };
  }

  private listBindings(query: URLSearchParams): Reply {
    const wanted = query.get('principal_id');
    if (query.get('principal_type') !== 'service_account') return refusal(400, 'INVALID_ARGUMENT');
    const all = [...this.keys.all.keys()].flatMap((clientId) => {
      const principal_id = this.#ids.get(clientId);
      if (wanted !== null && wanted !== principal_id) return [];
      const common = { principal_type: 'service_account', principal_id, created_at: '2026-04-10T15:23:00Z' };
      return (this.#bindings.get(clientId) ?? []).map((each) => ({ id: randomUUID(), ...common, ...each }));
    });
    return this.pageOf(all, query);
  }

  private pageOf(items: readonly object[], query: URLSearchParams): Reply {
    const from = Number(query.get('paginationToken') ?? 0);
    const until = from + Math.min(this.page, Number(query.get('limit') ?? this.page));
    const pagination = until < items.length ? { next: String(until) } : null;
    return { status: 200, body: { data: items.slice(from, until), pagination } };
  }

  private shown({ id, name, createdAt }: FakeKey): object {
    const made = new Date(createdAt).toISOString();
    return { id: this.#ids.get(id), name, client_id: id, created_at: made, updated_at: made };
  }
}

function refusal(status: number, code: string): Reply {
  return { status, body: { status, error: { code, message: 'not for pcsa_quoted_by_the_upstream' } } };
}
