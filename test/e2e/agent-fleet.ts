// Agents on the deployed stack that know Rekey: they open sessions, follow their notices and acknowledge.
import { setTimeout as sleep } from 'node:timers/promises';
import { GetSecretValueCommand, type SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { isRefusal } from '../../local/demo/database.ts';
import { query } from '../../local/demo/fleet.ts';
import type { Postgres } from '../../local/postgres/start.ts';
import { Instance, type AgentCaller } from '../support/agent-api.ts';

/** What the agents of a fleet share. */
export interface FleetWorld {
  readonly server: Postgres;
  readonly vault: SecretsManagerClient;
  readonly api: AgentCaller;
  readonly credential: string;
  readonly secret: string;
}

interface Notice {
  readonly versionId?: string;
  readonly rotation?: string;
  readonly fingerprint?: string;
  readonly acknowledge: boolean;
}

interface Held {
  readonly versionId: string;
  readonly text: string;
}

/** How an agent behaves. */
export interface Manner {
  readonly name: string;
  /** Acknowledges what it has. */
  readonly acknowledges: boolean;
}

const WORK_PAUSE_MS = 400;
const HEARTBEAT_MS = 1500;

/** One process of an agent. Every piece of work is a fresh login with the value that it holds. */
export class FleetAgent {
  readonly name: string;
  readonly #world: FleetWorld;
  readonly #manner: Manner;
  /** Logins that the database took, and refused; other failures by message. */
  worked = 0;
  refused = 0;
  readonly troubles: string[] = [];
  /** Versions that it has worked with, in order. */
  readonly versions: string[] = [];
  #held: Held | undefined;
  #instance: Instance | undefined;

  constructor(world: FleetWorld, manner: Manner) {
    this.name = manner.name;
    this.#world = world;
    this.#manner = manner;
  }

  /** Works in one session until it is told to stop, and changes its value within it. */
  async runOn(stopped: AbortSignal): Promise<void> {
    await this.#open();
    await Promise.all([this.#workUntil(stopped), this.#beatUntil(stopped, (notice) => this.#follow(notice))]);
    await this.#instance?.close();
  }

  /** One session of its own for one piece of work, on the value that was current when it began. */
  async runSession(seconds: number): Promise<void> {
    await this.#open();
    const over = AbortSignal.timeout(seconds * 1000);
    await Promise.all([this.#workUntil(over), this.#beatUntil(over, () => Promise.resolve())]);
    const closed = await this.#instance?.close();
    if (closed?.status !== 200) this.troubles.push(`close: ${closed?.status}`);
    this.#held = undefined;
  }

  /** Where a rotation uses the gap between its sessions, it waits for as long as it is told to. */
  async #open(): Promise<void> {
    for (const end = Date.now() + 120_000; Date.now() < end;) {
      this.#instance = await Instance.make(this.#world.api, `${this.name}-${Date.now()}`, 'EdDSA', this.name);
      const { status, body, headers } = await this.#instance.open();
      if (status === 201) {
        const [notice] = body['notices'] as Notice[];
        await this.#take(notice?.versionId ?? '');
        return;
      }
      if (status !== 409) throw new Error(`${this.name} could not open a session: ${JSON.stringify(body)}`);
      await sleep(Number(headers['retry-after'] ?? 1) * 1000);
    }
    throw new Error(`${this.name} was kept from opening a session`);
  }

  async #take(versionId: string): Promise<void> {
    const { SecretString: text = '' } = await this.#world.vault.send(
      new GetSecretValueCommand({ SecretId: this.#world.secret, VersionId: versionId }),
    );
    this.#held = { versionId, text };
    if (this.versions.at(-1) !== versionId) this.versions.push(versionId);
  }

  async #follow(notice: Notice): Promise<void> {
    const { versionId, rotation, fingerprint } = notice;
    if (versionId === undefined) return;
    if (versionId !== this.#held?.versionId) await this.#take(versionId);
    if (!notice.acknowledge || !this.#manner.acknowledges) return;
    if (rotation === undefined || fingerprint === undefined) return;
    await this.#beat();
    const about = { credential: this.#world.credential, rotation, versionId, fingerprint };
    const answered = await this.#instance?.acknowledge(about, this.#held?.text);
    // A window that closes in this moment takes no acknowledgement any more.
    if (answered?.status !== 200 && answered?.body['code'] !== 'ERR_CONFLICT') {
      this.troubles.push(`acknowledgement: ${JSON.stringify(answered?.body)}`);
    }
  }

  async #beat(): Promise<Notice | undefined> {
    const answered = await this.#instance?.holds(this.#held?.versionId ?? '', this.#world.credential);
    if (answered?.status === 200) return (answered.body['notices'] as Notice[])[0];
    this.troubles.push(`heartbeat: ${answered?.status} ${JSON.stringify(answered?.body)}`);
    return undefined;
  }

  async #beatUntil(stopped: AbortSignal, heed: (notice: Notice) => Promise<void>): Promise<void> {
    while (!stopped.aborted) {
      const notice = await this.#beat();
      if (notice !== undefined) await heed(notice);
      await pause(HEARTBEAT_MS, stopped);
    }
  }

  async #workUntil(stopped: AbortSignal): Promise<void> {
    while (!stopped.aborted) {
      const { username, password } = JSON.parse(this.#held?.text ?? '{}') as Record<string, string>;
      const login = { user: username ?? '', password: password ?? '' };
      try {
        await query(this.#world.server, login, 'INSERT INTO shop.orders DEFAULT VALUES');
        this.worked++;
      } catch (error) {
        if (isRefusal(error)) this.refused++;
        else this.troubles.push(`work: ${error instanceof Error ? error.message : 'unknown'}`);
      }
      await pause(WORK_PAUSE_MS, stopped);
    }
  }
}

function pause(ms: number, stopped: AbortSignal): Promise<void> {
  return sleep(ms * (0.8 + 0.4 * Math.random()), undefined, { signal: stopped }).catch(() => undefined);
}
