import { CAPABILITIES, type Capabilities, type ProviderKey } from '../../domain/capabilities.ts';
import type { SeenClaim } from '../../domain/claim.ts';
import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { CredentialProvider, Notice, ProviderContext } from '../provider.ts';
import { agentSide, type UsedKeys } from './agent-side.ts';
import { LoginRefused, LoginUnknown, type Call } from './api.ts';
import { parseJson, type KeyMaterial } from './material.ts';
import { assertCloses } from './negative.ts';
import { poolIsEmpty, poolRunsLow, printOf } from './pool.ts';
import { poolAdoption } from './pool-adoption.ts';
import { claimsIn, takenOf, type OwnKeys } from './pool-claims.ts';
import {
  endByHand,
  handleIdOf,
  isOfHandle,
  namedAs,
  poolSecretSchema,
  type PoolEntry,
} from './pool-entry.ts';
import { isSameScope } from './scope.ts';
import { assertPlace, type KeyTarget } from './target.ts';

/** What an upstream says of a key to whoever has it. */
export interface KeyIdentity {
  readonly valid: boolean;
  /** Whose it is and what it may do, as words that compare. */
  readonly scope: readonly string[];
}

/** An upstream without an API for keys: a person makes and ends them at its console. */
export interface PoolUpstream<T extends KeyTarget> extends Omit<UsedKeys<T>, 'test' | 'byHand'> {
  /** What owns the keys there, as one text. */
  owner(target: T): string;
  /** The cheapest call that says whose a key is. */
  identify(target: T, value: string): Call<KeyIdentity>;
  /** The scope that the target declares, in the words of `KeyIdentity`. */
  scope(target: T): readonly string[];
  /** Where a person makes and ends keys. */
  readonly console: string | ((target: T) => string);
  /** How many keys their owner may have at once, where that leaves a pool no room for all that one should have in store. */
  readonly room?: (target: T) => number;
  /** A key that nobody has. An upstream that takes it tells nothing of any other, nor of the end of one. */
  readonly stranger?: () => string;
}

/** What is known of a key that the upstream takes; the scope is absent where the key may not ask for it. */
type Alive = Partial<Pick<KeyIdentity, 'scope'>>;

/**
 * A provider of keys that a person makes and ends. Which credential has taken which is kept in the ledger, and a key is dead
 * when the upstream refuses its value, which stays in the pool until then, and takes another in the same moment (docs/adr/028).
 */
export function poolProvider<T extends KeyTarget>(
  upstream: PoolUpstream<T> & { readonly key: ProviderKey },
): CredentialProvider<T, KeyMaterial> {
  return poolProviderOf(upstream, CAPABILITIES[upstream.key]);
}

