import { startWorld, type World } from '../../local/demo/world.ts';
import type { RecordedCall } from '../../local/gateway/recorder.ts';
import type { EmergencyAnswer, EmergencyStarted } from '../../shared/api/messages.ts';
import { inParallel } from '../support/in-parallel.ts';
import { registerMany, startKinds, type Made } from './many-credentials.ts';
import { callApi, until, type Tell } from './stage.ts';

const LIMIT_MS = 900_000;
export const LOOKS_AT_ONCE = 16;
/** Functions that do something of the emergency. */
const OF_EMERGENCY = /^(revoke|record-emergency|replace)/;

/** A deployed stack of its own with so many credentials of three types, for as long as `use` takes. */
export async function withMany<T>(
  count: number,
  tell: Tell,
  use: (world: World, made: readonly Made[]) => Promise<T>,
): Promise<T> {
  const world = await startWorld(tell, {
    types: ['database', 'llm-key', 'vector-database-key'],
    privateUpstreams: ['127.0.0.1'],
  });
  try {
    const [kinds, stop] = await startKinds(world, count);
    try {
      tell(`registering ${count} credentials`);
      const made = await registerMany(world, kinds, count);
      const dead = count - (await taken(made)).length;
      if (dead > 0) throw new Error(`${dead} of ${count} don't work to begin with`);
      return await use(world, made);
    } finally {
      await stop();
    }
  } finally {
    await world.stop();
  }
}

/** Those whose values their upstreams take. */
export async function taken(made: readonly Made[]): Promise<Made[]> {
  const found: Made[] = [];
  await inParallel(
    made,
    async (one) => {
      if (await one.kind.takes(one.value)) found.push(one);
    },
    LOOKS_AT_ONCE,
  );
  return found;
}

/** One request revokes them all, and replaces none. */
export function revokeAll(world: World, made: readonly Made[], incident: string): Promise<EmergencyStarted> {
  return callApi<EmergencyStarted>(world, 'POST', '/v1/emergencies', {
    credentials: made.map(({ credential }) => credential.name),
    incident,
    reason: 'bench',
    replace: false,
  });
}

/** How the emergency has ended. */
export function endOf(world: World, { id }: Pick<EmergencyStarted, 'id'>): Promise<EmergencyAnswer> {
  return until(
    () => callApi<EmergencyAnswer>(world, 'GET', `/v1/emergencies/${id}`),
    ({ status }) => status !== 'RUNNING',
    LIMIT_MS,
    2000,
  );
}

/** What the functions of emergencies have called since, in the order in which they did. */
export function emergencyCalls({ stack }: World, after: number): RecordedCall[] {
  return stack.gateway.recorder
    .calls({ after })
    .filter(({ function: caller }) => OF_EMERGENCY.test(caller ?? ''))
    .toSorted((a, b) => a.at.localeCompare(b.at));
}

/** Calls by the time that they take together, as shares of all. */
export function slowestCalls(calls: readonly RecordedCall[]): string[] {
  const sum = (some: readonly RecordedCall[]): number =>
    some.reduce((total, { durationMs }) => total + durationMs, 0);
  const all = sum(calls);
  const named = Map.groupBy(
    calls,
    ({ function: caller, service, operation }) => `${caller}: ${service} ${operation}`,
  );
  return [...named]
    .map(([name, some]) => ({ name, share: sum(some) / all, times: some.length }))
    .toSorted((a, b) => b.share - a.share)
    .slice(0, 6)
    .map(({ name, share, times }) => `${share.toFixed(2)}  ${name}, ${times} times`);
}
