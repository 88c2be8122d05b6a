import { plusSeconds, type Instant } from '../domain/clock.ts';

const SPARE_SECONDS = 30 * 86_400;

/**
 * How long a credential lives that ends by itself: its interval, and as long again or `spareSeconds`, whichever is more. A
 * rotation that is late must not cut agents off.
 */
export function lifetimeSeconds(intervalSeconds: number, spareSeconds: number = SPARE_SECONDS): number {
  return intervalSeconds + Math.max(intervalSeconds, spareSeconds);
}

/** `endsAt` of a provider whose upstream ends what is issued by itself, once it is told when. */
export function endsAfterInterval(_target: unknown, from: Instant, intervalSeconds: number): Instant {
  return plusSeconds(from, lifetimeSeconds(intervalSeconds));
}
