import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const USER_NAME = /^[A-Za-z][-_0-9A-Za-z@.]{0,128}$/;
const NEVER = '0001-01-01T00:00:00.000Z';

/** Weaviate's users of the database and their roles, as its specification and its handlers have them. */
export class FakeWeaviate implements AsyncDisposable {
  readonly adminKey = 'weaviate-root-0123456789abcdefghij';
  /** A user has one key; its id is the user's name. */
  readonly keys: FakeKeys = new FakeKeys();
  /** What a role may do. */
  readonly roles: Map<string, readonly string[]> = new Map([
    ['viewer', ['read_collections', 'read_data']],
    ['searcher', ['read_data', 'read_collections', 'read_tenants']],
    ['indexer', ['read_data', 'create_data', 'update_data']],
  ]);
  /** Roles of each user. */
  readonly assigned: Map<string, readonly string[]> = new Map();
  readonly server: UpstreamServer;
  /** It assigns nothing, and says that it did. */
  forgetsRoles = false;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeWeaviate> {
    const fake: { current?: FakeWeaviate } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeWeaviate(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** A user as anybody may have made one. Rekey's mark ends before the number. */
  add(name: string): FakeKey {
    return this.keys.add('users', name.replace(/_[0-9a-f]{8}$/, ''), '', name);
  }

  private answer(asked: Asked): Reply {
    const { method, path } = asked;
    if (path === '/v1/users/own-info') return this.ownInfo(asked);
    if (bearerOf(asked) !== this.adminKey) return { status: 401 };
    const role = /^\/v1\/authz\/roles\/([^/]+)$/.exec(path)?.[1];
    if (role !== undefined) return this.role(decodeURIComponent(role));
    const assigns = /^\/v1\/authz\/users\/([^/]+)\/assign$/.exec(path)?.[1];
    if (assigns !== undefined) return this.assign(decodeURIComponent(assigns), asked.body);
    if (path === '/v1/users/db') return { status: 200, body: this.users() };
    const [, user = '', action = ''] =
      /^\/v1\/users\/db\/([^/]+)(?:\/(activate|deactivate|rotate-key))?$/.exec(path) ?? [];
    const name = decodeURIComponent(user);
    if (method === 'POST' && action === '') return this.create(name, asked.body);
    const key = this.keys.all.get(name);
    if (key === undefined) return { status: 404 };
    if (method === 'GET') {
      const isAsked = asked.query.get('includeLastUsedTime') === 'true';
      return { status: 200, body: { ...this.shown(key), lastUsedAt: isAsked ? timeOf(key) : NEVER } };
    }
    if (method === 'POST') return this.setActive(key, action === 'activate', asked.body);
    this.keys.all.delete(name);
    this.assigned.delete(name);
    return { status: 204 };
  }

  private ownInfo(asked: Asked): Reply {
    const value = bearerOf(asked);
    if (!this.keys.use(value)) return { status: 401 };
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    const roles = (this.assigned.get(key?.id ?? '') ?? []).map((name) => ({ name, permissions: [] }));
    return { status: 200, body: { username: key?.id, groups: [], roles } };
  }

  private role(name: string): Reply {
    const actions = this.roles.get(name);
    if (actions === undefined) return { status: 404 };
    return { status: 200, body: { name, permissions: actions.map((action) => ({ action })) } };
  }

  private create(name: string, body: unknown): Reply {
    // Its handler reads fields of the body without looking whether there is one.
    if (body === undefined) return refusal(500);
    if (!USER_NAME.test(name)) return refusal(422);
    if (this.keys.all.has(name)) return refusal(409);
    return { status: 201, body: { apikey: this.add(name).value } };
  }

  private assign(name: string, body: unknown): Reply {
    const { roles = [], userType } = (body ?? {}) as { roles?: string[]; userType?: string };
    if (roles.length === 0 || userType !== 'db') return refusal(400);
    if (!this.keys.all.has(name) || roles.some((role) => !this.roles.has(role))) return refusal(404);
    if (!this.forgetsRoles) this.assigned.set(name, [...(this.assigned.get(name) ?? []), ...roles]);
    return { status: 200 };
  }

  private setActive(key: FakeKey, active: boolean, body: unknown): Reply {
    if (key.active === active) return { status: 409 };
    if (!active && body === undefined) return refusal(500);
    key.active = active;
    return { status: 200 };
  }

  private users(): object[] {
    const fromConfiguration = { userId: 'root', dbUserType: 'db_env_user', roles: ['root'], active: true };
    return [fromConfiguration, ...[...this.keys.all.values()].map((key) => this.shown(key))];
  }

  private shown({ id, active, value, createdAt }: FakeKey): object {
    return {
      userId: id,
      dbUserType: 'db_user',
      roles: this.assigned.get(id) ?? [],
      active,
      createdAt: new Date(createdAt).toISOString(),
      apiKeyFirstLetters: value.slice(0, 3),
    };
  }
}

function timeOf({ lastUsed }: FakeKey): string {
  return lastUsed === null ? NEVER : new Date(lastUsed).toISOString();
}

function refusal(status: number): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { error: [{ message: 'not for a-key-quoted-by-the-upstream' }] } };
}
