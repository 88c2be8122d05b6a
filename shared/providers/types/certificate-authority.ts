import type { Loaders } from './loaders.ts';

/** Authorities that sign the certificates with which agents prove who they are (C5). */
export const PROVIDERS: Loaders = {
  'certificate-authority/x509': async () => (await import('../x509/provider.ts')).x509Provider,
  'certificate-authority/private-ca': async () =>
    (await import('../private-ca/provider.ts')).privateCaProvider,
};
