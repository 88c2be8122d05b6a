import type { Dependency } from '../provider.ts';
import type { Row, Session } from './connection.ts';
import { quote } from './failures.ts';
import { ATTRIBUTES, DEFAULT_LIMIT } from './settings.ts';
import type { Role, Roles } from './slots.ts';
import type { PostgresTarget } from './target.ts';

interface LoginRow extends Row {
  readonly inherits: boolean;
  readonly conn_limit: number;
  readonly default_limit: number;
  readonly valid_until: string | null;
  readonly iam_offered: boolean;
  readonly iam_used: boolean;
  readonly proxied: boolean;
}

/** What is attached to the login itself: attributes, limits, expiry, settings, memberships, and how it logs in. */
export async function roleDependencies(
  session: Session,
  target: PostgresTarget,
  roles: Roles,
  login: Role,
): Promise<Dependency[]> {
  const [row] = await session.query<LoginRow>(
    `SELECT r.rolinherit AS inherits, r.rolconnlimit AS conn_limit, ${DEFAULT_LIMIT} AS default_limit,
            CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil::text END AS valid_until,
            to_regrole('rds_iam') IS NOT NULL AS iam_offered,
            coalesce(pg_has_role(r.oid, to_regrole('rds_iam')::oid, 'MEMBER'), false) AS iam_used,
            to_regrole('rdsproxyadmin') IS NOT NULL AS proxied
       FROM pg_roles r WHERE r.oid = $1`,
    [login.oid],
  );
  if (row === undefined) return [];
  return [
    ...limits(target, login, row),
    ...entrances(login, row),
    ...(await settings(session, roles, login)),
    // A superuser needs nothing that it was given: all of it stays where it is (grants.ts).
    ...(login.superuser
      ? []
      : [
          ...inheritance(login, row),
          ...(await attributes(session, roles, login)),
          ...(await memberships(session, target, roles, login)),
        ]),
  ];
}

function inheritance(login: Role, { inherits }: LoginRow): Dependency[] {
  if (inherits) return [];
  return [
    {
      what: 'NOINHERIT',
      severity: 'blocks',
      detail: 'the login does not inherit, so it would lose what moves to the owner role',
      remedy: `ALTER ROLE ${quote(login.name)} INHERIT, once you know that what it then has by itself is meant for it`,
    },
  ];
}

function limits(target: PostgresTarget, login: Role, row: LoginRow): Dependency[] {
  const limit = target.connectionLimit ?? (row.conn_limit === -1 ? row.default_limit : row.conn_limit);
  const now = row.conn_limit === -1 ? 'no limit' : `a limit of ${row.conn_limit}`;
  return [
    {
      what: 'CONNECTION LIMIT',
      severity: 'kept',
      detail: `the login has ${now}; the other user gets ${limit}, and in a window both may have sessions at once`,
      remedy: 'leave room in max_connections for both pools, or set target.connectionLimit',
    },
    ...(row.valid_until === null
      ? []
      : [
          {
            what: 'VALID UNTIL',
            severity: 'note' as const,
            detail: `the password of either user ends on ${row.valid_until}; a rotation does not move that date`,
            remedy: `ALTER ROLE ${quote(login.name)} VALID UNTIL 'infinity'; the rotation is what ends passwords now`,
          },
        ]),
  ];
}

function entrances(login: Role, { iam_offered: offered, iam_used: used, proxied }: LoginRow): Dependency[] {
  return [
    ...(used
      ? [
          {
            what: 'RDS IAM authentication',
            severity: 'blocks' as const,
            detail: 'the login is a member of rds_iam: it takes tokens of IAM, and no password at all',
            remedy:
              'nothing has to be rotated here: take the entry out; or REVOKE rds_iam and set a password',
          },
        ]
      : []),
    ...(offered && !used
      ? [
          {
            what: 'RDS IAM authentication',
            severity: 'note' as const,
            detail:
              'this server can let agents log in with tokens of IAM, which end by themselves: nothing to rotate',
            remedy: `where agents can ask for tokens: GRANT rds_iam TO ${quote(login.name)}, and allow rds-db:connect`,
          },
        ]
      : []),
    ...(proxied
      ? [
          {
            what: 'RDS Proxy',
            severity: 'note' as const,
            detail: 'a proxy is registered with this server; it knows only the users of its own secrets',
            remedy: 'let the agents of this login connect to the cluster or instance itself',
          },
        ]
      : []),
  ];
}

