import { isRekeyError } from '../../domain/errors.ts';
import type { Dependency, ProviderContext } from '../provider.ts';
import { assertNotPrivileged } from './adopt.ts';
import { assertAdministered, assertOwner } from './activate.ts';
import { assertPlace } from './admin.ts';
import { asAdmin, type Row, type Session } from './connection.ts';
import { quote } from './failures.ts';
import { inDatabase, otherDatabases } from './grants.ts';
import { nameDependencies } from './name-use.ts';
import { ownershipToMove } from './ownership.ts';
import { assertReady } from './preflight.ts';
import { readGrants } from './privileges.ts';
import { otherMembers, roleDependencies } from './role-dependencies.ts';
import { readRoles, type Role, type Roles } from './slots.ts';
import type { PostgresTarget } from './target.ts';

/**
 * What adoption has to know about the login of `target.users` that exists: what a rotation carries to the other user,
 * what it can't, and what depends on the user's name. From the catalogs alone, so nothing is changed or locked.
 */
export async function dependencies(
  target: PostgresTarget,
  ctx: ProviderContext,
): Promise<readonly Dependency[]> {
  assertPlace(await ctx.admin(), target);
  return asAdmin(target, ctx, async (session) => {
    const roles = await readRoles(session, target);
    await assertReady(session, target, roles);
    const { login, found } = findLogin(target, roles);
    if (login === undefined) return found;
    const refused = refusals([
      () => assertNotPrivileged(target, login, roles.admin),
      () => assertAdministered(roles, login, 'target.users'),
      () => assertOwner(roles),
    ]);
    const ofRole = await roleDependencies(session, target, roles, login);
    if (login.superuser) return [...found, ...refused, ...ofRole];
    const elsewhere: Dependency[] = [];
    for (const database of await otherDatabases(session, [login])) {
      elsewhere.push(...(await inOther(target, ctx, roles, login, database)));
    }
    return [
      ...found,
      ...refused,
      ...(await ownerRole(session, roles, login)),
      ...ofRole,
      ...(await inDatabaseOf(session, target, roles, login)),
      ...elsewhere,
    ];
  });
}

/** The one of the two users that is to be adopted, and what is wrong with the pair. */
function findLogin(target: PostgresTarget, { slots }: Roles): { login?: Role; found: Dependency[] } {
  const blocks = (what: string, detail: string, remedy: string): Dependency => ({
    what,
    severity: 'blocks',
    detail,
    remedy,
  });
  const existing = slots.filter((slot) => slot !== undefined);
  const foreign = existing.find(
    (slot) => slot.mark !== undefined && slot.mark.credential !== target.ownerRole,
  );
  if (foreign !== undefined) {
    const whose = foreign.mark?.credential ?? '';
    return {
      found: [
        blocks(
          `user ${foreign.name}`,
          `belongs to the credential of "${whose}"`,
          'name other users, or adopt it there',
        ),
      ],
    };
  }
  // Marked and without a login is a slot of an earlier life, which waits for its next use.
  const able = existing.filter((slot) => slot.canLogin || slot.mark === undefined);
  const [login, second] = able;
  if (login === undefined) {
    return {
      found: [
        blocks(
          'target.users',
          'neither of the two users exists and may log in',
          "name the secret's login and a second one that does not exist yet",
        ),
      ],
    };
  }
  return {
    login,
    found: [
      ...(second === undefined
        ? []
        : [
            blocks(
              `user ${second.name}`,
              `exists beside "${login.name}": one of the two must be free for the first rotation`,
              'name a second user that does not exist yet',
            ),
          ]),
      ...(login.canLogin
        ? []
        : [blocks(`user ${login.name}`, 'may not log in', `ALTER ROLE ${quote(login.name)} LOGIN`)]),
    ],
  };
}

function refusals(checks: readonly (() => void)[]): Dependency[] {
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      if (!isRekeyError(error)) throw error;
      const { field = 'target', message, remedy } = error;
      return [
        {
          what: field,
          severity: 'blocks' as const,
          detail: message,
          ...(remedy === undefined ? {} : { remedy }),
        },
      ];
    }
  });
}

/** An owner role that exists already: both users get all that it has, and its members all that the login has. */
async function ownerRole(
  session: Session,
  { owner, slots, admin }: Roles,
  login: Role,
): Promise<Dependency[]> {
  if (owner === undefined) return [];
  const remedy = 'name an owner role that does not exist yet; Rekey creates it';
  const others = await otherMembers(session, owner, login, [
    admin.name,
    ...slots.flatMap((slot) => slot?.name ?? []),
  ]);
  return [
    ...(login.inheritsOwner || login.mark !== undefined
      ? []
      : [
          {
            what: `owner role ${owner.name}`,
            severity: 'blocks' as const,
            detail: `exists, and "${login.name}" does not have what it has: adoption would give it more rights`,
            remedy: `${remedy}; or GRANT ${quote(owner.name)} TO ${quote(login.name)}`,
          },
        ]),
    ...(others.length === 0
      ? []
      : [
          {
            what: `owner role ${owner.name}`,
            severity: 'blocks' as const,
            detail: `has other members (${others.slice(0, 5).join(', ')}), who would get what moves there from "${login.name}"`,
            remedy,
          },
        ]),
  ];
}

