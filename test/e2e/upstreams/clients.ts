import type { World } from '../../../local/demo/world.ts';
import { FakeClientSecrets } from '../../fakes/client-secrets.ts';
import { FakeRegistrations } from '../../fakes/rfc7592.ts';
import { entryOf, played, type PlayedUpstream } from './played.ts';
import { byConsole } from './pools.ts';

/** What clients of authorization servers say who they are with. */
export const OAUTH_CLIENTS = {
  'oauth-client/rfc7592': oauthClient,
  'oauth-client/client-secret': clientSecret,
} as const;

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

/** Only a person makes and ends its secrets; what is taken is known to the ledger alone. */
async function clientSecret({ stack }: World): Promise<PlayedUpstream> {
  const fake = await FakeClientSecrets.start();
  const clientId = 'tools-fleet';
  fake.console.fill(clientId, 10);
  const baseUrl = `${fake.server.url}/token`;
  const target = { clientId, label: 'agents', baseUrl, secretsAtOnce: 10 };
  return {
    key: 'oauth-client/client-secret',
    entry: entryOf('oauth-client/client-secret', target),
    admin: { pool: fake.console.pool, baseUrl },
    takes: async (secret) =>
      fake.takes(clientId, (JSON.parse(secret) as { client_secret: string }).client_secret),
    ...byConsole(stack, fake, 'rotate-oauth-client'),
  };
}
