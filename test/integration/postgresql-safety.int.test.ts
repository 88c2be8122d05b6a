import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates } from '../../local/postgres/certificates.ts';
import { freePort } from '../../local/ports.ts';
import { postgresqlProvider } from '../../shared/providers/postgresql/provider.ts';
import { lockKeys, slotLockSql } from '../../shared/providers/postgresql/slots.ts';
import type { PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import { TestCredential, TestServer, type LiveCredential, type Login } from '../support/postgres.ts';

const server = new TestServer();
beforeAll(async () => server.start(), 60_000);
afterAll(async () => server.stop(), 30_000);

async function loginWorks(target: PostgresTarget, live: LiveCredential): Promise<boolean> {
  return server.asAgent(target, live.material, 'SELECT 1').then(
    () => true,
    () => false,
  );
}

describe('TLS is checked in full, and never given up silently', () => {
  const disabled = { mode: 'disable', reason: 'test' };

  async function preflight(target: PostgresTarget, of: TestServer = server): Promise<unknown> {
    return postgresqlProvider.preflight(target, of.context()).then(
      () => 'passed',
      (error: unknown) => error,
    );
  }

  it('refuses plaintext where the server wants TLS, and names target.tls', async () => {
    const target = await server.freshTarget({ tls: disabled });
    expect(await preflight(target)).toMatchObject({ code: 'ERR_REJECTED', field: 'target.tls' });
  });

  it('refuses a server certificate of another authority', async () => {
    const { caPem } = await makeCertificates();
    const target = await server.freshTarget({ tls: { mode: 'verify-full', ca: caPem } });
    expect(await preflight(target)).toMatchObject({ code: 'ERR_REJECTED', field: 'target.tls' });
    const live = await (await server.freshCredential()).rotate();
    const wrong = {
      ...target,
      users: [live.handle.id, target.users[1]] as const,
      database: live.material.reveal().dbname ?? '',
    };
    await expect(postgresqlProvider.verify(wrong, live.material, server.context())).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      field: 'target.tls',
    });
  });

  it('refuses a server certificate of an authority that nobody named', async () => {
    const target = await server.freshTarget({ tls: undefined });
    expect(await preflight(target)).toMatchObject({ code: 'ERR_REJECTED', field: 'target.tls' });
  });

  it('refuses a server whose certificate is for another host', async () => {
    const target = await server.freshTarget();
    // The same address under a name that the certificate doesn't carry.
    expect(await preflight({ ...target, host: '127.1' })).toMatchObject({
      code: 'ERR_REJECTED',
      field: 'target.tls',
    });
    expect(await preflight({ ...target, host: '127.0.0.1' })).toBe('passed');
  });

  it('never falls back to plaintext where the server offers no TLS', async () => {
    const bare = new TestServer();
    await bare.start({ allowPlaintext: true, parameters: { ssl: 'off', log_connections: 'on' } }, false);
    try {
      const target = await bare.freshTarget();
      expect(await preflight(target, bare)).toMatchObject({ code: 'ERR_REJECTED', field: 'target.tls' });
      expect(await bare.log()).not.toContain('user=rekey_admin');
      expect(await preflight({ ...target, tls: { mode: 'disable', reason: 'test' } }, bare)).toBe('passed');
    } finally {
      await bare.stop();
    }
  });
});

