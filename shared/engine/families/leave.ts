import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import type { Trigger } from '../../domain/rotation.ts';
import { TAG } from '../../names.ts';
import { untilCommitted } from '../state.ts';
import { familyNamed, recordOf, type FamilyDeps } from './deps.ts';

interface Ref {
  readonly name: string;
  readonly trigger: Trigger;
}

/** What became of a request to pause or to unpause; `changed` is false where it was so already. */
export interface FamilyPaused {
  readonly family: Family;
  readonly changed: boolean;
}

/** Nothing is refreshed until `unpauseFamily`: access tokens expire. An emergency doesn't look at it. */
export function pauseFamily(deps: FamilyDeps, { name, trigger }: Ref): Promise<FamilyPaused> {
  return untilCommitted(async () => {
    const before = await familyNamed(deps, name);
    if (before.paused !== undefined) return { family: before, changed: false };
    const { actor, reason = '' } = trigger;
    const paused = { since: toInstant(deps.clock()), actor, reason };
    const records = [recordOf(deps, before, 'paused', trigger)];
    return {
      family: await deps.families.commit({ before, after: { ...before, paused }, records }),
      changed: true,
    };
  });
}

/** Ends a pause: what is due is refreshed with the next run. */
export function unpauseFamily(deps: FamilyDeps, { name, trigger }: Ref): Promise<FamilyPaused> {
  return untilCommitted(async () => {
    const before = await familyNamed(deps, name);
    const { paused, ...after } = before;
    if (paused === undefined) return { family: before, changed: false };
    const evidence = { pausedSince: paused.since, by: paused.actor };
    const records = [recordOf(deps, before, 'unpaused', trigger, { evidence })];
    return { family: await deps.families.commit({ before, after, records }), changed: true };
  });
}

/** What became of a request to let go of a family. */
export interface FamilyLeft {
  readonly outcome: 'unregistered';
  readonly family: Family;
}

/**
 * Lets go of a family: from the commit on nobody refreshes it, then both secrets lose the tags that let Rekey at them, then
 * its names are free again. Tokens and secrets stay as they are: whoever takes the refresh token over goes on with it.
 * @throws RekeyError ERR_MODE while an emergency of it isn't complete, ERR_CONFLICT while it is being refreshed
 */
export async function unregisterFamily(
  deps: FamilyDeps,
  { name, trigger, dryRun }: Ref & { readonly dryRun: boolean },
): Promise<FamilyLeft> {
  const left = await untilCommitted(async () => {
    const before = await deps.families.familyByName(name);
    if (before?.status === 'unregistered') return before;
    const family = before ?? (await familyNamed(deps, name));
    assertMayLeave(family, deps.clock());
    if (dryRun) return family;
    const records = [recordOf(deps, family, 'unregister-intended', trigger)];
    const after: Family = { ...family, status: 'unregistered', attempt: undefined };
    return deps.families.commit({ before: family, after, records });
  });
  if (!dryRun) await complete(deps, left, trigger);
  return { outcome: 'unregistered', family: left };
}

function assertMayLeave({ name, incident, attempt }: Family, now: number): void {
  if (incident !== undefined && incident.pending.length > 0) {
    throw new RekeyError('ERR_MODE', `an emergency of ${name} is not complete`, {
      field: 'status',
      remedy: `wait for its end: \`rekey show ${name}\` has what is still to be revoked`,
    });
  }
  if (attempt === undefined || Date.parse(attempt.until) <= now) return;
  throw new RekeyError('ERR_CONFLICT', `${name} is being refreshed right now`, {
    remedy: 'ask again in two minutes',
  });
}

/** Every line may run twice; the tags go last but for the names, since roles reach secrets by them. */
async function complete(deps: FamilyDeps, family: Family, trigger: Trigger): Promise<void> {
  for (const secret of [family.secretName, family.refreshSecretName]) {
    const found = await deps.vault.describe(secret);
    if (found?.tags[TAG.credential] === family.id)
      await deps.vault.untag(secret, [TAG.type, TAG.stage, TAG.credential]);
  }
  await deps.families.release(family, recordOf(deps, family, 'unregistered', trigger));
}
