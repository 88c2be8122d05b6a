const SPARE_SECONDS = 30 * 86_400;

/**
 * How long a credential lives whose upstream ends it by itself: its interval, and as long again or 30 days, whichever is
 * more. A rotation that is late must not cut agents off; undefined where the interval isn't known.
 */
export function lifetimeSeconds(intervalSeconds: number | undefined): number | undefined {
  if (intervalSeconds === undefined) return undefined;
  return intervalSeconds + Math.max(intervalSeconds, SPARE_SECONDS);
}
