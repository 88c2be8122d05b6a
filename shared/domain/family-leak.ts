import { fromInstant, plusSeconds, type Instant } from './clock.ts';
import type { Family } from './families.ts';
import type { Kept } from './family-secret.ts';
import { fingerprint } from './fingerprint.ts';
import type { LeakOutcome } from './leak.ts';

/** How long a token of a family is found by its fingerprint after it was given. */
const KNOWN_DAYS = 90;

/** A token of a family that the ledger knows by its fingerprint, whatever has become of it. */
export interface KnownToken {
  readonly familyId: string;
  readonly fingerprint: string;
  readonly kind: 'access' | 'refresh';
  /** Version of the secrets that has it. */
  readonly versionId: string;
  /** When the server gave it, the last time that it did. */
  readonly at: Instant;
  /** When the server said that it ends; a refresh token has no such end. */
  readonly expiresAt?: Instant;
}

/** The tokens of an answer, as they are found once somebody else has them. */
export function knownTokens(familyId: string, versionId: string, kept: Kept): KnownToken[] {
  const { refreshToken, accessToken, at, expiresAt } = kept;
  const about = { familyId, versionId, at };
  return [
    { ...about, kind: 'access', fingerprint: fingerprint(accessToken), expiresAt },
    ...(refreshToken === undefined
      ? []
      : [{ ...about, kind: 'refresh' as const, fingerprint: fingerprint(refreshToken) }]),
  ];
}

/** Until when it is found. */
export function knownUntil({ at }: KnownToken): Instant {
  return plusSeconds(at, KNOWN_DAYS * 86_400);
}

/** How a token stands that was found somewhere. */
export type TokenStanding =
  /** It, or what descends from the same consent, may work: the emergency of its family ends all of it. */
  | { readonly standing: 'live' }
  /** It was ended before, or ended by itself; `confirmed` where the server has said so. */
  | { readonly standing: 'ended'; readonly confirmed: boolean; readonly why: string }
  /** Nobody at Rekey can end it any more. */
  | { readonly standing: 'gone'; readonly why: string };

/**
 * How a token stands by the head of its family. One that was refreshed since is live as long as nobody has ended the family:
 * whoever has it has read what only the coordinator or the agents read, and a server may take it once more. So is one of a consent
 * that another one has replaced, which the emergency ends as well.
 */
export function standingOfToken(token: KnownToken, family: Family | undefined, now: number): TokenStanding {
  if (family === undefined || family.status === 'unregistered') {
    return {
      standing: 'gone',
      why: 'its family is no longer registered, so that Rekey can not revoke it: end the grant at its server',
    };
  }
  const { incident, ended } = family;
  if (incident !== undefined && incident.pending.length > 0) return { standing: 'live' };
  const ends = [ended, incident].filter((end) => end !== undefined).filter(({ since }) => token.at <= since);
  const last = ends.at(-1);
  if (last !== undefined) {
    const isEarlier = ends.some(({ consentedAt }) => consentedAt !== undefined && token.at < consentedAt);
    const confirmed = !isEarlier && ends.every(({ outcome }) => outcome === 'revoked');
    const said = confirmed
      ? 'confirmed by its server'
      : isEarlier
        ? 'but of a consent that another one had replaced: where its grant is still there, end it at the server'
        : 'which its server has never confirmed';
    return { standing: 'ended', confirmed, why: `revoked in ${last.id}, ${last.since}, ${said}` };
  }
  if (token.expiresAt !== undefined && fromInstant(token.expiresAt) <= now) {
    return {
      standing: 'ended',
      confirmed: false,
      why: `its server gave it until ${token.expiresAt}, and nobody has asked since`,
    };
  }
  return { standing: 'live' };
}

/** That as it is said of a leaked value. */
export function outcomeOf(standing: TokenStanding): Exclude<LeakOutcome, 'not-ours' | 'observed'> {
  if (standing.standing === 'live') return 'live';
  return standing.standing === 'ended' && standing.confirmed ? 'dead' : 'not-confirmed';
}
