import type { Loaders } from './loaders.ts';

/** Administrative logins of databases that Rekey itself uses (C9). */
export const PROVIDERS: Loaders = {
  'database-root/postgresql-master': async () =>
    (await import('../postgresql-master/provider.ts')).postgresqlMasterProvider,
};
