import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import {
  changed,
  emptySet,
  publishedOf,
  renew,
  take,
  takeable,
  type Taking,
} from '../../../shared/domain/directory.ts';
import { describeDirectory } from '../../contract/describe-directory.ts';
import { MemoryDirectory } from '../../support/directory.ts';

const NOW = Date.parse('2026-11-26T12:00:00.000Z');
const times = { cacheSeconds: 60, skewSeconds: 300 };
const taking = (generation: number, more: Partial<Taking> = {}): Taking => ({
  token: `t${generation}`,
  generation,
  now: NOW,
  times,
  maxLive: 2,
  waits: false,
  ...more,
});
const later = { waits: true, now: NOW + 360_000 };
const fresh = (id: string) => ({ id, document: { kid: id } });
const empty = emptySet({ kind: 'jwks', name: 'orders' }, times);
const one = take(empty, fresh('a'), fresh('b'), taking(1));

describe('a set of the directory', () => {
  it('has what comes next as soon as something is taken', () => {
    expect(one.entries.map(({ id, state, generation }) => [id, state, generation])).toEqual([
      ['a', 'live', 1],
      ['b', 'next', undefined],
    ]);
    expect(takeable(one, taking(2, later))).toMatchObject({ kind: 'next', entry: { id: 'b' } });
  });

  it('gives a rotation what it has taken already, and none what a later one has', () => {
    expect(takeable(one, taking(1))).toMatchObject({ kind: 'held', entry: { id: 'a' } });
    expect(() => takeable(one, taking(1, { token: 'late' }))).toThrow(/has had generation 1/);
  });

  it('waits for the caches and the skew of clocks, and in an emergency for nothing', () => {
    const known = NOW + 360_000;
    expect(() => takeable(one, taking(2, { waits: true, now: known - 1 }))).toThrow(/know what comes next/);
    expect(takeable(one, taking(2, { waits: true, now: known }))).toMatchObject({ kind: 'next' });
    const revoked = changed(one, 'a', (entry) => ({ ...entry, state: 'ended' })) ?? one;
    expect(takeable(revoked, taking(2, { now: NOW }))).toMatchObject({ kind: 'next' });
  });

  it('gives nobody what ends too soon: another one takes its place, and is waited for', () => {
    const ends = (at: number) =>
      take(empty, fresh('a'), { ...fresh('b'), notAfter: toInstant(at) }, taking(1));
    const wants = taking(2, { ...later, lastsUntil: toInstant(NOW + 1_000_000) });
    expect(takeable(ends(NOW + 1_000_000), wants)).toMatchObject({ kind: 'next', entry: { id: 'b' } });
    const stale = ends(NOW + 999_999);
    expect(takeable(stale, wants)).toMatchObject({ kind: 'stale', entry: { id: 'b' } });
    const renewed = renew(stale, fresh('c'), later.now);
    expect(renewed.entries.map(({ id, state }) => [id, state])).toEqual([
      ['a', 'live'],
      ['c', 'next'],
    ]);
    expect(() => takeable(renewed, wants)).toThrow(/know what comes next/);
  });

  it('belongs to one credential: what an earlier one has left alive is nobody’s to take over', () => {
    expect(() => takeable(one, taking(2))).toThrow(/has a of an earlier credential/);
  });

  it('has no room while two live, suspended ones included', () => {
    const two = take(one, one.entries[1] ?? fresh('b'), fresh('c'), taking(2));
    const suspended = changed(two, 'a', (entry) => ({ ...entry, state: 'suspended' })) ?? two;
    expect(() => takeable(suspended, taking(3, later))).toThrow(/a and b of orders still live/);
    const ended = changed(two, 'a', (entry) => ({ ...entry, state: 'ended' })) ?? two;
    expect(takeable(ended, taking(3, later))).toMatchObject({ kind: 'next', entry: { id: 'c' } });
  });

  it('tells verifiers of what lives and what comes next, and of nothing that has ended', () => {
    const limited = take(empty, fresh('a'), fresh('b'), taking(1), toInstant(NOW + 1000));
    const ids = (set: typeof one, now: number) => publishedOf(set, now).map(({ id }) => id);
    expect(ids(limited, NOW + 300_999)).toEqual(['a', 'b']);
    expect(ids(limited, NOW + 301_000)).toEqual(['b']);
    for (const state of ['suspended', 'ended'] as const)
      expect(ids(changed(one, 'a', (entry) => ({ ...entry, state })) ?? one, NOW)).toEqual(['b']);
  });

  it('forgets what has ended long ago, never what lives', () => {
    let set = one;
    for (let generation = 2; generation < 60; generation++) {
      const live = set.entries.find(({ state }) => state === 'live')?.id ?? '';
      set = changed(set, live, (entry) => ({ ...entry, state: 'ended' })) ?? set;
      const next = set.entries.find(({ state }) => state === 'next') ?? fresh('');
      set = take(set, next, fresh(`k${generation}`), taking(generation));
    }
    expect(set.entries).toHaveLength(22);
    expect(set.generation).toBe(59);
  });
});

describeDirectory('a map', () => new MemoryDirectory());
