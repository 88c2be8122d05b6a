import { setTimeout as sleep } from 'node:timers/promises';
import { createRemoteJWKSet, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { sigV4 } from '../../client/src/sigv4.ts';
import { createPublishedKeys, createTokenVerifier } from '../../client/src/verify.ts';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { introspect } from './upstreams/identities.ts';
import type { PlayedUpstream } from './upstreams/played.ts';

/** What a verifier answered. */
export interface Outcome {
  readonly ok: boolean;
  readonly why: string;
}

/** A check of what an agent shows. */
export interface Checked extends Outcome {
  /** What counts as shown: it may be revoked. */
  readonly shown: readonly string[];
}

interface Seen extends Checked {
  readonly at: number;
}

/** What was counted until now. */
export interface Counted {
  readonly checks: number;
  /** Why somebody was refused who showed nothing that was revoked. */
  readonly failures: readonly string[];
  /** How often what was revoked was refused from the order on. */
  readonly dead: number;
  /** When it was taken last, in milliseconds from the order on. */
  readonly lastTakenMs: number;
}

/** What was revoked, and when that was ordered (by `performance.now()`). */
export interface Revoked {
  readonly at: number;
  readonly shown: readonly string[];
}

/** What an agent does with the value of its secret; `agent` is its number. */
export type Check = (value: string, agent: number) => Promise<Checked>;

/**
 * Agents that present identities without pause, and verifiers that check them. An agent keeps the value of its secret for
 * its TTL; a verifier keeps what it has read for as long as it was told. Nobody tells them of an emergency: they go on.
 */
export class IdentityLoad implements AsyncDisposable {
  readonly #seen: Seen[] = [];
  #stopped = false;
  readonly #workers: Promise<void>[];

  constructor(agents: number, ttlMs: number, read: () => Promise<string>, check: Check) {
    this.#workers = Array.from({ length: agents }, async (_, agent) => {
      let value = '';
      let readAt: number | undefined;
      while (!this.#stopped) {
        if (readAt === undefined || performance.now() - readAt > ttlMs) {
          value = await read();
          readAt = performance.now();
        }
        const checked = await check(value, agent);
        this.#seen.push({ ...checked, at: performance.now() });
        await sleep(50);
      }
    });
  }

  /** What came of all checks; of those from the order on that showed what was revoked apart. */
  counted(revoked: Revoked = { at: Infinity, shown: [] }): Counted {
    const isRevoked = ({ at, shown }: Seen): boolean =>
      at >= revoked.at && shown.some((each) => revoked.shown.includes(each));
    const dying = this.#seen.filter(isRevoked);
    return {
      checks: this.#seen.length,
      failures: this.#seen.flatMap((each) => (each.ok || isRevoked(each) ? [] : [each.why])),
      dead: dying.filter(({ ok }) => !ok).length,
      lastTakenMs: Math.max(0, ...dying.flatMap(({ ok, at }) => (ok ? [at - revoked.at] : []))),
    };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#workers);
  }

  /** A test that has failed leaves nobody at work. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.allSettled(this.#workers);
  }
}

/** Verifiers of signed tokens, each with a cache of its own: every other one is `jose`'s, the others the client's. */
export function jwksVerifiers(
  world: World,
  set: string,
  sign: NonNullable<PlayedUpstream['sign']>,
  count: number,
): Check {
  const directory = directoryUrl(world);
  const verifiers = Array.from({ length: count }, (_, at): JWTVerifyGetKey => {
    if (at % 2 === 1) return createPublishedKeys({ directory, set });
    return createRemoteJWKSet(new URL(`${directory}/jwks/${set}`), { cacheMaxAge: 1000 });
  });
  return async (value, agent) => {
    const material = JSON.parse(value) as JwksMaterial;
    const { issuer, alg, tokenLifetimeSeconds } = material;
    const keys = verifiers[agent % count] ?? never;
    const verified = async (): Promise<unknown> =>
      jwtVerify(await sign(material, tokenLifetimeSeconds + 30), keys, { issuer, algorithms: [alg] });
    return { ...(await outcomeOf(verified())), shown: [value] };
  };
}

/** Verifiers of bearer tokens: every other one asks each time, the others check by the digests that they have read. */
export function tokenVerifiers(world: World, set: string, audience: string, count: number): Check {
  const sign = sigV4(world.stack.clientConfig);
  const directory = directoryUrl(world);
  const verifiers = Array.from({ length: count }, () =>
    createTokenVerifier({ directory, set, audience, sign }),
  );
  return async (value, agent) => {
    const { token } = JSON.parse(value) as { token: string };
    const verified = async (): Promise<void> => {
      const isActive =
        agent % 2 === 0
          ? (await introspect(world, token))['active'] === true
          : (await verifiers[agent % count]?.verify(token)) !== undefined;
      if (!isActive) throw new Error('not active');
    };
    return { ...(await outcomeOf(verified())), shown: [value] };
  };
}

/** Whether it was verified, and why not. */
export async function outcomeOf(verified: Promise<unknown>): Promise<Outcome> {
  return verified.then(
    () => ({ ok: true, why: '' }),
    (error: unknown) => ({ ok: false, why: String(error) }),
  );
}

function never(): never {
  throw new Error('there is no such agent');
}
