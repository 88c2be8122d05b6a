import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { fingerprint } from '../../domain/fingerprint.ts';
import { Redacted } from '../../domain/redacted.ts';
import type { Notice } from '../provider.ts';
import type { NewKey, UpstreamKey } from './keys.ts';
import { markIn } from './mark.ts';
import { upstreamId, type KeyTarget } from './target.ts';

/** A key of an upstream that makes none by its API. */
export interface PoolKey extends UpstreamKey {
  /** What the upstream shows of its value, e.g. `sk-ant-api03-R2D...igAA`; empty where it shows nothing. */
  readonly hint: string;
}

/** Keys that an operator has made, in the order in which they are taken. */
export const poolSchema: z.ZodType<readonly NewKey[]> = z
  .array(z.object({ id: upstreamId, value: z.string().regex(/^[!-~]{8,4096}$/) }))
  .refine(isDistinct);

const REFILL =
  'make keys there by hand, and append each to "pool" of the administrative secret as {"id": …, "value": …}';

/** Whether a key is to be had under this name, which an attempt before may have given it. */
export function isFree(key: UpstreamKey, name?: string): boolean {
  return key.active && (key.name === name || markIn(key.name) === undefined);
}

/**
 * Whether a value is the key's, as far as its hint tells. Without a hint it isn't: a value that an operator has put beside
 * the wrong id would work, and some other key be revoked in its place.
 */
export function isValueOf({ value }: NewKey, { hint }: Pick<PoolKey, 'hint'>): boolean {
  const [head = '', tail = '', more] = hint.split('...');
  return head !== '' && tail !== '' && more === undefined && value.startsWith(head) && value.endsWith(tail);
}

/** Fingerprint of a value, by which it is claimed. */
export function printOf({ value }: Pick<NewKey, 'value'>): string {
  return fingerprint(new Redacted(value));
}

/** The refusal where no key of a pool can be taken. */
export function poolIsEmpty(upstream: string, where: string): RekeyError {
  return new RekeyError('ERR_CAPACITY', `no key of the pool is free in ${where} at ${upstream}`, {
    field: 'admin',
    remedy: REFILL,
  });
}

/**
 * What a person has to do about a pool before it is empty. Each credential that takes from it needs a key for its next
 * rotation, and one of them another for an emergency; who has taken is told by the marks. `keys` are the upstream's, `taken`
 * the ids of what is claimed.
 */
export function poolOutlook(
  { label }: KeyTarget,
  pool: readonly NewKey[],
  keys: readonly PoolKey[],
  taken: ReadonlySet<string>,
): readonly Notice[] {
  const known = pool.flatMap((entry) => {
    const key = keys.find(({ id }) => id === entry.id);
    return key === undefined ? [] : [{ key, fits: isValueOf(entry, key) }];
  });
  const free = known.filter(({ key, fits }) => fits && isFree(key) && !taken.has(key.id)).length;
  const needed = 1 + new Set([label, ...known.flatMap(({ key }) => markIn(key.name)?.label ?? [])]).size;
  const mixedUp = known.filter(({ fits }) => !fits).map(({ key }) => key.id);
  return [
    ...mixedUp.map((id) => ({
      field: 'admin',
      message: `the value beside ${id} in the pool does not fit what the upstream shows of that key: it is not taken`,
      remedy: 'put the value of that very key there, or take the entry out',
    })),
    ...(free < needed ? [poolRunsLow(free, needed)] : []),
  ];
}

/** What a person is told while there is time to fill a pool. */
export function poolRunsLow(free: number, needed: number): Notice {
  return {
    field: 'admin',
    message: `the pool runs low: ${free} free, and ${needed} needed for the next rotations and an emergency`,
    remedy: REFILL,
  };
}

/** Whether a pool has each id and each value once. */
export function isDistinct(pool: readonly Pick<NewKey, 'id' | 'value'>[]): boolean {
  const [ids, values] = [new Set(pool.map(({ id }) => id)), new Set(pool.map(({ value }) => value))];
  return ids.size === pool.length && values.size === pool.length;
}
