import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countRefusals } from '../../local/postgres/log.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { newMaterial, type PostgresMaterial } from '../../shared/providers/postgresql/material.ts';
import { postgresqlProvider } from '../../shared/providers/postgresql/provider.ts';
import type { PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import type { Dependency } from '../../shared/providers/provider.ts';
import { TestCredential, TestServer, type LiveCredential } from '../support/postgres.ts';

const server = new TestServer();
beforeAll(async () => server.start(), 60_000);
afterAll(async () => server.stop(), 30_000);

const PASSWORD = 'a-password-of-before';
const { adoption } = postgresqlProvider;
if (adoption === undefined) throw new Error('PostgreSQL adopts logins');

interface Existing {
  readonly target: PostgresTarget;
  readonly login: string;
  readonly material: Redacted<PostgresMaterial>;
}

/** A login that somebody made, with a comment, and the target that declares it. */
async function existing(changes: Record<string, unknown> = {}, attributes = ''): Promise<Existing> {
  const name = `shop${randomUUID().slice(0, 8)}`;
  const target = await server.freshTarget({ users: [name, `${name}_b`], ownerRole: undefined, ...changes });
  await server.sql(
    `CREATE ROLE ${name} LOGIN ${attributes} PASSWORD '${PASSWORD}';
     COMMENT ON ROLE ${name} IS E'owned by team O''Neil\nask before you touch it';
     GRANT ${name} TO rekey_admin WITH ADMIN OPTION`,
    target.database,
  );
  const material = newMaterial(target, name).map((each) => ({ ...each, password: PASSWORD }));
  return { target, login: name, material };
}

const commentOf = async (role: string): Promise<unknown> =>
  (await server.sql(`SELECT shobj_description('${role}'::regrole, 'pg_authid') AS text`))[0]?.['text'];

const OWN_COMMENT = "owned by team O'Neil\nask before you touch it";

/** Adopted under generation 1, the way the engine does it; further rotations count on from there. */
async function adopted({ target, login, material }: Existing) {
  const credential = new TestCredential(target, server.context());
  const token = randomUUID();
  const live: LiveCredential = { handle: { id: login, generation: 1, token }, material, token };
  await adoption?.adopt(target, token, live, credential.ctx);
  // The credential's own counter begins above.
  await credential.issue().catch(() => undefined);
  return { credential, live };
}

async function report(found: Existing): Promise<readonly Dependency[]> {
  return (await adoption?.dependencies(found.target, server.context())) ?? [];
}

async function blocks(found: Existing): Promise<string[]> {
  return (await report(found)).filter(({ severity }) => severity === 'blocks').map(({ what }) => what);
}

async function run(target: PostgresTarget, live: LiveCredential, sql: string): Promise<unknown> {
  try {
    const [row] = await server.asAgent(target, live.material, sql);
    return Object.values(row ?? {})[0] ?? 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

describe('adoption of a login that exists', () => {
  it('changes nothing but the comment, and keeps a person’s comment through the life and after the release', async () => {
    const found = await existing();
    const roles = `SELECT json_agg(r ORDER BY rolname)::text AS all FROM pg_roles r`;
    const members = `SELECT json_agg(m ORDER BY roleid, member, grantor)::text AS all FROM pg_auth_members m`;
    const before = [await server.sql(roles), await server.sql(members)];
    const { credential, live } = await adopted(found);
    expect([await server.sql(roles), await server.sql(members)]).toEqual(before);
    expect(await commentOf(found.login)).toMatch(/^rekey:1 gen=1 state=live /);
    expect(await commentOf(found.login)).toContain(OWN_COMMENT);
    await adoption?.release(found.target, live.token, live.handle, credential.ctx);
    expect(await commentOf(found.login)).toBe(OWN_COMMENT);

    const again = await adopted(found);
    const second = await again.credential.rotate(again.live.handle);
    await again.credential.revoke(again.live.handle);
    const third = await again.credential.rotate(second.handle);
    expect(third.handle.id).toBe(found.login);
    expect(await commentOf(found.login)).toContain(OWN_COMMENT);
  });

  it('keeps a person’s comment also where an emergency comes before the mark', async () => {
    const found = await existing();
    const handle = { id: found.login, generation: 1, token: randomUUID() };
    const done = await postgresqlProvider.revoke(
      found.target,
      handle,
      { endSessions: true },
      server.context(),
    );
    expect(done.confirmed).toBe(true);
    expect(await commentOf(found.login)).toMatch(/^rekey:1 gen=1 state=retired /);
    expect(await commentOf(found.login)).toContain(OWN_COMMENT);
    const late = { handle, material: found.material };
    await expect(adoption?.adopt(found.target, handle.token, late, server.context())).rejects.toMatchObject({
      code: 'ERR_REJECTED',
    });
  });

  it('counts on from an earlier life, and refuses another credential’s login', async () => {
    const found = await existing();
    const { live } = await adopted(found);
    const token = randomUUID();
    const attempt = async (target: PostgresTarget, generation: number) =>
      adoption?.adopt(
        target,
        token,
        { handle: { ...live.handle, generation, token }, material: found.material },
        server.context(),
      );
    await expect(attempt(found.target, 1)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    await attempt(found.target, 7);
    expect(await commentOf(found.login)).toMatch(/^rekey:1 gen=7 /);
    await expect(attempt({ ...found.target, ownerRole: 'else' }, 9)).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      message: expect.stringContaining(`${found.login}_owner`),
    });
  });

  it('refuses a secret of another user, of an RDS Proxy, and one that holds its password twice', async () => {
    const found = await existing();
    const changed = (change: object) => found.material.map((material) => ({ ...material, ...change }));
    const identify = async (change: object) =>
      adoption?.identify(found.target, changed(change), server.context());
    await expect(identify({})).resolves.toBe(found.login);
    await expect((async () => identify({ username: 'other' }))()).rejects.toMatchObject({
      code: 'ERR_ADOPTION',
      field: 'target.users',
    });
    const proxy = 'shop.proxy-abc123.eu-central-1.rds.amazonaws.com';
    await expect((async () => identify({ host: proxy }))()).rejects.toMatchObject({ code: 'ERR_ADOPTION' });
    const twice = JSON.stringify({ ...found.material.reveal(), url: `postgres://x:${PASSWORD}@h/d` });
    expect(() => postgresqlProvider.material(new Redacted(twice))).toThrow(/again, in "url"/);
  });

  it('meets no failed login and no missing privilege under load, through its first rotation and its retirement', async () => {
    const other = await server.freshTarget();
    const found = await existing();
    const { target, login } = found;
    await server.sql(
      `GRANT USAGE, CREATE ON SCHEMA app TO ${login}; GRANT SELECT, UPDATE ON app.orders TO ${login};
       GRANT reader TO rekey_admin WITH ADMIN OPTION; GRANT reader TO ${login}; CREATE TABLE app.of_reader (n int);
       GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app.of_reader TO reader;
       ALTER ROLE ${login} SET search_path = app; ALTER ROLE ${login} CONNECTION LIMIT 40`,
      target.database,
    );
    await server.sql(
      `REVOKE CONNECT ON DATABASE ${target.database} FROM PUBLIC; GRANT CONNECT ON DATABASE ${target.database} TO ${login}, rekey_admin;
       ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON app.orders TO ${login} USING (true)`,
      target.database,
    );
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${login}; GRANT SELECT ON app.orders TO ${login}`,
      other.database,
    );
    await server.as(
      { user: login, password: PASSWORD },
      `CREATE TABLE app.own (id serial PRIMARY KEY, n int); CREATE FUNCTION app.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      target.database,
    );
    expect(await blocks(found)).toEqual([]);

    const { credential, live } = await adopted(found);
    const work = `BEGIN; UPDATE orders SET total = total; INSERT INTO own (n) VALUES (1);
      SELECT count(*) FROM of_reader; SELECT app.f(); COMMIT; SELECT total FROM orders`;
    let current = live;
    let over = false;
    let logins = 0;
    const answers = new Set<unknown>();
    const agent = async (): Promise<void> => {
      while (!over) {
        answers.add(await run(target, current, work));
        logins++;
      }
    };
    const elsewhere = async (): Promise<void> => {
      while (!over) {
        answers.add(
          await run({ ...target, database: other.database }, current, 'SELECT total FROM app.orders'),
        );
        logins++;
      }
    };
    const { caPem, host, port, superuser, logFile } = server.server;
    const refusals = async () => countRefusals(logFile, { host, port, ...superuser, ssl: { ca: caPem } });
    const before = await refusals();
    const agents = [agent(), agent(), elsewhere()];
    const second = await credential.rotate(live.handle);
    current = second;
    const retired = await credential.revoke(live.handle);
    const third = await credential.rotate(second.handle);
    current = third;
    await credential.revoke(second.handle);
    over = true;
    await Promise.all(agents);
    expect(retired.detail).toContain('may not log in');
    expect([...answers]).toEqual([10]);
    expect(logins).toBeGreaterThan(20);
    expect(await refusals()).toEqual(before);
  });
});

describe('the preflight of adoption', () => {
  it('reports what a rotation keeps, and blocks nothing of it', async () => {
    const found = await existing({}, `CONNECTION LIMIT 9 CREATEDB VALID UNTIL '2099-01-01'`);
    const { login } = found;
    await server.sql(
      `GRANT USAGE, CREATE ON SCHEMA app TO ${login}; GRANT SELECT ON app.orders TO ${login};
       ALTER ROLE ${login} SET work_mem = '7MB'; GRANT reader TO rekey_admin WITH ADMIN OPTION; GRANT reader TO ${login};
       SET ROLE ${login}; CREATE TABLE app.own (id serial, who text DEFAULT current_user);
       CREATE FUNCTION app.whoami() RETURNS text LANGUAGE sql AS 'SELECT current_user::text'`,
      found.target.database,
    );
    const told = await report(found);
    expect(told.filter(({ severity }) => severity === 'blocks')).toEqual([]);
    const kept = told.filter(({ severity }) => severity === 'kept').map(({ what }) => what);
    expect(kept).toEqual(
      expect.arrayContaining([
        'CONNECTION LIMIT',
        'CREATEDB',
        'setting work_mem (ALTER ROLE … SET)',
        'membership in reader',
        expect.stringMatching(/^ownership of \d+ objects$/),
        expect.stringMatching(/^privileges on \d+ objects$/),
      ]),
    );
    const notes = told.filter(({ severity }) => severity === 'note');
    expect(notes.map(({ what }) => what)).toEqual([
      'VALID UNTIL',
      'column defaults that store the name of the user',
      'functions that ask for the name of the user, or hold it',
    ]);
    expect(notes.find(({ what }) => what.startsWith('functions'))?.detail).toContain('app.whoami()');
  });

  it.each([
    [
      'a row-level security policy that compares the name of the user',
      `ALTER TABLE app.orders ADD owner text; ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
       CREATE POLICY own_rows ON app.orders USING (owner = current_user)`,
      'policy own_rows on app.orders',
    ],
    [
      'a view that compares it',
      `SET ROLE app_owner; CREATE VIEW app.mine AS SELECT * FROM app.orders WHERE session_user = 'LOGIN'; GRANT SELECT ON app.mine TO LOGIN`,
      'view app.mine',
    ],
    ['a schema that "$user" finds', 'CREATE SCHEMA LOGIN AUTHORIZATION LOGIN', 'schema LOGIN'],
    [
      'a user mapping',
      `CREATE EXTENSION IF NOT EXISTS postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
       CREATE USER MAPPING FOR LOGIN SERVER far`,
      'user mapping for server far',
    ],
  ])('refuses %s, and lets it pass where it goes by membership or is accepted', async (_, sql, what) => {
    const found = await existing();
    const of = (text: string): string => text.replaceAll('LOGIN', found.login);
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${found.login}; GRANT SELECT ON app.orders TO ${found.login}`,
      found.target.database,
    );
    await server.sql(of(sql), found.target.database);
    expect(await blocks(found)).toEqual([of(what)]);
    const accepted = { ...found, target: { ...found.target, acceptNameUse: 'both names are listed' } };
    expect(await blocks(accepted)).toEqual(what.startsWith('user mapping') ? [of(what)] : []);
    const [remedy] = (await report(found)).filter(({ severity }) => severity === 'blocks');
    expect(remedy?.remedy).toBeTruthy();
  });

  it('lets a policy pass that goes by membership in the owner role, and a schema that search_path names', async () => {
    const found = await existing();
    const { login, target } = found;
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${login}; GRANT SELECT ON app.orders TO ${login};
       CREATE ROLE ${target.ownerRole} NOLOGIN; GRANT ${target.ownerRole} TO ${login};
       GRANT ${target.ownerRole} TO rekey_admin WITH ADMIN OPTION;
       ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
       CREATE POLICY own_rows ON app.orders USING (pg_has_role(current_user, '${target.ownerRole}', 'USAGE'));
       CREATE SCHEMA ${login}; ALTER ROLE ${login} SET search_path = ${login}, app`,
      target.database,
    );
    expect(await blocks(found)).toEqual([]);
    const { credential, live } = await adopted(found);
    const second = await credential.rotate(live.handle);
    for (const each of [live, second]) expect(await run(target, each, 'SELECT total FROM orders')).toBe(10);
  });

  it.each([
    ['REPLICATION', 'REPLICATION'],
    ['BYPASSRLS', 'BYPASSRLS'],
    ['NOINHERIT', 'NOINHERIT'],
    ['SUPERUSER', 'target.users'],
  ])('refuses a login with %s, which the administrator can not carry over', async (attribute, what) => {
    const found = await existing({}, attribute);
    expect(await blocks(found)).toContain(what);
  });

  it('refuses what the administrator may not move: a setting, a membership, a privilege, the login itself', async () => {
    const found = await existing();
    const { login } = found;
    await server.sql(
      `ALTER ROLE ${login} SET log_min_duration_statement = '5s'; GRANT pg_monitor TO ${login};
       CREATE TABLE public.theirs (n int); GRANT SELECT ON public.theirs TO ${login};
       ALTER TABLE public.theirs ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON public.theirs TO ${login} USING (true);
       REVOKE ${login} FROM rekey_admin`,
      found.target.database,
    );
    expect((await blocks(found)).sort()).toEqual([
      'SELECT on TABLE public.theirs',
      'membership in pg_monitor',
      'policy p on public.theirs',
      'setting log_min_duration_statement (ALTER ROLE … SET)',
      'target.users',
    ]);
  });

  it('refuses an owner role whose rights the login has not, or that others are members of', async () => {
    const found = await existing({ ownerRole: 'app_owner' });
    await server.sql('GRANT app_owner TO rekey_admin WITH ADMIN OPTION');
    expect(await blocks(found)).toEqual(['owner role app_owner']);
    await server.sql(`GRANT app_owner TO ${found.login}, stranger`);
    const told = (await report(found)).filter(({ severity }) => severity === 'blocks');
    expect(told).toEqual([expect.objectContaining({ detail: expect.stringContaining('stranger') })]);
    await server.sql('REVOKE app_owner FROM stranger');
  });

  it('refuses a pair of which both users or neither is there', async () => {
    const found = await existing();
    const [login, second] = found.target.users;
    await server.sql(`CREATE ROLE ${second} LOGIN; GRANT ${second} TO rekey_admin WITH ADMIN OPTION`);
    expect(await blocks(found)).toEqual([`user ${second}`]);
    const none = { ...found, target: { ...found.target, users: ['nobody_a', 'nobody_b'] as const } };
    expect(await blocks(none)).toEqual(['target.users']);
    await server.sql(`DROP ROLE ${second}; ALTER ROLE ${login} NOLOGIN`);
    expect(await blocks(found)).toEqual([`user ${login}`]);
  });

  it('offers RDS IAM authentication where the server has it, refuses a login that uses it, and tells of a proxy', async () => {
    const found = await existing();
    await server.sql('CREATE ROLE rds_iam NOLOGIN; CREATE ROLE rdsproxyadmin NOLOGIN');
    try {
      const offer = (await report(found)).filter(({ severity }) => severity === 'note');
      expect(offer.map(({ what }) => what)).toEqual(['RDS IAM authentication', 'RDS Proxy']);
      await server.sql(`GRANT rds_iam TO ${found.login}; GRANT rds_iam TO rekey_admin WITH ADMIN OPTION`);
      expect(await blocks(found)).toEqual(['RDS IAM authentication']);
    } finally {
      await server.sql('DROP ROLE rds_iam; DROP ROLE rdsproxyadmin');
    }
  });

  it('looks into other databases of the cluster, and refuses one that the administrator may not enter', async () => {
    const found = await existing();
    const other = await server.freshTarget();
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${found.login}; GRANT SELECT ON app.orders TO ${found.login};
       ALTER TABLE app.orders ADD owner text; ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY;
       CREATE POLICY own_rows ON app.orders USING (owner = current_user)`,
      other.database,
    );
    expect(await blocks(found)).toEqual([`policy own_rows on app.orders (database ${other.database})`]);
    await server.sql(
      `ALTER DATABASE ${other.database} OWNER TO postgres; REVOKE CONNECT ON DATABASE ${other.database} FROM PUBLIC`,
    );
    expect(await blocks(found)).toEqual(['target.database']);
  });
});
