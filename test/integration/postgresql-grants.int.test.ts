import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TestServer, type LiveCredential, type TestCredential } from '../support/postgres.ts';

const server = new TestServer();
beforeAll(async () => server.start(), 60_000);
afterAll(async () => server.stop(), 30_000);

/** What the statement gives `live`, or the SQLSTATE with which it was refused. */
async function run(credential: TestCredential, live: LiveCredential, sql: string): Promise<unknown> {
  try {
    const [row] = await server.asAgent(credential.target, live.material, sql);
    return Object.values(row ?? {})[0] ?? 'done';
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

const total = 'SELECT total FROM app.orders WHERE id = 1';
const user = (live: LiveCredential): string => live.handle.id;

describe('grants, ownership and settings survive rotation after rotation', () => {
  /** Rotates after `given`, retires the first user, rotates once more, and asks all on the way. */
  async function survives(given: (credential: TestCredential, to: string) => Promise<unknown>, sql: string) {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await given(credential, user(first));
    const answers = [await run(credential, first, sql)];
    const second = await credential.rotate(first.handle);
    answers.push(await run(credential, first, sql), await run(credential, second, sql));
    await credential.revoke(first.handle);
    answers.push(await run(credential, second, sql));
    const third = await credential.rotate(second.handle);
    await credential.revoke(second.handle);
    answers.push(await run(credential, third, sql));
    return answers;
  }
  const five = (value: unknown): unknown[] => [value, value, value, value, value];

  it('keeps a table privilege that was given to one user after its rotation', async () => {
    const given = async ({ target }: TestCredential, to: string) =>
      server.sql(`GRANT USAGE ON SCHEMA app TO ${to}; GRANT SELECT ON app.orders TO ${to}`, target.database);
    expect(await survives(given, total)).toEqual(five(10));
  });

  it('keeps a privilege that was given to the owner role', async () => {
    const given = async ({ target }: TestCredential) =>
      server.sql(
        `GRANT USAGE ON SCHEMA app TO ${target.ownerRole}; GRANT SELECT ON app.orders TO ${target.ownerRole}`,
        target.database,
      );
    expect(await survives(given, total)).toEqual(five(10));
  });

  it('keeps privileges on columns, sequences, routines, types and large objects', async () => {
    const given = async ({ target }: TestCredential, to: string) =>
      server.sql(
        `GRANT USAGE ON SCHEMA app TO ${to}; SET ROLE app_owner; GRANT SELECT (total) ON app.orders TO ${to};
         CREATE SEQUENCE app.numbers; GRANT USAGE ON SEQUENCE app.numbers TO ${to};
         CREATE FUNCTION app.seven("an odd, name" int DEFAULT 7) RETURNS int LANGUAGE sql AS 'SELECT 7';
         REVOKE ALL ON FUNCTION app.seven FROM PUBLIC; GRANT EXECUTE ON FUNCTION app.seven TO ${to};
         CREATE PROCEDURE app.nothing() LANGUAGE sql AS 'SELECT 1';
         REVOKE ALL ON PROCEDURE app.nothing FROM PUBLIC; GRANT EXECUTE ON PROCEDURE app.nothing TO ${to};
         CREATE TYPE app.pair AS (a int, b int); REVOKE ALL ON TYPE app.pair FROM PUBLIC; GRANT USAGE ON TYPE app.pair TO ${to};
         SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO ${to}`,
        target.database,
      );
    const sql = `CALL app.nothing();
      CREATE TEMP TABLE uses_the_type (p app.pair);
      SELECT app.seven() + (nextval('app.numbers') * 0)::int + (SELECT total FROM app.orders) + length(lo_get(4711)) AS n`;
    expect(await survives(given, sql)).toEqual(five(17));
  });

  it('keeps what somebody else will create and grants to one user (default privileges)', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${user(first)};
       ALTER DEFAULT PRIVILEGES FOR ROLE app_owner IN SCHEMA app GRANT SELECT ON TABLES TO ${user(first)}`,
      target.database,
    );
    const second = await credential.rotate(first.handle);
    await server.sql('SET ROLE app_owner; CREATE TABLE app.later AS SELECT 5 AS n', target.database);
    const sql = 'SELECT n FROM app.later';
    expect([await run(credential, first, sql), await run(credential, second, sql)]).toEqual([5, 5]);
    await credential.revoke(first.handle);
    expect(await run(credential, second, sql)).toBe(5);
  });

  it('lets either user use at once what the other one creates, and change it after the next rotation', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    await server.sql(`GRANT USAGE, CREATE ON SCHEMA app TO ${target.ownerRole}`, target.database);
    await run(
      credential,
      first,
      'CREATE TABLE app.of_a (id serial, n int); INSERT INTO app.of_a (n) VALUES (1)',
    );
    await run(credential, second, 'CREATE TABLE app.of_b AS SELECT 2 AS n');
    expect(await run(credential, second, 'INSERT INTO app.of_a (n) VALUES (3) RETURNING n')).toBe(3);
    expect(await run(credential, first, 'SELECT n FROM app.of_b')).toBe(2);
    await credential.revoke(first.handle);
    const third = await credential.rotate(second.handle);
    for (const live of [second, third]) {
      expect(await run(credential, live, 'ALTER TABLE app.of_a ADD COLUMN IF NOT EXISTS m int')).toBe('done');
      expect(await run(credential, live, 'ALTER TABLE app.of_b ADD COLUMN IF NOT EXISTS m int')).toBe('done');
    }
    const [row] = await server.sql(
      `SELECT array_agg(DISTINCT pg_get_userbyid(relowner)::text) AS owners FROM pg_class WHERE relname ~ '^of_[ab]'`,
      target.database,
    );
    expect(row).toEqual({ owners: [target.ownerRole] });
  });

  it('keeps the ownership of schemas, routines and types that one user made', async () => {
    const given = async ({ target }: TestCredential, to: string) => {
      await server.sql(`GRANT CREATE ON DATABASE ${target.database} TO ${to}`);
      await server.sql(
        `SET ROLE ${to}; CREATE SCHEMA own; CREATE TABLE own."odd ""name" (n int); CREATE DOMAIN own.d AS int;
         CREATE FUNCTION own.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE VIEW own.v AS SELECT 1 AS n`,
        target.database,
      );
    };
    const sql = `ALTER SCHEMA own RENAME TO own2; ALTER SCHEMA own2 RENAME TO own; ALTER FUNCTION own.f() COST 5;
      ALTER DOMAIN own.d SET DEFAULT 1; ALTER TABLE own."odd ""name" ADD COLUMN IF NOT EXISTS m int; SELECT n FROM own.v`;
    expect(await survives(given, sql)).toEqual(five(1));
  });

  it('keeps memberships, and row-level security policies that name one user', async () => {
    const given = async ({ target }: TestCredential, to: string) =>
      server.sql(
        `GRANT reader TO rekey_admin WITH ADMIN OPTION; GRANT reader TO ${to};
         GRANT USAGE ON SCHEMA app TO reader; GRANT SELECT ON app.orders TO reader;
         ALTER TABLE app.orders ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON app.orders TO ${to} USING (true)`,
        target.database,
      );
    expect(await survives(given, total)).toEqual(five(10));
  });

  it('keeps settings, connection limit and expiry of the user', async () => {
    const given = async ({ target }: TestCredential, to: string) =>
      server.sql(
        `GRANT SET ON PARAMETER "my.tenant" TO rekey_admin; ALTER ROLE ${to} SET search_path TO "$user", app, "odd, name"; ALTER ROLE ${to} SET work_mem = '7MB';
         ALTER ROLE ${to} IN DATABASE ${target.database} SET "my.tenant" = 'o''clock';
         ALTER ROLE ${to} CONNECTION LIMIT 17 VALID UNTIL '2099-01-02 03:04:05+00'`,
      );
    const sql = `SELECT concat_ws('|', current_setting('search_path'), current_setting('work_mem'), current_setting('my.tenant'),
        rolconnlimit, extract(epoch FROM rolvaliduntil)::bigint) AS all FROM pg_roles WHERE rolname = session_user`;
    expect(await survives(given, sql)).toEqual(
      five(`"$user", app, "odd, name"|7MB|o'clock|17|${Date.parse('2099-01-02T03:04:05Z') / 1000}`),
    );
  });

  it('keeps rights in another database of the cluster', async () => {
    const credential = await server.freshCredential();
    const other = await server.freshTarget();
    const first = await credential.rotate();
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${user(first)}; GRANT SELECT ON app.orders TO ${user(first)}`,
      other.database,
    );
    const second = await credential.rotate(first.handle);
    const { username, password } = second.material.reveal();
    expect(await server.as({ user: username, password }, total, other.database)).toEqual([{ total: 10 }]);
  });

  it('moves a grant given in mid-window to the old user before that user is retired', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${user(first)}; GRANT SELECT ON app.orders TO ${user(first)}`,
      credential.target.database,
    );
    expect(await run(credential, second, total)).toBe('42501');
    await credential.revoke(first.handle);
    expect(await run(credential, second, total)).toBe(10);
  });

  it('keeps what a user passed on to others', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    await server.sql(
      `SET ROLE app_owner; GRANT USAGE ON SCHEMA app TO ${user(first)};
       GRANT SELECT ON app.orders TO ${user(first)} WITH GRANT OPTION; RESET ROLE;
       SET ROLE ${user(first)}; GRANT SELECT ON app.orders TO stranger`,
      target.database,
    );
    const second = await credential.rotate(first.handle);
    await credential.revoke(first.handle);
    const [row] = await server.sql(
      `SELECT has_table_privilege('stranger', 'app.orders', 'SELECT') AS stranger, relacl::text AS acl,
              has_table_privilege('${user(second)}', 'app.orders', 'SELECT WITH GRANT OPTION') AS next
         FROM pg_class WHERE oid = 'app.orders'::regclass`,
      target.database,
    );
    expect(row).toMatchObject({ stranger: true, next: true });
    expect(row?.['acl']).not.toContain(`${user(first)}=`);
    expect(row?.['acl']).toMatch(new RegExp(`stranger=r/${target.ownerRole}[,}]`));
  });

  it('never leaves an agent without a privilege while it moves it', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await server.sql(
      `GRANT USAGE ON SCHEMA app TO ${user(first)}; GRANT SELECT ON app.orders TO ${user(first)}`,
      credential.target.database,
    );
    let over = false;
    const answers: unknown[] = [];
    const agent = (async () => {
      while (!over) answers.push(await run(credential, first, total));
    })();
    await credential.rotate(first.handle);
    over = true;
    await agent;
    expect(answers.length).toBeGreaterThan(1);
    expect(new Set(answers)).toEqual(new Set([10]));
  });

  it('is not held up by the temporary tables of agents', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const { username, password } = first.material.reveal();
    const agent = await server.connect({ user: username, password }, credential.target.database);
    await agent.query('BEGIN; CREATE TEMP TABLE busy AS SELECT 1 AS n');
    await agent.query('COMMIT; BEGIN; SELECT * FROM busy');
    await expect(credential.rotate(first.handle)).resolves.toBeDefined();
    await agent.end();
  });
});

