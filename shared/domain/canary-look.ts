import type { UseReport } from './agents.ts';
import { cohortOf } from './canary.ts';
import { plusSeconds, type Instant } from './clock.ts';
import type { Uses } from './holder-evidence.ts';
import type { Canary } from './policy.ts';
import type { Rotation } from './rotation.ts';
import { share, sum } from './uses.ts';

/** What the instances that move first show of the new version. */
export interface CanarySeen {
  /** The others move from then on. */
  readonly endsAt: Instant;
  /** Uses of the new version by the cohort. */
  readonly uses: Uses;
  /** Everybody's uses before the window, over as long a time. */
  readonly before: Uses;
  /** `unproven`: the cohort has reported nothing. */
  readonly outcome: 'quiet' | 'risen' | 'unproven';
}

/** The time before the opening that a cohort is compared with. */
export function beforeCanary(canary: Canary, opensAt: Instant): { from: Instant; to: Instant } {
  return { from: plusSeconds(opensAt, -canary.seconds), to: opensAt };
}

/**
 * How the new version does for whoever moves first: `risen` where more of its uses are refused than of everybody's uses
 * before the window.
 */
export function canarySeen(
  canary: Canary,
  { id, next }: Pick<Rotation, 'id' | 'next'>,
  opensAt: Instant,
  reported: { readonly recent: readonly UseReport[]; readonly before: readonly UseReport[] },
): CanarySeen {
  const uses = sum(
    reported.recent.filter(
      ({ session, versionId }) =>
        versionId === next?.versionId && cohortOf(session, id, canary.percent) === 'canary',
    ),
  );
  const before = sum(reported.before.filter(({ to }) => to <= opensAt));
  const outcome =
    uses.succeeded + uses.refused === 0 ? 'unproven' : share(uses) > share(before) ? 'risen' : 'quiet';
  return { endsAt: plusSeconds(opensAt, canary.seconds), uses, before, outcome };
}

/** Why a rotation is rolled back, in words. */
export function risenText({ uses, before }: CanarySeen): string {
  const of = ({ refused, succeeded }: Uses): string => `${refused} of ${refused + succeeded}`;
  return `those who moved first are refused: ${of(uses)} uses of the new version, ${of(before)} before the window`;
}
