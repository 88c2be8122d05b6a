import type { Row, Session } from './connection.ts';
import { quote } from './failures.ts';
import type { Role } from './slots.ts';
import type { Statement } from './statements.ts';

/** Kinds of objects whose name in ALTER … OWNER differs from what pg_identify_object calls them. */
const KINDS: Readonly<Record<string, string>> = {
  'statistics object': 'STATISTICS',
  'foreign-data wrapper': 'FOREIGN DATA WRAPPER',
};

/**
 * Gives what the slots own in this database (and databases themselves) to the owner role, object by object: REASSIGN
 * OWNED would also take a lock on the temporary tables of every agent. What follows its parent (a serial's sequence)
 * is left to it.
 */
export async function ownershipToMove(
  session: Session,
  slots: readonly Role[],
  owner: Role,
): Promise<Statement[]> {
  const rows = await session.query<Row & { kind: string; identity: string; schema: string | null }>(
    `SELECT i.type AS kind, i.identity, i.schema
       FROM pg_shdepend s, pg_identify_object(s.classid, s.objid, 0) i
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY($1::oid[]) AND s.deptype = 'o'
        AND s.dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
        AND s.classid NOT IN ('pg_default_acl'::regclass, 'pg_user_mapping'::regclass)
        AND NOT EXISTS (SELECT FROM pg_class c
                         WHERE s.classid = 'pg_class'::regclass AND c.oid = s.objid AND c.relpersistence = 't')
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = s.classid AND d.objid = s.objid
                         AND (d.deptype = 'i' OR (d.deptype = 'a' AND i.type = 'sequence' AND d.refobjsubid <> 0)))
      ORDER BY i.type <> 'schema', i.type, i.identity`,
    [slots.map((slot) => slot.oid)],
  );
  return rows.map(({ kind, identity, schema }) => ({
    sql: `ALTER ${KINDS[kind] ?? kind.toUpperCase()} ${identity} OWNER TO ${quote(owner.name)}`,
    what: `the ownership of ${kind} ${identity}`,
    remedy:
      schema === null
        ? `REASSIGN OWNED BY ${slots.map((slot) => quote(slot.name)).join(', ')} TO ${quote(owner.name)}`
        : `GRANT CREATE ON SCHEMA ${quote(schema)} TO ${quote(owner.name)}`,
  }));
}

/** Lets the owner role, hence the other user, use at once what a slot will create. */
export async function futureObjects(
  session: Session,
  slots: readonly Role[],
  owner: Role,
): Promise<Statement[]> {
  const own = slots.flatMap((slot) =>
    ['TABLES', 'SEQUENCES', 'ROUTINES', 'TYPES', 'SCHEMAS'].map(
      (objects) => `FOR ROLE ${quote(slot.name)} GRANT ALL ON ${objects} TO ${quote(owner.name)}`,
    ),
  );
  const shared = await session.query<Row & { creator: string; clause: string }>(
    // What one slot's new objects grant to others, the other slot's shall grant too.
    `WITH future AS (
       SELECT pg_get_userbyid(d.defaclrole) AS creator, d.defaclobjtype AS kind, d.defaclnamespace AS space, d.defaclacl AS acl,
              coalesce('IN SCHEMA ' || (SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = d.defaclnamespace) || ' ', '') AS place,
              CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
                WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS objects
         FROM pg_default_acl d WHERE d.defaclrole = ANY($1::oid[]))
     SELECT f.creator, format('%sGRANT %s ON %s TO %s%s', f.place, x.privilege_type, f.objects,
              CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END,
              CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) AS clause
       FROM future f, aclexplode(f.acl) x
      WHERE x.grantee <> ALL($1) AND x.grantee <> $2 AND NOT (x.grantee = 0 AND f.space = 0 AND f.kind IN ('f', 'T'))
      UNION ALL
     -- Routines and types are open to PUBLIC by default; that this was taken away counts for both.
     SELECT f.creator, format('REVOKE ALL ON %s FROM PUBLIC', f.objects) FROM future f
      WHERE f.space = 0 AND f.kind IN ('f', 'T') AND NOT EXISTS (SELECT FROM aclexplode(f.acl) x WHERE x.grantee = 0)`,
    [slots.map((slot) => slot.oid), owner.oid],
  );
  const copies = shared.flatMap(({ creator, clause }) =>
    slots.filter((slot) => slot.name !== creator).map((slot) => `FOR ROLE ${quote(slot.name)} ${clause}`),
  );
  if (own.length + copies.length === 0) return [];
  return [
    {
      sql: [...own, ...copies].map((clause) => `ALTER DEFAULT PRIVILEGES ${clause}`).join(';\n'),
      what: 'default privileges of the users',
      remedy: slots.map((slot) => `GRANT ${quote(slot.name)} TO ${quote(session.user)}`).join('; '),
    },
  ];
}

