import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import { RekeyError } from './errors.ts';

/** A certificate that counts no more, although its end has not come. */
export interface Revocation {
  readonly serial: string;
  readonly revokedAt: Instant;
  /** Its own end: some time after that, nobody has to be told of it any more. */
  readonly notAfter: Instant;
}

/** A list (RFC 5280, section 5) as the authority has signed it. */
export interface SignedList {
  /** Its number: no later list has a lower one. */
  readonly number: number;
  /** DER, as base64. */
  readonly der: string;
  readonly thisUpdate: Instant;
  readonly nextUpdate: Instant;
}

/** What is revoked of an authority, and the list that tells it. */
export interface RevocationList {
  /** The set of the directory. */
  readonly set: string;
  /** Id of the authority. */
  readonly authority: string;
  /** Raised by every write. */
  readonly version: number;
  readonly revoked: readonly Revocation[];
  /** The version since which these are revoked: a list with a lower number lacks one of them. */
  readonly changedIn: number;
  readonly signed?: SignedList;
  /** The certificate of whoever answers for the authority, as PEM, where that is another one than at its making. */
  readonly responder?: string;
}

/** Single certificates of one authority that may be revoked at once: where it is more, the authority is to be. */
export const MAX_REVOKED = 1000;

/** How long a list counts. With what it is renewed, it bears a day without Rekey. */
const LIST_SECONDS = 26 * 3600;

/** With less left, a list is signed anew: hourly. */
const RENEWED_SECONDS = 25 * 3600;

/** A certificate is on a regular list once more after its end (RFC 5280, section 3.3), whatever the clocks say. */
const TOLD_SECONDS = 3 * 3600;

/** A list in which nothing is revoked. */
export function emptyList(set: string, authority: string): RevocationList {
  return { set, authority, version: 0, revoked: [], changedIn: 0 };
}

/** What is on record of a certificate that was revoked. */
export function revocationIn(list: RevocationList | undefined, serial: string): Revocation | undefined {
  return list?.revoked.find((each) => each.serial === serial);
}

/**
 * The list with one more; the very same where it has that one.
 * @throws RekeyError ERR_CAPACITY
 */
export function withRevoked(list: RevocationList, revocation: Revocation): RevocationList {
  if (revocationIn(list, revocation.serial) !== undefined) return list;
  const revoked = stillTold(list.revoked, fromInstant(revocation.revokedAt));
  if (revoked.length >= MAX_REVOKED) {
    throw new RekeyError(
      'ERR_CAPACITY',
      `${MAX_REVOKED} certificates of this authority are revoked already`,
      {
        remedy: 'revoke the authority (rekey revoke): all that it has signed ends with it',
      },
    );
  }
  return { ...list, revoked: [...revoked, revocation], changedIn: list.version + 1 };
}

function stillTold(revoked: readonly Revocation[], now: number): readonly Revocation[] {
  return revoked.filter(({ notAfter }) => now < fromInstant(notAfter) + TOLD_SECONDS * 1000);
}

/** Whether what was signed last has all that is revoked. */
export function isTold({ signed, changedIn }: Pick<RevocationList, 'signed' | 'changedIn'>): boolean {
  return signed !== undefined && signed.number >= changedIn;
}

/** Whether the list has to be signed anew: something was revoked since, or what was signed ends. */
export function isDue({ signed, changedIn }: RevocationList, now: number): boolean {
  if (signed === undefined || !isTold({ signed, changedIn })) return true;
  return fromInstant(signed.nextUpdate) - now < RENEWED_SECONDS * 1000;
}

/** What the next list says, under which number and for how long. Certificates that ended some time ago drop out of it. */
export function nextList(
  { version, revoked }: RevocationList,
  now: number,
  skewSeconds: number,
): Omit<SignedList, 'der'> & { readonly revoked: readonly Revocation[] } {
  const second = Math.floor(now / 1000) * 1000;
  return {
    number: version + 1,
    revoked: stillTold(revoked, now),
    // Whose clock is behind takes it as well.
    thisUpdate: toInstant(second - skewSeconds * 1000),
    nextUpdate: plusSeconds(toInstant(second), LIST_SECONDS),
  };
}

/** What was signed last, as long as it counts. */
export function listNow(list: RevocationList | undefined, now: number): SignedList | undefined {
  const { signed } = list ?? {};
  return signed !== undefined && now < fromInstant(signed.nextUpdate) ? signed : undefined;
}
