import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import { RekeyError } from './errors.ts';

/**
 * The directory is what verifiers may know of identities that Rekey itself issues: public keys, digests of tokens, certificates of authorities. A set is
 * what one credential has there, under the name that its target declares (docs/identities.md). `leaves` are shown to nobody: each shows
 * itself, with its authority's signature.
 */
export const SET_KINDS = ['jwks', 'tokens', 'bundles', 'leaves'] as const;
export type SetKind = (typeof SET_KINDS)[number];

/** Ended entries that a set remembers, so that nothing of them is brought to life again. */
const ENDED_KEPT = 20;

/** Where an entry stands. What comes next is published before anybody uses it (hard decision 4). */
export type EntryState = 'next' | 'live' | 'suspended' | 'ended';

/** One identity as verifiers may know it; nothing in it is secret. */
export interface DirectoryEntry {
  /** What names it at verifiers: the thumbprint of a key, the id of a token. Never used twice. */
  readonly id: string;
  readonly state: EntryState;
  /** Of the rotation that has taken it; absent before one has. */
  readonly generation?: number;
  readonly token?: string;
  /** What verifiers get. */
  readonly document: Readonly<Record<string, unknown>>;
  /** Where its secret part is, if that is handed to nobody. */
  readonly ref?: string;
  readonly publishedAt: Instant;
  /** Since when its holder has it from the vault, and nothing else is kept of its secret. */
  readonly handedOverAt?: Instant;
  /** It is refused from then on, whatever becomes of it. */
  readonly notAfter?: Instant;
  readonly endedAt?: Instant;
}

/** All entries of one credential. Written as a whole, so that what comes next is there whenever something is taken. */
export interface DirectorySet {
  readonly kind: SetKind;
  readonly name: string;
  /** Raised by every write. */
  readonly version: number;
  /** The highest generation that was taken or ended: an older one is never taken any more. */
  readonly generation: number;
  readonly times: VerifierTimes;
  readonly entries: readonly DirectoryEntry[];
}

/** How verifiers keep time, in seconds. */
export interface VerifierTimes {
  /** How long they may keep what they have read. */
  readonly cacheSeconds: number;
  /** How far the clocks of whoever makes and whoever checks an identity may be apart. */
  readonly skewSeconds: number;
}

/** Which set is meant. */
export type SetRef = Pick<DirectorySet, 'kind' | 'name'>;

/** An identity that nobody uses yet. */
export type Fresh = Pick<DirectoryEntry, 'id' | 'document' | 'ref' | 'notAfter'>;

/** A rotation that takes what comes next. */
export interface Taking {
  readonly token: string;
  readonly generation: number;
  readonly now: number;
  readonly times: VerifierTimes;
  /** Until when it has to last that is taken; absent where nothing ends by itself. */
  readonly lastsUntil?: Instant;
  /** How many may be live or suspended beside each other. */
  readonly maxLive: number;
  /** False where verifiers need not know one before they meet it: then it is made as it is taken, and nothing comes next. */
  readonly ahead?: boolean;
  /** False where nobody has any: at registration and in an emergency nothing is waited for, and nothing else may live. */
  readonly waits: boolean;
  /** References that stay known however long ago they ended, since something may name them again. */
  readonly remembers?: readonly string[];
}

/** What a rotation gets. */
export type Taken =
  /** This rotation has taken it before. */
  | { readonly kind: 'held'; readonly entry: DirectoryEntry }
  /** To be taken, with `take`. */
  | { readonly kind: 'next'; readonly entry: DirectoryEntry }
  /** What comes next ends too soon, since nothing has rotated for long: another one takes its place, with `renew`. */
  | { readonly kind: 'stale'; readonly entry: DirectoryEntry }
  /** Nothing is published yet: it is made at once. */
  | { readonly kind: 'first' }
  /** The one before has found nothing to publish: that is done first, with `renew`, and then waited for. */
  | { readonly kind: 'unpublished' };

/** A set in which nothing is published yet. */
export function emptySet({ kind, name }: SetRef, times: VerifierTimes): DirectorySet {
  return { kind, name, version: 0, generation: 0, times, entries: [] };
}

/**
 * What a rotation may take from a set.
 * @throws RekeyError ERR_TOMBSTONED (a later generation has been there, or it was ended), ERR_CAPACITY, ERR_NOT_PROPAGATED
 */
export function takeable(set: DirectorySet, taking: Taking): Taken {
  const { token, generation, maxLive, ahead = true } = taking;
  const held = set.entries.find((entry) => entry.token === token);
  if (held !== undefined) {
    if (held.state !== 'ended') return { kind: 'held', entry: held };
    throw ended(held.id);
  }
  if (generation <= set.generation) {
    throw new RekeyError('ERR_TOMBSTONED', `${set.name} has had generation ${set.generation} already`, {
      remedy: 'count on from a higher one',
    });
  }
  const live = set.entries.filter((entry) => isHeld(entry) && !isPast(entry, taking.now));
  if (!taking.waits && live.length > 0) throw ofEarlier(set, live);
  if (live.length >= maxLive) {
    throw new RekeyError(
      'ERR_CAPACITY',
      `${live.map(({ id }) => id).join(' and ')} of ${set.name} still live`,
      {
        remedy: 'retire the old one first',
      },
    );
  }
  if (!ahead) return { kind: 'first' };
  const next = set.entries.find(({ state }) => state === 'next');
  if (next === undefined) return { kind: taking.waits && set.entries.length > 0 ? 'unpublished' : 'first' };
  if (endsBefore(next, taking.lastsUntil)) return { kind: 'stale', entry: next };
  if (taking.waits) assertPropagated(set, next, taking.now);
  return { kind: 'next', entry: next };
}

