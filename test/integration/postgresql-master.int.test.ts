import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CredentialHandle } from '../../shared/domain/credential.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { newMaterial, type PostgresMaterial } from '../../shared/providers/postgresql/material.ts';
import { postgresqlMasterProvider } from '../../shared/providers/postgresql-master/provider.ts';
import { postgresqlProvider } from '../../shared/providers/postgresql/provider.ts';
import type { PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import type { Dependency, ProviderContext } from '../../shared/providers/provider.ts';
import { describeProvider } from '../contract/describe-provider.ts';
import { TestServer, type LiveCredential, type Login } from '../support/postgres.ts';

const contract = new TestServer();

describeProvider('PostgreSQL’s administrators', {
  provider: postgresqlMasterProvider,
  start: async () => contract.start(),
  stop: async () => contract.stop(),
  freshTarget: async () => postgresqlMasterProvider.storedTarget(await contract.freshTarget()),
  elsewhere: (target) => ({ ...target, host: 'localhost' }),
  context: () => contract.context(),
  open: async (target, material) => contract.open(target, material),
  withWrongSecret: (material) => new Redacted({ ...material.reveal(), password: 'wrong' }),
  withOtherUser: (material) => new Redacted({ ...material.reveal(), username: 'app_owner' }),
  async addExistingCredential(target) {
    const [login] = target.users;
    const password = 'a-password-of-before';
    await contract.sql(
      `CREATE ROLE ${login} LOGIN CREATEROLE PASSWORD '${password}'; GRANT ${login} TO rekey_admin WITH ADMIN OPTION`,
    );
    return newMaterial(target, login).map((material) => ({ ...material, password }));
  },
  async addForeignCredential(target) {
    await contract.sql(
      `CREATE ROLE ${target.ownerRole}_c LOGIN PASSWORD 'x'; CREATE ROLE ${target.ownerRole} NOLOGIN;
       GRANT ${target.ownerRole} TO ${target.ownerRole}_c;
       GRANT ${target.ownerRole} TO rekey_admin WITH ADMIN OPTION;`,
    );
  },
});

const server = new TestServer();
const provider = postgresqlMasterProvider;
const PASSWORD = 'a-password-of-before';

/** An administrator that exists, with what it takes to be registered. */
interface Master {
  readonly target: PostgresTarget;
  readonly material: Redacted<PostgresMaterial>;
  readonly login: Login;
  readonly ctx: ProviderContext;
}

async function existing(attributes: string, keeper?: Login): Promise<Master> {
  const user = `master${randomUUID().slice(0, 8)}`;
  const target = provider.storedTarget(
    await server.freshTarget({ users: [user, `${user}_b`], ownerRole: undefined }),
  );
  await server.sql(
    `CREATE ROLE ${user} LOGIN ${attributes} PASSWORD '${PASSWORD}'; GRANT app_owner TO ${user};
     GRANT ${user}, app_owner TO rekey_admin WITH ADMIN OPTION`,
  );
  const login = { user, password: PASSWORD };
  const material = newMaterial(target, user).map((each) => ({ ...each, password: PASSWORD }));
  return { target, material, login, ctx: server.context(keeper ?? login) };
}

/** A master's provider, or that of a login below it. */
function of({ isMaster }: PostgresTarget): typeof provider {
  return isMaster === true ? provider : postgresqlProvider;
}

/** Adopted as it is under generation 1, as the engine does it. */
async function adopted({ target, material, login, ctx }: Master): Promise<LiveCredential> {
  const token = randomUUID();
  const live = { handle: { id: login.user, generation: 1, token }, material, token };
  await of(target).adoption?.adopt(target, token, live, ctx);
  return live;
}

/** The next one, tested and compared with the current one. */
async function next({ target, ctx }: Master, current: CredentialHandle): Promise<LiveCredential> {
  const token = randomUUID();
  const generation = current.generation + 1;
  const live = { ...(await of(target).issue(target, token, { ...ctx, generation, current })), token };
  await of(target).activate?.(target, token, live, ctx);
  await of(target).verify(target, live.material, ctx);
  await of(target).comparePermissions?.(target, current, live.handle, ctx);
  return live;
}

async function blocks({ target, ctx }: Master): Promise<Dependency[]> {
  const found = (await of(target).adoption?.dependencies(target, ctx)) ?? [];
  return found.filter(({ severity }) => severity === 'blocks');
}

const loginOf = ({ material }: LiveCredential): Login => {
  const { username: user, password } = material.reveal();
  return { user, password };
};

describe('the administrator of a PostgreSQL', () => {
  beforeAll(async () => server.start(), 60_000);
  afterAll(async () => server.stop(), 30_000);

  it('that is no superuser can not be its own administrator: nobody could end it, and the remedy says what can', async () => {
    const master = await existing('CREATEROLE');
    for (const look of [
      async () => provider.preflight(master.target, master.ctx),
      async () => blocks(master),
    ]) {
      await expect(look()).rejects.toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'admin',
        remedy: expect.stringContaining('by-hand') as string,
      });
    }
  });

  it('that is a superuser is no matter of an administrator that is none', async () => {
    const found = await blocks(await existing('SUPERUSER', server.admin));
    expect(found.map(({ detail }) => detail)).toContainEqual(expect.stringMatching(/is a superuser$/));
  });

  it('is let in only where it may create roles', async () => {
    const master = await existing('', server.admin);
    await expect(provider.verify(master.target, master.material, master.ctx)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      remedy: `ALTER ROLE "${master.login.user}" CREATEROLE`,
    });
  });

  it.each([
    ['one that is none', () => server.admin],
    ['a superuser', () => server.server.superuser],
  ])('goes on with all that it made, whoever the administrator above it is: %s', async (_who, keeper) => {
    const master = await existing('CREATEROLE', keeper());
    const { target, login } = master;
    const first = await adopted(master);
    const group = `${login.user}_group`;
    await server.as(
      login,
      `CREATE ROLE ${group} NOLOGIN; GRANT ${group} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE;
       CREATE ROLE ${group}_member NOLOGIN; GRANT ${group} TO ${group}_member;
       CREATE TABLE pg_temp.t (n int)`,
      target.database,
    );
    const second = await next(master, first.handle);
    await provider.revoke(target, first.handle, { endSessions: false }, master.ctx);
    // As the next one: alter and grant what the first has made, and act as the owner of the tables.
    await server.as(
      loginOf(second),
      `ALTER ROLE ${group} CONNECTION LIMIT 5; CREATE ROLE ${group}_other NOLOGIN; GRANT ${group} TO ${group}_other;
       SET ROLE app_owner; ALTER TABLE app.orders ADD COLUMN m int`,
      target.database,
    );
    const third = await next(master, second.handle);
    expect(third.handle.id).toBe(login.user);
    await server.as(loginOf(third), `GRANT ${group}_other TO ${group}_member`, target.database);
    const members = await server.sql(
      `SELECT DISTINCT pg_get_userbyid(member)::text AS name FROM pg_auth_members
        WHERE roleid = '${group}'::regrole AND pg_get_userbyid(member)::text ~ '^${group}_' ORDER BY 1`,
    );
    // Nobody loses what the first one had given.
    expect(members.map(({ name }) => name)).toEqual([`${group}_member`, `${group}_other`]);
  });

  it('takes a login below the pair over again once it was let go of, whichever of the two looks', async () => {
    const master = await existing('CREATEROLE', server.admin);
    const { target, login } = master;
    const first = await adopted(master);
    const user = `app${randomUUID().slice(0, 8)}`;
    await server.as(login, `CREATE ROLE ${user} LOGIN PASSWORD '${PASSWORD}'`, target.database);
    const below = postgresqlProvider.storedTarget(
      await server.freshTarget({ users: [user, `${user}_b`], ownerRole: undefined }),
    );
    const agent: Master = {
      target: below,
      material: newMaterial(below, user).map((each) => ({ ...each, password: PASSWORD })),
      login: { user, password: PASSWORD },
      ctx: server.context(login),
    };
    const old = await adopted(agent);
    const now = await next(agent, old.handle);
    await postgresqlProvider.revoke(below, old.handle, { endSessions: false }, agent.ctx);
    const second = await next(master, first.handle);
    await postgresqlProvider.adoption?.release(below, now.token, now.handle, agent.ctx);
    for (const who of [login, loginOf(second)]) {
      expect(await blocks({ ...agent, ctx: server.context(who) }), who.user).toEqual([]);
    }
    const stranger = `${user}_stranger`;
    await server.sql(`CREATE ROLE ${stranger} NOLOGIN; GRANT ${below.ownerRole} TO ${stranger}`);
    expect(await blocks(agent)).toMatchObject([
      { detail: expect.stringContaining(`has other members (${stranger})`) as string },
    ]);
  });

  it('is not followed by one that may grant less, or more', async () => {
    const master = await existing('CREATEROLE', server.admin);
    const first = await adopted(master);
    const second = await next(master, first.handle);
    await server.sql(`CREATE ROLE extra_${first.handle.id} NOLOGIN`);
    const compare = async () =>
      provider.comparePermissions?.(master.target, first.handle, second.handle, master.ctx);
    await expect(compare()).resolves.toBe('same');
    await server.sql(`ALTER ROLE ${second.handle.id} CREATEDB`);
    await expect(compare()).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      message: expect.stringContaining('has in excess: CREATEDB') as string,
    });
  });

  it('of a superuser is a superuser: nothing that it owns is moved, and each ends the other', async () => {
    const master = await existing('SUPERUSER');
    const { target, login } = master;
    await server.as(login, 'CREATE TABLE of_the_master (n int)', target.database);
    const first = await adopted(master);
    const second = await next(master, first.handle);
    const [owner] = await server.sql(
      `SELECT tableowner AS name FROM pg_tables WHERE tablename = 'of_the_master'`,
      target.database,
    );
    expect(owner).toEqual({ name: login.user });
    const asSecond = { ...master, ctx: server.context(loginOf(second)) };
    const ended = await provider.revoke(target, first.handle, { endSessions: false }, asSecond.ctx);
    expect(ended.confirmed).toBe(true);
    const third = await next(asSecond, second.handle);
    expect(third.handle.id).toBe(login.user);
  });

  it('ends itself, and is dead once PostgreSQL knows its login no more; any other refusal is no proof', async () => {
    const master = await existing('SUPERUSER');
    const { target, login, ctx } = master;
    const { handle } = await adopted(master);
    const thief = await server.connect(login, target.database);
    const end = async (own: ProviderContext, ownLogin = true) =>
      provider.revoke(target, handle, { endSessions: true, compromised: true, ownLogin }, own);
    expect(await end(ctx)).toMatchObject({ confirmed: true, method: 'status-read', sessionsEnded: 1 });
    await expect(thief.query('SELECT 1')).rejects.toThrow();
    expect(await end(ctx)).toMatchObject({ confirmed: true, method: 'negative-authentication' });
    await expect(end(ctx, false)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    // No login, but its password fits: who knows what may still be let in.
    await server.sql(`ALTER ROLE ${login.user} PASSWORD '${PASSWORD}'`);
    await expect(end(ctx)).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
  });

  it('leaves neither a password nor a trial behind', async () => {
    const master = await existing('CREATEROLE', server.admin);
    const first = await adopted(master);
    const second = await next(master, first.handle);
    expect(await server.log()).not.toContain(second.material.reveal().password);
    expect(await server.log()).toContain('CREATE ROLE "rekey_trial_');
    expect(await server.sql(`SELECT rolname FROM pg_roles WHERE rolname LIKE 'rekey_trial%'`)).toEqual([]);
  });
});
