import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { asSuperuser, connection, DATABASE, tryLogin } from '../../../local/demo/database.ts';
import type { World } from '../../../local/demo/world.ts';
import { entryOf, type PlayedUpstream } from './played.ts';

/** Administrators of databases that Rekey itself uses, at the real PostgreSQL of the world. */
export const DATABASE_ROOTS = { 'database-root/postgresql-master': postgresqlMaster } as const;

const LOGIN = 'platform_admin';
const KEEPER = 'platform_keeper';

/** One that is no superuser, as the master of RDS is none, under another that may end it. */
async function postgresqlMaster({ server }: World): Promise<PlayedUpstream> {
  const password = randomUUID();
  await asSuperuser(
    server,
    DATABASE,
    `CREATE ROLE ${LOGIN} LOGIN CREATEROLE PASSWORD '${password}';
     CREATE ROLE ${KEEPER} LOGIN CREATEROLE PASSWORD '${password}';
     GRANT ${LOGIN} TO ${KEEPER} WITH ADMIN OPTION`,
  );
  const { host, port, caPem: ca } = server;
  const key = 'database-root/postgresql-master';
  const users = [LOGIN, `${LOGIN}_b`];
  return {
    key,
    entry: entryOf(key, { host, port, database: DATABASE, users, tls: { mode: 'verify-full', ca } }),
    admin: { username: KEEPER, password },
    root: { username: LOGIN, password },
    takes: async (secret) => {
      const { username: user, password: own } = JSON.parse(secret) as { username: string; password: string };
      return (await tryLogin(server, { user, password: own })) === 'accepted';
    },
    loseCreation() {
      let happened = false;
      void cutNextActivation(server).then(() => (happened = true));
      return () => happened;
    },
    live: async () => {
      const [row] = await asked(
        server,
        `SELECT count(*)::int AS live FROM pg_roles WHERE rolcanlogin AND rolname IN ('${users.join("','")}')`,
      );
      return row?.['live'] as number;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  };
}

/** Ends the connection over which the next login is being made: whether it was, nobody is told. */
async function cutNextActivation(server: World['server']): Promise<void> {
  await asked(
    server,
    `DO $$ BEGIN LOOP
       PERFORM pg_stat_clear_snapshot();
       PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE usename = '${KEEPER}' AND application_name LIKE 'rekey-activate%';
       EXIT WHEN FOUND;
       PERFORM pg_sleep(0.002);
     END LOOP; END $$`,
  );
}

async function asked(server: World['server'], sql: string): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client(connection(server, server.superuser));
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}
