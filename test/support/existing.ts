import { randomUUID } from 'node:crypto';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { TAG } from '../../shared/names.ts';
import type { EngineCase } from './engine-world.ts';

/** A comment that somebody has put on the login. */
export const COMMENT = 'owned by team orders; ask before you touch it';

/** A secret in the shape of AWS's templates and the login in it, both there before Rekey; nothing is registered yet. */
export class Existing {
  readonly one: EngineCase;
  readonly login: string;
  readonly secret: Record<string, unknown>;

  private constructor(one: EngineCase) {
    this.one = one;
    [this.login] = one.target.users;
    this.secret = {
      engine: 'postgres',
      host: one.target.host,
      port: String(one.target.port),
      username: this.login,
      password: `of-before-${randomUUID()}`,
      dbname: one.target.database,
      masterarn: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:master-AbCdEf',
      team: { name: 'orders' },
    };
  }

  static async make(one: EngineCase, { tagged = true, secret = {} } = {}): Promise<Existing> {
    const found = new Existing(one);
    Object.assign(found.secret, secret);
    const { login } = found;
    // Cases share the table, and PostgreSQL refuses two changes of its rights at once.
    await one.world.alone(async () =>
      one.world.server.sql(
        `CREATE ROLE ${login} LOGIN PASSWORD '${String(found.secret['password'])}'; COMMENT ON ROLE ${login} IS '${COMMENT}';
       GRANT ${login} TO rekey_admin WITH ADMIN OPTION;
       GRANT USAGE, CREATE ON SCHEMA app TO ${login}; GRANT SELECT ON app.orders TO ${login}`,
        one.target.database,
      ),
    );
    await one.world.aws.json('secretsmanager', 'CreateSecret', {
      Name: one.secret,
      SecretString: JSON.stringify(found.secret),
      Tags: [{ Key: 'team', Value: 'orders' }],
    });
    if (tagged) await found.tag();
    return found;
  }

  /** What the owner of the secret does to let Rekey at it. */
  async tag(): Promise<void> {
    await this.one.deps.vault.tag(this.one.secret, { [TAG.type]: 'database', [TAG.stage]: 'local' });
  }

  declared(mode?: CredentialEntry['mode'], changes: object = {}): CredentialEntry {
    const { one } = this;
    return parseEntry({
      ...one.declaration,
      adopt: true,
      ...(mode === undefined ? {} : { mode }),
      target: { ...one.declaration.target, users: one.target.users },
      ...changes,
    });
  }

  /** Everything that Rekey could change of what was there: text, labels, tags, rotation, the login and its rights. */
  async state(): Promise<Record<string, unknown>> {
    const { one, login } = this;
    const described = await one.deps.vault.describe(one.secret);
    const text = await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' });
    const [role] = await one.world.server.sql(
      `SELECT to_jsonb(r) - 'rolpassword' AS role, shobj_description(r.oid, 'pg_authid') AS comment,
              (SELECT relacl::text FROM pg_class WHERE oid = 'app.orders'::regclass) AS acl,
              (SELECT count(*)::int FROM pg_roles WHERE rolname LIKE '${one.target.ownerRole}%') AS roles,
              (SELECT json_agg(m ORDER BY m.roleid)::text FROM pg_auth_members m WHERE m.member = r.oid OR m.roleid = r.oid) AS members
         FROM pg_roles r WHERE rolname = '${login}'`,
      one.target.database,
    );
    // Cases share the table.
    const acl = String(role?.['acl']).match(new RegExp(`${one.target.ownerRole}(_[ab])?=[^,}]*`, 'g'));
    return {
      text: text?.reveal(),
      versions: described?.versions,
      tags: described?.tags,
      rotation: described?.rotationEnabled === true ? described.rotationFunction : 'none',
      role: { ...role, acl },
      works: await one.works({ user: login, password: String(this.secret['password']) }),
    };
  }
}
