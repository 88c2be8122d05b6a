import type { Instant } from '../clock.ts';
import type { Interval, Source } from './facts.ts';
import { common, merged, without } from './intervals.ts';

/** A time of which a source tells nothing: what happened then, it can't show. */
export interface Gap {
  readonly source: string;
  /** Inclusive; absent where it reaches back to before anything is known. */
  readonly from?: Instant;
  /** Exclusive. */
  readonly to: Instant;
  readonly why: string;
}

/** Every time in `spans` of which a source was to tell and doesn't. */
export function gapsOf(sources: readonly Source[], spans: readonly Interval[]): Gap[] {
  const whole = merged(spans);
  return sources.flatMap(({ name, expected, covers, why }) =>
    whole
      .flatMap((span) => (expected === undefined ? span : (common(span, expected) ?? [])))
      .flatMap((span) => without(span, covers))
      .map(({ from, to }) => ({ source: name, from, to, why })),
  );
}
