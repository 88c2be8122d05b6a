import type { Capabilities } from '../../domain/capabilities.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { Redacted } from '../../domain/redacted.ts';
import { untilTaken, type Propagation } from '../propagation.ts';
import type { CredentialProvider, Issued, ProviderContext } from '../provider.ts';
import { Api } from './api.ts';
import {
  assertKeyBelongs,
  parseForm,
  parseKey,
  serializeForm,
  serializeKey,
  type KeyForm,
  type KeyMaterial,
} from './material.ts';
import { assertWord, type KeyTarget } from './target.ts';

/** Longest that a step waits for a new key: after that the workflow asks again. */
const LONGEST_SPREAD_SECONDS = 90;

/** What targets of all keys have, whether or not they are called by a label. */
type AnyTarget = Pick<KeyTarget, 'baseUrl'>;

/** A key in an agent's hands; a secret that a person wrote may lack its id. */
export interface UsedKey {
  readonly id: string | undefined;
  readonly value: string;
}

/** An API elsewhere, without a login. */
export type OpenAs = (baseUrl: string, field: string) => Api;

/** How agents have and use the keys of an upstream, whoever makes and ends them there. */
export interface UsedKeys<T extends AnyTarget> {
  /** Type and provider, e.g. `llm-key/openai`. */
  readonly key: string;
  /** What it is called in messages. */
  readonly name: string;
  /** Its usual address, with the version of the API; absent where each deployment has its own, which its target names. */
  readonly baseUrl?: string | ((target: T) => string);
  /** `page` is where the fields are described. */
  target(input: unknown, page: string): T;
  storedTarget(input: unknown): T;
  /** As in the provider contract. */
  readonly access?: (target: T) => 'read' | 'write';
  /** The form of the secret where agents need more than the key, with what stands beside it; not secret. */
  readonly form?: KeyForm & { of(target: T): Readonly<Record<string, string>> };
  /** Headers of an agent's calls. */
  agentHeaders(value: string, target: T): Record<string, string>;
  /**
   * Uses the key as an agent would; cheap, and free of charge. `key` is for those that sign or log in with it; `open` gives an
   * API without a login, where a token has to be fetched first: `field` is where its address is written.
   */
  test(api: Api, target: T, key: UsedKey, open: OpenAs): Promise<void>;
  /** So often in a row a new key is taken before it counts as known everywhere; once where nothing is said. */
  readonly goodCalls?: number;
  /**
   * What a person does to end a key while Rekey is down: a command (by-hand.ts) or a way through the console. `baseUrl` is
   * that of the target, or the usual one, without a slash at its end. Pure, and without a secret.
   */
  byHand?(target: T, id: string, baseUrl: string): string;
}

/** The part of a provider that knows only what agents know. */
type Common<T> = Pick<
  CredentialProvider<T, KeyMaterial>,
  | 'type'
  | 'provider'
  | 'overlap'
  | 'revocation'
  | 'target'
  | 'storedTarget'
  | 'access'
  | 'material'
  | 'serialize'
  | 'secretPart'
  | 'assertBelongs'
  | 'verify'
  | 'manualRevocation'
> & { identity(target: T): string };

/** Steps with keys as agents have them, of which a provider is put together. */
export interface AgentSide<T> {
  readonly common: Common<T>;
  /** Where targets and rights are described. */
  readonly page: string;
  usualUrl(target: T): string | undefined;
  baseUrlOf(target: T): string;
  /** The API as an agent with that key calls it, or somebody without one. */
  readonly open: (target: T, value: string | undefined, ctx: ProviderContext) => Api;
  /** Uses a key as an agent would. @throws RekeyError ERR_REJECTED where it isn't taken */
  readonly use: (target: T, key: UsedKey, ctx: ProviderContext) => Promise<void>;
  /** A new key as the engine takes it. */
  issued(target: T, value: string, handle: CredentialHandle): Issued<KeyMaterial>;
  /** Waits until a new key is taken. `looks` as in propagation.ts. */
  taken(
    target: T,
    issued: Issued<KeyMaterial>,
    ctx: ProviderContext,
    looks?: Pick<Propagation, 'exists' | 'isThere'>,
  ): Promise<void>;
}

