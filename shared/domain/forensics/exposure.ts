import type { Instant } from '../clock.ts';
import type { Interval, TracedKey } from './facts.ts';

/** In which time somebody who wasn't meant to may have used a value. */
export interface Exposure {
  readonly fingerprint: string;
  readonly handle: string;
  readonly versionIds: readonly string[];
  /** The first instant of it, inclusive: before it, the value is known not to be out. Absent where nobody knows one. */
  readonly from?: Instant;
  readonly fromWhy: string;
  /** The instant from which on the upstream refuses it, exclusive. Absent while nothing has confirmed that. */
  readonly to?: Instant;
  readonly toWhy: string;
}

/** From the last known good to the confirmed revocation. `knownGood` is what the incident team has found out beside the records. */
export function exposureOf(key: TracedKey, knownGood?: Instant): Exposure {
  const { fingerprint, handle, versionIds, madeAt, endedAt, endedBy } = key;
  const isTold = knownGood !== undefined && (madeAt === undefined || knownGood > madeAt);
  const start = isTold ? knownGood : madeAt;
  // A value that ended before it could be out was not out.
  const from = start !== undefined && endedAt !== undefined && start > endedAt ? endedAt : start;
  return {
    fingerprint,
    handle,
    versionIds,
    ...(from === undefined ? {} : { from }),
    fromWhy: isTold
      ? 'known good until then, as told for this report'
      : madeAt === undefined
        ? 'unknown: it was there before Rekey, and nobody has told until when it was good'
        : 'when it was made: before, nobody could have it',
    ...(endedAt === undefined ? {} : { to: endedAt }),
    toWhy: endedAt === undefined ? 'open: no record confirms that it is dead' : (endedBy ?? 'confirmed dead'),
  };
}

/** The exposure as a time with both ends: unknown ones reach from `since` or to `now`. */
export function spanOf({ from, to }: Exposure, since: Instant, now: Instant): Interval {
  const end = to ?? now;
  const start = from ?? since;
  return { from: start < end ? start : end, to: end };
}
