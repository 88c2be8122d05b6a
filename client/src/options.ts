import { agendaOf, type Agenda } from './agenda.ts';
import { isAuthenticationFailure, type FailureTest } from './authentication.ts';
import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';
import type { ListenerMap } from './listeners.ts';
import { LONGEST_MS, systemTime, type Time } from './time.ts';
import type { Vault } from './vault.ts';

/** What sources that are made together share. */
export interface SharedOptions {
  /** Where values are read from, e.g. `secretsManagerVault(client)`. */
  readonly vault: Vault;
  /** The longest time that a value is used before it is read again: the `ttl` of the declared holder. */
  readonly lifetimeSeconds: number;
  /** How long the last value is served while the vault can't be read; 4 lifetimes where nothing is said. */
  readonly staleLimitSeconds?: number;
  /** How long the first value may take; 60. */
  readonly firstValueSeconds?: number;
  /** How long one look at the vault may take; 30. */
  readonly fetchTimeoutSeconds?: number;
  /** How long listeners of `swap` may take, e.g. to drain a pool, before `listenerFailed` says so; 300. */
  readonly swapTimeoutSeconds?: number;
  /** Throws where a new value is unusable; the current one is kept, and the refresh counts as failed. */
  readonly validate?: (credential: Credential) => void;
  /** When the value itself dies, in milliseconds since 1970, where it does. */
  readonly expiresAt?: (credential: Credential) => number | undefined;
  /** What `use` takes for a refusal of the credential; `isAuthenticationFailure` of this package. */
  readonly isAuthenticationFailure?: FailureTest;
  /** Listeners from the first read on. */
  readonly on?: ListenerMap;
  /** Clocks and timers, for tests. */
  readonly time?: Time;
}

/** What one source is made of. */
export interface SourceOptions extends SharedOptions {
  /** Name or ARN of the secret. */
  readonly secretId: string;
}

/** Checked options, in milliseconds; one for all sources that are made together. */
export interface Settings {
  readonly vault: Vault;
  readonly refreshMs: number;
  readonly staleMs: number;
  readonly firstValueMs: number;
  readonly fetchMs: number;
  readonly swapMs: number;
  readonly validate: ((credential: Credential) => void) | undefined;
  readonly expiresAt: ((credential: Credential) => number | undefined) | undefined;
  readonly isAuthenticationFailure: FailureTest;
  readonly on: ListenerMap | undefined;
  readonly time: Time;
  readonly agenda: Agenda;
  /** When they were made, by the wall clock. */
  readonly madeAt: number;
}

/** A value is read again when this part of its lifetime has passed (Z4). */
const REFRESH_AT = 0.75;

/** @throws CredentialError ERR_OPTIONS, with the option's name */
export function settingsOf(options: SharedOptions): Settings {
  const lifetime = millisecondsOf('lifetimeSeconds', options.lifetimeSeconds);
  const staleMs = milliseconds(options, 'staleLimitSeconds', Math.min(LONGEST_MS, 4 * lifetime));
  if (staleMs < lifetime) {
    throw new CredentialError('ERR_OPTIONS', 'staleLimitSeconds is below lifetimeSeconds', {
      field: 'staleLimitSeconds',
      remedy: 'a value is served for at least its lifetime: raise the limit, or lower the lifetime',
    });
  }
  const time = options.time ?? systemTime;
  return {
    vault: options.vault,
    refreshMs: lifetime * REFRESH_AT,
    staleMs,
    firstValueMs: milliseconds(options, 'firstValueSeconds', 60_000),
    fetchMs: milliseconds(options, 'fetchTimeoutSeconds', 30_000),
    swapMs: milliseconds(options, 'swapTimeoutSeconds', 300_000),
    validate: options.validate,
    expiresAt: options.expiresAt,
    isAuthenticationFailure: options.isAuthenticationFailure ?? isAuthenticationFailure,
    on: options.on,
    time,
    agenda: agendaOf(time),
    madeAt: time.now(),
  };
}

type Duration = 'staleLimitSeconds' | 'firstValueSeconds' | 'fetchTimeoutSeconds' | 'swapTimeoutSeconds';

function milliseconds(options: SharedOptions, field: Duration, otherwise: number): number {
  const seconds = options[field];
  return seconds === undefined ? otherwise : millisecondsOf(field, seconds);
}

/** @throws CredentialError ERR_OPTIONS where nobody can wait so long */
export function millisecondsOf(field: string, seconds: number): number {
  const ms = seconds * 1000;
  // Also refuses what is no number at all.
  if (ms > 0 && ms <= LONGEST_MS) return ms;
  throw new CredentialError('ERR_OPTIONS', `${field} is no time that can be waited for`, {
    field,
    remedy: `give seconds, above 0 and up to ${Math.floor(LONGEST_MS / 1000)}`,
  });
}
