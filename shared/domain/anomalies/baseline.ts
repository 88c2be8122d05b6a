import { createHash } from 'node:crypto';
import { plusSeconds, type Instant } from '../clock.ts';

/** What is usual is what was seen in so many days; what is older is forgotten, so that slow change is learnt. */
export const KEPT_DAYS = 28;

/** Before so many days, and so many hours in which something was seen, nothing is called unusual. */
export const MIN_DAYS = 7;
export const MIN_HOURS = 20;

/** What a sighting has that may be unusual. `hour` of the day is UTC, `00` to `23`; `resource` is what was touched. */
export type Trait = 'hour' | 'network' | 'reader' | 'resource';

/** Most values of a trait that are kept of a day; a day that reaches it tells nothing of what is unusual. */
export const MOST: Readonly<Record<Trait, number>> = { hour: 25, network: 32, reader: 64, resource: 32 };

/** What was usual on one day. */
export interface Day {
  /** `2026-11-26`, in UTC. */
  readonly day: string;
  /** Sightings in its busiest hour. */
  readonly busiest: number;
  readonly traits: Readonly<Partial<Record<Trait, readonly string[]>>>;
}

/** An hour that isn't over yet: who comes late is still counted, and who comes twice is counted once. */
export interface OpenHour {
  /** `2026-11-26T10`. */
  readonly hour: string;
  readonly count: number;
  /** How many of them were unusual: they are never learnt. */
  readonly odd: number;
  /** Shortened ids of those that were counted. */
  readonly ids: readonly string[];
  /** More than is usual: nothing of its number is learnt. */
  readonly flagged?: true;
}

/** What is usual of a credential or of one reader of it. Bounded, whatever is seen. */
export interface Baseline {
  /** The oldest first. */
  readonly days: readonly Day[];
  readonly open: readonly OpenHour[];
}

/** Nothing is known yet. */
export const NOTHING_KNOWN: Baseline = { days: [], open: [] };

/** One use, or some of one hour, as it was seen. */
export interface Sighting {
  readonly at: Instant;
  readonly traits: Readonly<Partial<Record<Trait, string>>>;
  /** Counts it, once for this id; without it nothing is counted. */
  readonly id?: string;
  /** For how many uses it stands. Default: 1. */
  readonly times?: number;
  /** More than so many in an hour are outside of what was agreed. */
  readonly most?: number;
  /** All that may be touched by what is declared; absent where nothing says. */
  readonly opens?: readonly string[];
}

/** The last two hours are open. CloudTrail is rarely more than 15 minutes late. */
const OPEN_SECONDS = 3600;

/** Beyond so many in an hour one that comes twice is counted twice. */
const MOST_IDS = 1000;

/** Whether an hour is over for good: what comes of it now is judged, and neither counted nor learnt. */
export function isLate({ open }: Baseline, at: Instant): boolean {
  const newest = open.at(-1)?.hour;
  return newest !== undefined && hourOf(at) < opensFrom(newest);
}

/** Whether it was counted before. */
export function isCounted({ open }: Baseline, { id, at }: Sighting): boolean {
  return id !== undefined && open.some(({ hour, ids }) => hour === hourOf(at) && ids.includes(shortened(id)));
}

/** Counts a sighting, and closes the hours that are over by then. */
export function counted(before: Baseline, { at, id, times = 1 }: Sighting): Baseline {
  if (id === undefined) return before;
  const hour = hourOf(at);
  const { days, open } = closedUpTo(before, opensFrom(hour));
  const now = open.find((each) => each.hour === hour) ?? { hour, count: 0, odd: 0, ids: [] };
  const ids = now.ids.length < MOST_IDS ? [...now.ids, shortened(id)] : now.ids;
  return { days, open: inOrder(open, { ...now, count: now.count + times, ids }) };
}

/** How much was counted in the hour of `at`. */
export function countIn({ open }: Baseline, at: Instant): number {
  return open.find(({ hour }) => hour === hourOf(at))?.count ?? 0;
}

/** What was usual becomes known; the same baseline where it was. */
export function learnt(before: Baseline, { at, traits }: Sighting): Baseline {
  const day = at.slice(0, 10);
  const newest = before.days.at(-1)?.day ?? day;
  const since = dayBefore(newest > day ? newest : day, KEPT_DAYS - 1);
  if (day < since) return before;
  const known = before.days.find((each) => each.day === day) ?? { day, busiest: 0, traits: {} };
  const now = joined(known.traits, traits);
  if (now === known.traits) return before;
  const others = before.days.filter((each) => each.day !== day && each.day >= since);
  return {
    ...before,
    days: [...others, { ...known, traits: now }].toSorted((a, b) => (a.day < b.day ? -1 : 1)),
  };
}

/** What was unusual is kept out of what is learnt; of an hour with too many all of them are. */
export function setAside(before: Baseline, { at, id, times = 1 }: Sighting, isTooMany: boolean): Baseline {
  const now = before.open.find(({ hour }) => hour === hourOf(at));
  if (id === undefined || now === undefined) return before;
  const odd = { ...now, odd: now.odd + times, ...(isTooMany ? { flagged: true as const } : {}) };
  return { ...before, open: inOrder(before.open, odd) };
}

function closedUpTo(before: Baseline, from: string): Baseline {
  const { days, open } = before;
  if (open.every(({ hour }) => hour >= from)) return before;
  const over = open.filter(({ hour, flagged }) => hour < from && flagged !== true);
  return {
    open: open.filter(({ hour }) => hour >= from),
    days: days.map((day) => ({
      ...day,
      busiest: Math.max(
        day.busiest,
        ...over.filter(({ hour }) => hour.startsWith(day.day)).map(({ count, odd }) => count - odd),
      ),
    })),
  };
}

function joined(known: Day['traits'], seen: Sighting['traits']): Day['traits'] {
  const fresh = (Object.entries(seen) as [Trait, string][])
    .map(([name, value]): [Trait, string] => [name, keptAs(name, value)])
    .filter(([name, value]) => {
      const values = known[name] ?? [];
      return !values.includes(value) && values.length < MOST[name];
    });
  if (fresh.length === 0) return known;
  return {
    ...known,
    ...Object.fromEntries(fresh.map(([name, value]) => [name, [...(known[name] ?? []), value]])),
  };
}

function inOrder(open: readonly OpenHour[], now: OpenHour): OpenHour[] {
  return [...open.filter(({ hour }) => hour !== now.hour), now].toSorted((a, b) =>
    a.hour < b.hour ? -1 : 1,
  );
}

const hourOf = (at: Instant): string => at.slice(0, 13);
const opensFrom = (hour: string): string => hourOf(plusSeconds(`${hour}:00:00.000Z`, -OPEN_SECONDS));
const dayBefore = (day: string, days: number): string =>
  plusSeconds(`${day}T00:00:00.000Z`, -days * 86_400).slice(0, 10);

/** A value of a trait as a day keeps it: others choose the names of what can be touched, and their length. */
export function keptAs(trait: Trait, value: string): string {
  return trait === 'resource' ? shortened(value) : value;
}

function shortened(id: string): string {
  return createHash('sha256').update(id).digest('base64url').slice(0, 8);
}
