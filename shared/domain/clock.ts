/** Milliseconds since the epoch, injected wherever a decision depends on the time. */
export type Clock = () => number;

/** An instant as RFC 3339 in UTC with milliseconds, the only form that is stored or published. */
export type Instant = string;

/** RFC 3339 text of an epoch time in milliseconds. */
export function toInstant(epochMs: number): Instant {
  return new Date(epochMs).toISOString();
}

/** Epoch milliseconds of an RFC 3339 text. */
export function fromInstant(instant: Instant): number {
  return Date.parse(instant);
}

/** An instant that others wrote, in whichever form; undefined where it is none. */
export function instantIn(text: string | null | undefined): Instant | undefined {
  const epochMs = Date.parse(text ?? '');
  return Number.isNaN(epochMs) ? undefined : toInstant(epochMs);
}

/** The instant `seconds` after `instant`. */
export function plusSeconds(instant: Instant, seconds: number): Instant {
  return toInstant(fromInstant(instant) + seconds * 1000);
}
