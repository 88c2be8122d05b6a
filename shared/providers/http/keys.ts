import * as z from 'zod';
import { CAPABILITIES, type Capabilities, type ProviderKey } from '../../domain/capabilities.ts';
import { toInstant, type Instant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Deactivation, Usage } from '../../domain/evidence.ts';
import { Redacted } from '../../domain/redacted.ts';
import { pause } from '../../http/exchange.ts';
import type { CredentialProvider, Issued, Notice, ProviderContext } from '../provider.ts';
import { Api, type Caller } from './api.ts';
import { markIn, nameOf } from './mark.ts';
import { assertKeyBelongs, parseJson, parseKey, serializeKey, type KeyMaterial } from './material.ts';
import { assertPlace, type KeyTarget } from './target.ts';

/** A key as its upstream shows it. */
export interface UpstreamKey {
  readonly id: string;
  /** Of one that Rekey made: its mark (mark.ts). */
  readonly name: string;
  /** False where it is suspended. Keys that are revoked for good aren't shown. */
  readonly active: boolean;
  /** Last use; null where it was never used, absent where the upstream doesn't tell. */
  readonly lastUsed?: Instant | null;
  /** What it may do, as words that compare; absent where the upstream doesn't tell. */
  readonly scope?: readonly string[];
}

/** A key with its value, which most upstreams show once. */
export interface NewKey {
  readonly id: string;
  readonly value: string;
}

/** What a new key is made beside. */
export interface Making {
  readonly now: Instant;
  /** Id of the key that agents use. */
  readonly current: string | undefined;
}

/** What an upstream of keys has of its own; all that is common `keyProvider` adds. */
export interface KeyUpstream<T extends KeyTarget, A> {
  /** Type and provider, e.g. `llm-key/openai`. */
  readonly key: string;
  /** What it is called in messages. */
  readonly name: string;
  /** Its usual address, with the version of the API. */
  readonly baseUrl: string;
  /** `page` is where the fields are described. */
  target(input: unknown, page: string): T;
  storedTarget(input: unknown): T;
  /** What owns the keys there, e.g. project and service account, as one text. */
  owner(target: T): string;
  /** As in the provider contract. */
  readonly access?: (target: T) => 'read' | 'write';
  /** Fields of the administrative secret, beside `baseUrl`. */
  readonly admin: z.ZodType<A>;
  /**
   * Headers of Rekey's own calls. `open` gives an API without a login, where a token has to be fetched first: `field` is
   * where its address is written.
   */
  adminHeaders(
    admin: A,
    target: T,
    open: (baseUrl: string, field: string) => Api,
  ): Record<string, string> | Promise<Record<string, string>>;
  /** Where Rekey's own calls go, if elsewhere than agents': as the administrative secret says, never a target. */
  adminUrl?(admin: A): string | undefined;
  /** Headers of an agent's calls. */
  agentHeaders(value: string, target: T): Record<string, string>;
  /** All keys of the owner that aren't revoked, whoever made them. */
  list(api: Api, target: T): Promise<readonly UpstreamKey[]>;
  find(api: Api, target: T, id: string): Promise<UpstreamKey | undefined>;
  /**
   * Makes a key of that name; of a pool: takes one, and gives it that name. Never `current`, which agents use.
   * @throws RekeyError ERR_CAPACITY where the upstream or the pool has no room
   */
  create(api: Api, target: T, name: string, admin: A, about: Making): Promise<NewKey>;
  /** The value of a key that was made before, where it can be had again. */
  reveal?(api: Api, target: T, key: UpstreamKey, admin: A): Promise<string | undefined>;
  /** What a person has to do at the upstream before a later key can be made. */
  outlook?(api: Api, target: T, admin: A): Promise<readonly Notice[]>;
  /** Ends a key for good; one that is gone is success. */
  remove(api: Api, target: T, id: string): Promise<void>;
  /** Suspends or restores a key. */
  setActive?(api: Api, target: T, id: string, active: boolean): Promise<void>;
  /** Uses the key as an agent would; cheap, and free of charge. */
  test(api: Api, target: T): Promise<void>;
  /**
   * What a person does to end a key while Rekey is down: a command (`curl` of by-hand.ts) or a way through the console.
   * `baseUrl` is that of the target, or the usual one. Pure, and without a secret.
   */
  byHand?(target: T, id: string, baseUrl: string): string;
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
  const { lastUsedLagSeconds: lagSeconds } = facts;
  const [type = '', provider = ''] = upstream.key.split('/');
  const page = `docs/providers/${provider}.md`;
  const baseUrlOf = (target: T): string => target.baseUrl ?? upstream.baseUrl;
  const identity = (target: T): string =>
    `${provider}:${new URL(baseUrlOf(target)).host}:${upstream.owner(target)}/${target.label}`;
  const { maxLive } = facts.overlap.kind === 'dual' ? facts.overlap : { maxLive: 1 };

