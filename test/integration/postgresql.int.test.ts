import { Redacted } from '../../shared/domain/redacted.ts';
import { newMaterial } from '../../shared/providers/postgresql/material.ts';
import { postgresqlProvider } from '../../shared/providers/postgresql/provider.ts';
import { describeProvider } from '../contract/describe-provider.ts';
import { TestServer } from '../support/postgres.ts';

const server = new TestServer();

describeProvider('PostgreSQL', {
  provider: postgresqlProvider,
  start: async () => server.start(),
  stop: async () => server.stop(),
  freshTarget: async () => server.freshTarget(),
  elsewhere: (target) => ({ ...target, host: 'localhost' }),
  context: () => server.context(),
  open: async (target, material) => server.open(target, material),
  withWrongSecret: (material) => new Redacted({ ...material.reveal(), password: 'wrong' }),
  withOtherUser: (material) => new Redacted({ ...material.reveal(), username: 'app_owner' }),
  async addExistingCredential(target) {
    const [login] = target.users;
    await server.sql(
      `CREATE ROLE ${login} LOGIN PASSWORD 'a-password-of-before'; GRANT ${login} TO rekey_admin WITH ADMIN OPTION`,
    );
    return newMaterial(target, login).map((material) => ({ ...material, password: 'a-password-of-before' }));
  },
  async addForeignCredential(target) {
    await server.sql(
      `CREATE ROLE ${target.ownerRole}_c LOGIN PASSWORD 'x'; CREATE ROLE ${target.ownerRole} NOLOGIN;
       GRANT ${target.ownerRole} TO ${target.ownerRole}_c;
       GRANT ${target.ownerRole} TO rekey_admin WITH ADMIN OPTION;`,
    );
  },
});
