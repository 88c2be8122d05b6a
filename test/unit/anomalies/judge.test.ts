import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  KEPT_DAYS,
  NOTHING_KNOWN,
  type Baseline,
  type Sighting,
} from '../../../shared/domain/anomalies/baseline.ts';
import { judge } from '../../../shared/domain/anomalies/judge.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import {
  ATTACKS,
  DAY_MS,
  judgeAll,
  MIDNIGHT,
  PATTERNS,
  randomOf,
  sightingsOf,
  told,
} from '../../support/traffic.ts';

const OFFICE = 'works in office hours, from one network';
const pattern = (name: string) => PATTERNS[name] ?? (() => []);

/** What is known after so many days. */
function after(name: string, days: number, seed = 1): Baseline {
  const random = randomOf(seed);
  return Array.from({ length: days }, (_, day) => day).reduce<Baseline>(
    (known, day) => judgeAll(sightingsOf(pattern(name), day, random), known).after,
    NOTHING_KNOWN,
  );
}
const at = (day: number, hour: number, minute = 0): string =>
  toInstant(MIDNIGHT + day * DAY_MS + (hour * 60 + minute) * 60_000);
const seen = (day: number, hour: number, network = '10.1.0.0/24', id = `${day}-${hour}`): Sighting => ({
  at: at(day, hour),
  id,
  traits: { hour: String(hour).padStart(2, '0'), network },
});
const rules = (known: Baseline, sighting: Sighting): string[] =>
  judge(known, sighting).findings.map(({ rule }) => rule);

describe('what is unusual', () => {
  const known = after(OFFICE, 21);

  it('is an hour that is not near any in which it was seen, in words', () => {
    expect(rules(known, seen(21, 22))).toEqual(['hour']);
    expect(judge(known, seen(21, 22)).findings[0]?.text).toBe(
      'at 22 h UTC, when it was not seen within an hour of that in the 15 days that are known',
    );
    expect(rules(known, seen(21, 7))).toEqual([]);
    expect(rules(known, seen(21, 17))).toEqual([]);
  });

  it('is a network in which it was never seen', () => {
    expect(rules(known, seen(21, 10, '198.51.100.0/24'))).toEqual(['network']);
    expect(rules(known, seen(21, 22, '198.51.100.0/24'))).toEqual(['hour', 'network']);
  });

  it('is more within an hour than six deviations above the median of the busiest hours, told with both numbers', () => {
    const many = Array.from({ length: 60 }, (_, n) => seen(21, 10, '10.1.0.0/24', `m-${n}`));
    const { findings } = judgeAll(many, known);
    expect(new Set(findings.map(({ rule }) => rule))).toEqual(new Set(['volume']));
    expect(findings[0]).toMatchObject({
      what: '2026-09-28',
      text: expect.stringMatching(/^\d+ times within an hour; by 15 days, \d+ at most are usual$/),
    });
  });

  it('is a reader that is new where readers have settled; before, it is only early', () => {
    const by = (day: number, reader: string): Sighting => ({ at: at(day, 9), traits: { reader } });
    let readers: Baseline = NOTHING_KNOWN;
    for (let day = 0; day < 10; day++) readers = judge(readers, by(day, 'one')).after;
    expect(judge(readers, by(10, 'other')).findings).toMatchObject([{ rule: 'reader', what: 'other' }]);
    expect(judge(readers, by(10, 'other')).findings[0]?.isEarly).toBeUndefined();
    expect(judge(readers, by(10, 'one')).findings).toEqual([]);
    expect(judge(NOTHING_KNOWN, by(0, 'one')).findings).toMatchObject([{ rule: 'reader', isEarly: true }]);
  });

  it('is what it has never touched, whatever its name and its length', () => {
    const touching = (day: number, hour: number, resource: string): Sighting => ({
      at: at(day, hour),
      id: `${day}-${hour}`,
      traits: { hour: String(hour).padStart(2, '0'), resource },
    });
    const days = Array.from({ length: 10 }, (_, day) =>
      [9, 10, 11].map((hour) => touching(day, hour, 'orders')),
    );
    const { after: usual, findings } = judgeAll(days.flat());
    expect(findings).toEqual([]);
    const other = `payroll-${'x'.repeat(500)}`;
    expect(judge(usual, touching(10, 10, other)).findings).toMatchObject([{ rule: 'resource', what: other }]);
    expect(judge(usual, touching(10, 10, 'orders')).findings).toEqual([]);
    expect(
      JSON.stringify(judgeAll(days.flat().map((each) => touching(5, 9, `${each.id}-${other}`))).after.days)
        .length,
    ).toBeLessThan(2000);
  });

  it('is at once what is outside of what it may open, or more in an hour than was agreed, and neither is learnt', () => {
    const first = { ...seen(0, 10), traits: { hour: '10', resource: 'payroll' }, opens: ['orders'] };
    const { after: later, findings } = judge(NOTHING_KNOWN, first);
    expect(findings).toEqual([
      {
        rule: 'outside',
        what: 'payroll',
        text: 'touched payroll, which is outside of what it may open',
      },
    ]);
    expect(later.days).toEqual([]);
    const orders = { ...first, id: 'next', traits: { hour: '10', resource: 'orders' } };
    expect(rules(later, orders)).toEqual([]);
    const bounded = (n: number): Sighting => ({
      ...seen(0, 10, '10.1.0.0/24', `b-${n}`),
      times: 40,
      most: 100,
    });
    expect(judgeAll([1, 2].map(bounded)).findings).toEqual([]);
    expect(judgeAll([1, 2, 3].map(bounded)).findings).toMatchObject([
      { rule: 'outside', what: '2026-09-07' },
    ]);
  });

  it('is nothing before seven days and twenty hours are known', () => {
    const strange = { ...seen(6, 22, '198.51.100.0/24') };
    expect(rules(after(OFFICE, 6), strange)).toEqual([]);
    const once = (day: number): Sighting => seen(day, 10);
    const seldom = Array.from({ length: 19 }, (_, day) => once(day));
    expect(rules(judgeAll(seldom).after, seen(19, 22))).toEqual([]);
    expect(rules(judgeAll([...seldom, once(19)]).after, seen(20, 22))).toEqual(['hour']);
  });

  it('is nothing of somebody who comes from anywhere at any time', () => {
    const wandering = after('are functions that come from anywhere, at any time', 28);
    expect(rules(wandering, seen(28, 3, '198.51.100.0/24'))).toEqual([]);
  });
});