/**
 * The set once `entry` is a rotation's, with `following` published in its place, where there is one; `notAfter` ends it by
 * itself.
 */
export function take(
  set: DirectorySet,
  entry: DirectoryEntry | Fresh,
  following: Fresh | undefined,
  { token, generation, now, times, remembers = [] }: Taking,
  notAfter?: Instant,
): DirectorySet {
  const at = toInstant(now);
  const taken: DirectoryEntry = {
    publishedAt: at,
    ...entry,
    state: 'live',
    token,
    generation,
    ...(notAfter === undefined ? {} : { notAfter }),
  };
  const others = set.entries.filter(({ id }) => id !== entry.id);
  const latest = others.filter(({ state }) => state === 'ended').slice(-ENDED_KEPT);
  const isRemembered = (each: DirectoryEntry): boolean =>
    latest.includes(each) || (each.ref !== undefined && remembers.includes(each.ref));
  return {
    ...set,
    generation,
    times,
    entries: [
      ...others.filter((each) => each.state !== 'ended' || isRemembered(each)),
      taken,
      ...(following === undefined ? [] : [{ ...following, state: 'next' as const, publishedAt: at }]),
    ],
  };
}

/** The set with `following` in the place of what would have come next. */
export function renew(set: DirectorySet, following: Fresh, now: number): DirectorySet {
  const others = set.entries.filter(({ state }) => state !== 'next');
  return { ...set, entries: [...others, { ...following, state: 'next', publishedAt: toInstant(now) }] };
}

/** The set with an entry changed; undefined where nothing is to change. @throws RekeyError as `change` does */
export function changed(
  set: DirectorySet,
  id: string,
  change: (entry: DirectoryEntry) => DirectoryEntry,
): DirectorySet | undefined {
  const entry = entryOf(set, id);
  const after = entry && change(entry);
  if (after === undefined || after === entry) return undefined;
  return { ...set, entries: set.entries.map((each) => (each === entry ? after : each)) };
}

/** The entry with that id. */
export function entryOf(set: DirectorySet | undefined, id: string): DirectoryEntry | undefined {
  return set?.entries.find((entry) => entry.id === id);
}

/** Whether a rotation has it and it is not ended. */
export function isHeld({ state }: DirectoryEntry): boolean {
  return state === 'live' || state === 'suspended';
}

/** What Rekey has let go of stays valid under its name. */
function ofEarlier({ kind, name }: SetRef, live: readonly DirectoryEntry[]): RekeyError {
  const until = live.flatMap(({ notAfter }) => notAfter ?? []).toSorted();
  const what = `${name} has ${live.map(({ id }) => id).join(' and ')} of an earlier credential`;
  return new RekeyError('ERR_CAPACITY', what, {
    field: kind === 'leaves' ? 'target.holder' : 'target.name',
    remedy:
      kind === 'leaves'
        ? `what Rekey has let go of counts until ${until.at(-1)}: wait for that, or declare another holder or instance`
        : 'declare another name: what Rekey has let go of stays valid under this one',
  });
}

/** Whether it has ended by itself. */
function isPast({ notAfter }: DirectoryEntry, now: number): boolean {
  return notAfter !== undefined && fromInstant(notAfter) <= now;
}

/** Entries that verifiers are told of. What comes next is among them, so that they know it before they meet it. */
export function publishedOf({ entries, times }: DirectorySet, now: number): DirectoryEntry[] {
  return entries.filter(
    ({ state, notAfter }) =>
      (state === 'next' || state === 'live') &&
      (notAfter === undefined || now < fromInstant(notAfter) + times.skewSeconds * 1000),
  );
}

/** From when on every verifier has read what was published then. */
export function knownFrom(publishedAt: Instant, { cacheSeconds, skewSeconds }: VerifierTimes): Instant {
  return plusSeconds(publishedAt, cacheSeconds + skewSeconds);
}

/** The refusal of what was ended: nothing brings it back. */
export function ended(id: string): RekeyError {
  return new RekeyError('ERR_TOMBSTONED', `${id} was ended`, { remedy: 'start a new rotation' });
}

function endsBefore({ notAfter }: DirectoryEntry, until: Instant | undefined): boolean {
  return notAfter !== undefined && until !== undefined && fromInstant(notAfter) < fromInstant(until);
}

/** Verifiers may not have read the set since: whoever uses what they don't know is refused (traps, "JWT"). */
function assertPropagated({ name, times }: DirectorySet, { publishedAt }: DirectoryEntry, now: number): void {
  const from = knownFrom(publishedAt, times);
  if (now >= fromInstant(from)) return;
  throw new RekeyError('ERR_NOT_PROPAGATED', `verifiers of ${name} know what comes next from ${from}`, {
    remedy: 'it is tried again by then; a shorter target.cacheSeconds shortens the wait',
  });
}
