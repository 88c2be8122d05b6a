import { setTimeout as sleep } from 'node:timers/promises';
import { createRemoteJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import type { World } from '../../local/demo/world.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { directoryUrl, introspect } from './upstreams/identities.ts';

/** What a verifier answered. */
interface Outcome {
  readonly ok: boolean;
  readonly why: string;
}

/** What was counted until now. */
export interface Counted {
  readonly checks: number;
  readonly failures: readonly string[];
}

/**
 * Agents that present identities without pause, and verifiers that check them. An agent keeps the value of its secret for
 * its TTL; a verifier keeps what it has read for as long as it was told.
 */
export class IdentityLoad {
  #checks = 0;
  readonly #failures: string[] = [];
  #stopped = false;
  #halted = false;
  readonly #workers: Promise<void>[];

  constructor(
    agents: number,
    ttlMs: number,
    read: () => Promise<string>,
    check: (value: string, agent: number) => Promise<Outcome>,
  ) {
    this.#workers = Array.from({ length: agents }, async (_, agent) => {
      let value = '';
      let readAt = -Infinity;
      while (!this.#stopped) {
        if (this.#halted) {
          readAt = -Infinity;
          await sleep(50);
          continue;
        }
        if (performance.now() - readAt > ttlMs) {
          value = await read();
          readAt = performance.now();
        }
        const { ok, why } = await check(value, agent);
        this.#checks++;
        if (!ok) this.#failures.push(why);
        await sleep(50);
      }
    });
  }

  /** Agents were told to halt: they drop what they have. */
  halt(): void {
    this.#halted = true;
  }

  resume(): void {
    this.#halted = false;
  }

  get counted(): Counted {
    return { checks: this.#checks, failures: this.#failures };
  }

  async stop(): Promise<Counted> {
    this.#stopped = true;
    await Promise.all(this.#workers);
    return this.counted;
  }
}

/** A verifier of signed tokens with a cache of its own, as `jose` keeps it. */
export function jwksVerifier(world: World, name: string): (secret: string) => Promise<Outcome> {
  const keys = createRemoteJWKSet(new URL(`${directoryUrl(world)}/jwks/${name}`), { cacheMaxAge: 1000 });
  return async (secret) => {
    const { issuer, alg, jwk, tokenLifetimeSeconds } = JSON.parse(secret) as JwksMaterial;
    const token = await new SignJWT({ sub: 'load' })
      .setProtectedHeader({ alg, kid: jwk.kid })
      .setIssuer(issuer)
      .setExpirationTime(`${tokenLifetimeSeconds + 5}s`)
      .sign(await importJWK(jwk, alg));
    return outcomeOf(jwtVerify(token, keys, { issuer, algorithms: [alg] }));
  };
}

/** A verifier of bearer tokens that asks each time. */
export function tokenVerifier(world: World): (secret: string) => Promise<Outcome> {
  return async (secret) => {
    const { token } = JSON.parse(secret) as { token: string };
    return outcomeOf(
      (async () => {
        const { active } = await introspect(world, token);
        if (active !== true) throw new Error('not active');
      })(),
    );
  };
}

async function outcomeOf(verified: Promise<unknown>): Promise<Outcome> {
  return verified.then(
    () => ({ ok: true, why: '' }),
    (error: unknown) => ({ ok: false, why: String(error) }),
  );
}