async function inOther(
  target: PostgresTarget,
  ctx: ProviderContext,
  roles: Roles,
  login: Role,
  database: string,
): Promise<Dependency[]> {
  try {
    const found = await asAdmin(target, ctx, async (other) => inDatabaseOf(other, target, roles, login), {
      database,
    });
    return found.map((each) => ({ ...each, what: `${each.what} (database ${database})` }));
  } catch (error) {
    const told = inDatabase(database, error, roles.admin.name);
    if (!isRekeyError(told) || told.retryable) throw told;
    return refusals([
      () => {
        throw told;
      },
    ]);
  }
}

/** What the login owns and may do in the database of `session`, and what goes by its name there. */
async function inDatabaseOf(
  session: Session,
  target: PostgresTarget,
  roles: Roles,
  login: Role,
): Promise<Dependency[]> {
  return [
    ...(await ownership(session, target, roles, login)),
    ...(await grants(session, target, roles, login)),
    ...(await nameDependencies(session, target, login)),
  ];
}

async function ownership(
  session: Session,
  target: PostgresTarget,
  { admin }: Roles,
  login: Role,
): Promise<Dependency[]> {
  const owner: Role = { ...login, name: target.ownerRole };
  const owned = await ownershipToMove(session, [login], owner);
  if (owned.length === 0) return [];
  const [databases] = await session.query<Row & { stuck: boolean }>(
    `SELECT EXISTS (SELECT FROM pg_database WHERE datdba = $1) AND NOT (r.rolcreatedb OR r.rolsuper) AS stuck
       FROM pg_roles r WHERE r.rolname = current_user`,
    [login.oid],
  );
  // The new owner needs CREATE where the objects are, and gets it from the login.
  const closed = await session.query<Row & { schema: string }>(
    `SELECT DISTINCT n.nspname AS schema FROM pg_namespace n
       JOIN (SELECT relnamespace AS space, relowner AS owner FROM pg_class WHERE relpersistence <> 't'
             UNION SELECT pronamespace, proowner FROM pg_proc UNION SELECT typnamespace, typowner FROM pg_type) o ON o.space = n.oid
      WHERE o.owner = $1 AND n.nspname !~ '^pg_(toast|temp)' AND NOT has_schema_privilege($1::oid, n.oid, 'CREATE') ORDER BY 1`,
    [login.oid],
  );
  return [
    {
      what: `ownership of ${owned.length} objects`,
      severity: 'kept',
      detail: `the first rotation gives them to "${target.ownerRole}", which both users act for`,
    },
    ...(admin.superuser ? [] : closed).map(({ schema }) => ({
      what: `objects in schema ${schema}`,
      severity: 'blocks' as const,
      detail: 'belong to the login, which may no longer create there, so they can not change their owner',
      remedy: `GRANT CREATE ON SCHEMA ${quote(schema)} TO ${quote(login.name)}`,
    })),
    ...(databases?.stuck === true
      ? [
          {
            what: 'ownership of a database',
            severity: 'blocks' as const,
            detail: `the administrator "${admin.name}" may not give a database another owner`,
            remedy: `ALTER ROLE ${quote(admin.name)} CREATEDB, or ALTER DATABASE … OWNER TO another role`,
          },
        ]
      : []),
  ];
}

async function grants(
  session: Session,
  target: PostgresTarget,
  roles: Roles,
  login: Role,
): Promise<Dependency[]> {
  const all = await readGrants(session, roles.version, [login.oid], roles.owner?.oid ?? 0);
  const direct = all.filter((grant) => grant.kind === 'direct');
  // Whom the login may act as, the administrator may once it acts as the login.
  const within = new Set(await actable(session, roles, login));
  const out = direct.filter((grant) => grant.reach === 'none' && !grant.held && !within.has(grant.grantor));
  const policies = await session.query<Row & { what: string; owner: string; reach: boolean }>(
    `SELECT format('policy %I on %s', p.polname, c.oid::regclass) AS what, pg_get_userbyid(c.relowner) AS owner,
            pg_has_role(c.relowner, 'USAGE') AS reach
       FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE $1 = ANY(p.polroles) ORDER BY 1`,
    [login.oid],
  );
  return [
    ...(direct.length === 0
      ? []
      : [
          {
            what: `privileges on ${new Set(direct.map(({ prefix, object }) => prefix + object)).size} objects`,
            severity: 'kept' as const,
            detail: `the first rotation gives them to "${target.ownerRole}"`,
          },
        ]),
    ...out.map((grant) => ({
      what: `${grant.privileges} on ${grant.prefix}${grant.object}`,
      severity: 'blocks' as const,
      detail: `was given by "${grant.grantor}", for whom the administrator "${roles.admin.name}" can not act`,
      remedy: `GRANT ${quote(grant.grantor)} TO ${quote(roles.admin.name)}`,
    })),
    ...policies.map(({ what, owner, reach }): Dependency =>
      reach || owner === login.name || within.has(owner)
        ? {
            what,
            severity: 'kept',
            detail: `names the login; the first rotation lets it name "${target.ownerRole}"`,
          }
        : {
            what,
            severity: 'blocks',
            detail: `names the login, and the administrator "${roles.admin.name}" can not change it`,
            remedy: `GRANT ${quote(owner)} TO ${quote(roles.admin.name)}`,
          },
    ),
  ];
}

async function actable(session: Session, { version }: Roles, login: Role): Promise<string[]> {
  const rows = await session.query<Row & { name: string }>(
    `SELECT rolname AS name FROM pg_roles r WHERE pg_has_role($1::oid, r.oid, '${version >= 160000 ? 'SET' : 'MEMBER'}')`,
    [login.oid],
  );
  return rows.map(({ name }) => name);
}