describe('the administrator', () => {
  it('works without being a superuser, and connects to the target whatever its secret says', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const [row] = await server.sql(
      `SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'rekey_admin'`,
    );
    expect(row).toEqual({ rolsuper: false, rolcreaterole: true });
    const second = await credential.rotate(first.handle);
    expect(await credential.revoke(first.handle, true)).toMatchObject({ confirmed: true });
    expect(await loginWorks(credential.target, second)).toBe(true);
  });

  it('is told what it lacks', async () => {
    const target = await server.freshTarget();
    await server.sql(`CREATE ROLE weak LOGIN PASSWORD 'weak-password'`);
    const check = async (user: string, password: string): Promise<unknown> =>
      postgresqlProvider.preflight(target, server.context({ user, password }));
    await expect(check('weak', 'weak-password')).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      remedy: 'ALTER ROLE "weak" CREATEROLE',
    });
    await expect(check('weak', 'wrong')).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      field: 'admin',
    });
    await server.sql(`CREATE ROLE ${target.ownerRole} NOLOGIN`);
    await expect(check(server.admin.user, server.admin.password)).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      field: 'target.ownerRole',
      remedy: `GRANT "${target.ownerRole}" TO "rekey_admin" WITH ADMIN OPTION`,
    });
  });

  it('is told that the owner role would be a new and empty one, until it is there', async () => {
    const { target, ctx } = await server.freshCredential();
    expect(await postgresqlProvider.preflight(target, ctx)).toEqual([
      {
        field: 'target.ownerRole',
        message: expect.stringContaining(`"${target.ownerRole}" does not exist`),
        remedy: expect.stringMatching(/spelling/),
      },
    ]);
    await server.sql(
      `CREATE ROLE ${target.ownerRole} NOLOGIN; GRANT ${target.ownerRole} TO rekey_admin WITH ADMIN OPTION`,
    );
    expect(await postgresqlProvider.preflight(target, ctx)).toEqual([]);
  });

  it.each(['LOGIN', 'SUPERUSER'])('may not be given an owner role with %s', async (attribute) => {
    const { target, ctx } = await server.freshCredential();
    await server.sql(`CREATE ROLE ${target.ownerRole} ${attribute}`);
    await expect(postgresqlProvider.preflight(target, ctx)).rejects.toMatchObject({
      field: 'target.ownerRole',
    });
  });

  it('takes no login over that somebody else made', async () => {
    const credential = await server.freshCredential();
    const { target, ctx } = credential;
    await server.sql(`CREATE ROLE ${target.users[0]} LOGIN PASSWORD 'theirs'`);
    const refusal = { code: 'ERR_DECLARATION', field: 'target.users' };
    await expect(postgresqlProvider.preflight(target, ctx)).rejects.toMatchObject(refusal);
    await expect(credential.issue()).rejects.toMatchObject(refusal);
    expect(
      await server.as({ user: target.users[0], password: 'theirs' }, 'SELECT 1 AS n', target.database),
    ).toEqual([{ n: 1 }]);
  });

  it('gets a typed error where the server or the database is not there', async () => {
    const target = await server.freshTarget();
    const ctx = server.context();
    await expect(
      postgresqlProvider.preflight({ ...target, port: await freePort() }, ctx),
    ).rejects.toMatchObject({
      code: 'ERR_UNAVAILABLE',
    });
    await expect(postgresqlProvider.preflight({ ...target, database: 'nowhere' }, ctx)).rejects.toMatchObject(
      {
        code: 'ERR_DECLARATION',
        field: 'target.database',
      },
    );
  });
});

