import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Postgres } from '../postgres/start.ts';
import { ADMIN_SECRET, DATABASE } from './database.ts';

/** Longest time for which the demo's agents keep a value. */
export const TTL_SECONDS = 2;

/** One database credential as a team would declare it, with the short windows that only the local stage allows. */
export function databaseCredential(
  server: Postgres,
  name: string,
  ownerRole: string,
  holder: string,
): object {
  return {
    name,
    type: 'database',
    provider: 'postgresql',
    secret: `agents/${name}`,
    admin: ADMIN_SECRET,
    target: {
      host: server.host,
      port: server.port,
      database: DATABASE,
      ownerRole,
      tls: { mode: 'verify-full', ca: server.caPem },
    },
    policy: { interval: '30d', window: '5s', deadline: '60s', cap: '5m', soak: '1s' },
    holders: [{ kind: 'polling', name: holder, ttl: `${TTL_SECONDS}s` }],
  };
}

/** Writes a declaration file into `dir`. */
export async function writeDeclaration(
  dir: string,
  credentials: readonly object[],
  name = 'rekey.yaml',
  roots: readonly object[] = [],
): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, stringify({ version: 1, ...(roots.length === 0 ? {} : { roots }), credentials }));
  return file;
}
