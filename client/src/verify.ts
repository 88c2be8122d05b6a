import { createHash, createPublicKey, timingSafeEqual, type KeyObject } from 'node:crypto';
import type { SignRequest } from './agent/api.ts';
import { CredentialError } from './errors.ts';
import { garbage, Published, type PublishedOptions, type Verifying } from './verify/published.ts';

export type { PublishedOptions, Verifying } from './verify/published.ts';

/** What an agent's token lets it do. */
export interface Granted {
  readonly agent: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  /** It lets its bearer get more rights. */
  readonly escalation: boolean;
}

/** Checks tokens of agents. */
export interface TokenVerifier extends Verifying {
  /**
   * What a token grants; undefined where it is refused.
   * @throws CredentialError ERR_STALE where the directory can't be read for longer than the limit: nothing is accepted
   */
  verify(token: string): Promise<Granted | undefined>;
}

/** How tokens are checked. */
export interface TokenVerifierOptions extends PublishedOptions {
  /** Who checks: tokens for anybody else are refused. */
  readonly audience: string;
  /** Signs requests to the directory: `sigV4` of `@rekey/client/sigv4`. */
  readonly sign: SignRequest;
}

interface Told extends Granted {
  readonly digest: Uint8Array;
  /** When it ends, in milliseconds since 1970, with the skew of clocks. */
  readonly endsAt: number;
}

const FORM = /^rkt_([a-z0-9-]{1,63})_([0-9a-f]{16})_[A-Za-z0-9_-]{43}_[0-9a-f]{8}$/;

/** Checks tokens by the digests of a set, without a call for each; what was removed dies once the set is read again. */
export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { audience, set, sign } = options;
  const published = new Published(
    'tokens',
    options,
    async (answer) => tokensOf(await answer.json()),
    async (url, headers) => sign({ method: 'GET', url, headers, body: '' }),
  );
  return {
    async verify(token) {
      const [, of, id] = FORM.exec(token) ?? [];
      // What is no token of this set makes no request.
      if (of !== set || id === undefined) return undefined;
      const told = (await published.current()).get(id) ?? (await published.afterMiss()).get(id);
      if (told === undefined) return undefined;
      const digest = createHash('sha256').update(token).digest();
      if (!timingSafeEqual(digest, told.digest)) return undefined;
      if (told.audience !== audience || published.now() >= told.endsAt) return undefined;
      const { agent, scopes, escalation } = told;
      return { agent, audience, scopes, escalation };
    },
    ...verifying(published),
  };
}

/** Finds the published key of a token's header, as `jwtVerify` of the library `jose` asks for it. */
export interface PublishedKeys extends Verifying {
  /** @throws CredentialError ERR_NOT_FOUND where no such key is published, ERR_STALE as `TokenVerifier.verify` */
  (header: { readonly kid?: string | undefined; readonly alg?: string | undefined }): Promise<KeyObject>;
}

/** The public keys of a set for `jwtVerify(token, keys, { issuer, audience })`: removed ones die, unknown ones are asked for. */
export function createPublishedKeys(options: PublishedOptions): PublishedKeys {
  const published = new Published(
    'jwks',
    options,
    async (answer) => keysOf(await answer.json()),
    async (_url, headers) => Promise.resolve(headers),
  );
  const find = async ({ kid = '', alg }: Parameters<PublishedKeys>[0]): Promise<KeyObject> => {
    const key = (await published.current()).get(kid) ?? (await published.afterMiss()).get(kid);
    if (key !== undefined && key.alg === alg) return key.key;
    throw new CredentialError('ERR_NOT_FOUND', 'no such key is published for this algorithm', {
      remedy: 'refuse the token: its key was removed, or is not of this set',
    });
  };
  return Object.assign(find, verifying(published));
}

function verifying(published: Published<ReadonlyMap<string, unknown>>): Verifying {
  return {
    seen: async () => [...(await published.current()).keys()],
    expire: () => published.expire(),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function listIn(body: unknown, name: string): readonly Fields[] {
  const list = (body as Fields | null)?.[name];
  if (!Array.isArray(list)) throw garbage();
  return list as readonly Fields[];
}

function tokensOf(body: unknown): ReadonlyMap<string, Told> {
  const skewMs = Number((body as Fields | null)?.['skewSeconds'] ?? 0) * 1000;
  return new Map(
    listIn(body, 'tokens').map((told) => {
      const { id, digest, agent, audience, scopes, escalation, notAfter } = told;
      const bytes = typeof digest === 'string' ? Buffer.from(digest, 'base64url') : undefined;
      if (typeof id !== 'string' || bytes?.length !== 32 || !Array.isArray(scopes)) throw garbage();
      if (typeof agent !== 'string' || typeof audience !== 'string') throw garbage();
      const endsAt = typeof notAfter === 'string' ? Date.parse(notAfter) + skewMs : Infinity;
      if (Number.isNaN(endsAt)) throw garbage();
      const granted = { agent, audience, scopes: scopes.map(String), escalation: escalation !== false };
      return [id, { ...granted, digest: bytes, endsAt }] as const;
    }),
  );
}

function keysOf(body: unknown): ReadonlyMap<string, { readonly key: KeyObject; readonly alg: unknown }> {
  return new Map(
    listIn(body, 'keys').map((jwk) => {
      const key = createPublicKey({ key: { ...jwk }, format: 'jwk' });
      return [String(jwk['kid']), { key, alg: jwk['alg'] }] as const;
    }),
  );
}
