import * as z from 'zod';

const DAY = 86_400;

/** The life of what an authority signs, of whatever kind: two days, renewed daily (C5), so that agents bear a whole day without anybody who issues. */
export const leafSeconds = z
  .int()
  .min(10)
  .max(2 * DAY)
  .default(2 * DAY);

/** How long an authority is trusted after its last use, in seconds: what it has signed lives on, and verifiers keep what they have read. */
export function soakOf(times: {
  readonly leafSeconds: number;
  readonly clockSkewSeconds: number;
  readonly cacheSeconds: number;
}): number {
  return times.leafSeconds + times.clockSkewSeconds + times.cacheSeconds;
}
