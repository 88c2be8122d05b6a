// Agents of which a part moves first, on the deployed stack: a rotation of them takes minutes, so it runs beside others.
import { setTimeout as sleep } from 'node:timers/promises';
import { agentsCredential } from '../../local/demo/agent.ts';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { RotateAnswer } from '../../shared/api/messages.ts';
import { cohortOf } from '../../shared/domain/canary.ts';
import { FleetAgent, type FleetWorld } from './agent-fleet.ts';
import { reaches } from './upgrading.ts';

const PERCENT = 50;
/** Enough that one part of the two is empty in one rotation of two thousand. */
const INSTANCES = 12;
/**
 * Agents report their uses with each heartbeat, which is once in less than a minute: that long, and somewhat more, those
 * who move first are looked at.
 */
export const CANARY_SECONDS = 70;
/** At most half of the window. It outlasts the time until the agents have been told to wait. */
const TTL_SECONDS = 60;

/** Twenty-four sessions that are opened at once take two busy cores longer than a client waits for an answer. */
const APART_MS = 500;

/** Processes of one agent, and the credential that they share. */
export class Cohorts {
  readonly credential: string;
  readonly instances: readonly FleetAgent[];
  readonly #world: World;
  readonly #stop = new AbortController();
  #running: Promise<unknown> = Promise.resolve();

  constructor(world: World, fleet: FleetWorld, credential: string) {
    this.#world = world;
    this.credential = credential;
    this.instances = Array.from({ length: INSTANCES }, (_, at) => {
      const manner = { credential, agent: credential, instance: `${credential}-${at + 1}` };
      const pace = { ttlSeconds: TTL_SECONDS, workPauseMs: 1500, logsInAnew: at % 2 === 0 };
      return new FleetAgent(fleet, { ...manner, ...pace, uses: 'reported' });
    });
  }

  /** The credential's entry of a declaration. */
  static async declare(world: World, credential: string, principal: string): Promise<object> {
    const policy = {
      interval: '30d',
      window: `${2 * CANARY_SECONDS}s`,
      deadline: '5m',
      cap: '10m',
      soak: '1s',
      canary: { percent: PERCENT, for: `${CANARY_SECONDS}s` },
    };
    const holders = [{ kind: 'client', name: credential, principal }];
    return agentsCredential(world, credential, { policy, holders });
  }

  start(): void {
    const { signal } = this.#stop;
    this.#running = Promise.all(
      this.instances.map(async (instance, at) => {
        await sleep(at * APART_MS);
        await instance.runOn(signal);
      }),
    );
    // A failure is seen where it is awaited.
    this.#running.catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  /** Begins a rotation; once its window is open, and `whenOpen` is done, everybody looks, as upon an event. */
  async rotate(whenOpen: () => Promise<void> = async () => undefined): Promise<string> {
    for (const end = Date.now() + 30_000; this.instances.some(({ session }) => session === '');) {
      if (Date.now() > end) throw new Error(`${this.credential}: an instance has no session`);
      await sleep(100);
    }
    await Promise.all(this.instances.map((instance) => instance.refresh()));
    const { rotation } = await rekeyJson<RotateAnswer>(['rotate', this.credential], this.#world.env);
    await reaches(this.#world, this.credential, rotation.id, 'window');
    await whenOpen();
    for (const instance of this.instances) instance.look();
    return rotation.id;
  }

  /** The instances by the part that they are in, in this rotation. */
  parts(rotation: string): Record<'canary' | 'rest', FleetAgent[]> {
    const parts: Record<'canary' | 'rest', FleetAgent[]> = { canary: [], rest: [] };
    for (const instance of this.instances) {
      parts[cohortOf(instance.session, rotation, PERCENT)].push(instance);
    }
    return parts;
  }
}