/** From version 16 on one passes on what one has; before, CREATEROLE is enough for all but two. */
async function attributes(session: Session, roles: Roles, login: Role): Promise<Dependency[]> {
  const rows = await session.query<Row & Record<string, boolean>>(
    `SELECT rolname = $2 AS is_login, ${ATTRIBUTES.map(([column]) => column).join(', ')}
       FROM pg_roles WHERE rolname IN ($1, $2)`,
    [roles.admin.name, login.name],
  );
  const of = (isLogin: boolean) => rows.find((row) => row['is_login'] === isLogin);
  return ATTRIBUTES.filter(([column]) => of(true)?.[column] === true).map(([column, word]) => {
    const early = roles.version < 160000 && ['CREATEDB', 'CREATEROLE'].includes(word);
    const may = roles.admin.superuser || early || (roles.version >= 160000 && of(false)?.[column] === true);
    return may
      ? { what: word, severity: 'kept', detail: 'the other user gets it too' }
      : {
          what: word,
          severity: 'blocks',
          detail: `the administrator "${roles.admin.name}" may not give it to the other user`,
          remedy: `ALTER ROLE ${quote(login.name)} NO${word}${roles.version >= 160000 ? `, or ALTER ROLE ${quote(roles.admin.name)} ${word}` : ', or name a superuser as admin'}`,
        };
  });
}

async function settings(session: Session, roles: Roles, login: Role): Promise<Dependency[]> {
  const mayset = roles.version >= 150000 ? `OR has_parameter_privilege(split_part(c, '=', 1), 'SET')` : '';
  const rows = await session.query<Row & { name: string; settable: boolean }>(
    `SELECT DISTINCT split_part(c, '=', 1) AS name,
            coalesce((SELECT p.context = 'user' FROM pg_settings p WHERE lower(p.name) = lower(split_part(c, '=', 1))), true)
            ${mayset} AS settable
       FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setrole = $1 ORDER BY 1`,
    [login.oid],
  );
  return rows.map(({ name, settable }) =>
    settable || roles.admin.superuser
      ? {
          what: `setting ${name} (ALTER ROLE … SET)`,
          severity: 'kept',
          detail: 'the other user gets it too',
        }
      : {
          what: `setting ${name} (ALTER ROLE … SET)`,
          severity: 'blocks',
          detail: `the administrator "${roles.admin.name}" may not set it for the other user`,
          remedy:
            roles.version >= 150000
              ? `GRANT SET ON PARAMETER ${name} TO ${quote(roles.admin.name)}`
              : `ALTER ROLE ${quote(login.name)} RESET ${name}, or name a superuser as admin`,
        },
  );
}

async function memberships(
  session: Session,
  target: PostgresTarget,
  roles: Roles,
  login: Role,
): Promise<Dependency[]> {
  const rows = await session.query<Row & { role: string; grantable: boolean }>(
    `SELECT r.rolname AS role,
            bool_or(m.admin_option) OR pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION')
              OR ($3 < 160000 AND NOT r.rolsuper AND r.rolname !~ '^pg_') AS grantable
       FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
      WHERE m.member = $1 AND r.rolname <> $2 GROUP BY r.oid, r.rolname, r.rolsuper ORDER BY 1`,
    [login.oid, target.ownerRole, roles.version],
  );
  return rows.map(({ role, grantable }) =>
    grantable || roles.admin.superuser
      ? {
          what: `membership in ${role}`,
          severity: 'kept',
          detail: `it moves to "${target.ownerRole}", which both users inherit from`,
        }
      : {
          what: `membership in ${role}`,
          severity: 'blocks',
          detail: `the administrator "${roles.admin.name}" may not give it to "${target.ownerRole}"`,
          remedy: `GRANT ${quote(role)} TO ${quote(roles.admin.name)} WITH ADMIN OPTION`,
        },
  );
}

/**
 * Members of the owner role beside those named, who would get what moves there from `login`. Who administers the login, as both of a
 * pair of masters do, can take all of that already.
 */
export async function otherMembers(
  session: Session,
  owner: Role,
  login: Role,
  known: readonly string[],
): Promise<string[]> {
  const rows = await session.query<Row & { name: string }>(
    `SELECT DISTINCT r.rolname AS name FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
      WHERE m.roleid = $1 AND r.rolname <> ALL($2::name[])
        AND NOT pg_has_role(r.oid, $3::oid, 'MEMBER WITH ADMIN OPTION') ORDER BY 1`,
    [owner.oid, known, login.oid],
  );
  return rows.map(({ name }) => name);
}
