import { fromInstant, toInstant } from '../../domain/clock.ts';
import { isRekeyError } from '../../domain/errors.ts';
import type { FamilyDeps } from './deps.ts';
import { tend } from './tend.ts';

/** Families that one run looks at; the rest is for the next one. */
const MOST_LOOKS = 500;

/** Families at once: each waits for its server most of the time. */
const AT_ONCE = 8;

/** What a run did. */
export interface Swept {
  readonly refreshed: readonly string[];
  readonly consentNeeded: readonly string[];
  /** Ids with the code of what went wrong, at the server or here. */
  readonly failed: readonly {
    readonly familyId: string;
    readonly code: string;
    readonly expected: boolean;
  }[];
  /** Due ones that this run didn't come to. */
  readonly left: number;
}

/**
 * One run of the coordinator: whatever is due, the earliest first. Where somebody else is at a family and its lease ends in
 * this run, that is waited for: a server takes a token whose answer was lost once more, but only for a while.
 */
export async function refreshDue(deps: FamilyDeps, until: number): Promise<Swept> {
  const due = [...(await deps.families.due(toInstant(deps.clock()), MOST_LOOKS))];
  const swept = {
    refreshed: [] as string[],
    consentNeeded: [] as string[],
    failed: [] as Swept['failed'][number][],
  };
  const work = async (): Promise<void> => {
    while (deps.clock() < until) {
      const id = due.shift();
      if (id === undefined) return;
      try {
        await look(deps, id, until, swept);
      } catch (error) {
        swept.failed.push({ familyId: id, code: codeOf(error), expected: false });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { ...swept, left: due.length };
}

async function look(
  deps: FamilyDeps,
  id: string,
  until: number,
  swept: { refreshed: string[]; consentNeeded: string[]; failed: Swept['failed'][number][] },
): Promise<void> {
  for (;;) {
    const done = await tend(deps, id);
    if (done.outcome === 'busy' && fromInstant(done.until) < until) {
      await deps.pause(Math.max(1, fromInstant(done.until) - deps.clock()));
      continue;
    }
    if (done.outcome === 'refreshed') swept.refreshed.push(id);
    if (done.outcome === 'consent-needed') swept.consentNeeded.push(id);
    if (done.outcome === 'failed') {
      swept.failed.push({ familyId: id, code: codeOf(done.error), expected: isRekeyError(done.error) });
    }
    return;
  }
}

function codeOf(error: unknown): string {
  return isRekeyError(error) ? error.code : 'ERR_INTERNAL';
}
