import { fromInstant, type Instant } from '../clock.ts';
import {
  counted,
  countIn,
  isCounted,
  isLate,
  keptAs,
  learnt,
  MIN_DAYS,
  MIN_HOURS,
  MOST,
  setAside,
  type Baseline,
  type Day,
  type Sighting,
  type Trait,
} from './baseline.ts';

/** What is unusual, and why, in words. */
export interface Finding {
  readonly rule: Trait | 'volume' | 'outside' | 'stray';
  /** The same finding on another day has the same words here; too many in an hour is one finding for each day. */
  readonly what: string;
  readonly text: string;
  /** A reader that is new where too little is known to call that unusual. */
  readonly isEarly?: true;
}

/** What a sighting has changed. */
export interface Judged {
  readonly after: Baseline;
  readonly findings: readonly Finding[];
}

/** A rule that would have been wrong on more than one day of so many stays silent. */
const ONE_MISTAKE_IN_DAYS = 14;

/** So many deviations above the median are too many. */
const DEVIATIONS = 6;
/** Makes the median deviation of normal scatter its standard deviation. */
const NORMAL = 1.4826;
/** So much of the busiest hour on an earlier day of the same name is no news: a job runs on Mondays. */
const SAME_WEEKDAY = 2;

/**
 * Holds a sighting against what is usual, and learns from it unless it is unusual. Pure: the same sightings in the same order
 * give the same findings, and one that comes twice counts once.
 */
export function judge(before: Baseline, sighting: Sighting): Judged {
  if (isCounted(before, sighting)) return { after: before, findings: [] };
  const unusual = [...traitsOf(before, sighting), ...outsideOf(sighting)];
  if (isLate(before, sighting.at)) return { after: before, findings: unusual };
  const now = counted(before, sighting);
  const tooMany =
    sighting.id === undefined ? undefined : (moreThanAgreed(now, sighting) ?? volumeOf(now, sighting.at));
  const findings = tooMany === undefined ? unusual : [...unusual, tooMany];
  return findings.some(({ isEarly }) => isEarly !== true)
    ? { after: setAside(now, sighting, tooMany !== undefined), findings }
    : { after: learnt(now, sighting), findings };
}

function traitsOf({ days }: Baseline, { at, traits }: Sighting): Finding[] {
  const others = earlier(days, at);
  return (Object.entries(traits) as [Trait, string][]).flatMap(([trait, value]): Finding[] => {
    if (isKnown(days, trait, keptAs(trait, value))) return [];
    const finding = { rule: trait, what: value, text: textOf(trait, value, others.length) };
    if (isSettled(others, trait) && isTrustworthy(others, (rest, day) => surprises(rest, day, trait)))
      return [finding];
    // Whoever knows every reader by name need not know what is usual.
    return trait === 'reader' ? [{ ...finding, text: 'never read it before', isEarly: true }] : [];
  });
}

/** What nothing has to be known for: the declaration says what may be touched. */
function outsideOf({ traits: { resource }, opens }: Sighting): Finding[] {
  if (resource === undefined || opens === undefined || opens.includes(resource)) return [];
  return [
    { rule: 'outside', what: resource, text: `touched ${resource}, which is outside of what it may open` },
  ];
}

function moreThanAgreed(now: Baseline, { at, most }: Sighting): Finding | undefined {
  const count = countIn(now, at);
  if (most === undefined || count <= most) return undefined;
  return {
    rule: 'outside',
    what: at.slice(0, 10),
    text: `${count} times within an hour, when its pact says ${most} at most`,
  };
}

function textOf(trait: Trait, value: string, days: number): string {
  const since = `in the ${days} days that are known`;
  if (trait === 'hour') return `at ${value} h UTC, when it was not seen within an hour of that ${since}`;
  if (trait === 'network') return `from ${value}, where it was not seen ${since}`;
  if (trait === 'resource') return `touched ${value}, which it did not ${since}`;
  return `never seen ${since}`;
}

/** Enough is known. Readers come and go by days, so that hours tell nothing of them. */
function isSettled(days: readonly Day[], trait: Trait): boolean {
  const hours = days.reduce((sum, each) => sum + (each.traits.hour?.length ?? 0), 0);
  return days.length >= MIN_DAYS && (trait === 'reader' || hours >= MIN_HOURS);
}

/** An hour before or after is near enough: jobs drift, and clocks change twice a year. */
function isKnown(days: readonly Day[], trait: Trait, value: string): boolean {
  const near = trait === 'hour' ? around(value) : [value];
  return days.some(({ traits }) => traits[trait]?.some((each) => near.includes(each)) === true);
}

function around(hour: string): string[] {
  return [-1, 0, 1].map((by) => String((Number(hour) + by + 24) % 24).padStart(2, '0'));
}

/** Whether a day has what no other has; one with more than is kept tells nothing. */
function surprises(rest: readonly Day[], { traits }: Day, trait: Trait): boolean {
  const values = traits[trait] ?? [];
  return values.length >= MOST[trait] || values.some((value) => !isKnown(rest, trait, value));
}

/**
 * Holds a rule against the past itself: each day against all others. It may speak where it would seldom have been wrong. So
 * it is silent on whoever comes from anywhere, at any time, and begins to speak once they have settled.
 */
function isTrustworthy(days: readonly Day[], isOdd: (rest: readonly Day[], day: Day) => boolean): boolean {
  const mistakes = days.filter((day) =>
    isOdd(
      days.filter((each) => each !== day),
      day,
    ),
  ).length;
  return mistakes <= Math.floor(days.length / ONE_MISTAKE_IN_DAYS);
}

function volumeOf(now: Baseline, at: Instant): Finding | undefined {
  const days = earlier(now.days, at).filter(({ busiest }) => busiest > 0);
  const count = countIn(now, at);
  const usual = mostUsual(days, at.slice(0, 10));
  if (!isSettled(days, 'hour') || count <= usual) return undefined;
  if (!isTrustworthy(days, (rest, { day, busiest }) => busiest > mostUsual(rest, day))) return undefined;
  return {
    rule: 'volume',
    what: at.slice(0, 10),
    text: `${count} times within an hour; by ${days.length} days, ${Math.floor(usual)} at most are usual`,
  };
}

/**
 * The most that is usual in an hour: the median of the days' busiest hours and six deviations. Median and median deviation
 * stay where they are while less than half of the days are out of the ordinary; a mean moves with a single one, and so would
 * let whoever has come once come again. What happens by the clock has no deviation at all: then chance has the root of the median.
 */
function mostUsual(days: readonly Day[], day: string): number {
  const all = days.map(({ busiest }) => busiest);
  const middle = median(all);
  const scatter = NORMAL * median(all.map((each) => Math.abs(each - middle)));
  const sameDay = days.filter((each) => weekday(each.day) === weekday(day)).map(({ busiest }) => busiest);
  return Math.max(
    middle + DEVIATIONS * Math.max(scatter, Math.sqrt(middle), 1),
    SAME_WEEKDAY * Math.max(0, ...sameDay),
  );
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 0 ? (upper + (sorted[middle - 1] ?? 0)) / 2 : upper;
}

/** Days before that of `at`: today is judged by what was before it. */
function earlier(days: readonly Day[], at: Instant): Day[] {
  return days.filter(({ day }) => day < at.slice(0, 10));
}

const weekday = (day: string): number => new Date(fromInstant(`${day}T00:00:00.000Z`)).getUTCDay();
