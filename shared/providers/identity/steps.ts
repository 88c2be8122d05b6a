import { toInstant, type Instant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import {
  changed,
  emptySet,
  ended,
  entryOf,
  isHeld,
  renew,
  take,
  takeable,
  type DirectoryEntry,
  type DirectorySet,
  type Fresh,
  type SetRef,
  type VerifierTimes,
} from '../../domain/directory.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { IdentityReach, IssueContext, ProviderContext } from '../provider.ts';

/**
 * Single steps on a set of the directory, which identities of every kind have in common. What comes next is always published
 * already: a rotation takes it, and publishes another in the same write.
 */
const WRITES = 6;

/** What a set is for, and how its identities are made. */
export interface SetUse {
  readonly ref: SetRef;
  readonly times: VerifierTimes;
  readonly maxLive: number;
  /**
   * Makes an identity that nobody uses yet, neither in the set nor among those made besides. Where there is none to be had,
   * an emergency goes on with what was published before.
   * @throws RekeyError ERR_CAPACITY
   */
  readonly make: (set: DirectorySet, besides?: Fresh) => Promise<Made>;
  /** Undoes `make`, of what was made in vain. */
  readonly discard?: (fresh: Fresh) => Promise<void>;
  /** As `Taking` has it. */
  readonly ahead?: false;
  /** When an identity that is taken now ends by itself. */
  readonly notAfter?: Instant;
  /** Until when one has to last that is taken now. */
  readonly lastsUntil?: Instant;
  /** References that could be made use of again, and never are. */
  readonly remembers?: readonly string[];
}

/** An identity that was made: what verifiers may know, and what its holder gets. */
export interface Made {
  readonly fresh: Fresh;
  readonly secret: Redacted<string>;
}

/** What a rotation has taken. */
export interface TakenIdentity {
  readonly handle: CredentialHandle;
  readonly entry: DirectoryEntry;
  readonly secret: Redacted<string>;
}

/** The directory. @throws RekeyError ERR_UNAVAILABLE */
export function identitiesOf({ reach }: ProviderContext): IdentityReach {
  if (reach.identities !== undefined) return reach.identities;
  throw new RekeyError('ERR_UNAVAILABLE', 'this function was made without a way to the directory', {
    remedy: 'deploy the stack again',
  });
}

/**
 * Takes what comes next for a rotation, or finds what it has taken before: its secret part stays sealed until it is handed
 * over, so that a repetition gives the same one.
 */
export function takeIdentity(use: SetUse, token: string, ctx: IssueContext): Promise<TakenIdentity> {
  const { directory, sealer } = identitiesOf(ctx);
  const { ref, times, maxLive, make, discard, ahead, notAfter, lastsUntil, remembers } = use;
  const taking = {
    token,
    generation: ctx.generation,
    now: ctx.clock(),
    times,
    maxLive,
    waits: ctx.current !== undefined,
    ...(ahead === undefined ? {} : { ahead }),
    ...(lastsUntil === undefined ? {} : { lastsUntil }),
    ...(remembers === undefined ? {} : { remembers }),
  };
  return untilWritten(taken);

  async function taken(): Promise<TakenIdentity> {
    const set = (await directory.read(ref)) ?? emptySet(ref, times);
    const found = takeable(set, taking);
    if (found.kind === 'held') return held(found.entry, await unsealed(found.entry.id));
    if (found.kind === 'stale' || found.kind === 'unpublished') {
      await renewed(set, found.kind === 'stale' ? found.entry : undefined);
      return taken();
    }
    const first = found.kind === 'first' ? await make(set) : undefined;
    const following = ahead === false ? undefined : await another(set, first?.fresh);
    const next = found.kind === 'first' ? first?.fresh : found.entry;
    if (next === undefined) throw new Error('nothing was made');
    const secret = first?.secret ?? (await unsealed(next.id));
    const made = [first, following].filter((each) => each !== undefined);
    const keep = await Promise.all(made.map(sealed));
    const after = await written(
      made,
      directory.write(take(set, next, following?.fresh, taking, notAfter), { keep }),
    );
    const entry = entryOf(after, next.id);
    if (entry === undefined) throw new Error('what was taken is not in the set');
    return held(entry, secret);
  }

  /** What comes next after that. An emergency in which none is to be had goes on: agents wait for what is there. */
  async function another(set: DirectorySet, besides: Fresh | undefined): Promise<Made | undefined> {
    try {
      return await make(set, besides);
    } catch (error) {
      const isEmergency = !taking.waits && set.entries.length > 0;
      if (isEmergency && isRekeyError(error, 'ERR_CAPACITY')) return undefined;
      throw error;
    }
  }

  /** Publishes another, in the place of what would end too soon or where nothing comes next. */
  async function renewed(set: DirectorySet, stale: DirectoryEntry | undefined): Promise<void> {
    const following = await make(set);
    const keep = [await sealed(following)];
    const after = renew(set, following.fresh, taking.now);
    const drop = stale === undefined ? [] : [stale.id];
    await written([following], directory.write(after, { keep, drop }));
    if (stale !== undefined) await discard?.(stale);
  }

  /** Where somebody else was faster, what was made is nobody's. Where nobody knows, it may be in the set. */
  async function written<T>(made: readonly Made[], writing: Promise<T>): Promise<T> {
    try {
      return await writing;
    } catch (error) {
      if (discard !== undefined && isRekeyError(error, 'ERR_CONFLICT'))
        await Promise.all(made.map(async ({ fresh }) => discard(fresh)));
      throw error;
    }
  }

  function held(entry: DirectoryEntry, secret: Redacted<string>): TakenIdentity {
    return { handle: handleOf(entry), entry, secret };
  }

  async function sealed({ fresh: { id }, secret }: Made): Promise<{ id: string; text: string }> {
    const bytes = secret.map((text) => new TextEncoder().encode(text));
    return { id, text: await sealer.seal(bytes, { purpose: 'identity', of: nameOf(ref), id }) };
  }

  async function unsealed(id: string): Promise<Redacted<string>> {
    const text = await directory.sealed(ref, id);
    if (text === undefined) {
      throw new RekeyError('ERR_REJECTED', `the secret part of ${id} is no longer kept`, {
        remedy: 'it was handed over before: start a new rotation',
      });
    }
    const bytes = await sealer.unseal(text, { purpose: 'identity', of: nameOf(ref), id });
    return bytes.map((plain) => new TextDecoder().decode(plain));
  }
}

/** Forgets the sealed part of what its holder now has from the vault. @throws RekeyError ERR_TOMBSTONED, ERR_REJECTED */
export function handOver(ref: SetRef, { id }: CredentialHandle, ctx: ProviderContext): Promise<void> {
  const at = toInstant(ctx.clock());
  return rewrite(ref, id, ctx, { drop: [id] }, (entry) => {
    if (entry === undefined) throw absent(id);
    if (!isHeld(entry)) throw ended(id);
    return entry.handedOverAt === undefined ? { ...entry, handedOverAt: at } : entry;
  });
}

/** Ends an entry for good; one that is gone is success. Nothing up to its generation is taken any more. */
export async function endIdentity(
  ref: SetRef,
  { id, generation }: CredentialHandle,
  ctx: ProviderContext,
): Promise<Deactivation> {
  const { directory } = identitiesOf(ctx);
  const endedAt = toInstant(ctx.clock());
  await untilWritten(async () => {
    const set = await directory.read(ref);
    if (set === undefined) return;
    const after = changed(set, id, (entry) =>
      entry.state === 'ended' ? entry : { ...entry, state: 'ended', endedAt },
    );
    if (after === undefined && generation <= set.generation) return;
    const fenced = { ...(after ?? set), generation: Math.max(set.generation, generation) };
    await directory.write(fenced, { drop: [id] });
  });
  return looked(ref, id, ctx);
}

/** Refuses an identity for the time being, or takes it again. */
export function setSuspended(
  ref: SetRef,
  { id }: CredentialHandle,
  suspended: boolean,
  ctx: ProviderContext,
): Promise<void> {
  return rewrite(ref, id, ctx, {}, (entry) => {
    if (entry === undefined || !isHeld(entry)) {
      // Of something that is gone there is nothing to suspend.
      if (suspended) return entry;
      throw new RekeyError('ERR_POINT_OF_NO_RETURN', `${id} can't be restored: it was ended`, {
        remedy: 'start a rotation; another one takes its place',
      });
    }
    const state = suspended ? 'suspended' : 'live';
    return entry.state === state ? entry : { ...entry, state };
  });
}

/** What the directory shows now of an entry. */
export async function looked(ref: SetRef, id: string, ctx: ProviderContext): Promise<Deactivation> {
  const entry = entryOf(await identitiesOf(ctx).directory.read(ref), id);
  const isLive = entry !== undefined && isHeld(entry);
  return {
    confirmed: !isLive,
    method: 'status-read',
    observedAt: toInstant(ctx.clock()),
    detail: entry === undefined ? `${id} is not in the directory` : `${id} is ${entry.state}`,
  };
}

/** What rotations have taken and nobody has ended. */
export async function listIdentities(ref: SetRef, ctx: ProviderContext): Promise<CredentialHandle[]> {
  const set = await identitiesOf(ctx).directory.read(ref);
  return (set?.entries ?? []).filter(isHeld).map(handleOf);
}

function handleOf({ id, generation = 0, token = '' }: DirectoryEntry): CredentialHandle {
  return { id, generation, token };
}

function nameOf({ kind, name }: SetRef): string {
  return `${kind}/${name}`;
}

function rewrite(
  ref: SetRef,
  id: string,
  ctx: ProviderContext,
  sealed: { readonly drop?: readonly string[] },
  change: (entry: DirectoryEntry | undefined) => DirectoryEntry | undefined,
): Promise<void> {
  const { directory } = identitiesOf(ctx);
  return untilWritten(async () => {
    const set = await directory.read(ref);
    if (entryOf(set, id) === undefined || set === undefined) {
      change(undefined);
      return;
    }
    const after: DirectorySet | undefined = changed(set, id, (entry) => change(entry) ?? entry);
    if (after !== undefined) await directory.write(after, sealed);
  });
}

function absent(id: string): RekeyError {
  return new RekeyError('ERR_REJECTED', `${id} is not in the directory`, { remedy: 'start a new rotation' });
}

/** Decides on what is there until nobody else has been faster. */
export async function untilWritten<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt === WRITES || !isRekeyError(error, 'ERR_CONFLICT')) throw error;
    }
  }
}
