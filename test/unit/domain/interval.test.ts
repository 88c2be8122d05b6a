import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  deadlineOf,
  effectiveIntervalSeconds,
  findingsOf,
  intervalText,
  spanText,
  type Governed,
} from '../../../shared/domain/interval.ts';
import type { Holder } from '../../../shared/domain/holders.ts';
import {
  agentsOf,
  computedIntervalSeconds,
  resolvePolicy,
  type PolicyInput,
} from '../../../shared/domain/policy.ts';

const NOW = Date.parse('2026-03-01T00:00:00.000Z');
const DAY = 86_400;

const holder = (agents?: number): Holder => ({
  kind: 'polling',
  name: `fleet-${agents ?? 'one'}`,
  ttlSeconds: 60,
  ...(agents === undefined ? {} : { agents }),
});
const governed = (input: PolicyInput, holders: Holder[] = []): Governed => ({
  type: 'database',
  policy: resolvePolicy('database', input, holders, NOW),
  holders,
});
const keys = (one: Governed, now = NOW): string[] => findingsOf(one, now).map(({ key }) => key);

describe('the interval that is computed', () => {
  it.for([
    [1, 'normal', 30],
    [5, 'normal', 30],
    [6, 'normal', 15],
    [20, 'normal', 15],
    [21, 'normal', 7],
    [5, 'sensitive', 7],
    [6, 'sensitive', 3],
    [500, 'sensitive', 1],
  ] as const)('for %i agents that write to %s data is %i days', ([agents, sensitivity, days]) => {
    expect(computedIntervalSeconds('database', { access: 'write', sensitivity, agents })).toBe(days * DAY);
    expect(
      resolvePolicy('database', { sensitivity, capSeconds: 4 * 3600 }, [holder(agents)], NOW).intervalSeconds,
    ).toBe(days * DAY);
  });

  it('counts a holder that says nothing as one agent', () => {
    expect(agentsOf([holder(), holder(4), holder()])).toBe(6);
    expect(governed({}, [holder(), holder(4), holder()]).policy.intervalSeconds).toBe(15 * DAY);
  });
});

describe('findings', () => {
  it('a declaration looser than computed is taken up to the maximum, and flagged', () => {
    const one = governed({ intervalSeconds: 30 * DAY }, [holder(6)]);
    expect(findingsOf(one, NOW)).toEqual([
      {
        key: 'looser',
        text: '30 days are declared, 15 days are computed for write access to normal data by 6 agents',
      },
    ]);
    expect(keys(governed({}, [holder(6)]))).toEqual([]);
    expect(keys(governed({ intervalSeconds: 2 * DAY }, [holder(6)]))).toEqual([]);
  });

  it.for([
    [20, 'normal', []],
    [21, 'normal', ['shared']],
    [5, 'sensitive', []],
    [6, 'sensitive', ['shared']],
  ] as const)('%i agents on %s data', ([agents, sensitivity, expected]) => {
    expect(keys(governed({ sensitivity }, [holder(agents)]))).toEqual(expected);
  });

  it('an exception shows with its reason, and once it has expired the maximum counts by itself', () => {
    const exception = { reason: 'vendor outage', expires: '2026-06-30' };
    const one = governed({ intervalSeconds: 60 * DAY, exception });
    const end = Date.parse('2026-07-01T00:00:00.000Z');
    expect([keys(one), keys(one, end - 1), keys(one, end)]).toEqual([
      ['exception until 2026-06-30'],
      ['exception until 2026-06-30'],
      ['exception expired 2026-06-30'],
    ]);
    expect(findingsOf(one, NOW)[0]?.text).toContain('vendor outage');
    expect([effectiveIntervalSeconds(one, end - 1), effectiveIntervalSeconds(one, end)]).toEqual([
      60 * DAY,
      30 * DAY,
    ]);
    expect(intervalText(one, NOW)).toBe('every 60 days: exception until 2026-06-30 (vendor outage)');
    expect(intervalText(one, end)).toBe(
      'every 30 days: the maximum of its type, since the exception has expired',
    );
  });

  it('an exception that the interval does not need is no finding', () => {
    expect(keys(governed({ exception: { reason: 'x', expires: '2026-06-30' } }))).toEqual([]);
  });
});

describe('the deadline', () => {
  it('property: up to it the credential is never older than the interval that counts, and right after it is', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 90 }),
        fc.integer({ min: 0, max: 120 }),
        fc.integer({ min: -40, max: 40 }),
        (days, exceptionDays, issuedDays) => {
          const expires = new Date(NOW + exceptionDays * DAY * 1000).toISOString().slice(0, 10);
          const one = governed({ intervalSeconds: days * DAY, exception: { reason: 'x', expires } });
          const issued = NOW + issuedDays * DAY * 1000 + 12_345_678;
          const deadline = Date.parse(deadlineOf(one, new Date(issued).toISOString()));
          const within = (now: number): boolean => now - issued <= effectiveIntervalSeconds(one, now) * 1000;
          for (let now = issued; now < deadline; now += DAY * 500) expect(within(now)).toBe(true);
          expect(within(deadline - 1)).toBe(true);
          expect(within(deadline + 1)).toBe(false);
        },
      ),
    );
  });
});

it('a span is told in its largest whole unit', () => {
  expect([30 * DAY, DAY, 36 * 3600, 90, 60].map(spanText)).toEqual([
    '30 days',
    '1 day',
    '36 hours',
    '90 seconds',
    '1 minute',
  ]);
});
