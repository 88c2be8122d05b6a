import { KeyConsole } from './console-keys.ts';
import { UpstreamServer, type Asked, type FakeKeys, type Reply } from './upstream.ts';

/** Chroma Cloud as its specification describes it: a token tells its tenant and databases, and is made at the dashboard. */
export class FakeChromaCloud implements AsyncDisposable {
  readonly console: KeyConsole = new KeyConsole('ck-');
  readonly server: UpstreamServer;
  /** Databases of a tenant's keys, where they differ. */
  readonly databases: Map<string, string[]> = new Map();

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeChromaCloud> {
    const fake: { current?: FakeChromaCloud } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeChromaCloud(server));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  get keys(): FakeKeys {
    return this.console.keys;
  }

  private answer(asked: Asked): Reply {
    const done = this.console.answer(asked);
    if (done !== undefined) return done;
    const { method, path, headers } = asked;
    if (path !== '/api/v2/auth/identity' || method !== 'GET')
      return { status: 404, body: { error: 'NotFoundError', message: 'not found' } };
    const given = headers['x-chroma-token'];
    const value = typeof given === 'string' ? given : undefined;
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    if (key === undefined || !this.keys.use(value))
      return { status: 401, body: { error: 'AuthError', message: `unauthorized: ${value ?? 'none'}` } };
    const databases = this.databases.get(key.name) ?? ['documents'];
    return { status: 200, body: { user_id: 'user_1', tenant: key.owner, databases } };
  }
}
