import type { Sighting } from '../../shared/domain/anomalies/baseline.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { DAY_MS, isWeekend, MIDNIGHT, some, times } from './traffic.ts';

const QUARTER_MS = 900_000;

/** Uses of one quarter of an hour, summed up, and what they touched where an upstream tells of it. */
interface Quarter {
  /** From 0 to 95. */
  readonly quarter: number;
  readonly uses: number;
  readonly resource?: string;
}

/** What an agent does on a day. */
export type UseDay = (day: number, random: () => number) => Quarter[];

const each = (from: number, to: number, uses: (quarter: number) => number): Quarter[] =>
  times((to - from) * 4, (n) => ({ quarter: from * 4 + n, uses: uses(from * 4 + n) }));
const office: UseDay = (_day, random) => each(8, 17, () => some(60, random));
/** Few large runs and many small ones, as agents do that are asked by people. */
const burst = (random: () => number): number => (random() < 0.3 ? Math.round(20 * 2 ** (5 * random())) : 0);

/** How agents use credentials. */
export const USE_PATTERNS: Readonly<Record<string, UseDay>> = {
  'works in office hours, some hundred times an hour': (day, random) =>
    isWeekend(day) ? [] : office(day, random),
  'works all day, in bursts that differ by thirty times': (_day, random) => each(0, 24, () => burst(random)),
  'works in bursts by day, and seldom at weekends': (day, random) =>
    isWeekend(day) && random() < 0.8 ? [] : each(8, 20, () => burst(random)),
  'is a batch of every night': (_day, random) => each(2, 3, () => 400 + some(100, random)),
  'is a fleet that grows by a hundredth each day': (day, random) =>
    each(0, 24, () => some(20 * 1.01 ** day, random)),
  'touches three databases in office hours': (day, random) =>
    isWeekend(day)
      ? []
      : office(day, random).map((quarter) => ({
          ...quarter,
          resource: `db-${Math.floor(random() * 3)}`,
        })),
  'has an hour with ten times as much, on one day in thirty': (day, random) => [
    ...office(day, random),
    ...(random() < 1 / 30 ? each(17, 18, () => 600) : []),
  ],
  'touches a further database once a month': (day, random) =>
    office(day, random).map((quarter) => ({ ...quarter, resource: `db-${Math.floor(day / 30)}` })),
};

/** What is done with it on a day by whoever has taken over an agent that works in office hours and touches `orders`. */
export const ABUSES: Readonly<Record<string, UseDay>> = {
  'works at night': () => each(22, 23, () => 5),
  'takes ten times as much within an hour': (_day, random) => each(10, 11, () => some(600, random)),
  'takes three times as much within an hour': (_day, random) => each(10, 11, () => some(180, random)),
  'takes half as much again, all day': (_day, random) => each(8, 17, () => some(90, random)),
  'touches another database': () => [{ quarter: 40, uses: 1, resource: 'payroll' }],
  'does as the agent does': office,
};

/** The sightings of a day, as they are judged. */
export function usesOf(
  pattern: UseDay,
  day: number,
  random: () => number,
  more: Partial<Sighting> = {},
): Sighting[] {
  return pattern(day, random)
    .filter(({ uses }) => uses > 0)
    .map(({ quarter, uses, resource }) => {
      const at = toInstant(MIDNIGHT + day * DAY_MS + quarter * QUARTER_MS);
      const traits = { hour: at.slice(11, 13), ...(resource === undefined ? {} : { resource }) };
      return { at, id: at, times: uses, traits, ...more };
    });
}
