import { toInstant } from '../../domain/clock.ts';
import { isRekeyError } from '../../domain/errors.ts';
import { isJustReminded, lastTold, meanwhile, remind, type HeldSignal } from '../../domain/signals/held.ts';
import { incidentOf, reasonOf } from '../../domain/signals/signal.ts';
import { retrying } from '../patience.ts';
import type { SignalDeps } from './deps.ts';
import { commitHeld } from './notes.ts';
import type { SignalFamilies } from './families.ts';

/** What reminders are sent with. */
export type RemindDeps = Pick<SignalDeps, 'signals' | 'ledger' | 'clock'> & {
  readonly families: Pick<SignalFamilies, 'families'>;
};

/** In an hour people are told again of so many at most: whoever floods them with what is held must not do so by the hour. */
const AN_HOUR = 10;

/**
 * Tells people again of what waits for them, what was told longest ago first: what is suspended stays so, and what isn't works, until they
 * decide. The same record as at first, which pages. Gives the ids of those signals.
 */
export async function remindHeld(deps: RemindDeps): Promise<readonly string[]> {
  const all = await deps.signals.allHeld();
  const now = deps.clock();
  const room = AN_HOUR - all.filter((held) => isJustReminded(held, now)).length;
  const told: string[] = [];
  const due = all.filter((held) => remind(held, now) !== undefined).toSorted(byLastTold);
  for (const { id } of due.slice(0, Math.max(0, room))) if (await remindOne(deps, id)) told.push(id);
  return told;
}

function byLastTold(one: HeldSignal, other: HeldSignal): number {
  return lastTold(one) < lastTold(other) ? -1 : 1;
}

async function remindOne(deps: RemindDeps, id: string): Promise<boolean> {
  const now = deps.clock();
  try {
    return await retrying(async () => {
      // The list comes from an index, which lags.
      const found = await deps.signals.held(id);
      const reminder = found === undefined ? undefined : remind(found, now);
      if (reminder === undefined) return false;
      const { why, reporter, credentials, families, glassAt, heldAt, reminded } = reminder;
      await commitHeld(deps, reminder, {
        action: 'signal-held',
        time: toInstant(now),
        trigger: { kind: 'signal', actor: reporter, reason: reasonOf(reminder) },
        correlationId: id,
        incidentId: incidentOf(id),
        evidence: {
          why,
          credentials,
          families,
          glassAt,
          meanwhile: meanwhile(reminder),
          heldAt,
          reminder: reminded?.times,
        },
      });
      return true;
    });
  } catch (error) {
    // What it is about was let go of since: there is no trail to say it in.
    if (isRekeyError(error, 'ERR_NOT_FOUND')) return false;
    throw error;
  }
}
