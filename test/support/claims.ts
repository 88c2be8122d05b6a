import type { Claim } from '../../shared/domain/claim.ts';
import type { Claims } from '../../shared/providers/provider.ts';

/** The claims of a ledger in memory, as several credentials see them. */
export class MemoryClaims {
  readonly all: Map<string, Claim> = new Map();
  /** The next claim comes second: somebody else is faster. */
  faster: ((fingerprint: string) => Claim | undefined) | undefined;

  /** As one credential sees them. */
  of(credentialId: string): Claims {
    const take: Claims['take'] = async (claim) => {
      const first = this.faster?.(claim.fingerprint);
      if (first !== undefined) this.all.set(claim.fingerprint, first);
      const at = new Date().toISOString();
      const standing = this.all.get(claim.fingerprint) ?? { ...claim, credentialId, at };
      this.all.set(claim.fingerprint, standing);
      return Promise.resolve(seen(standing));
    };
    const seen = (claim: Claim) => ({ ...claim, own: claim.credentialId === credentialId });
    return {
      of: async (fingerprints) =>
        Promise.resolve(
          fingerprints.flatMap((each) => {
            const claim = this.all.get(each);
            return claim === undefined ? [] : [seen(claim)];
          }),
        ),
      take,
      inherit: take,
      giveBack: async ({ fingerprint, token }) => {
        const found = this.all.get(fingerprint);
        if (found?.credentialId === credentialId && found.token === token) this.all.delete(fingerprint);
        return Promise.resolve();
      },
    };
  }
}
