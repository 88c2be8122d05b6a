import { describe, expect, it } from 'vitest';
import type { Pact } from '../../../shared/domain/agents.ts';
import { dueOf, nextStart } from '../../../shared/domain/calendar.ts';
import { goesAfter, staggeredWith } from '../../../shared/domain/order.ts';
import { credentialOf } from '../api/fakes.ts';

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

  it('lets one rotation be under way at a time', () => {
    const idle = { agent: 'checkout', credential: credentialOf({ name: 'stock-db' }) };
    const busy = { ...idle, credential: credentialOf({ name: 'stock-db', activeRotation: 'r' }) };
    expect(goesAfter({ master: undefined, staggered: [idle] }, 0)).toBeUndefined();
    expect(goesAfter({ master: undefined, staggered: [idle, busy] }, 0)).toBe(
      'checkout changes credentials between its sessions, and stock-db is being rotated',
    );
  });
});

describe('a master and its dependants', () => {
  const master = credentialOf({ name: 'orders-admin' });
  const starts = Date.parse(nextStart(master) ?? '');
  const why = (changes: Partial<typeof master>, now: number) =>
    goesAfter({ master: { ...master, ...changes }, staggered: [] }, now);

  it('are never under way at once', () => {
    expect(why({ activeRotation: 'r' }, 0)).toContain('orders-admin is being rotated');
    expect(why({}, 0)).toBeUndefined();
  });

  it('go in this order where both are due, unless the master is not planned', () => {
    expect(dueOf(master)).toBeDefined();
    expect(why({}, starts - 1)).toBeUndefined();
    expect(why({}, starts)).toContain('is due, and goes first');
    const paused = { since: '2026-01-01T00:00:00.000Z', actor: 'arn:a', reason: '' };
    expect(why({ paused }, starts)).toBeUndefined();
  });
});
