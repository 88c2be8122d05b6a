import type { Credential, Key } from './credential.ts';
import { RekeyError } from './errors.ts';
import { fingerprint } from './fingerprint.ts';
import { Redacted } from './redacted.ts';

/** Largest text that is taken for a leaked value: as much as Secrets Manager keeps in one secret. */
export const MAX_LEAKED_BYTES = 65_536;

/** Most values that one text may hold. */
export const MAX_CANDIDATES = 50;

/** What Secrets Manager's forms of a secret say beside the secret part: matching them would revoke by a user's name. */
const DESCRIBES = new Set([
  'database',
  'dbclusteridentifier',
  'dbinstanceidentifier',
  'dbname',
  'engine',
  'host',
  'masterarn',
  'port',
  'sslmode',
  'user',
  'username',
]);

/**
 * The fingerprints under which a text that was found somewhere may be known: that of the text as it is, of the secret
 * part of a connection URI, of whatever may be one in the JSON of a secret, of what is given to a name that speaks of a secret,
 * and of each line. Pure: nothing of the text leaves it.
 * @throws RekeyError ERR_REQUEST where there is nothing, or too much; it never quotes the text
 */
export function candidatesOf(text: Redacted<string>): string[] {
  const value = text.map((raw) => raw.replace(/\r?\n$/, ''));
  if (value.reveal().trim() === '') {
    throw refusal('there is no value on standard input', 'pipe it in: pbpaste | rekey revoke --leaked - …');
  }
  if (Buffer.byteLength(value.reveal()) > MAX_LEAKED_BYTES) throw tooLarge();
  const parts = value.map((raw) => [
    ...new Set([raw, raw.trim(), ...ofKeyFile(raw.trim()), ...partsOf(raw.trim())]),
  ]);
  if (parts.reveal().length > MAX_CANDIDATES) {
    throw refusal(
      `what came through standard input holds more than ${MAX_CANDIDATES} values`,
      'pipe one value, or the JSON of one secret',
    );
  }
  return parts.reveal().map((part) => fingerprint(new Redacted(part)));
}

/** The refusal of what can't be one secret. */
export function tooLarge(): RekeyError {
  return refusal(
    `what came through standard input is larger than a secret can be (${MAX_LEAKED_BYTES} bytes)`,
    'pipe the value itself, not the file in which it was found',
  );
}

function refusal(message: string, remedy: string): RekeyError {
  return new RekeyError('ERR_REQUEST', message, { field: '--leaked', remedy });
}

/** A private key in PEM, whose last line ends with a break wherever a program wrote it. */
function ofKeyFile(text: string): string[] {
  return text.startsWith('-----BEGIN ') ? [`${text}\n`] : [];
}

function partsOf(text: string): string[] {
  const found: string[] = [...partsOfUri(text), ...assigned(text)];
  try {
    JSON.parse(text, (key, value: unknown) => {
      if (typeof value === 'string' && value !== '' && !DESCRIBES.has(key.toLowerCase())) {
        found.push(value, ...partsOfUri(value));
      }
      return value;
    });
    return found;
  } catch {
    // No JSON. The parser's message quotes the text.
    return [...found, ...linesOf(text)];
  }
}

function linesOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

/** What is given to a name that speaks of a secret: in an environment file, in YAML, in a line of JSON, to libpq. */
const ASSIGNED =
  /(?:pass|pwd|secret|token|key)[\w.-]{0,64}["']?[ \t]{0,16}[:=][ \t]{0,16}("[^"\n]*"|'[^'\n]*'|[^\s"',;]\S*)/gi;

function assigned(text: string): string[] {
  return [...text.matchAll(ASSIGNED)].flatMap(([, value = '']) => {
    const bare = value.replace(/^(["'])(.*)\1$/, '$2');
    return [bare, bare.replace(/[,;]$/, '')].filter((part) => part !== '');
  });
}

/** Passwords are often written as they are where a URI wants them encoded, so that both readings count. */
function partsOfUri(text: string): string[] {
  const scheme = text.indexOf('://');
  if (scheme === -1) return [];
  // By positions: an expression that begins anew at every `://` takes seconds for a text that is full of them.
  const rest = text.slice(scheme + 3);
  const last = rest.lastIndexOf('@');
  const users = [/:\/\/([^/?#]*)@/.exec(text)?.[1] ?? [], last === -1 ? [] : rest.slice(0, last)].flat();
  const passwords = users.flatMap((user) => (user.includes(':') ? [user.slice(user.indexOf(':') + 1)] : []));
  const named = [...rest.matchAll(/[?&]password=/gi)].at(-1);
  const parameter =
    named === undefined ? '' : (/^[^&#]*/.exec(rest.slice(named.index + named[0].length))?.[0] ?? '');
  return [...passwords, parameter].filter((part) => part !== '').flatMap((part) => [part, decoded(part)]);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** A key that the ledger knows by its fingerprint, whatever has become of it. */
export interface KnownKey extends Key {
  readonly credentialId: string;
}

/** What is said of a value that was found somewhere. */
export type LeakOutcome =
  /** It may work: the emergency of its credential ends it. */
  | 'live'
  /** It was ended before, and the upstream has been asked again. */
  | 'dead'
  /** Of a credential that is only observed: a person has to end it. */
  | 'observed'
  /** It should be dead, and nobody could say that it is. */
  | 'not-confirmed'
  | 'not-ours';

/** The more a person has to do, the earlier. */
const BY_WEIGHT: readonly LeakOutcome[] = ['not-confirmed', 'observed', 'live', 'dead', 'not-ours'];

/** The one word for several matches of a text. */
export function worstOf(outcomes: readonly LeakOutcome[]): LeakOutcome {
  return BY_WEIGHT.find((outcome) => outcomes.includes(outcome)) ?? 'not-ours';
}

/** How a key stands by the head of its credential. */
export type Standing = 'live' | 'observed' | 'ended' | 'gone';

/**
 * How a known key stands. `live` is whatever may work: current, pending, in a window, kept, suspended; and what the
 * emergency `emergencyId` is ending, so that a repeated report has the same answer. `gone`: its credential is no longer
 * registered.
 */
export function standingOf(key: KnownKey, credential: Credential | undefined, emergencyId: string): Standing {
  if (credential === undefined) return 'gone';
  if (credential.adoption === 'observed') return 'observed';
  if (credential.incident?.execution === emergencyId) return 'live';
  // The same value may have got another handle since, by a version that doesn't know of fingerprints.
  const { current } = credential;
  const isCurrent = current !== undefined && current.fingerprint === key.fingerprint;
  return mayWork(credential, key.handle) || (isCurrent && mayWork(credential, current.handle))
    ? 'live'
    : 'ended';
}

/** What the head of a credential that is no longer registered tells of its key, in words. */
export function lastKnown({ handle }: KnownKey, former: Credential | undefined): string {
  if (former === undefined) return 'its audit trail has what is known of it';
  if (former.adoption === 'observed') return 'Rekey only observed it, and has not ended it';
  return mayWork(former, handle)
    ? 'it may have worked when Rekey let go of it'
    : 'it had been ended before, as its audit trail shows, and nobody has looked since';
}

/** Whether the head has a handle among those that may work. */
function mayWork({ live }: Credential, { id, generation }: Key['handle']): boolean {
  return live.some((handle) => handle.id === id && handle.generation === generation);
}
