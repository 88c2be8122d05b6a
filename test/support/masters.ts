import { randomUUID } from 'node:crypto';
import { parseDeclaration } from '../../shared/domain/declaration.ts';
import { TAG } from '../../shared/names.ts';
import type { EngineCase } from './engine-world.ts';

/** Who administers an administrator of a database: it itself, as a superuser; or a login above it, which it needs else. */
export type Keeper = 'itself' | 'another';

/** Registers the administrator of a database as a root: a login that exists, in a secret that a person has made. */
export async function registerMaster(one: EngineCase, keeper: Keeper, changes: object = {}): Promise<void> {
  const { world, secret, target, name } = one;
  const { ownerRole, users, isMaster: _set, ...place } = target;
  const [login] = users;
  const above = `${ownerRole}_keeper`;
  const password = `admin-${randomUUID()}`;
  await world.server.sql(
    keeper === 'itself'
      ? `CREATE ROLE ${login} LOGIN SUPERUSER PASSWORD '${password}'`
      : `CREATE ROLE ${login} LOGIN CREATEROLE PASSWORD '${password}';
         GRANT pg_signal_backend, app_owner TO ${login};
         CREATE ROLE "${ownerRole}-keeper" LOGIN CREATEROLE PASSWORD '${password}';
         GRANT ${login}, pg_signal_backend, app_owner TO "${ownerRole}-keeper" WITH ADMIN OPTION`,
  );
  const create = async (Name: string, username: string): Promise<unknown> =>
    world.aws.json('secretsmanager', 'CreateSecret', {
      Name,
      SecretString: JSON.stringify({ username, password, note: 'of the platform team' }),
    });
  await create(secret, login);
  await one.deps.vault.tag(secret, {
    [TAG.admin]: 'database',
    [TAG.type]: 'database-root',
    [TAG.stage]: 'local',
  });
  if (keeper === 'another') await create(above, `${ownerRole}-keeper`);
  const { roots } = parseDeclaration({
    version: 1,
    roots: [
      {
        name,
        provider: 'postgresql-master',
        secret,
        ...(keeper === 'another' ? { admin: above } : {}),
        owner: 'platform',
        scope: 'logins of the database',
        target: { ...place, ownerRole },
        ...changes,
      },
    ],
  });
  const [declared] = roots;
  if (declared === undefined) throw new Error('no root is declared');
  await one.repeating(() => one.tryRegister(declared));
  await one.settle();
}

/** A credential of agents whose users the administrator makes, registered beside it. */
export async function registerUnder(master: EngineCase): Promise<EngineCase> {
  const one = master.world.caseBeside(master);
  await one.repeating(() => one.tryRegister({ ...one.declaration, admin: master.secret }));
  await one.settle();
  return one;
}
