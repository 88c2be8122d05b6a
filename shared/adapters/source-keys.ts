import { createLocalJWKSet, jwtVerify, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import * as z from 'zod';
import type { Clock } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Redacted } from '../domain/redacted.ts';
import { forged } from '../domain/signals/signal.ts';
import type { SourceKeys, TokenTerms } from '../ports/signals.ts';
import { guardedGet, jsonOf } from './guarded-get.ts';

/** Asymmetric ones only: a public key must never be taken for a shared one. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];

/** Longer than this a key that was taken back isn't believed. */
const KEPT_MS = 10 * 60_000;
/** An unknown key is looked for anew no sooner than this, whoever names it. */
const AGAIN_MS = 60_000;
const SKEW_SECONDS = 60;

const partnerKeys = z.object({
  public_keys: z.array(z.object({ key_identifier: z.string(), key: z.string() })).max(50),
});
const jwks = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).max(50) });

/** What the keys of sources are read with. */
export interface SourceKeysOptions {
  readonly privateHosts: readonly string[];
  readonly partnerKeysUrl: string;
  readonly readSecret: (arn: string) => Promise<Redacted<string>>;
  readonly clock: Clock;
}

/** Keys of sources, each read once and kept for minutes. Tokens are checked with the library `jose`. */
export class KeptSourceKeys implements SourceKeys {
  readonly #options: SourceKeysOptions;
  readonly #kept = new Map<string, { readonly at: number; readonly value: Promise<unknown> }>();
  readonly #reading = new Map<string, Promise<unknown>>();

  constructor(options: SourceKeysOptions) {
    this.#options = options;
  }

  async claims(jwt: string, terms: TokenTerms): Promise<Readonly<Record<string, unknown>>> {
    const { issuer, audience, jwksUrl, type, maxAgeSeconds } = terms;
    const find = await this.#keySet(jwksUrl);
    try {
      const { payload } = await jwtVerify(jwt, find, {
        issuer: [issuer].flat(),
        audience,
        algorithms: ALGORITHMS,
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(this.#options.clock()),
        ...(type === undefined ? {} : { typ: type }),
        ...(maxAgeSeconds === undefined ? { requiredClaims: ['exp'] } : { maxTokenAge: maxAgeSeconds }),
      });
      return payload;
    } catch {
      // What the library says quotes claims, and tells who forges how far it got.
      throw forged();
    }
  }

  async partnerKey(id: string): Promise<string | undefined> {
    const { partnerKeysUrl } = this.#options;
    const read = (): Promise<ReadonlyMap<string, string>> =>
      this.#read(partnerKeysUrl, 'signals.githubPartner.keysUrl', (json) => {
        const parsed = partnerKeys.parse(json);
        return new Map(parsed.public_keys.map(({ key_identifier, key }) => [key_identifier, key]));
      });
    const known = await this.#keptFor(partnerKeysUrl, KEPT_MS, read);
    return known.get(id) ?? (await this.#keptFor(partnerKeysUrl, AGAIN_MS, read)).get(id);
  }

  secret(arn: string): Promise<Redacted<string>> {
    return this.#keptFor(arn, KEPT_MS, () => this.#options.readSecret(arn));
  }

  async #keySet(url: string): Promise<JWTVerifyGetKey> {
    const read = (): Promise<JWTVerifyGetKey> =>
      this.#read(url, 'jwksUrl', (json) => createLocalJWKSet(jwks.parse(json) as JSONWebKeySet));
    const known = await this.#keptFor(url, KEPT_MS, read);
    return async (header, token) => {
      try {
        return await known(header, token);
      } catch {
        // The issuer may have a new key since.
        return (await this.#keptFor(url, AGAIN_MS, read))(header, token);
      }
    };
  }

  async #read<T>(url: string, field: string, parse: (json: unknown) => T): Promise<T> {
    const answer = await guardedGet({ url, privateHosts: this.#options.privateHosts, field });
    try {
      if (answer.status === 200) return parse(jsonOf(answer));
    } catch {
      // Another form than the one that is documented: said below.
    }
    throw new RekeyError('ERR_UNAVAILABLE', `there are no keys at ${new URL(url).host}`, { field });
  }

  /** What was read no longer ago than that. A failure is kept by nobody, and what was there before it stays. */
  #keptFor<T>(name: string, ms: number, read: () => Promise<T>): Promise<T> {
    const now = this.#options.clock();
    const kept = this.#kept.get(name);
    // Of one name everything is of one type.
    if (kept !== undefined && now - kept.at < ms) return kept.value as Promise<T>;
    const begun = this.#reading.get(name);
    if (begun !== undefined) return begun as Promise<T>;
    // What was good stays for its time, whatever comes of this: whoever makes a key up must not take it away.
    const keep = async (): Promise<T> => {
      try {
        const found = await read();
        this.#kept.set(name, { at: now, value: Promise.resolve(found) });
        return found;
      } finally {
        this.#reading.delete(name);
      }
    };
    const value = keep();
    this.#reading.set(name, value);
    return value;
  }
}
