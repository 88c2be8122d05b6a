import type { Instant } from './clock.ts';

/**
 * That a credential has taken a key which a person has made. It is kept in the ledger where the upstream has no place for
 * a mark, by the value's fingerprint, so that no two credentials ever take one, in whatever pool it stands. A certificate
 * authority, which is no secret, is kept by its ARN.
 */
export interface Claim {
  readonly fingerprint: string;
  readonly credentialId: string;
  /** Request token under which it was taken. */
  readonly token: string;
  readonly generation: number;
  readonly at: Instant;
}

/** The same, as seen by a credential. */
export interface SeenClaim extends Claim {
  /** It is that credential's own. */
  readonly own: boolean;
}
