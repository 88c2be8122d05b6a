import { randomUUID } from 'node:crypto';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Mistral's administration of API keys and its list of models, as its specification has them. */
export class FakeMistral implements AsyncDisposable {
  readonly adminKey = 'mistral-admin-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys(randomUUID);
  /** Dates on which keys end. */
  readonly expirations: Map<string, string> = new Map();
  readonly server: UpstreamServer;
  /** Which header the administrative key is read from. */
  header: 'bearer' | 'x-api-key' = 'bearer';
  /** How many keys one answer holds at most, whatever is asked for. */
  pageSize = 100;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeMistral> {
    const fake: { current?: FakeMistral } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeMistral(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(asked: Asked): Reply {
    const { method, path, headers, query } = asked;
    if (path === '/v1/models') {
      if (!this.keys.use(bearerOf(asked))) return refusal(401);
      const model = { id: 'mistral-small-latest', object: 'model', capabilities: {} };
      return { status: 200, body: { object: 'list', data: [model] } };
    }
    const given = this.header === 'bearer' ? bearerOf(asked) : headers['x-api-key'];
    if (given !== this.adminKey) return refusal(401);
    if (path === '/v1/admin/api-keys') {
      return method === 'POST' ? this.create(asked.body) : this.list(query);
    }
    const id = /^\/v1\/admin\/api-keys\/([^/]+)$/.exec(path)?.[1] ?? '';
    if (method !== 'DELETE' || !this.keys.all.delete(id)) return refusal(404);
    return { status: 200, body: { detail: 'API key deleted successfully' } };
  }

  private create(body: unknown): Reply {
    const {
      workspace_uuid: workspace = '',
      user_id: user = '',
      name = '',
      expiration,
    } = body as {
      workspace_uuid?: string;
      user_id?: string;
      name?: string;
      expiration?: string;
    };
    const isDate = expiration === undefined || /^\d{4}-\d{2}-\d{2}$/.test(expiration);
    if (!UUID.test(workspace) || !UUID.test(user) || name.length > 255 || !isDate) return refusal(422);
    const key = this.keys.add(workspace, name, '');
    if (expiration !== undefined) this.expirations.set(key.id, expiration);
    return { status: 200, body: { ...this.shown(key), key: key.value } };
  }

  private list(query: URLSearchParams): Reply {
    const from = Number(query.get('offset') ?? 0);
    const page = [...this.keys.all.values()].slice(from, from + this.pageSize);
    const keys = page.map((key) => ({
      ...this.shown(key),
      workspace_id: key.owner,
      workspace_name: 'Product Team',
      created_by: 'alice.martin@example.com',
      product: 'API',
      last_used: key.lastUsed === null ? null : new Date(key.lastUsed).toISOString().slice(0, 10),
      can_delete: true,
    }));
    return { status: 200, body: { keys } };
  }

  private shown({ id, name, value, createdAt }: FakeKey): object {
    return {
      key_id: id,
      key: null,
      name,
      hidden_key: `${value.slice(0, 4)}...${value.slice(-4)}`,
      created_at: new Date(createdAt).toISOString(),
      expiration_date: this.expirations.get(id) ?? null,
      actions: { rotate: null, delete: { status: 'available' } },
    };
  }
}

function refusal(status: number): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { detail: 'not for a-key-quoted-by-the-upstream' } };
}
