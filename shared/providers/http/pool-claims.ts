import type { SeenClaim } from '../../domain/claim.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Claims, ProviderContext } from '../provider.ts';
import type { PoolEntry } from './pool-entry.ts';

/** A key that a credential has taken. */
export interface OwnKey {
  readonly key: PoolEntry;
  readonly claim: SeenClaim;
}

/** What is taken of a pool. */
export interface OwnKeys {
  /** Whoever has taken it. */
  readonly claims: readonly SeenClaim[];
  /** What this credential has, and is not shown to be dead. */
  readonly keys: readonly OwnKey[];
}

/** Claims in the ledger. @throws RekeyError ERR_PROTOCOL in a function that keeps none */
export function claimsIn({ claims }: { readonly claims?: Claims | undefined }): Claims {
  if (claims !== undefined) return claims;
  throw new RekeyError('ERR_PROTOCOL', 'this function keeps no claims on keys of a pool');
}

/** All claims on a pool, and this credential's own keys that `mayLive`. */
export async function takenOf(
  pool: readonly PoolEntry[],
  ctx: ProviderContext,
  mayLive: (key: PoolEntry) => Promise<boolean>,
): Promise<OwnKeys> {
  const claims = await claimsIn(ctx).of(pool.map(({ print }) => print));
  const taken = pool.flatMap((key) => {
    const claim = claims.find((each) => each.own && each.fingerprint === key.print);
    return claim === undefined ? [] : [{ key, claim }];
  });
  const alive = await Promise.all(taken.map(async ({ key }) => mayLive(key)));
  return { claims, keys: taken.filter((_each, at) => alive[at]) };
}
