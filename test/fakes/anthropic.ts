import { randomUUID } from 'node:crypto';
import { FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

type Status = 'active' | 'inactive' | 'archived' | 'expired';

/** Anthropic's administration of API keys and its list of models, as its documentation has them. No call makes a key. */
export class FakeAnthropic implements AsyncDisposable {
  readonly adminKey = 'sk-ant-admin01-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys(() => `apikey_${randomUUID()}`);
  readonly server: UpstreamServer;
  /** What an operator has put into the pool of the administrative secret. */
  readonly pool: { id: string; value: string }[] = [];
  /** Keys that are ended for good. */
  readonly #ended: Map<string, 'archived' | 'expired'> = new Map();
  #requests = 0;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeAnthropic> {
    const fake: { current?: FakeAnthropic } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeAnthropic(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** Makes a key by hand, in the Console; the pool doesn't know it. */
  mint(workspace: string, name = 'made by hand'): FakeKey {
    return this.keys.add(workspace, name, 'sk-ant-api03-');
  }

  /** Makes keys by hand and puts them into the pool. */
  fill(workspace: string, count: number): FakeKey[] {
    const made = Array.from({ length: count }, (_, index) => this.mint(workspace, `spare ${index + 1}`));
    this.pool.push(...made.map(({ id, value }) => ({ id, value })));
    return made;
  }

  /** The administrative secret. */
  admin(): { adminKey: string; pool: { id: string; value: string }[] } {
    return { adminKey: this.adminKey, pool: this.pool };
  }

  status(key: FakeKey): Status {
    return this.#ended.get(key.id) ?? (key.active ? 'active' : 'inactive');
  }

  /** Ends a key as its own expiry does, or a person in the Console. */
  end(key: FakeKey, status: 'archived' | 'expired'): void {
    key.active = false;
    this.#ended.set(key.id, status);
  }

  private answer(asked: Asked): Reply {
    const { method, path, headers } = asked;
    if (headers['anthropic-version'] !== '2023-06-01')
      return this.refusal(400, 'invalid_request_error', 'anthropic-version: header is required');
    const login = headers['x-api-key'];
    if (path === '/v1/models') {
      if (typeof login !== 'string' || !this.keys.use(login)) return this.unauthenticated();
      const model = {
        type: 'model',
        id: 'claude',
        display_name: 'Claude',
        created_at: '2026-01-01T00:00:00Z',
      };
      return { status: 200, body: { data: [model], has_more: false, first_id: 'claude', last_id: 'claude' } };
    }
    if (login !== this.adminKey) return this.unauthenticated();
    if (path === '/v1/organizations/me')
      return { status: 200, body: { type: 'organization', id: 'org-agents', name: 'Agents' } };
    if (path === '/v1/organizations/rate_limits') {
      const limits = [{ type: 'requests_per_minute', value: 4000 }];
      const group = { type: 'rate_limit', group_type: 'model_group', models: ['claude'], limits };
      return { status: 200, body: { data: [group], next_page: null } };
    }
    const workspace = /^\/v1\/organizations\/workspaces\/([^/]+)$/.exec(path)?.[1];
    if (workspace !== undefined)
      return { status: 200, body: { type: 'workspace', id: workspace, name: 'Agents', archived_at: null } };
    const match = /^\/v1\/organizations\/api_keys(?:\/([^/]+))?$/.exec(path);
    if (match === null) return this.refusal(404, 'not_found_error', 'Not found');
    const [, id] = match;
    if (id === undefined) {
      return method === 'GET'
        ? this.list(asked.query)
        : this.refusal(405, 'invalid_request_error', 'Method Not Allowed');
    }
    const key = this.keys.all.get(id);
    if (key === undefined) return this.refusal(404, 'not_found_error', 'API key not found');
    return method === 'POST' ? this.update(key, asked.body) : { status: 200, body: this.shown(key) };
  }

  private list(query: URLSearchParams): Reply {
    const [status, workspace] = [query.get('status'), query.get('workspace_id')];
    const limit = Number(query.get('limit') ?? 20);
    if (!(limit >= 1 && limit <= 1000)) return this.refusal(400, 'invalid_request_error', 'limit: 1 to 1000');
    const all = [...this.keys.all.values()].filter(
      (key) =>
        (status === null || this.status(key) === status) && (workspace === null || key.owner === workspace),
    );
    const after = all.findIndex(({ id }) => id === query.get('after_id')) + 1;
    const page = all.slice(after, after + limit);
    const ends = { first_id: page[0]?.id ?? null, last_id: page.at(-1)?.id ?? null };
    const data = page.map((key) => this.shown(key));
    return { status: 200, body: { data, has_more: after + page.length < all.length, ...ends } };
  }

  private update(key: FakeKey, body: unknown): Reply {
    const { name, status } = (body ?? {}) as { name?: string; status?: string };
    if (status !== undefined) {
      if (!['active', 'inactive', 'archived'].includes(status))
        return this.refusal(400, 'invalid_request_error', 'status: unknown');
      if (this.#ended.has(key.id)) return this.refusal(400, 'invalid_request_error', 'API key is archived');
      key.active = status === 'active';
      if (status === 'archived') this.end(key, 'archived');
    }
    if (name !== undefined) key.name = name;
    return { status: 200, body: this.shown(key) };
  }

  private shown(key: FakeKey): object {
    const { id, name, owner, value, createdAt } = key;
    return {
      type: 'api_key',
      id,
      name,
      workspace_id: owner === 'default' ? null : owner,
      created_at: new Date(createdAt).toISOString(),
      created_by: { type: 'user', id: 'user_01WCz1FkmYMm4gnmykNKUu3Q' },
      partial_key_hint: `${value.slice(0, 16)}...${value.slice(-4)}`,
      status: this.status(key),
    };
  }

  private unauthenticated(): Reply {
    // Upstreams quote what they were sent; nothing of it may come out at the other end.
    return this.refusal(401, 'authentication_error', 'invalid x-api-key: sk-ant-quoted-by-the-upstream');
  }

  private refusal(status: number, type: string, message: string): Reply {
    const requestId = `req_${String(++this.#requests).padStart(8, '0')}`;
    return { status, body: { type: 'error', error: { type, message }, request_id: requestId } };
  }
}
