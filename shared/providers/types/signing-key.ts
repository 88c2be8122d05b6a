import type { Loaders } from './loaders.ts';

/** Keys with which agents sign tokens (C6). */
export const PROVIDERS: Loaders = {
  'signing-key/jwks': async () => (await import('../jwks/provider.ts')).jwksProvider,
};