/** The agents' side of an upstream of keys. `identity` as in the provider contract. */
export function agentSide<T extends AnyTarget>(
  upstream: UsedKeys<T>,
  facts: Capabilities,
  identity: (target: T) => string,
): AgentSide<T> {
  const { name, form } = upstream;
  const [type = '', provider = ''] = upstream.key.split('/');
  const page = `docs/providers/${provider}.md`;
  const usualUrl = (target: T): string | undefined =>
    typeof upstream.baseUrl === 'function' ? upstream.baseUrl(target) : upstream.baseUrl;
  const baseUrlOf = (target: T): string => target.baseUrl ?? usualUrl(target) ?? '';
  const expected = (target: T) => ({ of: identity(target), beside: form?.of(target) ?? {} });

  const agent = { name, page, caller: 'agent' } as const;

  function open(target: T, value: string | undefined, { reach }: ProviderContext): Api {
    const headers = value === undefined ? {} : upstream.agentHeaders(value, target);
    return new Api({ ...agent, baseUrl: baseUrlOf(target), reach, headers, field: 'target.baseUrl' });
  }

  async function use(target: T, key: UsedKey, ctx: ProviderContext): Promise<void> {
    const { reach } = ctx;
    const elsewhere: OpenAs = (baseUrl, field) => new Api({ ...agent, baseUrl, reach, headers: {}, field });
    await upstream.test(open(target, key.value, ctx), target, key, elsewhere);
  }

  async function used(target: T, material: Redacted<KeyMaterial>, ctx: ProviderContext): Promise<void> {
    const { apiKey: value, apiKeyId: id } = material.reveal();
    await use(target, { id, value }, ctx);
  }

  return {
    page,
    usualUrl,
    baseUrlOf,
    open,
    use,

    common: {
      type,
      provider,
      overlap: facts.overlap,
      revocation: facts.revocation,
      target: (input) => upstream.target(input, page),
      storedTarget: (input) => upstream.storedTarget(input),
      identity,
      ...(upstream.access === undefined ? {} : { access: upstream.access }),
      material: (text) => (form === undefined ? parseKey(text) : parseForm(text, form)),
      serialize: (material, like) =>
        form === undefined ? serializeKey(material, like) : serializeForm(material, form, like),
      secretPart: (material) => material.map(({ apiKey }) => apiKey),
      assertBelongs: (target, handle, material) =>
        assertKeyBelongs({ ...expected(target), handle }, material),

      async verify(target, material, ctx) {
        assertKeyBelongs(expected(target), material);
        await used(target, material, ctx);
      },

      ...(upstream.byHand && {
        manualRevocation: (target: T, { id }: CredentialHandle) =>
          upstream.byHand?.(target, id, baseUrlOf(target).replace(/\/$/, '')) ?? '',
      }),
    },

    issued(target, apiKey, handle) {
      const { baseUrl } = target;
      assertWord(name, handle.id);
      return {
        handle,
        material: new Redacted({
          apiKey,
          apiKeyId: handle.id,
          of: identity(target),
          ...(baseUrl === undefined ? {} : { baseUrl }),
          ...(form === undefined ? {} : { beside: form.of(target) }),
        }),
      };
    },

    async taken(target, { handle, material }, ctx, looks = {}) {
      assertKeyBelongs({ ...expected(target), handle }, material);
      await untilTaken(async () => used(target, material, ctx), {
        name,
        seconds: Math.min(facts.propagationSeconds, LONGEST_SPREAD_SECONDS),
        ...(upstream.goodCalls === undefined ? {} : { times: upstream.goodCalls }),
        ...looks,
      });
    },
  };
}
