import { fromInstant, toInstant, type Instant } from './clock.ts';
import { RekeyError } from './errors.ts';

/** When a certificate counts. Certificates know whole seconds. */
export interface Validity {
  readonly notBefore: Instant;
  readonly notAfter: Instant;
}

/** What a validity follows from. */
export interface Lifetime {
  readonly now: number;
  readonly lifeSeconds: number;
  /** How far the clock of whoever checks it may be behind. */
  readonly skewSeconds: number;
  /** The end of its issuer, past which it counts for nothing. */
  readonly issuerEndsAt?: Instant;
}

/**
 * The validity of a certificate that is made now. It begins earlier by the skew: a verifier whose clock is behind takes it at once.
 * @throws RekeyError ERR_UNAVAILABLE where its issuer has ended
 */
export function validityOf({ now, lifeSeconds, skewSeconds, issuerEndsAt }: Lifetime): Validity {
  const second = Math.floor(now / 1000);
  const end = second + lifeSeconds;
  const cap = issuerEndsAt === undefined ? end : Math.floor(fromInstant(issuerEndsAt) / 1000);
  if (cap <= second) {
    throw new RekeyError('ERR_UNAVAILABLE', `the certificate authority has ended at ${issuerEndsAt}`, {
      remedy: 'its rotation is overdue: look at rekey show, then rotate it',
    });
  }
  return {
    notBefore: toInstant((second - skewSeconds) * 1000),
    notAfter: toInstant(Math.min(end, cap) * 1000),
  };
}

/** When a certificate that is made now is to be renewed: at half of what is left of it, so that a day without Rekey ends nobody. */
export function renewAt(now: number, { notAfter }: Validity): Instant {
  return toInstant(now + (fromInstant(notAfter) - now) / 2);
}
