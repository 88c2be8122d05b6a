import { createHash } from 'node:crypto';
import type { Anomaly } from '../anomalies/suspicion.ts';
import { toInstant, type Instant } from '../clock.ts';
import { RekeyError } from '../errors.ts';
import { fingerprint } from '../fingerprint.ts';
import { candidatesOf } from '../leak.ts';
import type { Redacted } from '../redacted.ts';

/** Who tells Rekey of leaks and of rotations that are due, over HTTPS and with an authentication of its own (docs/signals.md). */
export const SIGNAL_SOURCES = [
  'github',
  'github-partner',
  'gitguardian',
  'siem',
  'risc',
  'gcp',
  'azure',
] as const;
export type SignalSource = (typeof SIGNAL_SOURCES)[number];

/** Largest delivery that is read, in bytes. */
export const MAX_DELIVERY_BYTES = 128 * 1024;

/** Most signals of one delivery. */
export const MAX_SIGNALS = 50;

/** Most fingerprints that one signal is looked for with. */
export const MAX_FINGERPRINTS = 50;

/** How deep JSON of a source may be nested. */
const MAX_DEPTH = 32;

/** How long a delivery that carries its own time may be under way. */
const FRESH_SECONDS = 300;

/** How long what was taken is remembered; what is older by its own account is not taken any more. */
export const REMEMBERED_SECONDS = 90 * 24 * 3600;

/** Where the value of a signal is to be had, that tells of one without having it. */
export interface AlertRef {
  readonly owner: string;
  readonly repo: string;
  readonly number: number;
}

/** What a source has told, once it is known to come from there. It holds no value. */
export interface Signal {
  /** A source, or `trufflehog` and the like where a person has sent it. */
  readonly source: string;
  /** What it is known by: the same again is dropped. Follows from what the source has signed, where it signs. */
  readonly id: string;
  /**
   * `leak`: a value was found. `rotate`: a rotation is due. `anomaly`: something is wrong, and no value proves it. `unusual`: a
   * rule of Rekey's own finds it unusual, which may be nothing.
   */
  readonly kind: 'leak' | 'rotate' | 'anomaly' | 'unusual';
  readonly fingerprints: readonly string[];
  /** What the upstream calls the key itself, where it is the upstream that tells: it needs no value to know it. */
  readonly handle?: string;
  /** What is unusual, and why. */
  readonly anomaly?: Anomaly;
  /** Ids of the suspicions that it tells of. */
  readonly suspicions?: readonly string[];
  /** Where its value is asked for. */
  readonly alert?: AlertRef;
  /** What the source calls the credential, as the settings map it to a name. */
  readonly subject?: string;
  /** The source says that the value is live, or has found it in public. */
  readonly verified: boolean;
  readonly url?: string;
  readonly observedAt: Instant;
  /** Nothing of it says when it was sent: it is remembered for good, or a replay would be new once it is forgotten. */
  readonly undated?: boolean;
  /** How often the same was taken before, whose value has lived on; absent the first time. */
  readonly round?: number;
}

/** One request of a source, as it came. */
export interface Delivery {
  readonly body: Buffer;
  /** A header by its name in lower case. */
  readonly header: (name: string) => string | undefined;
  readonly query: Readonly<Record<string, string | undefined>>;
  readonly now: number;
}

/** The refusal of what doesn't prove that it comes from its source. It says nothing of why. */
export function forged(): RekeyError {
  return new RekeyError('ERR_FORBIDDEN', 'this is not known to come from its source', {
    remedy: 'docs/signals.md says how each source signs; look at its secret and at the clock of the sender',
  });
}

/** The refusal of what comes from its source in a form that isn't its own. It never quotes it. */
export function malformed(what: string): RekeyError {
  return new RekeyError('ERR_REQUEST', what, { remedy: 'docs/signals.md has the form of each source' });
}

/** A word for a signal that nobody who can't sign can choose: a digest over parts that the source has signed. */
export function digestOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
}

/** The id under which a signal starts something: the same signal joins what it has started before, unless it is taken anew. */
export function tokenOf({ source, id, round = 0 }: Pick<Signal, 'source' | 'id' | 'round'>, of = ''): string {
  const hex = digestOf(source, id, of, ...(round === 0 ? [] : [String(round)]));
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Why something is done about a signal, in words. */
export function reasonOf({ source, url }: Pick<Signal, 'source' | 'url'>): string {
  return `a signal of ${source}${url === undefined ? '' : `, ${url}`}`;
}

/** What operators call the incident of a signal, by the signal's id, until they call it otherwise. */
export function incidentOf(id: string): string {
  return `signal-${id.slice(0, 8)}`;
}

/** Whether a delivery of that time may still be under way. */
export function assertFresh(sentAt: number | undefined, now: number): void {
  if (sentAt === undefined || Math.abs(now - sentAt) > FRESH_SECONDS * 1000) throw forged();
}

/** Seconds or milliseconds since 1970, or RFC 3339, as milliseconds; undefined where it is none. */
export function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{9,11}$/.test(text)) return Number(text) * 1000;
  if (/^\d{12,14}$/.test(text)) return Number(text);
  const time = /^\d{4}-\d{2}-\d{2}T/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
}

/** When a source has seen it, as far as that can be believed: never in the future. */
export function observed(text: string | undefined, now: number): Instant {
  return toInstant(Math.min(timeOf(text) ?? now, now));
}

/** The JSON of a delivery. @throws RekeyError ERR_REQUEST, also where it is nested deeper than any source does */
export function jsonOf(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString('utf8');
  if (depthOf(text) > MAX_DEPTH) throw malformed('the body is nested too deep');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the body.
    throw malformed('the body is not JSON');
  }
}

/** Before it is parsed: a bracket within a text counts as well, so that this is a bound and no more. */
function depthOf(text: string): number {
  let [depth, deepest] = [0, 0];
  let isText = false;
  for (let at = 0; at < text.length; at++) {
    const each = text[at];
    if (isText) {
      if (each === '\\') at++;
      else if (each === '"') isText = false;
    } else if (each === '"') isText = true;
    else if (each === '{' || each === '[') deepest = Math.max(deepest, ++depth);
    else if (each === '}' || each === ']') depth--;
  }
  return deepest;
}

/** The fingerprints under which values may be known that were found together. Nothing of them stays. */
export function fingerprintsOf(...values: readonly Redacted<string>[]): string[] {
  const found = values
    .filter((value) => value.reveal().trim() !== '')
    .flatMap((value) => {
      try {
        return candidatesOf(value);
      } catch {
        // More than one secret can be: known as a whole, if at all.
        return [fingerprint(value)];
      }
    });
  return [...new Set(found)].slice(0, MAX_FINGERPRINTS);
}

/** The address at which people look at a finding: without a login, a query or a fragment, which may hold what was found. */
export function addressOf(text: string | null | undefined): { readonly url?: string } {
  const url = text != null && text.length <= 500 && URL.canParse(text) ? new URL(text) : undefined;
  return url?.protocol === 'https:' ? { url: `${url.origin}${url.pathname}` } : {};
}