  const open = (
    { reach }: ProviderContext,
    baseUrl: string,
    caller: Caller,
    headers: Record<string, string>,
    field = 'target.baseUrl',
  ): Api => new Api({ name: upstream.name, page, baseUrl, reach, caller, headers, field });

  /** The API under Rekey's own login, which is sent nowhere else than its secret says. */
  async function asAdmin(target: T, ctx: ProviderContext): Promise<{ api: Api; admin: A }> {
    const secret = await ctx.admin();
    const form = `${page} describes it`;
    const place = z.object({ baseUrl: z.string().optional() });
    const what = 'the administrative secret';
    assertPlace(parseJson(place, secret.reveal(), what, 'admin', form), baseUrlOf(target), upstream.baseUrl);
    const admin = parseJson(upstream.admin, secret.reveal(), what, 'admin', form);
    const headers = await upstream.adminHeaders(admin, target, (baseUrl, field) =>
      open(ctx, baseUrl, 'admin', {}, field),
    );
    const elsewhere = upstream.adminUrl?.(admin);
    const api =
      elsewhere === undefined
        ? open(ctx, baseUrlOf(target), 'admin', headers)
        : open(ctx, elsewhere, 'admin', headers, 'admin.adminUrl');
    return { api, admin };
  }

  /** Those of this credential, by their marks. */
  async function own(api: Api, target: T): Promise<{ key: UpstreamKey; handle: CredentialHandle }[]> {
    return (await upstream.list(api, target)).flatMap((key) => {
      const mark = markIn(key.name);
      if (mark?.label !== target.label) return [];
      return [{ key, handle: { id: key.id, generation: mark.generation, token: mark.token } }];
    });
  }

  async function used(target: T, material: Redacted<KeyMaterial>, ctx: ProviderContext): Promise<void> {
    const headers = upstream.agentHeaders(material.reveal().apiKey, target);
    await upstream.test(open(ctx, baseUrlOf(target), 'agent', headers), target);
  }

  async function ended(target: T, { id }: CredentialHandle, api: Api, now: Instant): Promise<Deactivation> {
    const found = await upstream.find(api, target, id);
    return {
      confirmed: found?.active !== true,
      method: 'status-read',
      observedAt: now,
      detail: found === undefined ? `${id} is gone` : `${id} is ${found.active ? 'active' : 'suspended'}`,
    };
  }

  async function setActive(
    target: T,
    { id }: CredentialHandle,
    active: boolean,
    ctx: ProviderContext,
  ): Promise<UpstreamKey | undefined> {
    const { api } = await asAdmin(target, ctx);
    const found = await upstream.find(api, target, id);
    if (found !== undefined && found.active !== active) await upstream.setActive?.(api, target, id, active);
    return found;
  }

