import mysql, { type RowDataPacket } from 'mysql2/promise';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createCredentialSource } from '../../client/src/create.ts';
import type { CredentialSource } from '../../client/src/credential-source.ts';
import { rotatingPool as rotatingMysqlPool } from '../../client/src/mysql2.ts';
import { rotatingPool, type RotatingPool } from '../../client/src/pg.ts';
import { FakeVault } from '../fakes/fake-vault.ts';
import { startFakeMysql } from '../fakes/mysql-server.ts';
import { hasMariaDb, startMariaDb, type MysqlServer } from '../support/mysql.ts';
import { TestServer } from '../support/postgres.ts';

const valueOf = (username: string, password: string): string => JSON.stringify({ username, password });

/** Gives what waits for it a moment. */
const moment = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

/** Opens its lock when it is called. */
function gate(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
}

async function sourceOf(vault: FakeVault): Promise<CredentialSource> {
  return createCredentialSource({ secretId: 'db', vault, lifetimeSeconds: 600 });
}

describe('a rotating pool of pg', () => {
  const server = new TestServer();
  let vault: FakeVault;
  let source: CredentialSource;
  let pool: RotatingPool;
  let opened = 0;
  beforeAll(async () => server.start(), 60_000);
  afterAll(async () => server.stop(), 30_000);

  beforeEach(async () => {
    for (const user of ['app_a', 'app_b']) await setPassword(user, 'first');
    vault = new FakeVault();
    vault.put(valueOf('app_a', 'first'), 'AWSCURRENT');
    source = await sourceOf(vault);
    opened = 0;
    pool = rotatingPool(source, (login) => {
      opened++;
      const { host, port, caPem: ca } = server.server;
      return new pg.Pool({ host, port, database: 'postgres', ssl: { ca }, max: 4, ...login });
    });
  });

  afterEach(async () => {
    await pool[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });

  async function setPassword(user: string, password: string): Promise<void> {
    const [role] = await server.sql(`SELECT 1 FROM pg_roles WHERE rolname = '${user}'`);
    await server.sql(`${role === undefined ? 'CREATE' : 'ALTER'} ROLE ${user} LOGIN PASSWORD '${password}'`);
  }

  async function currentUser(): Promise<unknown> {
    const { rows } = await pool.query<{ user: string }>('SELECT current_user AS user');
    return rows[0]?.user;
  }

  async function sessions(name: string): Promise<number> {
    const [row] = await server.sql(`SELECT count(*) AS n FROM pg_stat_activity WHERE usename = '${name}'`);
    return Number(row?.['n']);
  }

  it('hands over to the next user: new work goes there at once, the old pool drains and ends', async () => {
    const swapped = gate();
    source.on('swapped', swapped.open);
    const { passed, open } = gate();
    const transaction = pool.withClient(async (client) => {
      await client.query('BEGIN');
      await passed;
      const { rows } = await client.query<{ user: string }>('SELECT current_user AS user');
      await client.query('COMMIT');
      return rows[0]?.user;
    });
    expect(await currentUser()).toBe('app_a');
    vault.put(valueOf('app_b', 'first'), 'AWSCURRENT');
    await source.refreshNow();
    expect(await currentUser()).toBe('app_b');
    expect(await Promise.race([swapped.passed.then(() => 'done'), moment().then(() => 'draining')])).toBe(
      'draining',
    );
    open();
    expect(await transaction).toBe('app_a');
    await swapped.passed;
    await moment();
    expect(await sessions('app_a')).toBe(0);
    expect(opened).toBe(2);
  });

  it('loses no query while one user’s password changes under it', async () => {
    const ended = { yet: false };
    let queries = 0;
    const worker = async (): Promise<void> => {
      while (!ended.yet) {
        // A fresh login each time: what fails here would fail in any pool that opens a connection.
        await pool
          .withClient(async (client) => client.query('SELECT pg_terminate_backend(pg_backend_pid())'))
          .catch((error: { code?: string }) => {
            if (error.code !== '57P01') throw error;
          });
        queries++;
      }
    };
    const workers = [worker(), worker(), worker()];
    for (let turn = 0; turn < 4; turn++) {
      const next = vault.put(valueOf('app_a', `password ${turn}`), 'AWSPENDING');
      await moment();
      await setPassword('app_a', `password ${turn}`);
      await moment();
      vault.promote(next);
      await moment();
    }
    ended.yet = true;
    await Promise.all(workers);
    expect(queries).toBeGreaterThan(20);
  });

  it('says what the server says where no version is taken', async () => {
    await setPassword('app_a', 'other');
    await expect(currentUser()).rejects.toMatchObject({ code: '28P01' });
  });

  it('survives sessions that the server ends while nobody uses them', async () => {
    await currentUser();
    await server.sql(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_a'`);
    await moment();
    expect(await currentUser()).toBe('app_a');
  });

  it('that is closed has no session left, and gives none', async () => {
    await currentUser();
    await pool[Symbol.asyncDispose]();
    await moment();
    expect(await sessions('app_a')).toBe(0);
    await expect(currentUser()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
  });
});

const SERVERS: Readonly<Record<string, () => Promise<MysqlServer>>> = {
  'a server of its protocol': startFakeMysql,
  ...(hasMariaDb() ? { MariaDB: startMariaDb } : {}),
};

describe.each(Object.keys(SERVERS))('a rotating pool of mysql2 with %s', (name) => {
  let server: MysqlServer;
  let vault: FakeVault;
  let source: CredentialSource;
  let pool: ReturnType<typeof rotatingMysqlPool>;
  beforeAll(async () => {
    server = await (SERVERS[name] ?? startFakeMysql)();
  }, 60_000);
  afterAll(async () => server.stop(), 30_000);

  beforeEach(async () => {
    for (const user of ['app_a', 'app_b']) await server.setPassword(user, 'first');
    vault = new FakeVault();
    vault.put(valueOf('app_a', 'first'), 'AWSCURRENT');
    source = await sourceOf(vault);
    pool = rotatingMysqlPool(source, (login) =>
      mysql.createPool({ host: '127.0.0.1', port: server.port, ...login }),
    );
  });

  afterEach(async () => {
    await pool[Symbol.asyncDispose]();
    await source[Symbol.asyncDispose]();
  });

  async function currentUser(): Promise<string> {
    const [rows] = await pool.query<RowDataPacket[]>('SELECT CURRENT_USER() AS user');
    return String(rows[0]?.['user']).replace('@%', '');
  }

  it('hands over to the next user: new work goes there at once, the old pool drains and ends', async () => {
    const swapped = gate();
    source.on('swapped', swapped.open);
    const { passed, open } = gate();
    const work = pool.withConnection(async (connection) => {
      await passed;
      await connection.query('SELECT CURRENT_USER() AS user');
      return 'done';
    });
    expect(await currentUser()).toBe('app_a');
    vault.put(valueOf('app_b', 'first'), 'AWSCURRENT');
    await source.refreshNow();
    expect(await currentUser()).toBe('app_b');
    expect(await Promise.race([swapped.passed.then(() => 'done'), moment().then(() => 'draining')])).toBe(
      'draining',
    );
    open();
    expect(await work).toBe('done');
    await swapped.passed;
    await moment();
    expect(await server.sessions('app_a')).toBe(0);
  });

  it('finds the pending password between setSecret and finishSecret, and moves on', async () => {
    const next = vault.put(valueOf('app_a', 'second'), 'AWSPENDING');
    await server.setPassword('app_a', 'second');
    expect(await currentUser()).toBe('app_a');
    vault.promote(next);
    await source.refreshNow();
    expect(await currentUser()).toBe('app_a');
    expect(source.current().versionId).toBe(next);
  });

  it('says what the server says where no version is taken', async () => {
    await server.setPassword('app_a', 'other');
    await expect(currentUser()).rejects.toMatchObject({ code: 'ER_ACCESS_DENIED_ERROR' });
  });
});
