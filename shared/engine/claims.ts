import type { Claim, SeenClaim } from '../domain/claim.ts';
import { toInstant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Claims, NewClaim } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';

/** Keys that a credential has taken, in the ledger; before one is registered it has none and takes none. */
export function claimsOf(
  { ledger, clock }: Pick<EngineDeps, 'ledger' | 'clock'>,
  credentialId: string | undefined,
): Claims {
  const made = (claim: NewClaim): Claim => ({
    ...claim,
    credentialId: known(credentialId),
    at: toInstant(clock()),
  });
  const seen = (claim: Claim): SeenClaim => ({ ...claim, own: claim.credentialId === credentialId });
  return {
    async of(fingerprints) {
      const found = await Promise.all(fingerprints.map((each) => ledger.claimOf(each)));
      return found.flatMap((claim) => (claim === undefined ? [] : [seen(claim)]));
    },
    take: async (claim) => seen(await ledger.claim(made(claim))),
    async inherit(claim) {
      const first = await ledger.claim(made(claim));
      const isLeft = (await ledger.credential(first.credentialId)) === undefined;
      if (!isLeft) return seen(first);
      await ledger.unclaim(first);
      return seen(await ledger.claim(made(claim)));
    },
    giveBack: (claim) => ledger.unclaim({ ...claim, credentialId: known(credentialId) }),
  };
}

function known(credentialId: string | undefined): string {
  if (credentialId !== undefined) return credentialId;
  throw new RekeyError('ERR_PROTOCOL', 'a key is taken for a credential that is registered');
}
