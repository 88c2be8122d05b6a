import { randomUUID } from 'node:crypto';
import { FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';
import { UsageLog } from './usage-log.ts';

type Status = 'active' | 'inactive' | 'archived' | 'expired';

/** Anthropic's administration of API keys and its list of models, as its documentation has them. No call makes a key. */
export class FakeAnthropic implements AsyncDisposable {
  readonly adminKey = 'sk-ant-admin01-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys(() => `apikey_${randomUUID()}`);
  readonly server: UpstreamServer;
  /** What an operator has put into the pool of the administrative secret. */
  readonly pool: { id: string; value: string }[] = [];
  /** Requests of agents, as it counts them. */
  readonly usage: UsageLog = new UsageLog();
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
    if (path === '/v1/messages' && method === 'POST') return this.infer(login, asked.body);
    if (login !== this.adminKey) return this.unauthenticated();
    if (path === '/v1/organizations/analytics/usage')
      return headers['anthropic-beta'] === 'analytics-usage-cost-2026-08-24'
        ? this.usagePage(asked.query)
        : this.refusal(404, 'not_found_error', 'Not found');
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

  /** A request of an agent to a model, which is counted. */
  private infer(login: string | string[] | undefined, body: unknown): Reply {
    if (typeof login !== 'string' || !this.keys.use(login)) return this.unauthenticated();
    const { model = 'claude' } = (body ?? {}) as { model?: string };
    const key = [...this.keys.all.values()].find(({ value }) => value === login);
    this.usage.count(key?.id ?? '', model);
    return { status: 200, body: { type: 'message', id: 'msg_1', role: 'assistant', model, content: [] } };
  }

  /** A row for each minute, key and model that has a use, those with most first. Pages are named by where they begin. */
  private usagePage(query: URLSearchParams): Reply {
    const [from, to] = [query.get('starting_at'), query.get('ending_at')].map((at) => Date.parse(at ?? ''));
    if (
      from === undefined ||
      to === undefined ||
      Number.isNaN(from) ||
      query.get('time_bucket_width') !== '1m'
    )
      return this.refusal(400, 'invalid_request_error', 'starting_at: required');
    const by = query.getAll('group_by[]');
    const rows = this.usage
      .told(query.getAll('api_key_ids[]'), from, to)
      .toSorted((a, b) => b.requests - a.requests);
    const start = Number(query.get('page')?.replace('page_', '') ?? 0);
    const end = start + Math.min(Number(query.get('limit') ?? 20), 1000);
    const data = rows.slice(start, end).map(({ keyId, model, minute, requests }) => ({
      starting_at: new Date(minute).toISOString(),
      ending_at: new Date(minute + 60_000).toISOString(),
      group: {
        api_key_id: by.includes('api_key_id') ? keyId : null,
        model: by.includes('model') ? model : null,
        workspace_id: null,
      },
      usage: {
        uncached_input_tokens: 100 * requests,
        cache_read_input_tokens: 0,
        cache_creation: { ephemeral_1h_input_tokens: 0, ephemeral_5m_input_tokens: 0 },
        output_tokens: 20 * requests,
        total_tokens: 120 * requests,
        server_tool_use: { web_search_requests: 0 },
        requests,
      },
    }));
    const more = end < rows.length;
    return { status: 200, body: { data, has_more: more, next_page: more ? `page_${end}` : null } };
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
