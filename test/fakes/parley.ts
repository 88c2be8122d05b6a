import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

/** The upstream of the worked example (docs/adding-a-provider.md), as its documentation would have it. */
export class FakeParley implements AsyncDisposable {
  readonly adminKey = 'parley-admin-0123456789abcdefghij';
  readonly keys: FakeKeys = new FakeKeys();
  readonly server: UpstreamServer;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeParley> {
    const fake: { current?: FakeParley } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeParley(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(asked: Asked): Reply {
    const { method, path } = asked;
    if (path === '/v1/models') {
      return this.keys.use(bearerOf(asked)) ? { status: 200, body: { models: ['parley-1'] } } : refusal(401);
    }
    if (bearerOf(asked) !== this.adminKey) return refusal(401);
    const [, team = '', id] = /^\/v1\/teams\/([^/]+)\/keys(?:\/([^/]+))?$/.exec(path) ?? [];
    if (id === undefined) return method === 'POST' ? this.create(team, asked.body) : this.list(team);
    const key = this.keys.all.get(id);
    if (key?.owner !== team) return refusal(404);
    if (method === 'DELETE') this.keys.all.delete(id);
    if (method === 'PATCH') key.active = (asked.body as { enabled: boolean }).enabled;
    return { status: 200, body: shown(key) };
  }

  private create(team: string, body: unknown): Reply {
    if (!this.keys.hasRoom(team)) return { status: 400, body: { error: 'too_many_keys' } };
    const { id, value } = this.keys.add(team, (body as { name: string }).name, 'pk-');
    return { status: 201, body: { id, value } };
  }

  private list(team: string): Reply {
    return { status: 200, body: { keys: this.keys.of(team).map(shown) } };
  }
}

function shown({ id, name, active }: FakeKey): object {
  return { id, name, enabled: active };
}

function refusal(status: number): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return { status, body: { error: 'not for pk-quoted-by-the-upstream' } };
}
