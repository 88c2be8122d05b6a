import type { Loaders } from './loaders.ts';

/** Keys of cloud accounts (C3). */
export const PROVIDERS: Loaders = {
  'cloud-key/aws-iam': async () => (await import('../aws-iam/provider.ts')).awsIamProvider,
  'cloud-key/azure-app': async () => (await import('../azure-app/provider.ts')).azureAppProvider,
  'cloud-key/gcp-service-account': async () =>
    (await import('../gcp-service-account/provider.ts')).gcpServiceAccountProvider,
};