describe('what is learnt', () => {
  it('is never what was unusual, however often it comes: it is unusual the next day as well', () => {
    let known = after(OFFICE, 21);
    const usual = known.days;
    for (const day of [21, 22, 23]) {
      const { after: next, findings } = judgeAll(
        Array.from({ length: 50 }, (_, n) => seen(day, 22, '198.51.100.0/24', `s-${day}-${n}`)),
        known,
      );
      expect(new Set(findings.map(({ rule }) => rule))).toEqual(new Set(['hour', 'network', 'volume']));
      known = next;
    }
    expect(known.days).toEqual(usual);
  });

  it('is nothing of the number of an hour that had too many, nor of sightings that were unusual', () => {
    const known = after(OFFICE, 21);
    const many = Array.from({ length: 60 }, (_, n) => seen(21, 10, '10.1.0.0/24', `m-${n}`));
    const later = judgeAll([...many, seen(21, 15)], known).after;
    expect(later.days.at(-1)).toMatchObject({ day: '2026-09-28', busiest: 0 });
    const strange = Array.from({ length: 9 }, (_, n) => seen(21, 10, '198.51.100.0/24', `s-${n}`));
    const closed = judgeAll([seen(21, 10), ...strange, seen(21, 15)], known).after;
    expect(closed.days.at(-1)).toMatchObject({ busiest: 1 });
  });

  it('is slow change: a job that moves by an hour in a week, and a fleet that grows', () => {
    const moving = Array.from({ length: 70 }, (_, day) =>
      Array.from({ length: 5 }, (_each, n) =>
        seen(day, 1 + Math.floor(day / 7) + (n % 2), '10.2.0.0/24', `${day}-${n}`),
      ),
    ).flat();
    expect(judgeAll(moving).findings).toEqual([]);
    expect(after('are tasks of a fleet that grows by a hundredth each day', 60).days).toHaveLength(KEPT_DAYS);
  });

  it('is forgotten after 28 days, and nothing is called unusual by what is too old', () => {
    const known = after(OFFICE, 21);
    const { after: later, findings } = judge(known, seen(60, 10));
    expect([findings, later.days.map(({ day }) => day)]).toEqual([[], ['2026-11-06']]);
  });
});

