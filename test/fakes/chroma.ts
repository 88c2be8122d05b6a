import { FakeDeployHook } from './deploy-hook.ts';
import { bearerOf, UpstreamServer, type Asked, type FakeKeys, type Reply } from './upstream.ts';

const COLLECTIONS = /^\/api\/v2\/tenants\/[^/]+\/databases\/[^/]+\/collections(?:\/[^/]+\/([a-z]+))?$/;
/** What reads although it is a POST. */
const READS: ReadonlySet<string> = new Set(['get', 'query', 'count', 'search']);

/** Chroma, which asks nobody who he is, behind a proxy with a list of tokens; and the hook that deploys the list. */
export class FakeChroma implements AsyncDisposable {
  readonly server: UpstreamServer;
  readonly hook: FakeDeployHook = new FakeDeployHook(() => undefined);
  /** Without a proxy everybody is let in. */
  hasProxy = true;
  /** A proxy that looks for a token, whichever it is. */
  takesAny = false;

  private constructor(server: UpstreamServer) {
    this.server = server;
  }

  static async start(): Promise<FakeChroma> {
    const fake: { current?: FakeChroma } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    return (fake.current = new FakeChroma(server));
  }

  get keys(): FakeKeys {
    return this.hook.keys;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  private answer(asked: Asked): Reply {
    return this.hook.answer(asked) ?? this.refusal(asked) ?? chroma(asked);
  }

  private refusal(asked: Asked): Reply | undefined {
    if (!this.hasProxy || asked.path === '/api/v2/heartbeat') return undefined;
    const token = bearerOf(asked);
    const access = this.takesAny && token !== undefined ? 'read-write' : this.hook.use(token);
    if (access === undefined) return { status: 401, body: { error: `no ${token ?? 'token'}` } };
    const action = COLLECTIONS.exec(asked.path)?.[1];
    const reads = asked.method === 'GET' || (asked.method === 'POST' && READS.has(action ?? ''));
    return access === 'read' && !reads ? { status: 403, body: { error: 'reads only' } } : undefined;
  }
}

function chroma({ method, path }: Asked): Reply {
  if (path === '/api/v2/heartbeat') return { status: 200, body: { 'nanosecond heartbeat': 1 } };
  const [known, action] = COLLECTIONS.exec(path) ?? [];
  if (known === undefined) return { status: 404, body: { error: 'NotFoundError' } };
  if (method === 'GET') return { status: 200, body: [] };
  return action === undefined
    ? { status: 422, body: { error: 'name is missing' } }
    : { status: 200, body: {} };
}
