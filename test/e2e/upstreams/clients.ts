import { FakeRegistrations } from '../../fakes/rfc7592.ts';
import { played, type PlayedUpstream } from './played.ts';

/** What clients of authorization servers say who they are with. */
export const OAUTH_CLIENTS = { 'oauth-client/rfc7592': oauthClient } as const;

/** Its keys are made here, and their public halves registered. */
async function oauthClient(): Promise<PlayedUpstream> {
  const fake = await FakeRegistrations.start();
  const baseUrl = fake.server.url;
  const clientId = 'tools-fleet';
  return played({
    key: 'oauth-client/rfc7592',
    fake,
    target: { clientId, label: 'agents', baseUrl },
    admin: { ...fake.admin(baseUrl, clientId), baseUrl },
    takes: async (secret) =>
      fake.takes(clientId, (JSON.parse(secret) as { private_key: string }).private_key),
    creates: ({ method }) => method === 'PUT',
    live: () => fake.keys.of(clientId).filter(({ name }) => name.startsWith('rekey.')).length,
  });
}