describe('whatever is seen', () => {
  const sighting = fc
    .record({ day: fc.nat(40), hour: fc.nat(23), network: fc.nat(300), id: fc.nat(400), times: fc.nat(5000) })
    .map(({ day, hour, network, id, times }) => {
      const one = seen(day, hour, `10.${network}.0.0/24`, `i-${id}`);
      return { ...one, traits: { ...one.traits, resource: `r-${id}` }, times };
    });

  it('counts once where the same comes twice, at once or after others', () => {
    fc.assert(
      fc.property(fc.array(sighting, { maxLength: 60 }), fc.nat(), (all, n) => {
        const ordered = all.toSorted((a, b) => (a.at < b.at ? -1 : 1));
        const known = judgeAll(ordered).after;
        const again = ordered.filter(({ at: when }) => known.open.some(({ hour }) => when.startsWith(hour)));
        const one = again[n % Math.max(1, again.length)];
        expect(judgeAll(one === undefined ? [] : [one, one], known).after).toEqual(known);
      }),
    );
  });

  it('has no effect on what is usual where it was found unusual', () => {
    const known = after(OFFICE, 21);
    fc.assert(
      fc.property(sighting, fc.integer({ min: 21, max: 40 }), (one, day) => {
        const strange = { ...one, at: at(day, Number(one.traits.hour)) };
        const { after: later, findings } = judge(known, strange);
        if (findings.length === 0) return;
        const then = seen(day + 1, 10);
        expect(judge(later, then).after.days).toEqual(judge(known, then).after.days);
      }),
    );
  });

  it('takes no more room than 64 KB, in any order', () => {
    let worst: Baseline = NOTHING_KNOWN;
    for (let day = 0; day < 30; day++)
      for (let n = 0; n < 3000; n++) {
        const network = `2001:db8:${(day * 3000 + n).toString(16)}::/48`;
        const one = seen(day, n % 24, network, `w-${n}`);
        worst = judge(worst, { ...one, traits: { ...one.traits, resource: `s3:Action${n}` } }).after;
        if (day < 29) n += 60;
      }
    for (let n = 0; n < 3000; n++)
      worst = judge(worst, seen(30, 10 + (n % 2), `10.0.${n % 9}.0/24`, `x-${n}`)).after;
    expect(worst.days.length).toBeLessThanOrEqual(KEPT_DAYS);
    expect(JSON.stringify(worst).length).toBeLessThan(64 * 1024);
    fc.assert(
      fc.property(fc.array(sighting, { maxLength: 100 }), (all) => {
        const { days, open } = judgeAll(all).after;
        expect(days.length).toBeLessThanOrEqual(KEPT_DAYS);
        expect(open.length).toBeLessThanOrEqual(2);
      }),
    );
  });
});

describe('synthetic traffic of 60 days, seeded', () => {
  it.each([
    ['polls every 15 minutes, from two networks', 0],
    ['works in office hours, from one network', 0],
    ['is a job of every night', 0],
    ['reads hourly, and much on Mondays', 0],
    ['are functions that come from anywhere, at any time', 0],
    ['are tasks of a fleet that grows by a hundredth each day', 0],
    ['works in office hours, late in the evening on one day in thirty', 7],
    // Never learnt, so told each week until what was known of before is forgotten.
    ['is moved to a further network once a month', 25],
    ['has an hour with twenty times as much, on one day in forty', 8],
  ])('of 300 days of who %s, %i things are told without cause', (name, untrue) => {
    expect(PATTERNS).toHaveProperty([name]);
    expect(told((day, random) => sightingsOf(pattern(name), day, random))).toBe(untrue);
  });

  it('tells of so many thefts, of 50 each, from somebody who works in office hours', () => {
    const found = Object.fromEntries(Object.keys(ATTACKS).map((name): [string, number] => [name, 0]));
    for (let seed = 1; seed <= 50; seed++) {
      const day = 14 + (seed % 3) * 7;
      const known = after(OFFICE, day, seed);
      for (const [name, attack] of Object.entries(ATTACKS)) {
        const { findings } = judgeAll(sightingsOf(attack, day, randomOf(seed), 'theft'), known);
        if (findings.length > 0) found[name] = (found[name] ?? 0) + 1;
      }
    }
    expect(found).toEqual({
      'reads from another network': 50,
      'reads at night, from within': 50,
      'reads a hundred times in an hour, from within': 50,
      'reads twenty times in an hour, from within': 0,
      'does as its owner does': 0,
    });
  });
});
