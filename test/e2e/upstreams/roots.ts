import { randomUUID } from 'node:crypto';
import { FakeOpenAi } from '../../fakes/openai.ts';
import { FakePineconeAccounts } from '../../fakes/pinecone-accounts.ts';
import { played, posts, type PlayedUpstream } from './played.ts';

/** Administrative credentials that Rekey itself uses. */
export const ROOTS = {
  'root/openai-admin': openaiAdmin,
  'root/pinecone-service-account': pineconeAccount,
} as const;

/** An admin key that another one administers, so that an emergency can replace it. */
async function openaiAdmin(): Promise<PlayedUpstream> {
  const fake = await FakeOpenAi.start();
  fake.usageLagMs = 3_600_000;
  const baseUrl = `${fake.server.url}/v1`;
  const { value: keeper } = fake.admins.add('organization', 'keeper', 'sk-admin-');
  return played({
    key: 'root/openai-admin',
    fake,
    target: { label: 'agents', baseUrl },
    admin: { adminKey: keeper, baseUrl },
    root: { adminKey: fake.adminKey, baseUrl },
    takes: async (secret) => {
      const { adminKey } = JSON.parse(secret) as { adminKey: string };
      const headers = { authorization: `Bearer ${adminKey}` };
      return (await fetch(`${baseUrl}/organization/admin_api_keys?limit=1`, { headers })).ok;
    },
    creates: posts('/admin_api_keys'),
    // All but the keeper.
    live: () => fake.admins.all.size - 1,
  });
}

/** A service account that may administer one project, under another that owns the organization. */
async function pineconeAccount(): Promise<PlayedUpstream> {
  const fake = await FakePineconeAccounts.start();
  const place = { baseUrl: fake.server.url, loginUrl: fake.server.url };
  const roles = [`ProjectOwner@${randomUUID()}`];
  return played({
    key: 'root/pinecone-service-account',
    fake,
    target: { label: 'agents', roles, ...place },
    admin: { ...fake.secret(fake.owner), ...place },
    root: { ...fake.secret(fake.add('of a person', roles)), ...place },
    takes: async (secret) => fake.takes((JSON.parse(secret) as { clientSecret: string }).clientSecret),
    creates: posts('/service-accounts'),
    // All but the owner.
    live: () => fake.keys.all.size - 1,
  });
}