describe('what a password change alone would not do', () => {
  it('terminates sessions in all databases in an emergency, and no other user’s', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    const open = async (live: LiveCredential, database: string) => {
      const { username, password } = live.material.reveal();
      return server.connect({ user: username, password }, database);
    };
    const mine = [await open(first, target.database), await open(first, 'postgres')];
    const other = await open(second, target.database);
    await mine[0]?.query('BEGIN; SELECT 1');
    const done = await credential.revoke(first.handle, true);
    expect(done).toMatchObject({ confirmed: true, method: 'status-read', sessionsEnded: 2 });
    await expect(mine[0]?.query('SELECT 1')).rejects.toThrow();
    await expect(mine[1]?.query('SELECT 1')).rejects.toThrow();
    expect((await other.query('SELECT 1 AS n')).rows).toEqual([{ n: 1 }]);
    await Promise.all([...mine, other].map(async (client) => client.end().catch(() => undefined)));
  });

  it('lets no login slip in beside an emergency', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    let over = false;
    const attempt = async (): Promise<void> => {
      while (!over) {
        const session = await server.open(credential.target, first.material).catch(() => undefined);
        await session?.close();
      }
    };
    const attackers = Array.from({ length: 8 }, attempt);
    const done = await credential.revoke(first.handle, true);
    expect(done.confirmed).toBe(true);
    const usage = await postgresqlProvider.usage?.(credential.target, first.handle, credential.ctx);
    over = true;
    await Promise.all(attackers);
    expect(usage).toMatchObject({ sessions: 0, lastSeen: null });
  });

  it('tells who is logged in as either user, of the clients that there are, and none of its own', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    const login = (live: typeof first) => {
      const { username: user, password } = live.material.reveal();
      return { user, password };
    };
    const names = ['orders', 'orders', 'reports\n\u001B[31m', 'rekey-verify', ''];
    const clients = await Promise.all([
      ...names.map(async (application_name) =>
        server.connect(login(first), target.database, { application_name }),
      ),
      server.connect(login(second), target.database, { application_name: 'orders' }),
    ]);
    const usage = await postgresqlProvider.usage?.(target, first.handle, credential.ctx);
    await Promise.all(clients.map(async (client) => client.end()));
    expect(usage).toMatchObject({ sessions: 5 });
    const seen = usage === 'unknown' ? [] : (usage?.clients ?? []);
    expect(seen.map(({ user, application }) => [user, application ?? ''])).toEqual([
      [first.handle.id, 'orders'],
      [first.handle.id, ''],
      [first.handle.id, expect.stringMatching(/^reports[ -~]+$/)],
      [second.handle.id, 'orders'],
    ]);
    for (const { addresses } of seen) expect(addresses).toEqual(['127.0.0.1']);
  });

  it('ends a login that was let in before the emergency and hides while it starts', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const { username, password } = first.material.reveal();
    const slow = async (login: Login): Promise<unknown> => {
      const options = '-c post_auth_delay=2';
      const client = await server.connect(login, credential.target.database, { options });
      try {
        return (await client.query('SELECT 1 AS n')).rows;
      } finally {
        await client.end();
      }
    };
    const hidden = slow({ user: username, password }).catch((error: unknown) => error);
    const other = slow(server.server.superuser);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const started = performance.now();
    expect(await credential.revoke(first.handle, true)).toMatchObject({ confirmed: true, sessionsEnded: 1 });
    expect(performance.now() - started).toBeLessThan(1_500);
    expect(await hidden).toBeInstanceOf(Error);
    expect(await other).toEqual([{ n: 1 }]);
  });

  it('revokes a slot whose comment was overwritten only in an emergency', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await server.sql(`COMMENT ON ROLE ${first.handle.id} IS 'team data'`);
    const planned = await credential.revoke(first.handle);
    expect(planned).toMatchObject({ confirmed: false, detail: expect.stringContaining('overwritten') });
    expect(await loginWorks(credential.target, first)).toBe(true);
    expect(await credential.revoke(first.handle, true)).toMatchObject({ confirmed: true });
    expect(await loginWorks(credential.target, first)).toBe(false);
  });
});

describe('the password stays out of the server’s log', () => {
  it('even where every statement is logged', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    await credential.revoke(first.handle, true);
    const log = await server.log();
    expect(log).toContain(`ALTER ROLE "${first.handle.id}" LOGIN`);
    for (const { material } of [first, second]) expect(log).not.toContain(material.reveal().password);
  });
});

