import { KeyConsole } from './console-keys.ts';
import { bearerOf, UpstreamServer, type Asked, type FakeKeys, type Reply } from './upstream.ts';

/** Cohere as its documentation describes it: keys are made and deleted at the dashboard, and asked about with themselves. */
export class FakeCohere implements AsyncDisposable {
  readonly console: KeyConsole = new KeyConsole('co-');
  readonly server: UpstreamServer;
  /** Tells of a key that isn't valid, where it would refuse it else. */
  tellsInvalid = false;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeCohere> {
    const fake: { current?: FakeCohere } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeCohere(server));
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
    const { method, path } = asked;
    if (path !== '/v1/check-api-key') return { status: 404, body: { message: 'not found' } };
    if (method !== 'POST') return { status: 405, body: { message: 'method not allowed' } };
    const value = bearerOf(asked);
    const key = [...this.keys.all.values()].find((each) => each.value === value);
    if (key === undefined || !this.keys.use(value)) {
      // Upstreams quote what they were sent; nothing of it may come out at the other end.
      return this.tellsInvalid
        ? { status: 200, body: { valid: false } }
        : { status: 401, body: { id: 'e1', message: `invalid api token: ${value ?? 'none'}` } };
    }
    return { status: 200, body: { valid: true, organization_id: key.owner, owner_id: 'user_1' } };
  }
}
