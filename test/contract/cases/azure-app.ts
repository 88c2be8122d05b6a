import { randomUUID } from 'node:crypto';
import { azureAppProvider } from '../../../shared/providers/azure-app/provider.ts';
import { FakeAzure } from '../../fakes/azure.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type AzureAppTarget = ReturnType<typeof azureAppProvider.target>;

/** Entra's provider over a fake of its own. */
export function azureAppCase(): Omit<KeyFaults<AzureAppTarget>, 'fake'> & { fake(): FakeAzure } {
  let fake: FakeAzure;
  return {
    provider: azureAppProvider,
    start: async () => {
      fake = await FakeAzure.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({ tenantId: fake.tenantId, clientId: randomUUID() }),
    admin: () => fake.admin(),
    takes: async (value, { clientId }) => fake.takes(clientId, value),
    isTest: ({ path, headers }) => path.endsWith('/token') && headers.authorization !== undefined,
    addForeign: ({ clientId }, name = 'made by hand') => {
      fake.add(clientId, name);
    },
    addExisting: ({ clientId }) => fake.add(clientId, 'made by hand'),
    showsNothing: true,
    fill: ({ clientId }) => {
      fake.keys.room = fake.keys.of(clientId).length;
      return () => (fake.keys.room = Infinity);
    },
  };
}
