import type { Instant } from '../clock.ts';
import type { Interval } from './facts.ts';

/** The same time in as few intervals as it takes, in order; those `slackMs` apart or nearer become one. */
export function merged(intervals: readonly Interval[], slackMs = 0): Interval[] {
  const joined: Interval[] = [];
  for (const each of intervals.filter(isSome).toSorted(byStart)) {
    const last = joined.at(-1);
    if (last === undefined || Date.parse(each.from) - Date.parse(last.to) > slackMs) joined.push(each);
    else if (each.to > last.to) joined[joined.length - 1] = { from: last.from, to: each.to };
  }
  return joined;
}

/** What of `whole` none of `parts` covers, in order. */
export function without(whole: Interval, parts: readonly Interval[]): Interval[] {
  const left: Interval[] = [];
  let from: Instant = whole.from;
  for (const part of merged(parts)) {
    if (part.to <= from) continue;
    if (part.from >= whole.to) break;
    if (part.from > from) left.push({ from, to: part.from });
    from = part.to;
  }
  return from < whole.to ? [...left, { from, to: whole.to }] : left;
}

/** The time that both have; undefined where they have none. */
export function common(one: Interval, other: Interval): Interval | undefined {
  const from = one.from > other.from ? one.from : other.from;
  const to = one.to < other.to ? one.to : other.to;
  return from < to ? { from, to } : undefined;
}

function isSome({ from, to }: Interval): boolean {
  return from < to;
}

function byStart(a: Interval, b: Interval): number {
  return a.from < b.from ? -1 : a.from > b.from ? 1 : 0;
}
