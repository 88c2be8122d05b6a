import { Redacted } from '../../shared/domain/redacted.ts';
import type { KeyMaterial } from '../../shared/providers/http/material.ts';
import type { KeyTarget } from '../../shared/providers/http/target.ts';
import { awaitsOperator } from '../../shared/domain/evidence.ts';
import type { Claims, CredentialProvider } from '../../shared/providers/provider.ts';
import type { FakeKeys } from '../fakes/upstream.ts';
import type { ProviderHarness } from './provider-life.ts';

/** What the tests of an upstream of keys have of their own. */
export interface KeyCase<T extends KeyTarget> {
  readonly provider: CredentialProvider<T, KeyMaterial>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Base address of the fake upstream. */
  url(): string;
  /** A target as it is declared, for something of which no other test knows. */
  target(label: string): Omit<T, 'label' | 'baseUrl'>;
  /** The administrative secret; `url` is where the upstream is reached. Of a pool: for that target alone, where one is given. */
  admin(url: string, target?: T): object;
  /** Whether the upstream takes a key, asked without the provider. */
  takes(value: string, target: T): Promise<boolean>;
  /** A key beside the credential's own, under that name or another that isn't Rekey's. */
  addForeign(target: T, name?: string): void;
  /** A key that a person has made with what the target declares; where such keys are adopted. */
  addExisting?(target: T): { readonly id: string; readonly value: string };
  /** The upstream shows nothing of a value: its id has to be declared. */
  readonly showsNothing?: boolean;
  /** An operator fills a pool, from which keys are taken. */
  readonly pooled?: boolean;
  /** There are as many places as may live, and all have a value from the beginning. */
  readonly slots?: boolean;
  /** Another key than that one; one that is spelt wrong where nothing is said. */
  wrong?(value: string): string;
  /** What stands beside an existing key in its secret, where a login needs more. */
  beside?(target: T): Readonly<Record<string, string>>;
  /** What a target's credential has taken of a pool, where the upstream has no place for a mark. */
  claims?(target: T): Claims;
  /** Plays the person who ends a key at the console, by what they are told; where nobody else can. */
  endByHand?(byHand: string): Promise<void>;
  /** How long a call may take, in milliseconds; two seconds where nothing is said. */
  readonly timeoutMs?: number;
  /** The fake upstream, with the keys that it knows. */
  fake?(): { readonly keys: FakeKeys };
}

let count = 0;

/** The contract's harness over an upstream of keys: a session is a request that is sent again and again. */
export function keyHarness<T extends KeyTarget>(it: KeyCase<T>): ProviderHarness<T, KeyMaterial> {
  const provider = withOperator(it);
  return {
    provider,
    stateless: true,
    pooled: it.pooled === true,
    slots: it.slots === true,
    start: async () => it.start(),
    stop: async () => it.stop(),
    freshTarget: async () => {
      const label = `case-${++count}`;
      return Promise.resolve(provider.target({ ...it.target(label), label, baseUrl: it.url() }));
    },
    elsewhere: (target) => ({ ...target, label: 'elsewhere' }),
    context: (target) => ({
      clock: Date.now,
      ...(it.claims === undefined ? {} : { claims: it.claims(target) }),
      reach: { privateHosts: ['127.0.0.1'], timeoutMs: it.timeoutMs ?? 2000 },
      admin: async () =>
        Promise.resolve(new Redacted(JSON.stringify({ ...it.admin(it.url(), target), baseUrl: it.url() }))),
    }),
    open: async (target, material) => {
      const { apiKey } = material.reveal();
      if (!(await it.takes(apiKey, target))) throw new Error('the upstream refuses the key');
      return { works: async () => it.takes(apiKey, target), close: async () => Promise.resolve() };
    },
    withWrongSecret: (material) =>
      material.map((key) => ({
        ...key,
        apiKey: it.wrong?.(key.apiKey) ?? `${key.apiKey.slice(0, -6)}wrong!`,
      })),
    withOtherUser: (material) => material.map((key) => ({ ...key, apiKeyId: 'key_of_somebody_else' })),
    addExistingCredential: async (target) => {
      const made = it.addExisting?.(target);
      if (made === undefined) throw new Error('this upstream adopts nothing');
      const id = it.showsNothing === true ? { apiKeyId: made.id } : {};
      const of = provider.identity?.(target) ?? '';
      const beside = it.beside === undefined ? {} : { beside: it.beside(target) };
      return Promise.resolve(new Redacted({ of, ...id, ...beside, apiKey: made.value }));
    },
    addForeignCredential: async (target) => Promise.resolve(it.addForeign(target)),
    // Places for keys belong to a resource, which nobody else's login reaches.
    ...(it.fake !== undefined && it.slots !== true && { blind: () => it.fake?.().keys.hide() ?? nothing }),
  };
}

const nothing = (): void => undefined;

/** The provider with a person at the console: each revocation asks them first, and is confirmed once they have done it. */
function withOperator<T extends KeyTarget>(it: KeyCase<T>): CredentialProvider<T, KeyMaterial> {
  const { provider } = it;
  if (it.endByHand === undefined) return provider;
  return {
    ...provider,
    async revoke(...of) {
      const asked = await provider.revoke(...of);
      if (!awaitsOperator(asked)) return asked;
      await it.endByHand?.(asked.byHand);
      return provider.revoke(...of);
    },
  };
}
