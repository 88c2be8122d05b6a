import type { SetRef } from '../../shared/domain/directory.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { AwsReach } from '../../shared/http/aws.ts';
import type { IdentityTarget } from '../../shared/providers/identity/target.ts';
import type { CredentialProvider, ProviderContext } from '../../shared/providers/provider.ts';
import { MemoryClaims } from '../support/claims.ts';
import { ServedDirectory } from '../support/directory.ts';
import type { ProviderHarness } from './provider-life.ts';

/** What the tests of a kind of identities have of their own. */
export interface IdentityCase<T extends IdentityTarget, M> {
  readonly provider: CredentialProvider<T, M>;
  readonly kind: SetRef['kind'];
  /** A target as it is declared. */
  target(name: string): object | Promise<object>;
  /** Whether a verifier takes it, asked without the provider at the address of the directory. */
  takes(url: string, target: T, material: M): Promise<boolean>;
  /** Ids that the published set shows; those that stand in its text as they are where nothing is said. */
  shown?(text: string): readonly string[];
  /** What plays AWS, for those that are in KMS. */
  readonly aws?: AwsReach;
  wrong(material: M): M;
  other(material: M): M;
}

/** Each look at the clock is so much later: verifiers have always read what was published before. */
const STEP_MS = 3_600_000;

let count = 0;

/** The contract's harness over a directory in memory with the real function in front of it. */
export interface IdentityHarness<T extends IdentityTarget, M> extends ProviderHarness<T, M> {
  served(): ServedDirectory;
  now(): number;
}

export function identityHarness<T extends IdentityTarget, M>(it: IdentityCase<T, M>): IdentityHarness<T, M> {
  const { provider } = it;
  let served: ServedDirectory;
  let now = Date.parse('2026-11-26T00:00:00.000Z');
  const clock = (): number => (now += STEP_MS);
  const claims = new MemoryClaims();
  const context = ({ name = '' }: Partial<Pick<T, 'name'>> = {}): ProviderContext => ({
    clock,
    reach: { ...served.context().reach, ...(it.aws === undefined ? {} : { aws: it.aws }) },
    admin: async () => Promise.resolve(new Redacted('there is no administrative login')),
    claims: claims.of(name),
  });
  return {
    provider,
    stateless: true,
    served: () => served,
    now: () => now,
    start: async () => {
      served = await ServedDirectory.start();
      served.clock = () => now;
    },
    stop: async () => served[Symbol.asyncDispose](),
    freshTarget: async () => provider.target(await it.target(`case-${++count}`)),
    elsewhere: (target) => provider.target({ ...target, name: 'elsewhere' }),
    context,
    open: async (target, material) => {
      if (!(await it.takes(served.url, target, material.reveal()))) throw new Error('verifiers refuse it');
      return {
        works: async () => it.takes(served.url, target, material.reveal()),
        close: async () => Promise.resolve(),
      };
    },
    withWrongSecret: (material) => material.map((each) => it.wrong(each)),
    withOtherUser: (material) => material.map((each) => it.other(each)),
    addForeignCredential: async (target) => {
      const other = provider.target(await it.target(`${target.name}-of-others`));
      const ctx = { ...context(other), generation: 1 };
      await provider.issue(other, 'of-somebody-else', ctx);
    },
  };
}
