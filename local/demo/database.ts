import { randomBytes } from 'node:crypto';
import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import { TAG } from '../../shared/names.ts';
import type { Postgres } from '../postgres/start.ts';
import type { LocalStack } from '../stack.ts';

/** Name of the secret with the administrative login. */
export const ADMIN_SECRET = 'demo/database-admin';
export const DATABASE = 'shop';

/** Connection settings for a login at the demo's database. */
export function connection(server: Postgres, login: { user: string; password: string }): pg.ClientConfig {
  return {
    host: server.host,
    port: server.port,
    database: DATABASE,
    ...login,
    ssl: { ca: server.caPem },
    connectionTimeoutMillis: 5000,
  };
}

/**
 * A database as an application team would have it: tables of an owner of their own, and an administrator for Rekey
 * that is no superuser (as the master of RDS is none), which may act as the tables' owner.
 */
export async function seed(server: Postgres, stack: LocalStack): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  await asSuperuser(server, 'postgres', `CREATE DATABASE ${DATABASE}`);
  await asSuperuser(
    server,
    DATABASE,
    `CREATE ROLE shop_tables NOLOGIN;
     CREATE ROLE rekey_admin LOGIN CREATEROLE PASSWORD '${password}';
     GRANT shop_tables TO rekey_admin;
     GRANT pg_signal_backend TO rekey_admin;
     GRANT CREATE ON DATABASE ${DATABASE} TO shop_tables;
     CREATE ROLE orders_app NOLOGIN;
     CREATE ROLE reports_app NOLOGIN;
     GRANT orders_app, reports_app TO rekey_admin WITH ADMIN OPTION;
     CREATE SCHEMA shop AUTHORIZATION shop_tables;
     SET ROLE shop_tables;
     CREATE TABLE shop.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, placed timestamptz DEFAULT now());
     CREATE TABLE shop.reports (id bigint PRIMARY KEY, title text);
     GRANT USAGE ON SCHEMA shop TO orders_app, reports_app;
     GRANT SELECT, INSERT ON shop.orders TO orders_app;
     GRANT SELECT ON shop.reports TO reports_app;`,
  );
  const client = new SecretsManagerClient(stack.clientConfig);
  await client.send(
    new CreateSecretCommand({
      Name: ADMIN_SECRET,
      SecretString: JSON.stringify({ username: 'rekey_admin', password }),
      Tags: [{ Key: TAG.admin, Value: 'database' }],
    }),
  );
}

/** What a team had before Rekey: a login made by hand, and a secret in the shape of AWS's templates. */
export const EXISTING = { secret: 'legacy/orders-db', prefix: 'legacy/', user: 'legacy_app' } as const;

/** Makes what `EXISTING` names; the administrator may pass the login on, as it could on RDS. */
export async function seedExisting(server: Postgres, stack: LocalStack): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  await asSuperuser(
    server,
    DATABASE,
    `CREATE ROLE ${EXISTING.user} LOGIN PASSWORD '${password}';
     GRANT ${EXISTING.user} TO rekey_admin WITH ADMIN OPTION;
     GRANT USAGE ON SCHEMA shop TO ${EXISTING.user}; GRANT SELECT, INSERT ON shop.orders TO ${EXISTING.user};`,
  );
  const { host, port } = server;
  const login = { engine: 'postgres', host, port, dbname: DATABASE, username: EXISTING.user, password };
  const client = new SecretsManagerClient(stack.clientConfig);
  await client.send(new CreateSecretCommand({ Name: EXISTING.secret, SecretString: JSON.stringify(login) }));
}

/** Runs statements as the superuser, e.g. what a team's administrator does while Rekey rotates. */
export async function asSuperuser(server: Postgres, database: string, sql: string): Promise<void> {
  const client = new pg.Client({ ...connection(server, server.superuser), database });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/**
 * Whether the database lets this login in: `refused` only where the server itself said no, `ended` where it let the
 * login in and then ended the session.
 */
export async function tryLogin(
  server: Postgres,
  login: { user: string; password: string },
): Promise<'accepted' | 'refused' | 'ended'> {
  const client = new pg.Client(connection(server, login));
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return 'accepted';
  } catch (error) {
    if (isRefusal(error)) return 'refused';
    if (error instanceof pg.DatabaseError && error.code === '57P01') return 'ended';
    throw error;
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Class 28 of SQLSTATE: invalid authorization; the login itself was refused. */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && (error.code ?? '').startsWith('28');
}
