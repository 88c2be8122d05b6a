import { gcpServiceAccountProvider } from '../../../shared/providers/gcp-service-account/provider.ts';
import { FakeGoogleIam } from '../../fakes/google-iam.ts';
import { issuerOf } from '../../fakes/google-login.ts';
import type { KeyFaults } from '../describe-key-faults.ts';

type AccountTarget = ReturnType<typeof gcpServiceAccountProvider.target>;

/** Google Cloud's provider over a fake of its own. */
export function gcpServiceAccountCase(): Omit<KeyFaults<AccountTarget>, 'fake'> & { fake(): FakeGoogleIam } {
  let fake: FakeGoogleIam;
  let other: string;
  return {
    provider: gcpServiceAccountProvider,
    start: async () => {
      fake = await FakeGoogleIam.start();
      other = fake.addWhole('nobody@shop.iam.gserviceaccount.com').value;
    },
    stop: async () => fake[Symbol.asyncDispose](),
    fake: () => fake,
    url: () => fake.server.url,
    target: (label) => {
      fake.labels.add(label);
      return { project: 'shop', serviceAccount: `${label}@shop.iam.gserviceaccount.com` };
    },
    admin: (url) => fake.secret(url),
    takes: async (value, { serviceAccount }) => fake.takes(serviceAccount, value),
    isTest: (asked) => asked.path === '/token' && issuerOf(asked) !== fake.admin.client_email,
    wrong: () => other,
    beside: ({ project, serviceAccount }) => ({
      type: 'service_account',
      project_id: project,
      client_email: serviceAccount,
    }),
    addForeign: ({ serviceAccount }, name = 'made by hand') => {
      fake.add(serviceAccount, name);
    },
    addExisting: ({ serviceAccount }) => fake.addWhole(serviceAccount),
    showsNothing: true,
    fill: ({ serviceAccount }) => {
      fake.keys.room = fake.keys.of(serviceAccount).length;
      return () => (fake.keys.room = Infinity);
    },
  };
}
