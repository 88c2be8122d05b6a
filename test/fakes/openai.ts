import { UsageLog, type FakeUse } from './usage-log.ts';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const ORGANIZATION = 'organization';
/** Where agents ask models, and which count it is in. */
const COUNTED_AT: Readonly<Record<string, string>> = {
  '/v1/chat/completions': 'completions',
  '/v1/embeddings': 'embeddings',
};

/** OpenAI's administration of project keys and admin keys, and its list of models, as its specification has them. */
export class FakeOpenAi implements AsyncDisposable {
  readonly keys: FakeKeys = new FakeKeys();
  /** Admin keys, each of which administers the organization, the other admin keys included. */
  readonly admins: FakeKeys = new FakeKeys();
  /** The first of them, which a person has made. */
  readonly adminKey: string = this.admins.add(ORGANIZATION, 'made by hand', 'sk-admin-').value;
  readonly server: UpstreamServer;
  /** False where keys of service accounts can't be deleted, as one version of the documentation has it. */
  deletes = true;
  /** How much later it tells of a use. */
  usageLagMs = 0;
  /** Requests of agents, as it counts them. */
  readonly usage: UsageLog = new UsageLog();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeOpenAi> {
    const fake: { current?: FakeOpenAi } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeOpenAi(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(asked: Asked): Reply {
    const { method, path } = asked;
    if (path === '/v1/models') {
      if (!this.keys.use(bearerOf(asked))) return refusal(401, 'invalid_api_key');
      const model = { id: 'gpt-5', object: 'model', created: 1_700_000_000, owned_by: 'openai' };
      return { status: 200, body: { object: 'list', data: [model] } };
    }
    if (method === 'POST' && COUNTED_AT[path] !== undefined) return this.infer(asked, COUNTED_AT[path]);
    if (!this.admins.use(bearerOf(asked))) return refusal(401, 'invalid_api_key');
    const counted = /^\/v1\/organization\/usage\/(\w+)$/.exec(path)?.[1];
    if (counted !== undefined) return usagePage(this.usage, counted, asked.query);
    const admin = /^\/v1\/organization\/admin_api_keys(?:\/([^/]+))?$/.exec(path);
    if (admin !== null) return this.administer(asked, admin[1]);
    const create = /^\/v1\/organization\/projects\/([^/]+)\/service_accounts\/([^/]+)\/api_keys$/.exec(path);
    if (create !== null && method === 'POST')
      return this.create(create[1] ?? '', create[2] ?? '', asked.body);
    const place = /^\/v1\/organization\/projects\/([^/]+)(\/rate_limits|\/spend_limit)?$/.exec(path);
    if (place !== null) return { status: 200, body: placeOf(place[1] ?? '', place[2]) };
    const keys = /^\/v1\/organization\/projects\/([^/]+)\/api_keys(?:\/([^/]+))?$/.exec(path);
    if (keys === null) return refusal(404, 'not_found');
    const [, project = '', id] = keys;
    if (id === undefined) return this.list(project, asked.query);
    const key = this.keys.all.get(id);
    if (key?.owner.startsWith(`${project}/`) !== true) return refusal(404, 'not_found');
    if (method === 'GET') return { status: 200, body: shown(key, Date.now() - this.usageLagMs) };
    if (!this.deletes) return refusal(400, 'invalid_request_error');
    this.keys.all.delete(id);
    return { status: 200, body: { object: 'organization.project.api_key.deleted', id, deleted: true } };
  }

  /** A request of an agent to a model, which is counted. */
  private infer(asked: Asked, counted: string): Reply {
    const value = bearerOf(asked);
    if (!this.keys.use(value)) return refusal(401, 'invalid_api_key');
    const { model = 'gpt-5' } = (asked.body ?? {}) as { model?: string };
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    this.usage.count(key?.id ?? '', model, 1, Date.now(), counted);
    return { status: 200, body: { object: counted, model } };
  }

  private administer({ method, query, body }: Asked, id: string | undefined): Reply {
    const toldBefore = Date.now() - this.usageLagMs;
    if (id === undefined && method === 'POST') {
      const { name = 'unnamed' } = (body ?? {}) as { name?: string };
      const key = this.admins.add(ORGANIZATION, name, 'sk-admin-');
      return { status: 200, body: { ...shownAdmin(key, toldBefore), value: key.value } };
    }
    if (id === undefined)
      return page([...this.admins.all.values()], query, (key) => shownAdmin(key, toldBefore));
    const key = this.admins.all.get(id);
    if (key === undefined) return refusal(404, 'not_found');
    if (method === 'GET') return { status: 200, body: shownAdmin(key, toldBefore) };
    this.admins.all.delete(id);
    return { status: 200, body: { object: 'organization.admin_api_key.deleted', id, deleted: true } };
  }

  private create(project: string, account: string, body: unknown): Reply {
    const { name = 'unnamed' } = (body ?? {}) as { name?: string };
    if (!this.keys.hasRoom(`${project}/${account}`)) return refusal(400, 'api_key_limit_reached');
    const key = this.keys.add(`${project}/${account}`, name, 'sk-svcacct-');
    const { id, value, createdAt } = key;
    const created = { object: 'organization.project.service_account.api_key', id, value, name };
    return { status: 200, body: { ...created, created_at: Math.floor(createdAt / 1000) } };
  }

  private list(project: string, query: URLSearchParams): Reply {
    const all = [...this.keys.all.values()].filter(({ owner }) => owner.startsWith(`${project}/`));
    return page(all, query, (key) => shown(key, Date.now() - this.usageLagMs));
  }
}

/** A page of so many minutes, each with what was counted in it. Its next page is named by where it begins. */
function usagePage(usage: UsageLog, counted: string, query: URLSearchParams): Reply {
  const [start, end] = [Number(query.get('start_time')), Number(query.get('end_time') ?? Date.now() / 1000)];
  const from = Number(query.get('page')?.replace('page_', '') ?? start);
  const until = Math.min(end, from + 60 * Number(query.get('limit') ?? 60));
  const told = usage
    .told(query.getAll('api_key_ids'), start * 1000, end * 1000)
    .filter((use) => use.counted === counted);
  const data = [];
  for (let at = from; at < until; at += 60) {
    const results = told.filter(({ minute }) => minute === at * 1000).map((use) => resultOf(use, query));
    data.push({ object: 'bucket', start_time: at, end_time: at + 60, results });
  }
  const more = until < end;
  return {
    status: 200,
    body: { object: 'page', data, has_more: more, next_page: more ? `page_${until}` : null },
  };
}

/** What each of its counts has beside the requests. */
const MEASURES: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  completions: { input_tokens: 1000, output_tokens: 200 },
  embeddings: { input_tokens: 1000 },
  moderations: { input_tokens: 1000 },
  images: { images: 1 },
  audio_speeches: { characters: 100 },
  audio_transcriptions: { seconds: 10 },
};

/** Only what is grouped by is told. */
function resultOf({ keyId, model, requests, counted }: FakeUse, query: URLSearchParams): object {
  const by = query.getAll('group_by');
  return {
    object: `organization.usage.${counted}.result`,
    ...MEASURES[counted],
    num_model_requests: requests,
    project_id: null,
    user_id: null,
    api_key_id: by.includes('api_key_id') ? keyId : null,
    model: by.includes('model') ? model : null,
  };
}

function placeOf(id: string, part: string | undefined): object {
  if (part === '/spend_limit') {
    const amount = { threshold_amount: 25_000, currency: 'USD', interval: 'month' };
    return { object: 'project.spend_limit', ...amount, enforcement: { status: 'inactive' } };
  }
  if (part === undefined)
    return {
      object: 'organization.project',
      id,
      name: 'Agents',
      created_at: 1_700_000_000,
      archived_at: null,
      status: 'active',
    };
  const limit = {
    object: 'project.rate_limit',
    id: 'rl-gpt-5',
    model: 'gpt-5',
    max_requests_per_1_minute: 600,
    max_tokens_per_1_minute: 150_000,
  };
  return { object: 'list', data: [limit], first_id: limit.id, last_id: limit.id, has_more: false };
}

function page(all: readonly FakeKey[], query: URLSearchParams, show: (key: FakeKey) => object): Reply {
  const after = all.findIndex(({ id }) => id === query.get('after')) + 1;
  const data = all.slice(after, after + Number(query.get('limit') ?? 20));
  const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
  const more = after + data.length < all.length;
  return { status: 200, body: { object: 'list', data: data.map(show), ...ends, has_more: more } };
}

function shownAdmin({ id, name, value, createdAt, lastUsed }: FakeKey, toldBefore: number): object {
  const made = Math.floor(createdAt / 1000);
  return {
    object: 'organization.admin_api_key',
    id,
    name,
    redacted_value: `${value.slice(0, 8)}...${value.slice(-4)}`,
    created_at: made,
    expires_at: null,
    last_used_at: lastUsed === null || lastUsed > toldBefore ? null : Math.floor(lastUsed / 1000),
    owner: {
      type: 'user',
      object: 'organization.user',
      id: 'user_1',
      name: 'Somebody',
      created_at: made,
      role: 'owner',
    },
  };
}

function shown({ id, name, value, owner, createdAt, lastUsed }: FakeKey, toldBefore: number): object {
  const account = owner.split('/')[1] ?? '';
  const made = Math.floor(createdAt / 1000);
  return {
    object: 'organization.project.api_key',
    id,
    name,
    redacted_value: `${value.slice(0, 6)}...${value.slice(-4)}`,
    created_at: made,
    last_used_at: lastUsed === null || lastUsed > toldBefore ? null : Math.floor(lastUsed / 1000),
    owner_project_access: 'active',
    owner: {
      type: 'service_account',
      service_account: { id: account, name: account, created_at: made, role: 'member' },
    },
  };
}

function refusal(status: number, code: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  const message = 'Incorrect API key provided: sk-quoted-by-the-upstream';
  return { status, body: { error: { message, type: 'invalid_request_error', param: null, code } } };
}
