import { pause } from '../../http/exchange.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { Instant } from '../../domain/clock.ts';
import { isRefused } from './negative.ts';
import type { UpstreamKey } from './keys.ts';

/** Longest that a step waits for an end that is to be seen: after that the workflow asks again. */
const LONGEST_SECONDS = 20;

/** What an upstream's administration shows of a key that was ended. */
export function endShown(id: string, found: UpstreamKey | undefined, observedAt: Instant): Deactivation {
  return {
    confirmed: found?.active !== true,
    method: 'status-read',
    observedAt,
    detail: found === undefined ? `${id} is gone` : `${id} is ${found.active ? 'active' : 'suspended'}`,
  };
}

/** The same, held against what the upstream says to the key itself; `use` is absent where its value is not to be had. */
export async function endTried(
  shown: Deactivation,
  use: (() => Promise<unknown>) | undefined,
): Promise<Deactivation> {
  if (!shown.confirmed) return shown;
  const confirmed = use !== undefined && (await isRefused(use));
  const said = confirmed ? 'refused' : 'but still taken';
  const seen = use === undefined ? 'but its value is not to be had to try it' : said;
  return { ...shown, confirmed, method: 'negative-authentication', detail: `${shown.detail}, ${seen}` };
}

/** Looks until an end is confirmed, for some seconds at most. */
export async function untilEnded(look: () => Promise<Deactivation>, seconds: number): Promise<Deactivation> {
  const until = performance.now() + Math.min(seconds, LONGEST_SECONDS) * 1000;
  for (let waitMs = 100; ; waitMs = Math.min(2 * waitMs, 2000)) {
    const done = await look();
    if (done.confirmed || performance.now() + waitMs > until) return done;
    await pause(waitMs);
  }
}
