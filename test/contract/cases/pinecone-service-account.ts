import { pineconeServiceAccountProvider as provider } from '../../../shared/providers/pinecone-service-account/provider.ts';
import { FakePineconeAccounts } from '../../fakes/pinecone-accounts.ts';
import type { Asked } from '../../fakes/upstream.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type ServiceAccountTarget = ReturnType<typeof provider.target>;

const ROLES = ['OrgOwner', 'ProjectOwner@7f1b0c1e-6a0e-4c57-9f6c-0d4a5b8c2e11'];

/** The provider of Pinecone's service accounts over a fake of its own; the login that administers them is another one. */
export function pineconeServiceAccountCase(): KeyFaults<ServiceAccountTarget> {
  let fake: FakePineconeAccounts;
  const clientOf = ({ body }: Asked): unknown => (body as { client_id?: string } | undefined)?.client_id;
  return {
    provider,
    start: async () => {
      fake = await FakePineconeAccounts.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: () => {
      // Each listing is of the whole organization: what former cases left would be listed, and made to go wrong, in all of them.
      fake.clear();
      return { roles: ROLES, loginUrl: fake.server.url };
    },
    admin: () => ({ ...fake.secret(fake.owner), loginUrl: fake.server.url }),
    takes: async (value) => fake.takes(value),
    isTest: (asked) =>
      asked.path === '/oauth/token' ? clientOf(asked) !== fake.owner.id : asked.query.get('limit') === '1',
    addForeign: (_target, name = 'made by hand') => {
      fake.add(name, ['OrgMember']);
    },
    addExisting: () => fake.add('made by hand', ROLES),
    showsNothing: true,
    fill: () => {
      fake.keys.room = fake.keys.all.size;
      return () => (fake.keys.room = Infinity);
    },
  };
}
