import { anthropicProvider } from '../../../shared/providers/anthropic/provider.ts';
import { FakeAnthropic } from '../../fakes/anthropic.ts';
import { MemoryClaims } from '../../support/claims.ts';
import type { MeteringCase } from '../describe-metering.ts';

/** Anthropic's provider over a fake of its own, with a pool that an operator has filled. */
export function anthropicCase(): MeteringCase<ReturnType<typeof anthropicProvider.target>> {
  let fake: FakeAnthropic;
  const claims = new MemoryClaims();
  const headers = (value: string) => ({ 'x-api-key': value, 'anthropic-version': '2023-06-01' });
  return {
    provider: anthropicProvider,
    pooled: true,
    start: async () => {
      fake = await FakeAnthropic.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    claims: ({ label }) => claims.of(label),
    url: () => `${fake.server.url}/v1`,
    target: (label) => {
      const workspace = `wrkspc_${label}`;
      fake.fill(workspace, 12);
      return { workspace };
    },
    admin: () => fake.admin(),
    takes: async (value, { baseUrl }) => (await fetch(`${baseUrl}/models`, { headers: headers(value) })).ok,
    addForeign: ({ workspace }) => {
      fake.mint(workspace);
    },
    addExisting: ({ workspace }) => fake.mint(workspace),
    request: async (value, model) =>
      fetch(`${fake.server.url}/v1/messages`, {
        method: 'POST',
        headers: headers(value),
        body: JSON.stringify({ model }),
      }),
    isMetering: ({ path }) => path.endsWith('/analytics/usage'),
  };
}
