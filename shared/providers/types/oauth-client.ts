import type { Loaders } from './loaders.ts';

/** What clients of authorization servers say who they are with (C2). */
export const PROVIDERS: Loaders = {
  'oauth-client/rfc7592': async () => (await import('../rfc7592/provider.ts')).rfc7592Provider,
  'oauth-client/client-secret': async () =>
    (await import('../client-secret/provider.ts')).clientSecretProvider,
};