/** Row-level security policies that name a slot name the owner role instead, which covers both users. */
export async function policiesToMove(
  session: Session,
  slots: readonly Role[],
  owner: Role,
): Promise<Statement[]> {
  const rows = await session.query<
    Row & { name: string; relation: string; relation_owner: string; roles: string }
  >(
    `SELECT quote_ident(p.polname) AS name, format('%I.%I', n.nspname, c.relname) AS relation,
            quote_ident(pg_get_userbyid(c.relowner)) AS relation_owner,
            (SELECT string_agg(DISTINCT CASE WHEN r = 0 THEN 'PUBLIC' WHEN r = ANY($1) THEN quote_ident(pg_get_userbyid($2))
              ELSE quote_ident(pg_get_userbyid(r)) END, ', ') FROM unnest(p.polroles) r) AS roles
       FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE p.polroles && $1::oid[]`,
    [slots.map((slot) => slot.oid), owner.oid],
  );
  return rows.map(({ name, relation, relation_owner: relationOwner, roles }) => ({
    sql: `ALTER POLICY ${name} ON ${relation} TO ${roles}`,
    what: `policy ${name} on ${relation}`,
    remedy: `GRANT ${relationOwner} TO ${quote(session.user)}, or run as ${relationOwner}: ALTER POLICY ${name} ON ${relation} TO ${roles}`,
  }));
}

/**
 * Memberships of the slots in other roles go to the owner role, with whatever options any of them has. What another grantor gave
 * may stay behind, and so does an ADMIN OPTION, since memberships that were given by it would end with it. So a person who takes
 * such a role from the owner role alone has it back at the next rotation: it has to be taken from the slots as well.
 */
export async function membershipsToMove(
  session: Session,
  version: number,
  slots: readonly Role[],
  owner: Role,
): Promise<Statement[]> {
  const modern = version >= 160000;
  const options = modern ? ['admin_option', 'inherit_option', 'set_option'] : ['admin_option'];
  const wanted = modern
    ? `format(' WITH ADMIN %s, INHERIT %s, SET %s', ${options.map((each) => `(bool_or(m.${each}) OVER same OR coalesce(h.${each}, false))::text`).join(', ')})`
    : `CASE WHEN bool_or(m.admin_option) OVER same THEN ' WITH ADMIN OPTION' ELSE '' END`;
  const held = options.map((each) => `coalesce(h.${each} >= bool_or(m.${each}) OVER same, false)`);
  const revocable = modern ? `NOT m.admin_option AND pg_has_role(m.grantor, 'USAGE')` : 'true';
  const rows = await session.query<
    Row & {
      role: string;
      member: string;
      grantor: string;
      options: string;
      held: boolean;
      revocable: boolean;
    }
  >(
    `SELECT quote_ident(pg_get_userbyid(m.roleid)) AS role, quote_ident(pg_get_userbyid(m.member)) AS member,
            quote_ident(pg_get_userbyid(m.grantor)) AS grantor, ${wanted} AS options, ${held.join(' AND ')} AS held,
            ${revocable} AS revocable
       FROM pg_auth_members m
       LEFT JOIN LATERAL (SELECT ${options.map((each) => `bool_or(o.${each}) AS ${each}`).join(', ')}
         FROM pg_auth_members o WHERE o.roleid = m.roleid AND o.member = $2) h ON true
      WHERE m.member = ANY($1::oid[]) AND m.roleid <> $2
     WINDOW same AS (PARTITION BY m.roleid)`,
    [slots.map((slot) => slot.oid), owner.oid],
  );
  return rows.flatMap((row) => {
    const statements = [
      ...(row.held ? [] : [`GRANT ${row.role} TO ${quote(owner.name)}${row.options}`]),
      ...(row.revocable
        ? [`REVOKE ${row.role} FROM ${row.member}${modern ? ` GRANTED BY ${row.grantor}` : ''} CASCADE`]
        : []),
    ];
    if (statements.length === 0) return [];
    return [
      {
        sql: statements.join('; '),
        what: `the membership of ${row.member} in ${row.role}`,
        remedy: `GRANT ${row.role} TO ${quote(owner.name)}, or GRANT ${row.role} TO ${quote(session.user)} WITH ADMIN OPTION`,
      },
    ];
  });
}
