import type { Instant } from '../clock.ts';
import type { SignalMatch } from './decide.ts';

/** What is remembered of a signal that was taken. */
export interface TakenSignal {
  /** When it was taken last. Absent in what older versions wrote. */
  readonly at?: Instant;
  /** How often it was taken anew since its value lived on. */
  readonly round: number;
  /** Which of its fingerprints were those of credentials, and of nobody else's. */
  readonly fingerprints: readonly string[];
  /** Nothing of it led to a credential: once a person has mended that, the same is read again. */
  readonly looked?: boolean;
}

/** The newest signal by which suspicions of a credential were told: they may not be forgotten yet, nor acted on to the end. */
export interface ToldSuspicions {
  /** Id of the signal. */
  readonly signal: string;
  /** When: the same suspicion that comes a week later has not been told. */
  readonly at: Instant;
  /** Ids of the suspicions. */
  readonly suspicions: readonly string[];
}

/** How long what was begun for a signal may take before the same signal is taken as a new one. */
const SETTLED_MS = 15 * 60_000;

/** Whether what was begun for a signal has had its time. */
export function isSettled({ at }: TakenSignal, now: number): boolean {
  return at === undefined || now - Date.parse(at) >= SETTLED_MS;
}

/**
 * Whether a value that a signal was about works although nothing is under way that would end it: its emergency has failed, its
 * rotation was aborted, or a rollback has brought it back. A token that its family has replaced doesn't: it is spent.
 */
export function livesOn(match: SignalMatch): boolean {
  if (match.standing !== 'live') return false;
  if ('family' in match) {
    const { family, token } = match;
    return family.status === 'active' && family.tokens?.versionId === token.versionId;
  }
  const { activeRotation, incident } = match.credential;
  return activeRotation === undefined && incident?.awaitsOperator === undefined;
}