  return {
    type,
    provider,
    overlap: facts.overlap,
    revocation: facts.revocation,
    target: (input) => upstream.target(input, page),
    storedTarget: (input) => upstream.storedTarget(input),
    identity,
    ...(upstream.access === undefined ? {} : { access: upstream.access }),
    material: parseKey,
    serialize: serializeKey,
    secretPart: (material) => material.map(({ apiKey }) => apiKey),

    async preflight(target, ctx) {
      const { api, admin } = await asAdmin(target, ctx);
      await upstream.list(api, target);
      return (await upstream.outlook?.(api, target, admin)) ?? [];
    },

    async issue(target, token, ctx): Promise<Issued<KeyMaterial>> {
      const { api, admin } = await asAdmin(target, ctx);
      const keys = await own(api, target);
      const material = ({ id, value }: NewKey): Issued<KeyMaterial> => ({
        handle: { id, generation: ctx.generation, token },
        material: new Redacted({
          apiKey: value,
          apiKeyId: id,
          of: identity(target),
          ...(target.baseUrl === undefined ? {} : { baseUrl: target.baseUrl }),
        }),
      });
      let live = keys.length;
      for (const { handle, key } of keys.filter((each) => each.handle.token === token)) {
        const value = await upstream.reveal?.(api, target, key, admin);
        if (value !== undefined) return material({ id: handle.id, value });
        // Its answer was lost and its value with it: nobody has it, so it goes before another is made.
        await upstream.remove(api, target, handle.id);
        live--;
      }
      if (live >= maxLive) throw noRoom(upstream.name, live);
      const name = nameOf({ label: target.label, generation: ctx.generation, token });
      const now = toInstant(ctx.clock());
      return material(await upstream.create(api, target, name, admin, { now, current: ctx.current?.id }));
    },

    /** Waits until a new key is taken: upstreams tell their parts of it one after another. */
    async activate(target, _token, issued, ctx) {
      assertKeyBelongs({ of: identity(target), handle: issued.handle }, issued.material);
      const { api } = await asAdmin(target, ctx);
      if ((await upstream.find(api, target, issued.handle.id)) === undefined) {
        throw new RekeyError('ERR_REJECTED', `the new key is gone at ${upstream.name}`, {
          remedy: 'somebody has deleted it there; start a new rotation',
        });
      }
      const until = performance.now() + facts.propagationSeconds * 1000;
      for (let waitMs = 250; ; waitMs = Math.min(2 * waitMs, 4000)) {
        try {
          return await used(target, issued.material, ctx);
        } catch (error) {
          if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
          if (performance.now() + waitMs > until) throw notYet(upstream.name, error);
        }
        await pause(waitMs);
      }
    },

    assertBelongs: (target, handle, material) => assertKeyBelongs({ of: identity(target), handle }, material),

    async verify(target, material, ctx) {
      assertKeyBelongs({ of: identity(target) }, material);
      await used(target, material, ctx);
    },

    async comparePermissions(target, old, next, ctx) {
      const { api } = await asAdmin(target, ctx);
      const [before, after] = await Promise.all(
        [old, next].map(async ({ id }) => (await upstream.find(api, target, id))?.scope),
      );
      // Of an old one that somebody has deleted meanwhile nothing can be said.
      if (before === undefined || after === undefined) return;
      const lacks = before.filter((each) => !after.includes(each));
      const exceeds = after.filter((each) => !before.includes(each));
      if (lacks.length === 0 && exceeds.length === 0) return;
      throw new RekeyError(
        'ERR_REJECTED',
        `the new key may do something else than the old one: it lacks [${lacks.join(', ')}] and adds [${exceeds.join(', ')}]`,
        { field: 'target', remedy: 'declare the rights that the credential shall have, and apply' },
      );
    },

    async revoke(target, handle, _options, ctx) {
      const { api } = await asAdmin(target, ctx);
      await upstream.remove(api, target, handle.id);
      return ended(target, handle, api, toInstant(ctx.clock()));
    },

    async deactivation(target, handle, ctx) {
      const { api } = await asAdmin(target, ctx);
      return ended(target, handle, api, toInstant(ctx.clock()));
    },

    async list(target, ctx) {
      const { api } = await asAdmin(target, ctx);
      return (await own(api, target)).filter(({ key }) => key.active).map(({ handle }) => handle);
    },

    ...(lagSeconds === undefined
      ? {}
      : {
          usageLagSeconds: lagSeconds,
          async usage(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Usage> {
            const { api } = await asAdmin(target, ctx);
            const found = await upstream.find(api, target, handle.id);
            if (found !== undefined && found.lastUsed === undefined) return 'unknown';
            return { lastSeen: found?.lastUsed ?? null, observedAt: toInstant(ctx.clock()), lagSeconds };
          },
        }),

    ...(upstream.byHand === undefined
      ? {}
      : {
          manualRevocation: (target: T, { id }: CredentialHandle) =>
            upstream.byHand?.(target, id, baseUrlOf(target)) ?? '',
        }),

    ...(upstream.outlook === undefined
      ? {}
      : {
          async outlook(target: T, ctx: ProviderContext) {
            const { api, admin } = await asAdmin(target, ctx);
            return (await upstream.outlook?.(api, target, admin)) ?? [];
          },
        }),

    ...(upstream.setActive === undefined
      ? {}
      : {
          suspension: {
            /** Of something that is gone there is nothing to suspend. */
            async suspend(target: T, handle: CredentialHandle, ctx: ProviderContext) {
              await setActive(target, handle, false, ctx);
            },
            async restore(target: T, handle: CredentialHandle, ctx: ProviderContext) {
              if ((await setActive(target, handle, true, ctx)) !== undefined) return;
              throw new RekeyError(
                'ERR_POINT_OF_NO_RETURN',
                `${handle.id} can't be restored: it is revoked`,
                {
                  remedy: 'start a rotation; another key takes its place',
                },
              );
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

function notYet(name: string, cause: unknown): RekeyError {
  return new RekeyError('ERR_NOT_PROPAGATED', `${name} does not take the new key yet`, {
    remedy: 'it is tried again',
    cause,
  });
}
