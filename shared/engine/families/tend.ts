import { toInstant } from '../../domain/clock.ts';
import type { Attempt, Family } from '../../domain/families.ts';
import { consentDueAt, nextStep, withoutAnswer } from '../../domain/family-refresh.ts';
import type { Trigger } from '../../domain/rotation.ts';
import { attemptNow, finish, type Attempted } from './attempt.ts';
import { committed, loadFamily, recordOf, type FamilyDeps } from './deps.ts';
import { completeRevocation } from './revoke.ts';
import { storedBy } from './store.ts';

/** What a look at a family came to. */
export type Tended =
  | Attempted
  | { readonly outcome: 'rested'; readonly family: Family }
  /** Somebody else is at it until then, at the latest. */
  | { readonly outcome: 'busy'; readonly until: string; readonly family: Family };

/** Decisions in one look; each of them but the last moves the family on. */
const MOST_STEPS = 8;

/** The name under which the coordinator acts by itself. */
export const COORDINATOR: Trigger = { kind: 'planner', actor: 'refresh-families' };

/**
 * Does for a family what is to be done now. Any number of coordinators may do so at once: what they do is decided on the
 * head and committed under its version, and who loses reads again, spends nothing and ends nothing.
 */
export async function tend(
  deps: FamilyDeps,
  id: string,
  { trigger = COORDINATOR, forced = false }: { trigger?: Trigger; forced?: boolean } = {},
): Promise<Tended> {
  let family = await loadFamily(deps, id);
  for (let steps = 0; steps < MOST_STEPS; steps++) {
    const step = nextStep(family, deps.clock(), forced);
    switch (step.kind) {
      case 'rest':
        return { outcome: 'rested', family };
      case 'wait':
        return { outcome: 'busy', until: step.until, family };
      case 'obtain':
        return attemptNow(deps, family, { kind: step.how, trigger });
      case 'settle': {
        const done = await settle(deps, family, step.attempt);
        if (done !== undefined) return done;
        break;
      }
      case 'revoke': {
        const done = await completeRevocation(deps, family);
        if (done.incident?.pending.length !== 0) return { outcome: 'rested', family: done };
        break;
      }
      case 'tell':
        await tellConsentDue(deps, family, trigger);
        break;
    }
    family = await loadFamily(deps, id);
  }
  return { outcome: 'rested', family };
}

/** Of whoever is dead: what they stored is brought to its end; of one that stored nothing the lease is taken away. */
export async function settle(
  deps: FamilyDeps,
  family: Family,
  attempt: Attempt,
): Promise<Attempted | undefined> {
  const stored = await storedBy(deps, family, attempt.id);
  if (stored !== undefined) return finish(deps, family, attempt, stored);
  const after = withoutAnswer(family, attempt, deps.clock());
  await committed(deps, { before: family, after }, () => true);
  return undefined;
}

async function tellConsentDue(deps: FamilyDeps, family: Family, trigger: Trigger): Promise<void> {
  const { tokens } = family;
  if (tokens === undefined) return;
  const evidence = { rotatedAt: tokens.rotatedAt, due: consentDueAt(tokens), told: toInstant(deps.clock()) };
  const records = [recordOf(deps, family, 'consent-due', trigger, { evidence })];
  await committed(
    deps,
    { before: family, after: { ...family, dueTold: tokens.rotatedAt }, records },
    () => true,
  );
}
