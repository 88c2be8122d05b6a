import type { Credential } from '../credential.ts';
import type { Family } from '../families.ts';
import type { KnownToken } from '../family-leak.ts';
import type { Holder } from '../holders.ts';
import type { KnownKey, Standing } from '../leak.ts';
import { agentsOf } from '../policy.ts';
import type { Signal } from './signal.ts';

/** A credential that a signal is about. */
export interface CredentialMatch {
  readonly credential: Credential;
  /** How its key stands; `live` where the settings name the credential and no key is known. */
  readonly standing: Exclude<Standing, 'gone'>;
  /** The key that was found; absent where nothing but a name in the settings leads to the credential. */
  readonly key?: KnownKey;
}

/** A token family that a signal is about, by a token of it that was found. */
export interface FamilyMatch {
  readonly family: Family;
  readonly standing: 'live' | 'ended';
  readonly token: KnownToken;
}

/** What a signal is about. */
export type SignalMatch = CredentialMatch | FamilyMatch;

/** Those of them that are credentials. */
export function credentialsIn(matches: readonly SignalMatch[]): CredentialMatch[] {
  return matches.filter((match) => 'credential' in match);
}

/** Those of them that are token families. */
export function familiesIn(matches: readonly SignalMatch[]): FamilyMatch[] {
  return matches.filter((match) => 'family' in match);
}

/** How much a signal may do without a person (audit-and-security: threats). */
export interface SignalPolicy {
  /** Credentials and families that the signals of one source revoke within an hour. */
  readonly maxCredentials: number;
  /** Agents that hold what the signals of one source revoke within an hour, all together. */
  readonly maxAgents: number;
  /** Signals that are taken of one source in an hour; absent for people, who may revoke anyhow. */
  readonly perHour?: number;
  /** Agents that suspensions of what is held for one source stop within an hour; older settings don't say, and nothing is. */
  readonly suspendHeld?: number;
  /** Until one Responder may decide alone what is held, in seconds. */
  readonly breakGlassSeconds: number;
  /** What follows from what Rekey's own rules find unusual. Default: `tell`. */
  readonly unusual?: 'tell' | 'rotate';
}

/** What becomes of a signal. */
export type Decision =
  /** The emergency of each, now. */
  | { readonly act: 'revoke'; readonly of: readonly SignalMatch[] }
  /** A staged rotation of each: nothing breaks where the signal is wrong. */
  | { readonly act: 'rotate'; readonly of: readonly SignalMatch[] }
  /** Two people decide whether they are revoked. */
  | { readonly act: 'hold'; readonly of: readonly SignalMatch[]; readonly why: string }
  /** Only a person can end them at their upstream. */
  | { readonly act: 'by-hand'; readonly of: readonly SignalMatch[] }
  /** A person is told, and nothing else happens. */
  | { readonly act: 'tell'; readonly of: readonly SignalMatch[] }
  /** Ended before: it is noted in their trails. */
  | { readonly act: 'note'; readonly of: readonly SignalMatch[] }
  /** Nobody can tell what it is about: a person looks. */
  | { readonly act: 'look' }
  | { readonly act: 'nothing' };

/**
 * Decides on a signal of a source that is known. Only who has shown a value that works, or is the upstream and names the key,
 * may have it revoked, and only as far as the caps go; whatever else is live is rotated. A name without a value never revokes, and
 * what is merely unusual does what the settings say, which is never an emergency.
 */
export function decide(
  signal: Signal,
  matches: readonly SignalMatch[],
  { maxCredentials, maxAgents, unusual }: Pick<SignalPolicy, 'maxCredentials' | 'maxAgents' | 'unusual'>,
): Decision {
  if (matches.length === 0) return signal.fingerprints.length === 0 ? { act: 'look' } : { act: 'nothing' };
  const live = oneOfEach(matches.filter(({ standing }) => standing === 'live'));
  if (signal.kind === 'unusual') {
    return unusual === 'rotate' && live.length > 0 && !isHearsay(signal)
      ? { act: 'rotate', of: live }
      : { act: 'tell', of: oneOfEach(matches) };
  }
  if (live.length === 0) {
    const observed = oneOfEach(matches.filter(({ standing }) => standing === 'observed'));
    return observed.length === 0 ? { act: 'note', of: oneOfEach(matches) } : { act: 'by-hand', of: observed };
  }
  if (!isProven(signal, live)) return { act: 'rotate', of: live };
  const agents = agentsHit(live);
  if (live.length > maxCredentials) {
    return {
      act: 'hold',
      of: live,
      why: `it would revoke ${live.length} credentials, more than ${maxCredentials}`,
    };
  }
  if (agents > maxAgents) {
    return { act: 'hold', of: live, why: `it would halt ${agents} agents, more than ${maxAgents}` };
  }
  return { act: 'revoke', of: live };
}

/** Whether all that is unusual is what agents say of credentials that they don't hold: none may have those of others rotated. */
function isHearsay({ anomaly }: Signal): boolean {
  return anomaly?.reasons.every(({ rule }) => rule === 'stray') === true;
}

/** Whether a source has shown a value of each, and says that it is live or public. */
export function isProven(
  { kind, verified }: Pick<Signal, 'kind' | 'verified'>,
  matches: readonly SignalMatch[],
): boolean {
  return kind === 'leak' && verified && matches.every(hasValue);
}

/** How many agents an emergency of these halts. */
export function agentsHit(matches: readonly SignalMatch[]): number {
  return agentsOf(matches.flatMap(holdersOf));
}

/** A value in several forms may be the same key more than once. */
export function oneOfEach(matches: readonly SignalMatch[]): SignalMatch[] {
  const idOf = (match: SignalMatch): string => ('family' in match ? match.family.id : match.credential.id);
  return [...new Map(matches.map((match) => [idOf(match), match])).values()];
}

function hasValue(match: SignalMatch): boolean {
  return 'family' in match || match.key !== undefined;
}

function holdersOf(match: SignalMatch): readonly Holder[] {
  return 'family' in match ? match.family.terms.holders : match.credential.holders;
}
