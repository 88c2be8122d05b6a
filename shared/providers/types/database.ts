import type { Loaders } from './loaders.ts';

/** Databases. */
export const PROVIDERS: Loaders = {
  'database/postgresql': async () => (await import('../postgresql/provider.ts')).postgresqlProvider,
};
