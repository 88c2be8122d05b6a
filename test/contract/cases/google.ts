import { googleProvider } from '../../../shared/providers/google/provider.ts';
import { FakeGoogle } from '../../fakes/google.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

/** Google's provider over a fake of its own. */
export function googleCase(): KeyFaults<ReturnType<typeof googleProvider.target>> {
  let fake: FakeGoogle;
  return {
    provider: googleProvider,
    start: async () => {
      fake = await FakeGoogle.start();
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: (label) => ({
      project: `p-${label}`,
      serviceAccount: 'agents@shop.iam.gserviceaccount.com',
      services: ['generativelanguage.googleapis.com'],
    }),
    admin: (url) => fake.secret(url),
    takes: async (value) => {
      const headers = { 'x-goog-api-key': value };
      return (await fetch(`${fake.server.url}/v1beta/models`, { headers })).ok;
    },
    isTest: ({ path }) => path === '/v1beta/models',
    addForeign: ({ project }, name = 'made by hand') => {
      fake.add(project, name);
    },
    addExisting: ({ project, serviceAccount, services }) =>
      fake.add(project, '', {
        serviceAccountEmail: serviceAccount,
        restrictions: { apiTargets: services.map((service) => ({ service })) },
      }),
    fill: ({ project }) => {
      fake.keys.room = fake.keys.of(project).filter(({ active }) => active).length;
      return () => (fake.keys.room = Infinity);
    },
  };
}
