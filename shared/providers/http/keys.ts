import { CAPABILITIES, type Capabilities, type ProviderKey } from '../../domain/capabilities.ts';
import { toInstant, type Instant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Deactivation, Usage } from '../../domain/evidence.ts';
import type { Interval } from '../../domain/forensics/facts.ts';
import type { MeteredUse } from '../../domain/metering.ts';
import type { Place } from '../../domain/place.ts';
import { newKeyGone } from '../propagation.ts';
import type { Claims, CredentialProvider, Issued, Notice, ProviderContext } from '../provider.ts';
import { logIn, type AdminApi, type AdminLogin } from './admin-side.ts';
import { keyAdoption, type KeyAdoption } from './adopt.ts';
import { agentSide, type UsedKeys } from './agent-side.ts';
import type { Api } from './api.ts';
import { endShown, endTried, untilEnded } from './end.ts';
import { markIn, nameOf } from './mark.ts';
import type { KeyMaterial } from './material.ts';
import { meterOf } from './meter.ts';
import { isRefused } from './negative.ts';
import { assertAsDeclared, assertSameRights, type Scope } from './scope.ts';
import { assertSees, hasSeen, remember, sees } from './sight.ts';
import type { KeyTarget } from './target.ts';

/** A key as its upstream shows it. */
export interface UpstreamKey {
  readonly id: string;
  /** Of one that Rekey made: its mark (mark.ts). */
  readonly name: string;
  /** False where it is suspended. Keys that are revoked for good aren't shown. */
  readonly active: boolean;
  /** Last use; null where it was never used, absent where the upstream doesn't tell. */
  readonly lastUsed?: Instant | null;
  /** What it may do; absent where the upstream doesn't tell. */
  readonly scope?: Scope;
  /** Absent where the upstream doesn't tell. */
  readonly createdAt?: Instant | undefined;
  /** What the upstream shows of its value, e.g. `sk-abc...wxyz`; absent where it shows nothing. */
  readonly hint?: string;
  /** False where the upstream says that it is still on its way to where it is taken. */
  readonly ready?: boolean;
}

/** A key with its value, which most upstreams show once. */
export interface NewKey {
  readonly id: string;
  readonly value: string;
  /** What it may do, where the answer to its making tells: as `UpstreamKey.scope`. */
  readonly scope?: Scope | undefined;
}

/** What a new key is made beside. */
export interface Making {
  readonly now: Instant;
  /** Id of the key that agents use. */
  readonly current: string | undefined;
  /** When an upstream that ends keys by itself may end this one at the earliest; absent where that isn't known. */
  readonly endsAt: Instant | undefined;
  /** Where what is taken from a pool is kept. */
  readonly claims: Claims | undefined;
}

/** What an upstream of keys has of its own; all that is common `keyProvider` adds. */
export interface KeyUpstream<T extends KeyTarget, A> extends UsedKeys<T>, AdminLogin<T, A> {
  /** What owns the keys there, e.g. project and service account, as one text; `organization` for a whole account. */
  owner(target: T): string;
  /** What a new key shall be able to do, in the words of `UpstreamKey.scope`; `field` of the target declares it. */
  readonly scope?: { readonly field: string; of(target: T): Scope };
  /** All keys of the owner that aren't revoked, whoever made them. */
  list(api: Api, target: T): Promise<readonly UpstreamKey[]>;
  /** One of them; absent where the upstream shows no single key, which is then looked for among all. */
  find?(api: Api, target: T, id: string): Promise<UpstreamKey | undefined>;
  /**
   * Makes a key of that name; of a pool: takes one, and gives it that name. Never `current`, which agents use.
   * @throws RekeyError ERR_CAPACITY where the upstream or the pool has no room
   */
  create(api: Api, target: T, name: string, admin: A, about: Making): Promise<NewKey>;
  /** As in the provider contract. */
  readonly endsAt?: (target: T, from: Instant, intervalSeconds: number) => Instant | undefined;
  /** The value of a key that was made before, where it can be had again. */
  reveal?(api: Api, target: T, key: UpstreamKey, admin: A): Promise<string | undefined>;
  /** What a person has to do at the upstream before a later key can be made. */
  outlook?(api: Api, target: T, admin: A, claims: Claims | undefined): Promise<readonly Notice[]>;
  /** As in the provider contract; a part that this login may not see, or that isn't answered, is left out (`told`). */
  place?(api: Api, target: T, id: string): Promise<Place>;
  /** Ends a key for good; one that is gone is success. */
  remove(api: Api, target: T, id: string): Promise<void>;
  /**
   * The value of a key by its id, or one that dies with it, where it can be had again. Then an end counts once the upstream
   * refuses it (negative authentication): what its administration says is not enough.
   */
  valueById?(admin: A, target: T, id: string, now: Instant): string | undefined;
  /**
   * Looks, before anything is made, whether the upstream lets in who it should and nobody else. `as` is an agent's API with
   * a value, or without one; `api` is Rekey's own.
   * @throws RekeyError ERR_REJECTED with what has to be set up
   */
  inspect?(as: (value?: string) => Api, target: T, admin: A, now: Instant, api: Api): Promise<void>;
  /**
   * Whether Rekey's own login is dead, as against one that may not do something; of keys that administer themselves. Absent
   * where a token is fetched first: that is refused to a login that is dead.
   */
  isLoginDead?(api: Api): Promise<boolean>;
  /** Where keys that a person made can be taken over. */
  readonly adoption?: KeyAdoption;
  /** What the upstream has counted of these keys in a time of whole minutes; needs `metering` of the facts. */
  meter?(api: Api, target: T, keyIds: readonly string[], span: Interval): Promise<readonly MeteredUse[]>;
  /** Suspends or restores a key; one that is so already is success. */
  setActive?(api: Api, target: T, id: string, active: boolean): Promise<void>;
}

