import { judge, type Finding } from '../../shared/domain/anomalies/judge.ts';
import { NOTHING_KNOWN, type Baseline, type Sighting } from '../../shared/domain/anomalies/baseline.ts';
import { toInstant } from '../../shared/domain/clock.ts';

export const MIDNIGHT = Date.parse('2026-09-07T00:00:00.000Z');
export const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What reads of one day, by hour and minute, are of somebody's. */
type Day = (day: number, random: () => number) => { hour: number; network: string }[];

export const times = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, n) => make(n));
export const some = (mean: number, random: () => number): number => {
  // Knuth's way to a number of independent events.
  let [left, count] = [Math.exp(-mean), 0];
  for (let product = random(); product > left; product *= random()) count++;
  return count;
};
export const isWeekend = (day: number): boolean => day % 7 > 4;

const office = (random: () => number): { hour: number; network: string }[] =>
  times(9, (n) => n + 8).flatMap((hour) => times(some(6, random), () => ({ hour, network: '10.1.0.0/24' })));

/** How fleets read. */
export const PATTERNS: Readonly<Record<string, Day>> = {
  'polls every 15 minutes, from two networks': () =>
    times(24 * 4, (n) => ({ hour: n >> 2, network: `10.0.${n % 2}.0/24` })),
  'works in office hours, from one network': (day, random) => (isWeekend(day) ? [] : office(random)),
  'is a job of every night': (_day, random) =>
    times(20 + some(10, random), () => ({ hour: 2 + (random() < 0.1 ? 1 : 0), network: '10.2.0.0/24' })),
  'reads hourly, and much on Mondays': (day, random) =>
    times(24, (hour) => hour).flatMap((hour) =>
      times(day % 7 === 0 && hour === 6 ? 300 + some(30, random) : 1 + some(2, random), () => ({
        hour,
        network: '10.3.0.0/24',
      })),
    ),
  'are functions that come from anywhere, at any time': (_day, random) =>
    times(some(12, random), () => ({
      hour: Math.floor(random() * 24),
      network: `52.${Math.floor(random() * 200)}.${Math.floor(random() * 200)}.0/24`,
    })),
  'are tasks of a fleet that grows by a hundredth each day': (day, random) =>
    times(24, (hour) => hour).flatMap((hour) =>
      times(some(3 * 1.01 ** day, random), () => ({
        hour,
        network: `10.4.${Math.floor(random() * 4)}.0/24`,
      })),
    ),
  'works in office hours, late in the evening on one day in thirty': (day, random) => [
    ...(isWeekend(day) ? [] : office(random)),
    ...(random() < 1 / 30 ? [{ hour: 22, network: '10.1.0.0/24' }] : []),
  ],
  'is moved to a further network once a month': (day, random) =>
    office(random).map(({ hour }) => ({
      hour,
      network: `10.5.${Math.floor((day + (random() < 0.5 ? 0 : 30)) / 30)}.0/24`,
    })),
  'has an hour with twenty times as much, on one day in forty': (_day, random) => [
    ...office(random),
    ...(random() < 1 / 40 ? times(120, () => ({ hour: 11, network: '10.1.0.0/24' })) : []),
  ],
};

/** What somebody does on a day who has stolen it. */
export const ATTACKS: Readonly<Record<string, Day>> = {
  'reads from another network': () => [{ hour: 10, network: '198.51.100.0/24' }],
  'reads at night, from within': () => [{ hour: 22, network: '10.1.0.0/24' }],
  'reads a hundred times in an hour, from within': () =>
    times(100, () => ({ hour: 10, network: '10.1.0.0/24' })),
  'reads twenty times in an hour, from within': () => times(20, () => ({ hour: 10, network: '10.1.0.0/24' })),
  'does as its owner does': () => times(3, (n) => ({ hour: 9 + n, network: '10.1.0.0/24' })),
};

/** A day's reads in their order, each with an id of its own. */
export function sightingsOf(pattern: Day, day: number, random: () => number, of = 'read'): Sighting[] {
  return pattern(day, random)
    .map(({ hour, network }, n) => ({
      at: toInstant(MIDNIGHT + day * DAY_MS + hour * HOUR_MS + Math.floor(random() * HOUR_MS)),
      id: `${of}-${day}-${n}`,
      network,
    }))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
    .map(({ at, id, network }) => ({ at, id, traits: { hour: at.slice(11, 13), network } }));
}

/** How often something is told of five readers or agents in 60 days each: the same finding once in a week. */
export function told(sightings: (day: number, random: () => number) => Sighting[]): number {
  let count = 0;
  for (let seed = 1; seed <= 5; seed++) {
    const random = randomOf(seed);
    const last = new Map<string, number>();
    let known: Baseline = NOTHING_KNOWN;
    for (let day = 0; day < 60; day++) {
      const { after: next, findings } = judgeAll(sightings(day, random), known);
      known = next;
      for (const { rule, what } of findings) {
        if (day - (last.get(`${rule} ${what}`) ?? -7) < 7) continue;
        last.set(`${rule} ${what}`, day);
        count++;
      }
    }
  }
  return count;
}

/** Judges sightings one after the other. */
export function judgeAll(
  sightings: readonly Sighting[],
  from: Baseline = NOTHING_KNOWN,
): { after: Baseline; findings: Finding[] } {
  return sightings.reduce<{ after: Baseline; findings: Finding[] }>(
    ({ after, findings }, sighting) => {
      const next = judge(after, sighting);
      return { after: next.after, findings: [...findings, ...next.findings] };
    },
    { after: from, findings: [] },
  );
}
