import type { Instant } from '../clock.ts';

/** A time from its first instant, inclusive, to its end, exclusive. */
export interface Interval {
  readonly from: Instant;
  readonly to: Instant;
}

/** One value that a credential has had, as far as the records tell of its life. */
export interface TracedKey {
  readonly fingerprint: string;
  /** Id and generation at the upstream, `orders_a#3`. */
  readonly handle: string;
  /** Versions of the secret that carry it. */
  readonly versionIds: readonly string[];
  /** Since when it can work, by the record that precedes it. Absent where it was there before Rekey. */
  readonly madeAt?: Instant | undefined;
  /** When the upstream was seen to refuse it. Absent where nothing has confirmed its end. */
  readonly endedAt?: Instant | undefined;
  /** What has confirmed it, in words. */
  readonly endedBy?: string | undefined;
}

/** Somebody used a value, or read it, as one source tells. */
export interface TracedUse {
  /** Name of the source that tells of it. */
  readonly source: string;
  /** The workflow: an agent, a role, a session at the upstream. */
  readonly who: string;
  /** The holder of the declaration that it is; absent where it is none. */
  readonly declaredAs?: string;
  /** Which value: by version of the secret, by key or login at the upstream, or whichever worked then. A login comes back. */
  readonly of:
    | { readonly kind: 'version'; readonly versionId: string }
    | { readonly kind: 'key' | 'login'; readonly id: string }
    | { readonly kind: 'unknown' };
  readonly session?: string;
  /** Both inclusive. A source that counts, counts from one to the other; a sighting is known by its first and last time. */
  readonly from: Instant;
  readonly to: Instant;
  /** Absent where the source tells that it was there, and not how often. */
  readonly succeeded?: number | undefined;
  readonly refused?: number | undefined;
  /** Whether it was let in, where the source tells that and counts nothing. */
  readonly outcome?: 'worked' | 'refused' | undefined;
  readonly address?: string | undefined;
  /** What was touched with it, where the source tells. */
  readonly scope?: string | undefined;
  /** `who` is what it calls itself: whoever stole the value may say the same, or anything. */
  readonly isSelfNamed?: true;
  /** Of another AWS account. */
  readonly isForeign?: true;
}

/** What is known of the ordinary use of a credential, against which uses are held. */
export interface Ordinary {
  /** Addresses at which a workflow was seen before the exposure, by its name. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  /** Addresses from which anybody was seen to log in with the credential before the exposure. */
  readonly logins?: readonly string[];
  /** What the credential may open; absent where nothing says. */
  readonly scopes?: readonly string[];
  /** What a workflow was seen to touch before the exposure, by its name. */
  readonly touched?: ReadonlyMap<string, readonly string[]>;
  /** When agents were told to halt. */
  readonly haltedAt?: Instant;
}

/** A source of uses, and the times of which it tells. */
export interface Source {
  readonly name: string;
  /** Of what time it was to tell, where that isn't the whole exposure. */
  readonly expected?: Interval;
  readonly covers: readonly Interval[];
  /** Why it may be silent, and where else to look. */
  readonly why: string;
}
