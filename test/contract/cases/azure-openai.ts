import { azureOpenaiProvider, placesIn } from '../../../shared/providers/azure-openai/provider.ts';
import { idOf, slotIn } from '../../../shared/providers/slot-keys/slot.ts';
import { FakeAzureOpenAi } from '../../fakes/azure-openai.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type AzureTarget = ReturnType<typeof azureOpenaiProvider.target>;

/** Azure OpenAI's provider over a fake of its own. What isn't Rekey's has no room in an account of its: it is of another one. */
export function azureOpenaiCase(): Omit<KeyFaults<AzureTarget>, 'fake'> & { fake(): FakeAzureOpenAi } {
  let fake: FakeAzureOpenAi;
  return {
    provider: azureOpenaiProvider,
    slots: true,
    start: async () => {
      fake = await FakeAzureOpenAi.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: (label) => ({
      tenantId: fake.tenantId,
      subscription: '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11',
      resourceGroup: 'agents',
      account: `shop-${label}`,
      exclusive: true,
    }),
    admin: (url) => fake.admin(url),
    takes: async (value) => fake.takes(value),
    isTest: ({ path }) => path === '/openai/models',
    addForeign: (_target, name = 'made by hand') => {
      fake.keys.add('another account', name, '');
    },
    addExisting: (target) => {
      const { keys, tags } = fake.account(target);
      const [, first] = placesIn(keys, tags);
      return { id: idOf(slotIn(first)), value: first.value };
    },
  };
}