/** The same of an upstream that isn't in the ledger of facts. */
export function poolProviderOf<T extends KeyTarget>(
  upstream: PoolUpstream<T>,
  facts: Capabilities,
): CredentialProvider<T, KeyMaterial> {
  const { name } = upstream;
  const consoleOf = (target: T): string =>
    typeof upstream.console === 'string' ? upstream.console : upstream.console(target);
  const { maxLive } = facts.overlap.kind === 'dual' ? facts.overlap : { maxLive: 1 };
  const [, provider = ''] = upstream.key.split('/');
  const identity = (target: T): string =>
    `${provider}:${new URL(agents.baseUrlOf(target)).host}:${upstream.owner(target)}/${target.label}`;
  const agents = agentSide<T>(
    {
      ...upstream,
      async test(api, target, { value }) {
        const { valid } = await api.call(upstream.identify(target, value));
        if (!valid) throw new LoginUnknown('ERR_REJECTED', `${name} says that the key is not valid`);
      },
      byHand: (target, id) => endByHand(consoleOf(target), id),
    },
    facts,
    identity,
  );
  const { page, common } = agents;

  /** The pool of the administrative secret, which is sent nowhere else than it says. */
  async function poolOf(target: T, ctx: ProviderContext): Promise<readonly PoolEntry[]> {
    const json = (await ctx.admin()).reveal();
    const what = 'the administrative secret';
    const { pool, ...place } = parseJson(poolSecretSchema, json, what, 'admin', `${page} describes it`);
    assertPlace(place, agents.baseUrlOf(target), agents.usualUrl(target));
    return pool;
  }

  /** What the upstream says of a value now; undefined where it refuses it. */
  async function asked(target: T, { value }: PoolEntry, ctx: ProviderContext): Promise<Alive | undefined> {
    try {
      const { valid, scope } = await agents.open(target, value, ctx).call(upstream.identify(target, value));
      return valid ? { scope } : undefined;
    } catch (error) {
      if (!(error instanceof LoginRefused)) throw error;
      return error instanceof LoginUnknown ? undefined : {};
    }
  }

  const isAlive = async (target: T, key: PoolEntry, ctx: ProviderContext): Promise<boolean> =>
    (await asked(target, key, ctx)) !== undefined;

  /**
   * Whether a key of a pool is dead. A gateway before the upstream may refuse everything for a while: that it refuses this one counts
   * only while it takes another.
   */
  async function stateOf(
    target: T,
    key: PoolEntry,
    pool: readonly PoolEntry[],
    ctx: ProviderContext,
  ): Promise<'taken' | 'dead' | 'refused like all others'> {
    if (await isAlive(target, key, ctx)) return 'taken';
    for (const other of pool.filter(({ print }) => print !== key.print))
      if ((await asked(target, other, ctx))?.scope !== undefined) return 'dead';
    return 'refused like all others';
  }

  async function own(target: T, ctx: ProviderContext, entries?: readonly PoolEntry[]): Promise<OwnKeys> {
    const pool = entries ?? (await poolOf(target, ctx));
    return takenOf(pool, ctx, async (key) => (await stateOf(target, key, pool, ctx)) !== 'dead');
  }

  /** Keys that nobody has and that work for what the target declares, one after another: a dead spare is no spare. */
  async function* free(
    target: T,
    pool: readonly PoolEntry[],
    claims: readonly SeenClaim[],
    ctx: ProviderContext,
  ): AsyncGenerator<PoolEntry> {
    const spare = pool.filter(
      ({ inUse, print }) => inUse !== true && !claims.some(({ fingerprint }) => fingerprint === print),
    );
    for (const key of spare) {
      const alive = await asked(target, key, ctx);
      if (alive?.scope !== undefined && isSameScope(alive.scope, upstream.scope(target))) yield key;
    }
  }

  /** Each credential that takes from the pool needs a key for its next rotation, and one of them for an emergency. */
  async function outlook(target: T, ctx: ProviderContext): Promise<readonly Notice[]> {
    const pool = await poolOf(target, ctx);
    const claims = await claimsIn(ctx).of(pool.map(({ print }) => print));
    const others = new Set(claims.filter((each) => !each.own).map(({ credentialId }) => credentialId));
    const needed = Math.min(2 + others.size, await roomFor(target, pool, ctx));
    if (needed <= 0) return [];
    let count = 0;
    for await (const _key of free(target, pool, claims, ctx)) if (++count === needed) return [];
    return [poolRunsLow(count, needed)];
  }

  /** How many more keys the upstream lets a person make beside those of the credential. */
  async function roomFor(target: T, pool: readonly PoolEntry[], ctx: ProviderContext): Promise<number> {
    if (upstream.room === undefined) return Infinity;
    const { keys, claims } = await own(target, ctx, pool);
    const isClaimed = (print: string) => claims.some(({ fingerprint }) => fingerprint === print);
    const toAdopt = pool.filter(({ inUse, print }) => inUse === true && !isClaimed(print));
    return upstream.room(target) - keys.length - toAdopt.length;
  }

  /** Refuses an upstream that lets in whoever comes. */
  async function assertClosed(target: T, ctx: ProviderContext): Promise<void> {
    const value = upstream.stranger?.();
    if (value === undefined) return;
    const remedy = `look whether the target is as ${page} has it, and who answers at this address`;
    await assertCloses(name, async () => agents.use(target, { id: undefined, value }, ctx), remedy);
  }

  async function find(target: T, { id }: CredentialHandle, ctx: ProviderContext) {
    return (await poolOf(target, ctx)).find((key) => isOfHandle(key, id));
  }

  /** Whether the upstream refuses the value now, and takes another: nobody's word ends a key. */
  async function ended(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<Deactivation> {
    const { id } = handle;
    const pool = await poolOf(target, ctx);
    const key = pool.find((each) => isOfHandle(each, id));
    const looked = { method: 'negative-authentication', observedAt: toInstant(ctx.clock()) } as const;
    const byHand = endByHand(consoleOf(target), key?.handleId ?? id);
    if (key === undefined) {
      const detail = `the value of ${id} is not in the pool: nobody can tell whether it is refused`;
      const back = `put {"id": "${namedAs(id)}", "value": …} back into the pool until then`;
      return { ...looked, confirmed: false, detail, byHand: `${byHand}; ${back}` };
    }
    const state = await stateOf(target, key, pool, ctx);
    if (state === 'dead') {
      return {
        ...looked,
        confirmed: true,
        detail: `${name} refuses ${id}, and takes another key of the pool`,
      };
    }
    if (state === 'taken')
      return { ...looked, confirmed: false, detail: `${name} still takes ${id}`, byHand };
    const detail = `${name} refuses ${id}, and every other key of the pool: nobody can tell whether it is dead`;
    const another = 'let the pool have a key that works, or wait until the upstream takes what works again';
    return { ...looked, confirmed: false, detail, byHand: `${byHand}; ${another}` };
  }

  async function scopeOf(target: T, handle: CredentialHandle, ctx: ProviderContext) {
    const key = await find(target, handle, ctx);
    return key && (await asked(target, key, ctx))?.scope;
  }

  /** Refuses a key that is somebody else's, or may do something else, than the target declares. */
  async function assertDeclared(target: T, handle: CredentialHandle, ctx: ProviderContext): Promise<void> {
    const scope = await scopeOf(target, handle, ctx);
    if (scope !== undefined) assertSame(scope, upstream.scope(target), `the key ${handle.id}`, 'the target');
  }

  return {
    ...common,

    async preflight(target, ctx) {
      await assertClosed(target, ctx);
      return outlook(target, ctx);
    },
    outlook,

    async issue(target, token, ctx) {
      const pool = await poolOf(target, ctx);
      const { keys, claims } = await own(target, ctx, pool);
      const { generation } = ctx;
      const given = ({ value, handleId: id }: PoolEntry) =>
        agents.issued(target, value, { id, generation, token });
      const mine = claims.find((each) => each.own && each.token === token);
      const before = pool.find(({ print }) => print === mine?.fingerprint);
      if (before !== undefined) return given(before);
      if (keys.length >= maxLive) throw noRoom(name, keys, consoleOf(target));
      for await (const key of free(target, pool, claims, ctx)) {
        if (key.handleId === ctx.current?.id) continue;
        const claim = await claimsIn(ctx).take({ fingerprint: key.print, token, generation });
        // Somebody may have been faster: then the next one.
        if (claim.own && claim.token === token) return given(key);
      }
      throw poolIsEmpty(name, 'the administrative secret');
    },

    /** By its claim: somebody may have changed its entry since, or taken it out. */
    async recall(_target, token, material, ctx) {
      const { apiKey: value, apiKeyId } = material.reveal();
      const print = printOf({ value });
      const [claim] = await claimsIn(ctx).of([print]);
      const id = apiKeyId ?? handleIdOf('unnamed', print);
      if (claim?.own !== true || claim.token !== token || !isOfHandle({ print }, id)) return undefined;
      return { id, generation: claim.generation, token };
    },

    /** The test before the cut-over: taken, and for what is declared. */
    async activate(target, _token, issued, ctx) {
      await assertClosed(target, ctx);
      await agents.taken(target, issued, ctx);
      await assertDeclared(target, issued.handle, ctx);
    },

    async comparePermissions(target, old, next, ctx) {
      const [before, after] = await Promise.all([old, next].map(async (each) => scopeOf(target, each, ctx)));
      // Of an old one that somebody has deleted meanwhile nothing can be said.
      if (before === undefined || after === undefined) return 'unknown';
      assertSame(after, before, 'the new key', 'the old one');
      return 'same';
    },

    revoke: async (target, handle, _options, ctx) => ended(target, handle, ctx),
    deactivation: ended,

    async list(target, ctx) {
      const { keys } = await own(target, ctx);
      return keys.map(({ key: { handleId: id }, claim: { generation, token } }) => ({
        id,
        generation,
        token,
      }));
    },

    adoption: poolAdoption<T>({
      ...common,
      name,
      consoleOf,
      maxLive,
      poolOf,
      own,
      isAlive,
      assertDeclared: async (target, id, ctx) => assertDeclared(target, { id, generation: 0 }, ctx),
    }),
  };
}

function noRoom(name: string, live: OwnKeys['keys'], console: string): RekeyError {
  const ids = live.map(({ key }) => key.handleId).join(', ');
  return new RekeyError(
    'ERR_CAPACITY',
    `${live.length} keys of this credential live at ${name} (${ids}); none is taken beside them`,
    {
      field: 'target.label',
      remedy: `delete at ${console} what is used no more: rekey show tells which one is current`,
    },
  );
}

function assertSame(scope: readonly string[], wanted: readonly string[], what: string, beside: string): void {
  if (isSameScope(scope, wanted)) return;
  throw new RekeyError(
    'ERR_REJECTED',
    `${what} is for [${scope.join(', ')}], and ${beside} for [${wanted.join(', ')}]`,
    { field: 'target', remedy: 'declare what the keys of the pool are for, or fill it with keys for that' },
  );
}