describe('what cannot be carried over stops the rotation before anything is cut over', () => {
  it('names the object and the grant that the administrator lacks', async () => {
    const credential = await server.freshCredential();
    const { target } = credential;
    const first = await credential.rotate();
    await server.sql(
      `CREATE TABLE public.theirs (n int); GRANT SELECT ON public.theirs TO ${user(first)}`,
      target.database,
    );
    const next = await credential.issue(first.handle);
    await expect(credential.activate(next)).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      message: expect.stringContaining('SELECT on TABLE public.theirs'),
      remedy: expect.stringContaining(`GRANT SELECT ON TABLE public.theirs TO "${target.ownerRole}"`),
    });
    expect(await run(credential, next, 'SELECT 1')).toBe('28P01');
    expect(await run(credential, first, 'SELECT 1')).toBe(1);
    await server.sql(`GRANT SELECT ON TABLE public.theirs TO "${target.ownerRole}"`, target.database);
    await credential.activate(next);
    expect(await run(credential, next, 'SELECT count(*)::int FROM public.theirs')).toBe(0);
  });

  it('names a membership that the administrator may not give', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await server.sql(`GRANT pg_monitor TO ${user(first)}`);
    await expect(credential.rotate(first.handle)).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      message: expect.stringContaining('in pg_monitor'),
      remedy: expect.stringContaining(`GRANT pg_monitor TO "${credential.target.ownerRole}"`),
    });
  });

  it('names a setting that only a superuser may set', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    await server.sql(`ALTER ROLE ${user(first)} SET log_min_duration_statement = '5s'`);
    await expect(credential.rotate(first.handle)).rejects.toMatchObject({
      code: 'ERR_ADMIN_DENIED',
      message: expect.stringContaining('"log_min_duration_statement"'),
    });
  });

  it('names a database that the administrator may not enter', async () => {
    const credential = await server.freshCredential();
    const other = await server.freshTarget();
    const first = await credential.rotate();
    await server.sql(
      `GRANT CREATE ON SCHEMA app TO ${user(first)}; ALTER DATABASE ${other.database} OWNER TO postgres;
       REVOKE CONNECT ON DATABASE ${other.database} FROM PUBLIC`,
      other.database,
    );
    await expect(credential.rotate(first.handle)).rejects.toMatchObject({
      message: expect.stringContaining(`in the database "${other.database}"`),
    });
  });

  it('names what the new user lacks although all was moved', async () => {
    const credential = await server.freshCredential();
    const first = await credential.rotate();
    const second = await credential.rotate(first.handle);
    await server.sql(
      `CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
       CREATE USER MAPPING FOR ${user(first)} SERVER far`,
      credential.target.database,
    );
    await expect(credential.compare(first.handle, second.handle)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      message: expect.stringContaining('lacks: a user mapping for server far'),
    });
    await server.sql(`ALTER ROLE ${user(second)} BYPASSRLS`);
    await server.sql('DROP SERVER far CASCADE', credential.target.database);
    await expect(credential.compare(first.handle, second.handle)).rejects.toMatchObject({
      message: expect.stringContaining('has in excess: BYPASSRLS'),
    });
  });
});