describe('at the same time', () => {
  it('concurrent activations of one token end in one working credential', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const next = await credential.issue(first.handle);
    await Promise.all(Array.from({ length: 5 }, async () => credential.activate(next)));
    expect(await loginWorks(credential.target, next)).toBe(true);
    expect(await loginWorks(credential.target, first)).toBe(true);
  });

  it('concurrent revocations both succeed', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const session = await server.open(credential.target, first.material);
    const done = await Promise.all([
      credential.revoke(first.handle, true),
      credential.revoke(first.handle, true),
    ]);
    expect(done.map(({ confirmed }) => confirmed)).toEqual([true, true]);
    expect(await session.works()).toBe(false);
    await session.close();
  });

  it('a connection killed in the middle of an activation leaves nothing, and the next try works', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const next = await credential.issue(first.handle);
    // Holds the activation before its first change, after its transaction has begun.
    const holder = await server.connect(server.admin, credential.target.database);
    await holder.query(`BEGIN; ${slotLockSql(next.handle.id)}`);
    const activation = credential.activate(next).catch((error: unknown) => error);
    const killed = await untilKilled(`application_name LIKE 'rekey-activate%' AND wait_event_type = 'Lock'`);
    expect(killed).toBe(1);
    expect(await activation).toMatchObject({ code: 'ERR_UNAVAILABLE' });
    await holder.end();
    expect(await loginWorks(credential.target, next)).toBe(false);
    expect(await postgresqlProvider.list?.(credential.target, credential.ctx)).toHaveLength(1);
    await credential.activate(next);
    expect(await loginWorks(credential.target, next)).toBe(true);
  });

  it('an emergency does not wait for an activation that holds the slot', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const { target } = credential;
    const stuck = await server.connect(server.admin, target.database);
    await stuck.query(`SET application_name = 'rekey-activate 1'; BEGIN; ${slotLockSql(first.handle.id)}`);
    const started = performance.now();
    expect(await credential.revoke(first.handle, true)).toMatchObject({ confirmed: true });
    expect(performance.now() - started).toBeLessThan(2_000);
    await expect(stuck.query('SELECT 1')).rejects.toThrow();
    await stuck.end().catch(() => undefined);
    expect(await loginWorks(target, first)).toBe(false);
  });

  it('an emergency marks the slot, so that an activation still on its way is refused', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    await credential.revoke(first.handle);
    const late = await credential.issue(second.handle);
    await credential.revoke(late.handle, true);
    await expect(credential.activate(late)).rejects.toMatchObject({ code: 'ERR_TOMBSTONED' });
    expect(await loginWorks(credential.target, late)).toBe(false);
  });

  it('a revocation up to a generation takes an earlier one in the same slot with it', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const done = await credential.revoke({ ...first.handle, generation: 7 }, true);
    expect(done.confirmed).toBe(true);
    expect(await loginWorks(credential.target, first)).toBe(false);
    await expect(credential.activate(first)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  async function untilKilled(condition: string): Promise<number> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const rows = await server.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${condition}`,
      );
      if (rows.length > 0) return rows.length;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return 0;
  }
});

describe('a stolen login', () => {
  const steal = async (credential: { target: PostgresTarget }, live: LiveCredential) => {
    const { username, password } = live.material.reveal();
    return server.connect({ user: username, password }, credential.target.database);
  };

  it.each([
    ['the lock of its slot', (id: string) => `SELECT pg_advisory_lock(${lockKeys(`slot ${id}`).join(', ')})`],
    ['its own role', () => `BEGIN; ALTER ROLE CURRENT_USER PASSWORD 'x'`],
  ])('can’t keep an emergency out by holding %s, however often it comes back', async (_, hold) => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const held = await steal(credential, first);
    await held.query(hold(first.handle.id));
    let over = false;
    const again = async (): Promise<void> => {
      while (!over) {
        const client = await steal(credential, first).catch(() => undefined);
        await client?.query(hold(first.handle.id)).catch(() => undefined);
      }
    };
    const thieves = Array.from({ length: 8 }, again);
    const started = performance.now();
    const done = await credential.revoke(first.handle, true);
    over = true;
    expect(done).toMatchObject({ confirmed: true });
    expect(performance.now() - started).toBeLessThan(4_000);
    await Promise.all(thieves);
    expect(await loginWorks(credential.target, first)).toBe(false);
    await held.end().catch(() => undefined);
  });

  it('can’t take every connection, unless a limit of its own allows it', async () => {
    const small = new TestServer();
    await small.start({ maxConnections: 20 });
    try {
      const limitOf = async (user: string) =>
        (await small.sql(`SELECT rolconnlimit AS n FROM pg_roles WHERE rolname = '${user}'`))[0]?.['n'];
      const credential = await small.freshCredential();
      const first = await credential.rotate();
      const limit = await limitOf(first.handle.id);
      const { username, password } = first.material.reveal();
      const login = { user: username, password };
      const held = [];
      for (let count = 0; count < 20; count++) {
        const client = await small.connect(login, credential.target.database).catch(() => undefined);
        if (client !== undefined) held.push(client);
      }
      expect(held).toHaveLength(Number(limit));
      expect(await credential.revoke(first.handle, true)).toMatchObject({ confirmed: true });
      await Promise.all(held.map(async (client) => client.end().catch(() => undefined)));
      const declared = await small.freshTarget({ connectionLimit: 3 });
      const other = new TestCredential(declared, small.context());
      expect(await limitOf((await other.rotate()).handle.id)).toBe(3);
    } finally {
      await small.stop();
    }
  });

  it('leaves none of its settings to the replacement; those of the owner role come along', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await server.sql(`ALTER ROLE ${credential.target.ownerRole} SET work_mem = '7MB'`);
    const thief = await steal(credential, first);
    await thief.query('ALTER ROLE CURRENT_USER SET search_path TO evil');
    await thief.end();
    await credential.revoke(first.handle, true);
    const sql = `SELECT concat_ws('|', current_setting('search_path'), current_setting('work_mem')) AS all`;
    for (let twice = 0; twice < 2; twice++) {
      const next = await credential.rotate();
      const rows = await server.asAgent(credential.target, next.material, sql);
      expect(rows).toEqual([{ all: '"$user", public|7MB' }]);
      await credential.revoke(next.handle, true);
    }
  });

  it('is not activated by what is still on its way to a role that does not exist', async () => {
    const credential = await server.freshCredential();
    const late = await credential.issue();
    expect(await credential.revoke(late.handle, true)).toMatchObject({ confirmed: true });
    await expect(credential.activate(late)).rejects.toMatchObject({ code: 'ERR_TOMBSTONED' });
    expect(await loginWorks(credential.target, late)).toBe(false);
  });
});

describe('a look at what was ended', () => {
  const look = async (credential: TestCredential, { handle }: LiveCredential) =>
    postgresqlProvider.deactivation?.(credential.target, handle, server.context());

  it('is not satisfied where somebody has let the role log in again, or has left a session open', async () => {
    const credential = await server.freshCredential();
    const live = await credential.rotate();
    await credential.revoke(live.handle);
    expect(await look(credential, live)).toMatchObject({ confirmed: true, method: 'status-read' });
    const role = live.handle.id;
    await server.sql(`ALTER ROLE ${role} LOGIN PASSWORD 'again'`);
    expect(await look(credential, live)).toMatchObject({
      confirmed: false,
      detail: expect.stringContaining('may log in'),
    });
    const session = await server.connect({ user: role, password: 'again' }, credential.target.database);
    await server.sql(`ALTER ROLE ${role} NOLOGIN`);
    expect(await look(credential, live)).toMatchObject({
      confirmed: false,
      detail: expect.stringContaining('1 sessions are open'),
    });
    await session.end();
  });

  it('can’t tell by a comment that was overwritten, and knows that a role which is gone logs nobody in', async () => {
    const credential = await server.freshCredential();
    const live = await credential.rotate();
    await server.sql(`COMMENT ON ROLE ${live.handle.id} IS 'of mine'`);
    expect(await look(credential, live)).toMatchObject({ confirmed: false });
    const never = { ...live, handle: { id: credential.target.users[1], generation: 1 } };
    expect(await look(credential, never)).toMatchObject({ confirmed: true });
  });
});
