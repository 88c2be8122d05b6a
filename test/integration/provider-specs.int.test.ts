import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { KeyTarget } from '../../shared/providers/http/target.ts';
import { gcpServiceAccountCase } from '../contract/cases/gcp-service-account.ts';
import { googleCase } from '../contract/cases/google.ts';
import { openaiCase } from '../contract/cases/openai.ts';
import { pineconeCase } from '../contract/cases/pinecone.ts';
import { weaviateCase } from '../contract/cases/weaviate.ts';
import { describeMetering } from '../contract/describe-metering.ts';
import { describeProvider } from '../contract/describe-provider.ts';
import { keyHarness, type KeyCase } from '../contract/key-harness.ts';
import { SpecProxy, specPath } from '../support/spec-proxy.ts';

/**
 * The contract once more with a provider's published specifications in between: neither what the provider sends nor what its
 * fake answers may differ from them. A line for each provider that has one.
 */
describe('as its specification has it', () => {
  describeBySpec('OpenAI', openaiCase(), ['openai.admin.slim.json']);
  describeThrough('what OpenAI counts', ['openai.usage.slim.json'], openaiCase(), 30, (between) =>
    describeMetering('OpenAI', between),
  );
  describeBySpec('Weaviate', weaviateCase(), ['weaviate.users.slim.authpatched.json']);
  describeBySpec('Pinecone', pineconeCase(), [
    'pinecone.admin_2026-04.oas.yaml',
    'pinecone.oauth_2026-04.oas.yaml',
  ]);
  describeBySpec('Google', googleCase(), ['google.apikeys.v2.oas.json']);
  describeBySpec('Google Cloud', gcpServiceAccountCase(), ['google.iam.v1.oas.json']);
});

function describeBySpec<T extends KeyTarget>(name: string, its: KeyCase<T>, specs: readonly string[]): void {
  describeThrough(name, specs, its, 50, (between) => describeProvider(name, keyHarness(between)));
}

/** What `describeIt` says of a case, with these specifications in between, and held against them that often at least. */
function describeThrough<T extends KeyTarget, C extends KeyCase<T>>(
  name: string,
  specs: readonly string[],
  its: C,
  atLeast: number,
  describeIt: (between: C) => void,
): void {
  const missing = specs.map(specPath).filter((path) => !existsSync(path));

  it.runIf(missing.length > 0)(
    `${name} is left out: REKEY_SPECS names no folder with ${specs.join(', ')}`,
    () => expect(missing).not.toEqual([]),
  );

  describe.runIf(missing.length === 0)(`${name}:`, () => {
    let proxy: SpecProxy;
    describeIt({
      ...its,
      // Prism compiles each form when it is first met.
      timeoutMs: 60_000,
      start: async () => {
        await its.start();
        proxy = await SpecProxy.start(specs, its.url());
      },
      stop: async () => {
        await proxy[Symbol.asyncDispose]();
        await its.stop();
      },
      url: () => proxy.url,
    });

    it('and nothing differs from it', () => {
      expect(proxy.violations).toEqual([]);
      expect(proxy.checked).toBeGreaterThan(atLeast);
    });
  });
}
