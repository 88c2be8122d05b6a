import type { HeldSignal } from '../domain/signals/held.ts';
import type { AlertRef } from '../domain/signals/signal.ts';
import type { TakenSignal, ToldSuspicions } from '../domain/signals/taken.ts';
import type { GithubAlert } from '../domain/signals/github.ts';
import type { Redacted } from '../domain/redacted.ts';

/** What is kept of signals beside credentials: which were taken, how many, and what waits for people. */
export interface SignalStore {
  /** What is remembered of a signal that was taken to its end before. */
  taken(source: string, id: string): Promise<TakenSignal | undefined>;
  /** Keeps that it was, for as long as signals are remembered, or for good. */
  mark(source: string, id: string, taken: TakenSignal, forGood?: boolean): Promise<void>;
  /** Which suspicions of a credential were told last; kept with the record that tells them (`LedgerChange.taken`). */
  told(credentialId: string): Promise<ToldSuspicions | undefined>;
  /**
   * Takes one, or `count`, of what a budget has for any 60 minutes; false where not so many are left. What is taken under a name
   * is taken once within an hour, however often and at the same time it is asked for.
   */
  take(budget: string, perHour: number, count?: number, name?: string): Promise<boolean>;
  /** A signal that is or was held. */
  held(id: string): Promise<HeldSignal | undefined>;
  /** Those that nobody has decided on yet, the longest held first, as many as a list has. */
  allHeld(): Promise<readonly HeldSignal[]>;
}

/** Alerts of GitHub, with their values. */
export interface Alerts {
  /** Undefined where there is none, or none that the token may see. @throws RekeyError ERR_UNAVAILABLE, ERR_ADMIN_DENIED */
  read(alert: AlertRef): Promise<GithubAlert | undefined>;
}

/** What a token has to be to count. */
export interface TokenTerms {
  /** Either of several, where it goes by more names than one. */
  readonly issuer: string | readonly string[];
  readonly audience: string;
  /** Where the issuer's public keys are. */
  readonly jwksUrl: string;
  /** The media type that its header names, where tokens for other ends come of the same issuer. */
  readonly type?: string;
  /** Its age by `iat`, in seconds, where it doesn't say when it ends. */
  readonly maxAgeSeconds?: number;
}

/** Signed tokens, and the keys that sources sign with. */
export interface SourceKeys {
  /** The claims of a token. @throws RekeyError ERR_FORBIDDEN where it isn't the issuer's, or not for us or for now */
  claims(jwt: string, terms: TokenTerms): Promise<Readonly<Record<string, unknown>>>;
  /** The public key, in PEM, with which GitHub signs for partners under that name. */
  partnerKey(id: string): Promise<string | undefined>;
  /** The text of the secret that a source shares with Rekey. */
  secret(arn: string): Promise<Redacted<string>>;
}
