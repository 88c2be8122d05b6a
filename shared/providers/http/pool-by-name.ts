import { RekeyError } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import type { Api } from './api.ts';
import type { KeyUpstream, NewKey } from './keys.ts';
import { isFree, isValueOf, poolIsEmpty, poolOutlook, type PoolKey } from './pool.ts';
import type { KeyTarget } from './target.ts';

/** Longest time from the look at a free key to the end of its renaming; a claim counts when it has stood as long. */
const CLAIM_MS = 3000;

/** What an upstream has of its own that makes no keys by its API, and renames them. */
export interface NamedPool<T> {
  readonly name: string;
  /** Where its keys are, in words. */
  readonly where: (target: T) => string;
  /** All keys of the owner. */
  readonly all: (api: Api, target: T) => Promise<readonly PoolKey[]>;
  readonly look: (api: Api, id: string) => Promise<PoolKey | undefined>;
  /** Gives a key another name, within that time. */
  readonly rename: (api: Api, id: string, name: string, withinMs: number) => Promise<unknown>;
}

/**
 * Keys that an operator has made and put into the administrative secret as `pool` (`poolSchema`). A key is taken by giving it
 * the mark as its name; one that has the mark already gives its value again, so a lost answer costs none.
 */
export function namedPool<T extends KeyTarget>(
  { name: upstream, where, all, look, rename }: NamedPool<T>,
  wait = pause,
) {
  /**
   * Takes a key that was free a moment ago; false where another has it. There is no conditional write, and with reads and
   * writes alone two can't agree, however often they look. With time they can (Fischer's exclusion): whoever saw the key
   * free before our mark stood there has written within CLAIM_MS, or given up. The mark that stands after that wait is the
   * last one. Its writer has the key; everybody else sees it and goes on to the next. What is left is a renaming that
   * the upstream performs seconds after its sender has given it up. Who can't bear that gives each credential an
   * administrative secret with keys of its own.
   */
  async function claim(api: Api, id: string, name: string): Promise<boolean> {
    const began = performance.now();
    const key = await look(api, id);
    if (key === undefined || !isFree(key, name)) return false;
    await rename(api, id, name, CLAIM_MS - (performance.now() - began));
    return (await settled(api, id))?.name === name;
  }

  async function settled(api: Api, id: string): Promise<PoolKey | undefined> {
    await wait(CLAIM_MS);
    return look(api, id);
  }

  return {
    list: all,
    find: async (api, _target, id) => look(api, id),

    async create(api, target, name, { pool }, { current }) {
      const keys = await all(api, target);
      // The current one has lost its mark where somebody has renamed it.
      for (const entry of pool.filter(({ id }) => id !== current)) {
        const key = keys.find(({ id }) => id === entry.id);
        if (key === undefined || !isFree(key, name) || !isValueOf(entry, key)) continue;
        if (await claim(api, entry.id, name)) return entry;
      }
      throw poolIsEmpty(upstream, where(target));
    },

    async reveal(api, _target, { id, name }, { pool }) {
      const key = await settled(api, id);
      if (key?.name === name) return pool.find((entry) => entry.id === id && isValueOf(entry, key))?.value;
      throw new RekeyError('ERR_UNAVAILABLE', `${id} was taken by another at the same time`, {
        remedy: 'it is tried again, with the next key of the pool',
      });
    },

    outlook: async (api, target, { pool }) => poolOutlook(target, pool, await all(api, target)),
  } satisfies Partial<KeyUpstream<T, { readonly pool: readonly NewKey[] }>>;
}
