import { openAgentSession, type AgentSession, type AgentSessionOptions } from '../../client/src/agent.ts';
import { createCredentialSource } from '../../client/src/create.ts';
import type { CredentialSource } from '../../client/src/credential-source.ts';
import type { SourceOptions } from '../../client/src/options.ts';
import { AgentServer } from '../fakes/agent-server.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { FakeVault } from '../fakes/fake-vault.ts';
import { ID, NOW, ROTATION_ID, credentialOf, rotationOf } from '../unit/api/fakes.ts';
import { AGENT, AgentApiWorld, holder, pactOf, VALUE } from './agent-api.ts';
import { MemoryAgentStore, MemorySealer } from './agent-parts.ts';

export const OLD_VALUE = JSON.stringify({ username: 'orders_a', password: 'old' });

/**
 * An agent beside the real routes of the agent API, over HTTP. Time passes when a test says so; the server's clock runs
 * beside the client's, three days off.
 */
export class SessionCase implements AsyncDisposable {
  readonly store: MemoryAgentStore;
  readonly server: AgentServer;
  readonly time: FakeTime;
  readonly vault = new FakeVault();
  readonly problems: string[] = [];
  source!: CredentialSource;
  #inFlight = 0;
  readonly #closing: AsyncDisposable[] = [];

  private constructor() {
    this.time = new FakeTime(async () => this.rest());
    const clock = (): number => NOW + Math.floor(this.time.monotonic());
    this.store = new MemoryAgentStore(clock);
    const world = new AgentApiWorld(() => ({ agents: this.store, sealer: new MemorySealer() }));
    Object.defineProperty(world, 'now', { get: clock });
    this.server = new AgentServer(world);
  }

  static async make(more: Partial<SourceOptions> = {}): Promise<SessionCase> {
    const made = new SessionCase();
    await made.server.listen();
    made.vault.put(OLD_VALUE, 'AWSCURRENT', ID);
    const options = { secretId: 'agents/orders-db', lifetimeSeconds: 900, ...more };
    made.source = await createCredentialSource({ ...options, vault: made.vault, time: made.time });
    return made;
  }

  get world(): AgentApiWorld {
    return this.server.world;
  }

  get options(): AgentSessionOptions {
    return {
      api: this.server.url,
      agent: AGENT,
      instance: 'host-1',
      credentials: { 'orders-db': this.source },
      sign: async ({ headers }) => headers,
      pact: pactOf(),
      onProblem: ({ during, error }) => {
        this.problems.push(`${during}: ${(error as { code?: string }).code ?? String(error)}`);
      },
      fetch: async (...call) => this.#fetch(...call),
      time: this.time,
    };
  }

  async open(more: Partial<AgentSessionOptions> = {}): Promise<AgentSession> {
    const session = await openAgentSession({ ...this.options, ...more });
    this.#closing.push(session);
    await this.rest();
    return session;
  }

  /** The label moves and a window opens, as a rotation does it. */
  async openWindow(changes: Parameters<typeof rotationOf>[0] = {}): Promise<void> {
    this.vault.put(VALUE, 'AWSCURRENT', ROTATION_ID);
    await this.world.openWindow(changes);
  }

  /** A rotation in another phase than a window. */
  rotation(changes: NonNullable<Parameters<typeof rotationOf>[0]>, policy: object = {}): void {
    const base = credentialOf();
    const credential = { ...base, holders: [holder()], policy: { ...base.policy, ...policy } };
    this.world.ledger.add({ ...credential, activeRotation: ROTATION_ID });
    const { window: _none, ...rest } = rotationOf(changes);
    this.world.ledger.rotationsById.set(ROTATION_ID, rest);
  }

  get acknowledged(): readonly { readonly instance: string; readonly versionId: string }[] {
    return this.store.said.filter(({ contradictedAt }) => contradictedAt === undefined);
  }

  /** Versions that the last heartbeat named. */
  get held(): readonly string[] {
    const holds = this.server.of('heartbeat').at(-1)?.signed['holds'] as { versionId: string }[];
    return holds.map(({ versionId }) => versionId);
  }

  /** Waits until no call is under way that will be answered. */
  async rest(): Promise<void> {
    for (let quiet = 0; quiet < 5;) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#inFlight === 0 ? quiet + 1 : 0;
    }
  }

  async #fetch(...call: Parameters<typeof fetch>): Promise<Response> {
    if (this.server.mode === 'hangs') return fetch(...call);
    this.#inFlight++;
    try {
      const { status, headers, ...response } = await fetch(...call).then(async (got) => ({
        status: got.status,
        headers: got.headers,
        text: await got.text(),
      }));
      return new Response(status === 304 ? null : response.text, { status, headers });
    } finally {
      this.#inFlight--;
    }
  }

  /** Closes what is open. @throws where anything was said in another form than the published one */
  async [Symbol.asyncDispose](): Promise<void> {
    this.server.mode = 'up';
    for (const each of this.#closing) await each[Symbol.asyncDispose]();
    await this.source[Symbol.asyncDispose]();
    await this.server[Symbol.asyncDispose]();
    if (this.server.violations.length > 0) throw new Error(this.server.violations.join('\n'));
  }
}
