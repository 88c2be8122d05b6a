import { fromInstant, plusSeconds, toInstant, type Instant } from '../clock.ts';

/** Reports of uses are judged by so much time at once. */
export const SLOT_SECONDS = 900;

/** So long after its end a slot is judged: a report covers ten minutes at most, and is sent with the next heartbeat. */
const SETTLED_SECONDS = 900;

/** So long a slot waits for a credential that can't be judged; then the others go on without it. */
const PATIENCE_SECONDS = 7200;

/** What is older is judged no more, where nobody has judged for long. */
const OLDEST_SECONDS = 86_400;

/** The slot to begin with: that which waits to be judged, or where none ever was, or for too long, the oldest that still counts. */
export function firstSlot(waiting: Instant | undefined, now: number): Instant {
  const newest = slotOf(now - (SLOT_SECONDS + SETTLED_SECONDS) * 1000);
  const oldest = slotOf(now - OLDEST_SECONDS * 1000);
  if (waiting === undefined) return newest;
  return waiting < oldest ? oldest : waiting;
}

/** The slot after this one, which is also its end. */
export function nextSlot(slot: Instant): Instant {
  return plusSeconds(slot, SLOT_SECONDS);
}

/** Whether everything of a slot has had its time to come. */
export function isSettled(slot: Instant, now: number): boolean {
  return fromInstant(nextSlot(slot)) + SETTLED_SECONDS * 1000 <= now;
}

/** Whether a slot has waited long enough for what can't be judged. */
export function isOverdue(slot: Instant, now: number): boolean {
  return isSettled(slot, now - PATIENCE_SECONDS * 1000);
}

function slotOf(time: number): Instant {
  return toInstant(Math.floor(time / (SLOT_SECONDS * 1000)) * SLOT_SECONDS * 1000);
}
