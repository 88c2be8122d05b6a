import { isRekeyError } from '../../domain/errors.ts';
import type { Claims } from '../provider.ts';
import type { Api } from './api.ts';
import type { KeyUpstream, NewKey } from './keys.ts';
import { markOf } from './mark.ts';
import { claimsIn } from './pool-claims.ts';
import { isFree, isValueOf, poolIsEmpty, poolOutlook, printOf, type PoolKey } from './pool.ts';
import type { KeyTarget } from './target.ts';

/** What an upstream has of its own that makes no keys by its API, and renames them. */
export interface NamedPool<T> {
  readonly name: string;
  /** Where its keys are, in words. */
  readonly where: (target: T) => string;
  /** All keys of the owner. */
  readonly all: (api: Api, target: T) => Promise<readonly PoolKey[]>;
  readonly look: (api: Api, id: string) => Promise<PoolKey | undefined>;
  /** Gives a key another name. */
  readonly rename: (api: Api, id: string, name: string) => Promise<unknown>;
}

/**
 * Keys that an operator has made and put into the administrative secret as `pool` (`poolSchema`). A key is taken by a claim
 * in the ledger, since the upstream has no conditional write, and then gets the mark as its name, by which it is found. One
 * that has the claim or the mark already gives its value again, so a lost answer costs none. What another deployment has taken
 * is told by the name alone.
 */
export function namedPool<T extends KeyTarget>({ name: upstream, where, all, look, rename }: NamedPool<T>) {
  return {
    list: all,
    find: async (api, _target, id) => look(api, id),

    async create(api, target, name, { pool }, { current, claims }) {
      const keys = await all(api, target);
      const { generation, token } = markOf(name);
      // The current one has lost its mark where somebody has renamed it, and its claim where an older version has taken it.
      for (const entry of pool.filter(({ id }) => id !== current)) {
        const key = keys.find(({ id }) => id === entry.id);
        if (key === undefined || !isFree(key, name) || !isValueOf(entry, key)) continue;
        const mine = { fingerprint: printOf(entry), generation, token };
        const claim = await claimsIn({ claims }).take(mine);
        // Somebody may have been faster, or have renamed what was taken: then the next one.
        if (!claim.own || claim.token !== token) continue;
        await rename(api, entry.id, name).catch(async (error: unknown) => {
          // What is refused for good has no mark, so that nobody would find the key again by it.
          if (isRekeyError(error) && !error.retryable) await claimsIn({ claims }).giveBack(mine);
          throw error;
        });
        return entry;
      }
      throw poolIsEmpty(upstream, where(target));
    },

    reveal: async (_api, _target, { id, hint = '' }, { pool }) =>
      Promise.resolve(pool.find((entry) => entry.id === id && isValueOf(entry, { hint }))?.value),

    async outlook(api, target, { pool }, claims) {
      const [keys, taken] = await Promise.all([all(api, target), takenIds(pool, claims)]);
      return poolOutlook(target, pool, keys, taken);
    },
  } satisfies Partial<KeyUpstream<T, { readonly pool: readonly NewKey[] }>>;
}

/** Ids of the entries that somebody has claimed. */
async function takenIds(pool: readonly NewKey[], claims: Claims | undefined): Promise<ReadonlySet<string>> {
  const found = await claimsIn({ claims }).of(pool.map(printOf));
  const taken = new Set(found.map(({ fingerprint }) => fingerprint));
  return new Set(pool.filter((entry) => taken.has(printOf(entry))).map(({ id }) => id));
}
