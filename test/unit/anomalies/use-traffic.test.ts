import { describe, expect, it } from 'vitest';
import { NOTHING_KNOWN, type Baseline } from '../../../shared/domain/anomalies/baseline.ts';
import { judgeAll, randomOf, told } from '../../support/traffic.ts';
import { ABUSES, USE_PATTERNS, usesOf, type UseDay } from '../../support/use-traffic.ts';

const OFFICE = USE_PATTERNS['works in office hours, some hundred times an hour'] ?? (() => []);
const touching: UseDay = (day, random) =>
  OFFICE(day, random).map((quarter) => ({ ...quarter, resource: 'orders' }));

/** What is known of an agent after so many days. */
function after(days: number, seed: number, pattern: UseDay): Baseline {
  const random = randomOf(seed);
  return Array.from({ length: days }, (_, day) => day).reduce<Baseline>(
    (known, day) => judgeAll(usesOf(pattern, day, random), known).after,
    NOTHING_KNOWN,
  );
}

describe('synthetic uses of 60 days, seeded', () => {
  it.each([
    ['works in office hours, some hundred times an hour', 0],
    ['works all day, in bursts that differ by thirty times', 1],
    ['works in bursts by day, and seldom at weekends', 1],
    ['is a batch of every night', 0],
    ['is a fleet that grows by a hundredth each day', 0],
    ['touches three databases in office hours', 0],
    ['has an hour with ten times as much, on one day in thirty', 2],
    ['touches a further database once a month', 25],
  ])('of 300 days of an agent that %s, %i things are told without cause', (name, untrue) => {
    const pattern = USE_PATTERNS[name];
    if (pattern === undefined) throw new Error(`there is no pattern "${name}"`);
    expect(told((day, random) => usesOf(pattern, day, random))).toBe(untrue);
  });

  /** Of 50 each, how many are found. */
  function found(bound?: number): Record<string, number> {
    const counts = Object.fromEntries(Object.keys(ABUSES).map((name): [string, number] => [name, 0]));
    for (let seed = 1; seed <= 50; seed++) {
      const day = 14 + (seed % 3) * 7;
      const known = after(day, seed, touching);
      for (const [name, abuse] of Object.entries(ABUSES)) {
        const more = bound === undefined ? {} : { most: bound };
        const { findings } = judgeAll(usesOf(abuse, day, randomOf(seed), more), known);
        if (findings.length > 0) counts[name] = (counts[name] ?? 0) + 1;
      }
    }
    return counts;
  }

  it('tells of so many abuses, of 50 each, of an agent that works in office hours', () => {
    expect(found()).toEqual({
      'works at night': 50,
      'takes ten times as much within an hour': 50,
      'takes three times as much within an hour': 50,
      'takes half as much again, all day': 0,
      'touches another database': 50,
      'does as the agent does': 0,
    });
  });

  it('tells of half as much again where the pact says how many are to be expected', () => {
    expect(found(320)).toMatchObject({
      'takes half as much again, all day': 50,
      'does as the agent does': 0,
    });
  });
});
