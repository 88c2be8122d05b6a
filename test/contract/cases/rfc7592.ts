import { newKey } from '../../../shared/providers/http/client-assertion.ts';
import { rfc7592Provider } from '../../../shared/providers/rfc7592/provider.ts';
import { FakeRegistrations } from '../../fakes/rfc7592.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type ClientTarget = ReturnType<typeof rfc7592Provider.target>;

/** The provider of clients that manage their registration over a fake of its own. */
export function rfc7592Case(): Omit<KeyFaults<ClientTarget>, 'fake'> & { fake(): FakeRegistrations } {
  let fake: FakeRegistrations;
  const other = newKey('of-somebody-else').value;
  return {
    provider: rfc7592Provider,
    start: async () => {
      fake = await FakeRegistrations.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: (label) => ({ clientId: `client-${label}` }),
    admin: (url, target) => fake.admin(url, target?.clientId ?? 'client-app'),
    takes: async (value, { clientId }) => fake.takes(clientId, value),
    isTest: ({ path }) => path === '/',
    wrong: () => other,
    beside: ({ clientId }) => ({ client_id: clientId }),
    addForeign: ({ clientId }, name = 'made-by-hand') => {
      fake.add(clientId, name);
    },
  };
}
