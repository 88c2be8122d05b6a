import type { Credential } from '../credential.ts';
import type { KnownKey, Standing } from '../leak.ts';
import { agentsOf } from '../policy.ts';
import type { Signal } from './signal.ts';

/** A credential that a signal is about. */
export interface SignalMatch {
  readonly credential: Credential;
  /** How its key stands; `live` where the settings name the credential and no key is known. */
  readonly standing: Exclude<Standing, 'gone'>;
  /** The key that was found; absent where nothing but a name in the settings leads to the credential. */
  readonly key?: KnownKey;
}

/** How much a signal may do without a person (audit-and-security: threats). */
export interface SignalPolicy {
  /** Credentials that the signals of one source revoke within an hour. */
  readonly maxCredentials: number;
  /** Agents that hold them, all together. */
  readonly maxAgents: number;
  /** Signals that are taken of one source in an hour; absent for people, who may revoke anyhow. */
  readonly perHour?: number;
  /** Agents that suspensions of what is held for one source stop within an hour; older settings don't say, and nothing is. */
  readonly suspendHeld?: number;
  /** Until one Responder may decide alone what is held, in seconds. */
  readonly breakGlassSeconds: number;
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
  /** Ended before: it is noted in their trails. */
  | { readonly act: 'note'; readonly of: readonly SignalMatch[] }
  /** Nobody can tell what it is about: a person looks. */
  | { readonly act: 'look' }
  | { readonly act: 'nothing' };

/**
 * Decides on a signal of a source that is known. Only who has shown a value that works may have it revoked, and only as far as
 * the caps go; whatever else is live is rotated. A name without a value never revokes.
 */
export function decide(
  signal: Signal,
  matches: readonly SignalMatch[],
  { maxCredentials, maxAgents }: Pick<SignalPolicy, 'maxCredentials' | 'maxAgents'>,
): Decision {
  if (matches.length === 0) return signal.fingerprints.length === 0 ? { act: 'look' } : { act: 'nothing' };
  const live = onePerCredential(matches.filter(({ standing }) => standing === 'live'));
  if (live.length === 0) {
    const observed = onePerCredential(matches.filter(({ standing }) => standing === 'observed'));
    return observed.length === 0
      ? { act: 'note', of: onePerCredential(matches) }
      : { act: 'by-hand', of: observed };
  }
  if (!isProven(signal, live)) return { act: 'rotate', of: live };
  const agents = agentsOf(live.flatMap(({ credential }) => credential.holders));
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

/** Whether a source has shown a value of each, and says that it is live or public. */
export function isProven(
  { kind, verified }: Pick<Signal, 'kind' | 'verified'>,
  matches: readonly Pick<SignalMatch, 'key'>[],
): boolean {
  return kind === 'leak' && verified && matches.every(({ key }) => key !== undefined);
}

/** A value in several forms may be the same key more than once. */
export function onePerCredential(matches: readonly SignalMatch[]): SignalMatch[] {
  return [...new Map(matches.map((match) => [match.credential.id, match])).values()];
}
