// Agents on the deployed stack that embed the client library as its README says, signing as a session of their role.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import {
  AgentApiError,
  openAgentSession,
  withSession,
  type AgentSession,
  type AgentSessionOptions,
} from '../../client/src/agent.ts';
import { createCredentialSource } from '../../client/src/create.ts';
import type { CredentialSource } from '../../client/src/credential-source.ts';
import { isCredentialError } from '../../client/src/errors.ts';
import { loginOf, rotatingPool, type RotatingPool } from '../../client/src/pg.ts';
import { secretsManagerVault } from '../../client/src/secrets-manager.ts';
import { sigV4 } from '../../client/src/sigv4.ts';
import { agentApi, sessionOf } from '../../local/demo/agent.ts';
import { connection } from '../../local/demo/database.ts';
import type { World } from '../../local/demo/world.ts';
import type { Postgres } from '../../local/postgres/start.ts';

/** What the agents of one role share. */
export interface FleetWorld {
  readonly server: Postgres;
  readonly api: string;
  /** A client under the role of the agents; its configuration signs for the agent API, too. */
  readonly aws: SecretsManagerClient;
}

/** How an agent behaves. */
export interface Manner {
  readonly credential: string;
  /** Name of the holder, and of this process of it. */
  readonly agent: string;
  readonly instance?: string;
  readonly refresh?: 'between-sessions';
  readonly ttlSeconds: number;
  readonly uses: 'reported' | 'unreported';
  readonly workPauseMs: number;
  /** Logs in for every piece of work; else connections stay open between them, and a swap has to end them. */
  readonly logsInAnew: boolean;
  /** Never acknowledges: its value wouldn't survive a restart, as it says. */
  readonly silent?: boolean;
}

/** A version that the database took or refused, by the agent's own count. */
export interface Use {
  readonly at: number;
  readonly versionId: string;
  readonly refused: boolean;
}

/** The world of agents that run as `roleArn`. */
export async function fleetWorld(world: World, roleArn: string): Promise<FleetWorld> {
  const { endpoint, region } = world.stack.clientConfig;
  const credentials = await sessionOf(world, roleArn);
  const aws = new SecretsManagerClient({ endpoint, region, credentials });
  return { server: world.server, api: agentApi(world), aws };
}

/** One process of an agent. */
export class FleetAgent {
  readonly name: string;
  readonly #world: FleetWorld;
  readonly #manner: Manner;
  /** Each login that it has asked for, those that the client has repeated included. */
  readonly uses: Use[] = [];
  /** Pieces of work that were done, and everything that went wrong, in words. */
  worked = 0;
  readonly troubles: string[] = [];
  #source: CredentialSource | undefined;
  #session: AgentSession | undefined;

  constructor(world: FleetWorld, manner: Manner) {
    this.name = manner.instance ?? manner.agent;
    this.#world = world;
    this.#manner = manner;
  }

  /** Id of its session, once that is open. */
  get session(): string {
    return this.#session?.id ?? '';
  }

  get refusals(): readonly Use[] {
    return this.uses.filter(({ refused }) => refused);
  }

  /** Versions that the database took from it, in order. */
  get versions(): readonly string[] {
    return [...new Set(this.uses.filter(({ refused }) => !refused).map(({ versionId }) => versionId))];
  }

  /** Works in one session until it is told to stop, and changes its value within it. */
  async runOn(stopped: AbortSignal): Promise<void> {
    await using source = await this.#open();
    await using session = await openAgentSession(this.#sessionOptions(source));
    await using pool = this.#pool(source);
    [this.#source, this.#session] = [source, session];
    await this.#workUntil(pool, stopped);
  }

  /** One session of its own for one piece of work, on the value that was current when it began. */
  async runJob(seconds: number): Promise<void> {
    await using source = await this.#open();
    await withSession({ ...this.#sessionOptions(source), whenUnlisted: 'refuse' }, async () => {
      source.on('swap', ({ next }) => void this.troubles.push(`moved in mid-session to ${next.versionId}`));
      await using pool = this.#pool(source);
      await this.#workUntil(pool, AbortSignal.timeout(seconds * 1000));
    });
  }

  /** Reads the vault now, so that it isn't read again by itself for most of a lifetime. */
  async refresh(): Promise<void> {
    await this.#source?.refreshNow();
  }

  /** Looks at its notices, as it would when an event had come. */
  look(): void {
    this.#session?.look();
  }

  async #open(): Promise<CredentialSource> {
    const { credential, ttlSeconds } = this.#manner;
    return createCredentialSource({
      secretId: `agents/${credential}`,
      vault: secretsManagerVault(this.#world.aws),
      lifetimeSeconds: ttlSeconds,
      staleLimitSeconds: STALE_TTLS * ttlSeconds,
      validate: loginOf,
      on: {
        used: ({ versionId, refused }) => void this.uses.push({ at: Date.now(), versionId, refused }),
        refreshFailed: ({ error }) => void this.troubles.push(`refresh: ${error.message}`),
        listenerFailed: ({ event, error }) => void this.troubles.push(`${event}: ${String(error)}`),
      },
    });
  }

  #sessionOptions(source: CredentialSource): AgentSessionOptions {
    const { credential, agent, refresh = 'in-session', ttlSeconds, uses, silent = false } = this.#manner;
    const terms = {
      credential,
      refresh,
      ttl: `${ttlSeconds}s`,
      staleLimit: `${STALE_TTLS * ttlSeconds}s`,
      uses,
    };
    return {
      api: this.#world.api,
      agent,
      instance: this.name,
      credentials: { [credential]: source },
      sign: sigV4(this.#world.aws.config),
      pact: { version: 1, agent, sessionLimit: refresh === 'in-session' ? '1h' : '1m', credentials: [terms] },
      persisted: () => !silent,
      onProblem: ({ during, error }) => {
        // A window that closes in this moment takes no acknowledgement any more.
        if (error instanceof AgentApiError && error.problem === 'ERR_CONFLICT') return;
        // A session that is being closed gives up the call under way, and says the same again before it ends.
        if (isCredentialError(error, 'ERR_CLOSED')) return;
        this.#trouble(during, error);
      },
    };
  }

  #pool(source: CredentialSource): RotatingPool {
    const { server } = this.#world;
    const { logsInAnew } = this.#manner;
    return rotatingPool(
      source,
      (login) => new pg.Pool({ ...connection(server, login), max: 2, ...(logsInAnew ? { maxUses: 1 } : {}) }),
    );
  }

  /** Says when, and how late the process of all agents was: where it gets no time, that is what is wrong. */
  #trouble(during: string, error: unknown): void {
    const text = error instanceof Error ? error.message : String(error);
    const late = Math.round(delays.max / 1e6);
    this.troubles.push(`${during}: ${text} (${new Date().toISOString()}, up to ${late} ms late)`);
  }

  async #workUntil(pool: RotatingPool, stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      try {
        await pool.query('INSERT INTO shop.orders DEFAULT VALUES');
        this.worked++;
      } catch (error) {
        this.#trouble('work', error);
      }
      const ms = this.#manner.workPauseMs * (0.8 + 0.4 * Math.random());
      await sleep(ms, undefined, { signal: stopped }).catch(() => undefined);
    }
  }
}

/** How many of its ttl an agent works on while the vault is out. */
const STALE_TTLS = 4;

/** How late timers of this process were in the last quarter of a minute. */
const delays = monitorEventLoopDelay({ resolution: 20 });
delays.enable();
setInterval(() => delays.reset(), 15_000).unref();
