import { describe, expect, it } from 'vitest';
import type { Pact } from '../../../shared/domain/agents.ts';
import { dueOf, nextStart } from '../../../shared/domain/calendar.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { goesAfter, obstaclesOf, putOff, staggeredWith, waitOf } from '../../../shared/domain/order.ts';
import { credentialOf, rotationOf } from '../api/fakes.ts';

const PAUSED = { since: '2026-01-01T00:00:00.000Z', actor: 'arn:a', reason: 'freeze' };

const terms = (credential: string, refresh: 'in-session' | 'between-sessions') => ({
  credential,
  refresh,
  ttlSeconds: 60,
  staleLimitSeconds: 60,
  uses: 'unreported' as const,
  delegates: [],
});
const PACT: Pact = {
  agent: 'checkout',
  credentials: [
    terms('orders-db', 'between-sessions'),
    terms('stock-db', 'between-sessions'),
    terms('search', 'in-session'),
  ],
  checkpoint: false,
  sessionLimitSeconds: 3600,
  version: 1,
  actor: 'arn:a',
  registeredAt: '2026-01-01T00:00:00.000Z',
};

describe('the stagger of an agent that changes credentials between its sessions', () => {
  it('is between those that it can’t change while it works, and no other', () => {
    expect(staggeredWith(PACT, 'orders-db')).toEqual(['stock-db']);
    expect(staggeredWith(PACT, 'search')).toEqual([]);
    expect(staggeredWith(PACT, 'unknown')).toEqual([]);
    expect(staggeredWith(undefined, 'orders-db')).toEqual([]);
  });

  it('lets one rotation be under way at a time, says which and since when, and no deadline ends that', () => {
    const idle = { agent: 'checkout', credential: credentialOf({ name: 'stock-db' }) };
    const busy = {
      agent: 'checkout',
      credential: credentialOf({ name: 'stock-db', activeRotation: 'r', paused: PAUSED }),
      rotation: rotationOf({ startedAt: '2026-11-20T00:00:00.000Z', stuck: true }),
    };
    expect(obstaclesOf({ staggered: [idle] }, 0)).toEqual([]);
    const obstacles = obstaclesOf({ staggered: [idle, busy] }, 0);
    const why =
      'checkout changes credentials between its sessions, and stock-db is being rotated ' +
      '(since 2026-11-20T00:00:00.000Z; needs a person; paused since 2026-01-01T00:00:00.000Z by arn:a: freeze)';
    expect(obstacles).toEqual([{ kind: 'stagger', text: why }]);
    expect(goesAfter(credentialOf(), obstacles, Number.MAX_SAFE_INTEGER)).toBe(why);
  });
});

describe('a master and its dependants', () => {
  const self = credentialOf({ name: 'orders-db' });
  const master = credentialOf({ name: 'orders-admin' });
  const starts = Date.parse(nextStart(master) ?? '');
  const deadline = Date.parse(dueOf(self)?.deadline ?? '');
  const why = (changes: Partial<typeof master>, now: number) =>
    goesAfter(self, obstaclesOf({ master: { credential: { ...master, ...changes } } }, now), now);

  it('are never under way at once, until the deadline of whoever waits', () => {
    expect(why({ activeRotation: 'r' }, 0)).toBe('its administrative login orders-admin is being rotated');
    expect(why({ activeRotation: 'r' }, deadline - 1)).toContain('is being rotated');
    expect(why({ activeRotation: 'r' }, deadline)).toBeUndefined();
    expect(why({}, 0)).toBeUndefined();
    const dependants = ['a', 'b'].map((name) => ({
      credential: credentialOf({ name, activeRotation: 'r' }),
    }));
    const obstacles = obstaclesOf({ dependants }, 0);
    expect(goesAfter(master, obstacles, deadline - 1)).toBe(
      'it is the administrative login of others: a is being rotated, and 1 more',
    );
    expect(goesAfter(master, obstacles, deadline)).toBeUndefined();
  });

  it('go in this order where both are due, unless the master is not planned', () => {
    expect(dueOf(master)).toBeDefined();
    expect(why({}, starts - 1)).toBeUndefined();
    expect(why({}, starts)).toContain('is due, and goes first');
    expect(why({ paused: PAUSED }, starts)).toBeUndefined();
    expect(
      goesAfter(self, obstaclesOf({ master: { credential: master }, circular: true }, starts), starts),
    ).toBe(undefined);
  });

  it('a master that was put off itself goes first all the same; one whose attempts fail does not', () => {
    const plan = { of: master.current?.versionId ?? '', attempts: 0, notBefore: toInstant(starts + 900_000) };
    expect(why({ plan }, starts)).toBeUndefined();
    expect(why({ plan: { ...plan, waitsFor: 'a dependant' } }, starts)).toContain('is due, and goes first');
  });

  it('a master that was put off and is due later now, since its interval was lengthened, keeps nobody waiting', () => {
    const of = master.current?.versionId ?? '';
    const short = { ...master, policy: { ...master.policy, intervalSeconds: 10 * 86_400 } };
    const began = Date.parse(nextStart(short) ?? '');
    const wait = { waitsFor: 'a dependant', waitsSince: toInstant(began) };
    const plan = { of, attempts: 0, notBefore: toInstant(began + 900_000), ...wait };
    expect(waitOf({ ...short, plan }, began)).toEqual(wait);
    expect(why({ ...short, plan }, began)).toContain('is due, and goes first');
    expect(why({ plan }, began)).toBeUndefined();
    expect(waitOf({ ...master, plan }, began)).toEqual({});
    expect(waitOf({ ...short, plan, paused: PAUSED }, began)).toEqual({});
  });
});

describe('a wait for another rotation', () => {
  const credential = credentialOf();
  const starts = Date.parse(nextStart(credential) ?? '');
  const HOUR_MS = 3_600_000;
  const sinceOf = (looks: readonly number[]): string | undefined =>
    looks.reduce((head, at) => ({ ...head, plan: putOff(head, 'another one', at) }), credential).plan
      ?.waitsSince;

  it('began at the first look of those that follow each other, whichever goes first, also while the planner was out', () => {
    const looks = [0, 0.25, 0.5, 1.5, 1.8].map((hours) => starts + hours * HOUR_MS);
    expect(sinceOf(looks)).toBe(toInstant(starts));
  });

  it('is another one where nobody looked in between, since it was paused: it begins anew', () => {
    expect(sinceOf([starts, starts + 30 * HOUR_MS])).toBe(toInstant(starts + 30 * HOUR_MS));
  });
});
