import { alignBackstop } from '../../shared/engine/backstop.ts';
import { pause, unpause, type PauseAnswer, type PauseDeps } from '../../shared/engine/pause.ts';
import { unregister, type UnregisterAnswer } from '../../shared/engine/unregister.ts';
import { OPERATOR } from './engine-case.ts';
import type { EngineCase } from './engine-world.ts';
import type { ProcessDeps } from './faulty.ts';

const trigger = { ...OPERATOR, reason: 'moving the database' };

/** As control-api composes it: the schedule is another function's, in a process of its own. */
function composed(one: EngineCase, deps: ProcessDeps): ProcessDeps & PauseDeps {
  return {
    ...deps,
    alignBackstop: (id) => one.process((theirs) => alignBackstop(theirs, one.options, id)),
  };
}

/** One request to pause. */
export async function tryPause(one: EngineCase): Promise<PauseAnswer> {
  const credentialId = await one.id();
  return one.process((deps) => pause(composed(one, deps), { credentialId, trigger }));
}

/** One request to unpause. */
export async function tryUnpause(one: EngineCase): Promise<PauseAnswer> {
  const credentialId = await one.id();
  return one.process((deps) => unpause(composed(one, deps), { credentialId, trigger }));
}

/** Pauses, repeating the request as an operator would. */
export function paused(one: EngineCase): Promise<PauseAnswer> {
  return one.repeating(() => tryPause(one));
}

/** Unpauses, repeating the request as an operator would. */
export function unpaused(one: EngineCase): Promise<PauseAnswer> {
  return one.repeating(() => tryUnpause(one));
}

/** The newest emergency, where it has ended, as control-api looks for it. */
async function endedEmergency(one: EngineCase, name: string): Promise<string | undefined> {
  const id = (await one.deps.ledger.idByName(name)) ?? name;
  const execution = (await one.deps.ledger.credential(id))?.incident?.execution;
  const runs = one.machines.executions.get(execution ?? '')?.status === 'RUNNING';
  return runs ? undefined : execution;
}

/** One request to unregister; with `ended`, of somebody who has looked at the emergency before. */
export async function tryUnregister(
  one: EngineCase,
  name: string = one.name,
  {
    dryRun = false,
    unconfirmed,
    ...seen
  }: { dryRun?: boolean; unconfirmed?: boolean; ended?: string | undefined } = {},
): Promise<UnregisterAnswer> {
  const ended = 'ended' in seen ? seen.ended : await endedEmergency(one, name);
  return one.process((deps) => unregister(deps, one.options, { name, trigger, dryRun, ended, unconfirmed }));
}

/** Whether Secrets Manager rotates the secret by itself. */
export async function isScheduled(one: EngineCase): Promise<boolean> {
  return (await one.deps.vault.describe(one.secret))?.rotationEnabled === true;
}
