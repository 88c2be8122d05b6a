import type { Instant } from './clock.ts';
import type { Interval } from './forensics/facts.ts';

/** Use of one key as its upstream tells of it. */
export interface MeteredUse {
  /** Id of the key at the upstream. */
  readonly keyId: string;
  /** Inclusive; `to` is exclusive where it counts a time, and the same moment where it tells of one use. */
  readonly from: Instant;
  readonly to: Instant;
  /** How many requests it has counted; absent where it tells that there was a use, and not how many. */
  readonly requests?: number;
  /** What was used with it: a model, a service. Absent where it doesn't tell. */
  readonly scope?: string;
}

/** What an upstream tells of the use of some keys. */
export interface Metering {
  /** Whose keys these are there: a project, a workspace, a user. */
  readonly who: string;
  readonly uses: readonly MeteredUse[];
  /** The times of which it has told every use; what it has told beyond them may still grow. */
  readonly covers: readonly Interval[];
}
