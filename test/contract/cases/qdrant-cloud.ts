import { qdrantCloudProvider } from '../../../shared/providers/qdrant-cloud/provider.ts';
import { FakeQdrantCloud } from '../../fakes/qdrant-cloud.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

const ACCOUNT = '7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11';
const CLUSTER = '0b7c7c5e-8f5e-4b7a-8f0e-5a1d3c9b2f22';

/** Qdrant Cloud's provider over a fake of its own. */
export function qdrantCloudCase(): KeyFaults<ReturnType<typeof qdrantCloudProvider.target>> {
  let fake: FakeQdrantCloud;
  return {
    provider: qdrantCloudProvider,
    start: async () => {
      fake = await FakeQdrantCloud.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => ({
      account: ACCOUNT,
      cluster: CLUSTER,
      rules: [
        { collection: 'documents', access: 'read' },
        { collection: 'memories', access: 'read-write' },
      ],
    }),
    admin: () => ({ managementKey: fake.managementKey, adminUrl: fake.server.url }),
    takes: async (value) =>
      (await fetch(`${fake.server.url}/collections`, { headers: { 'api-key': value } })).ok,
    isTest: ({ path }) => path === '/collections',
    addForeign: ({ account, cluster }, name = 'made by hand') => {
      fake.keys.add(`${account}/${cluster}`, name, 'eyJhb');
    },
  };
}
