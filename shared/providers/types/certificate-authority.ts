import type { Loaders } from './loaders.ts';

/** Authorities that sign the certificates with which agents prove who they are (C5), and keys that Rekey makes for who can't. */
export const PROVIDERS: Loaders = {
  'certificate-authority/x509': async () => (await import('../x509/provider.ts')).x509Provider,
  'certificate-authority/leaf': async () => (await import('../leaf/provider.ts')).leafProvider,
  'certificate-authority/private-ca': async () =>
    (await import('../private-ca/provider.ts')).privateCaProvider,
};
