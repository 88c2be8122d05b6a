import { stat } from 'node:fs/promises';
import { Client, type ClientConfig } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';

let server: Postgres;
let base: ClientConfig;

beforeAll(async () => {
  server = await startPostgres();
  base = {
    host: server.host,
    port: server.port,
    database: 'postgres',
    ...server.superuser,
    ssl: { ca: server.caPem },
  };
}, 120_000);

afterAll(async () => {
  await server?.stop();
});

async function query(config: ClientConfig, sql: string): Promise<unknown[]> {
  const client = new Client(config);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test('The database speaks TLS that its own authority vouches for, by address and by name', async () => {
  const tls = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
  expect(await query(base, tls)).toEqual([{ ssl: true }]);
  expect(await query({ ...base, host: 'localhost' }, tls)).toEqual([{ ssl: true }]);
});

test('The database refuses plaintext', async () => {
  await expect(query({ ...base, ssl: false }, 'select 1')).rejects.toThrow('no encryption');
});

test('Refusals are counted in its own log, the last one included', async () => {
  await query(
    base,
    "create role parked nologin password 'x'; create role guest login password 'x'; create table t ()",
  );
  const before = await server.refusals();
  await expect(query({ ...base, password: 'wrong' }, 'select 1')).rejects.toThrow('authentication');
  await expect(query({ ...base, user: 'parked', password: 'x' }, 'select 1')).rejects.toThrow(
    'not permitted to log in',
  );
  await expect(query({ ...base, user: 'guest', password: 'x' }, 'select * from t')).rejects.toThrow(
    'permission denied',
  );
  const after = await server.refusals();
  expect([
    after.authentication - before.authentication,
    after.notPermittedToLogIn - before.notPermittedToLogIn,
    after.permissionDenied - before.permissionDenied,
  ]).toEqual([1, 1, 1]);
});

test('Nothing is left when it has stopped', async () => {
  const other = await startPostgres();
  await other.stop();
  await expect(stat(other.logFile)).rejects.toThrow('ENOENT');
});