/** A provider of keys over an HTTP API: they are created at issue, and found again by a mark in their name. */
export function keyProvider<T extends KeyTarget, A>(
  upstream: KeyUpstream<T, A> & { readonly key: ProviderKey },
): CredentialProvider<T, KeyMaterial> {
  return keyProviderOf(upstream, CAPABILITIES[upstream.key]);
}

/** The same of an upstream that isn't in the ledger of facts. */
export function keyProviderOf<T extends KeyTarget, A>(
  upstream: KeyUpstream<T, A>,
  facts: Capabilities,
): CredentialProvider<T, KeyMaterial> {
  const { name } = upstream;
  const { lastUsedLagSeconds: lagSeconds } = facts;
  const { maxLive } = facts.overlap.kind === 'dual' ? facts.overlap : { maxLive: 1 };
  const identity = (target: T): string => `${ownerOf(target)}/${target.label}`;
  const agents = agentSide(upstream, facts, identity);
  const { provider } = agents.common;
  const ownerOf = (target: T): string =>
    `${provider}:${new URL(agents.baseUrlOf(target)).host}:${upstream.owner(target)}`;
  const asAdmin = async (target: T, ctx: ProviderContext) => logIn(upstream, agents, target, ctx);

  async function find(api: Api, target: T, id: string): Promise<UpstreamKey | undefined> {
    if (upstream.find !== undefined) return upstream.find(api, target, id);
    return (await upstream.list(api, target)).find((key) => key.id === id);
  }

  /** Those of this credential, by their marks. */
  async function own(
    { api, print: seenBy }: AdminApi<A>,
    target: T,
  ): Promise<{ key: UpstreamKey; handle: CredentialHandle }[]> {
    return (await upstream.list(api, target)).flatMap((key) => {
      const mark = markIn(key.name);
      if (mark?.label !== target.label) return [];
      return [{ key, handle: { id: key.id, generation: mark.generation, token: mark.token, seenBy } }];
    });
  }

  /**
   * Logs in as somebody to whom "not found" means that a key is gone: who has seen it, or sees its account.
   * @throws RekeyError ERR_ADMIN_DENIED
   */
  async function asWitness(
    target: T,
    { id, seenBy }: CredentialHandle,
    ctx: ProviderContext,
  ): Promise<AdminApi<A>> {
    const login = await asAdmin(target, ctx);
    const { api, print } = login;
    if (!isStranger(seenBy, login)) return login;
    if ((await find(api, target, id)) === undefined) await assertAccount(login, target, ctx);
    remember(ctx, print);
    return login;
  }

  /** A handle of the version before doesn't say who has seen it: it is believed as it was there. */
  function isStranger(seenBy: string | undefined, { print }: AdminApi<A>): boolean {
    return seenBy !== undefined && seenBy !== print;
  }

  async function assertAccount({ api, print }: AdminApi<A>, target: T, ctx: ProviderContext): Promise<void> {
    if (hasSeen(ctx, print)) return;
    const keys = await upstream.list(api, target);
    if (hasSeen(ctx, print)) return;
    assertSees({ name, owner: upstream.owner(target), keys, known: ctx.live });
  }

  async function ended(
    target: T,
    { id }: CredentialHandle,
    { api, admin }: AdminApi<A>,
    ctx: ProviderContext,
  ): Promise<Deactivation> {
    const now = toInstant(ctx.clock());
    const shown = endShown(id, await find(api, target, id), now);
    if (upstream.valueById === undefined) return shown;
    const value = upstream.valueById(admin, target, id, now);
    if (value === undefined) return endTried(shown, undefined);
    return endTried(shown, async () => agents.use(target, { id, value }, ctx));
  }

  /** Logs in anew: a token of before may live on, or be dead while its login lives. */
  async function isLoginDead(target: T, ctx: ProviderContext): Promise<boolean> {
    let api: Api | undefined;
    if (await isRefused(async () => ({ api } = await asAdmin(target, ctx)))) return true;
    return api !== undefined && (await upstream.isLoginDead?.(api)) === true;
  }

  async function setActive(
    target: T,
    { id }: CredentialHandle,
    active: boolean,
    ctx: ProviderContext,
  ): Promise<UpstreamKey | undefined> {
    const { api } = await asAdmin(target, ctx);
    const found = await find(api, target, id);
    // Whatever it shows: what is shown may be of the time before the last change.
    if (found !== undefined) await upstream.setActive?.(api, target, id, active);
    return found;
  }

  return {
    ...agents.common,
    ...(upstream.endsAt === undefined ? {} : { endsAt: upstream.endsAt }),

    async preflight(target, ctx) {
      const { api, admin } = await asAdmin(target, ctx);
      await upstream.inspect?.(
        (value) => agents.open(target, value, ctx),
        target,
        admin,
        toInstant(ctx.clock()),
        api,
      );
      await upstream.list(api, target);
      return (await upstream.outlook?.(api, target, admin, ctx.claims)) ?? [];
    },

    async issue(target, token, ctx) {
      const login = await asAdmin(target, ctx);
      const { api, admin, print: seenBy } = login;
      const { generation } = ctx;
      const asDeclared = ({ id, value, scope }: NewKey): Issued<KeyMaterial> => {
        const { scope: declared } = upstream;
        if (declared !== undefined && scope !== undefined)
          assertAsDeclared(name, declared.of(target), scope, declared.field);
        return agents.issued(target, value, { id, generation, token, seenBy });
      };
      const keys = await own(login, target);
      let live = keys.length;
      for (const { key } of keys.filter(({ handle }) => handle.token === token)) {
        const value = await upstream.reveal?.(api, target, key, admin);
        if (value !== undefined) return asDeclared({ ...key, value });
        // Its answer was lost and its value with it: nobody has it, so it goes before another is made.
        await upstream.remove(api, target, key.id);
        live--;
      }
      if (live >= maxLive) throw noRoom(name, live);
      const mark = nameOf({ label: target.label, generation, token });
      const now = toInstant(ctx.clock());
      const { intervalSeconds: interval } = ctx;
      const about = {
        now,
        current: ctx.current?.id,
        endsAt: interval === undefined ? undefined : upstream.endsAt?.(target, now, interval),
        claims: ctx.claims,
      };
      return asDeclared(await upstream.create(api, target, mark, admin, about));
    },

    async activate(target, _token, issued, ctx) {
      agents.common.assertBelongs(target, issued.handle, issued.material);
      const { api } = await asAdmin(target, ctx);
      const look = async () => find(api, target, issued.handle.id);
      const found = await look();
      if (found === undefined) throw newKeyGone(name);
      const isThere = async () => (await look())?.ready !== false;
      await agents.taken(target, issued, ctx, found.ready === undefined ? {} : { isThere });
    },

    async comparePermissions(target, old, next, ctx) {
      const { api } = await asAdmin(target, ctx);
      const [before, after] = await Promise.all(
        [old, next].map(async ({ id }) => (await find(api, target, id))?.scope),
      );
      // Of an old one that somebody has deleted meanwhile nothing can be said.
      if (before === undefined || after === undefined) return 'unknown';
      assertSameRights(before, after);
      return 'same';
    },

    async revoke(target, handle, { ownLogin }, ctx) {
      const seconds = upstream.valueById === undefined ? 0 : facts.revocationDelaySeconds;
      try {
        const login = await asWitness(target, handle, ctx);
        await upstream.remove(login.api, target, handle.id);
        return await untilEnded(async () => ended(target, handle, login, ctx), seconds);
      } catch (error) {
        if (ownLogin !== true || !isRekeyError(error, 'ERR_ADMIN_DENIED')) throw error;
        if (!(await isLoginDead(target, ctx))) throw error;
        const detail = `${handle.id} is refused as a login`;
        const observedAt = toInstant(ctx.clock());
        return { confirmed: true, method: 'negative-authentication', observedAt, detail };
      }
    },

    async deactivation(target, handle, ctx) {
      return ended(target, handle, await asWitness(target, handle, ctx), ctx);
    },

    async list(target, ctx) {
      const login = await asAdmin(target, ctx);
      const keys = await own(login, target);
      // To another account's login nothing is there, also where something is.
      const { live = [] } = ctx;
      if (sees({ owner: upstream.owner(target), keys: keys.map(({ key }) => key), known: live }))
        remember(ctx, login.print);
      else if (keys.length === 0 && live.length > 0 && live.every(({ seenBy }) => isStranger(seenBy, login)))
        await assertAccount(login, target, ctx);
      return keys.filter(({ key }) => key.active).map(({ handle }) => handle);
    },

    async survey(target, ctx) {
      const { api } = await asAdmin(target, ctx);
      const keys = await upstream.list(api, target);
      return {
        owner: ownerOf(target),
        credentials: keys.map(({ id, name: called, createdAt, lastUsed }) => ({
          id,
          ...(called === '' ? {} : { name: called }),
          ...(createdAt === undefined ? {} : { createdAt }),
          ...(lastUsed === undefined ? {} : { lastUsed }),
        })),
      };
    },

    ...(upstream.place && {
      async place(target: T, { id }: CredentialHandle, ctx: ProviderContext) {
        const { api } = await asAdmin(target, ctx);
        return (await upstream.place?.(api, target, id)) ?? {};
      },
    }),

    ...(lagSeconds !== undefined && {
      usageLagSeconds: lagSeconds,
      async usage(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Usage> {
        const { api } = await asAdmin(target, ctx);
        const found = await find(api, target, handle.id);
        if (found !== undefined && found.lastUsed === undefined) return 'unknown';
        return { lastSeen: found?.lastUsed ?? null, observedAt: toInstant(ctx.clock()), lagSeconds };
      },
    }),

    ...(upstream.meter &&
      facts.metering && {
        meter: meterOf(
          facts.metering.lagSeconds,
          (target: T) => upstream.owner(target),
          async (target, keyIds, span, ctx) => {
            const { api } = await asAdmin(target, ctx);
            return (await upstream.meter?.(api, target, keyIds, span)) ?? [];
          },
        ),
      }),

    ...(upstream.adoption && {
      adoption: keyAdoption<T>(
        {
          name,
          maxLive,
          identity,
          asAdmin,
          asAgent: (target, value, ctx) => agents.open(target, value, ctx),
          list: async (api, target) => upstream.list(api, target),
          scope: (target) => upstream.scope?.of(target),
          find,
        },
        upstream.adoption,
      ),
    }),

    ...(upstream.outlook && {
      async outlook(target: T, ctx: ProviderContext) {
        const { api, admin } = await asAdmin(target, ctx);
        return (await upstream.outlook?.(api, target, admin, ctx.claims)) ?? [];
      },
    }),

    ...(upstream.setActive && {
      suspension: {
        /** Of something that is gone there is nothing to suspend. */
        async suspend(target: T, handle: CredentialHandle, ctx: ProviderContext) {
          await setActive(target, handle, false, ctx);
        },
        async restore(target: T, handle: CredentialHandle, ctx: ProviderContext) {
          if ((await setActive(target, handle, true, ctx)) !== undefined) return;
          throw new RekeyError('ERR_POINT_OF_NO_RETURN', `${handle.id} can't be restored: it is revoked`, {
            remedy: 'start a rotation; another key takes its place',
          });
        },
      },
    }),
  };
}

function noRoom(name: string, live: number): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `${live} keys of this credential live at ${name}; none is made beside them`,
    {
      field: 'target.label',
      remedy: 'the former one has to be retired first: rekey show tells why it still lives',
    },
  );
}
