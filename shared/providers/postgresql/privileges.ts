import type { Row, Session } from './connection.ts';
import { quote } from './failures.ts';

/** One or more privileges on one object, as one entry of its access control list has them. */
export interface Grant {
  /** E.g. `TABLE "public"."orders"`, as GRANT … ON spells it; for default privileges what comes after GRANT … ON. */
  readonly object: string;
  /** `ALTER DEFAULT PRIVILEGES FOR ROLE … `, where it is one of those. */
  readonly prefix: string;
  /** E.g. `SELECT, UPDATE ("total")`. */
  readonly privileges: string;
  readonly grantable: boolean;
  readonly grantor: string;
  /** `direct`: a slot got it; `passed-on`: a slot gave it to somebody else. */
  readonly kind: 'direct' | 'passed-on';
  /** The role that has it; null for PUBLIC. */
  readonly grantee: string | null;
  /** The owner role has it already. */
  readonly held: boolean;
  /** How the administrator can act on it: as itself, by SET ROLE to the grantor, or not at all. */
  readonly reach: 'self' | 'set' | 'none';
}

/**
 * Every privilege in this database (and on what all databases share) that a slot has or gave by itself, rather than
 * through the owner role.
 */
export async function readGrants(
  session: Session,
  version: number,
  slots: readonly number[],
  owner: number,
): Promise<readonly Grant[]> {
  return session.query<Grant & Row>(query(version), [slots, owner]);
}

/** What GRANT does to give `grant` to `role`. */
export function grantSql({ prefix, privileges, object, grantable }: Grant, role: string): string {
  return `${prefix}GRANT ${privileges} ON ${object} TO ${role}${grantable ? ' WITH GRANT OPTION' : ''}`;
}

export function revokeSql({ prefix, privileges, object }: Grant, role: string): string {
  return `${prefix}REVOKE ${privileges} ON ${object} FROM ${role} CASCADE`;
}

/** `sql` run with the rights of `role`. */
export function asRole(role: string, sql: string): string {
  return `SET LOCAL ROLE ${quote(role)}; ${sql}; RESET ROLE`;
}

/** catalog, alias, condition, "kind and name" for GRANT … ON, owner, list. Driven by pg_shdepend, hence complete. */
function objects(version: number): string {
  const named = (catalog: string, kind: string, name: string, prefix: string): string =>
    `SELECT ${kind} || ' ' || ${name}, NULL::text, c.${prefix}owner, c.${prefix}acl
       FROM touched t JOIN ${catalog} c ON t.classid = '${catalog}'::regclass AND c.oid = t.objid`;
  const schema = (column: string): string => `(SELECT nspname FROM pg_namespace WHERE oid = c.${column})`;
  return [
    `${named('pg_class', `CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END`, `format('%I.%I', ${schema('relnamespace')}, c.relname)`, 'rel')} AND t.objsubid = 0 AND c.relpersistence <> 't'`,
    `SELECT format('TABLE %I.%I', ${schema('relnamespace')}, c.relname), quote_ident(a.attname), c.relowner, a.attacl
       FROM touched t JOIN pg_class c ON t.classid = 'pg_class'::regclass AND c.oid = t.objid
       JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = t.objsubid AND t.objsubid <> 0`,
    named('pg_proc', `'ROUTINE'`, `c.oid::regprocedure::text`, 'pro'),
    named('pg_type', `'TYPE'`, `format('%I.%I', ${schema('typnamespace')}, c.typname)`, 'typ'),
    named('pg_namespace', `'SCHEMA'`, `quote_ident(c.nspname)`, 'nsp'),
    named('pg_language', `'LANGUAGE'`, `quote_ident(c.lanname)`, 'lan'),
    named('pg_foreign_data_wrapper', `'FOREIGN DATA WRAPPER'`, `quote_ident(c.fdwname)`, 'fdw'),
    named('pg_foreign_server', `'FOREIGN SERVER'`, `quote_ident(c.srvname)`, 'srv'),
    named('pg_database', `'DATABASE'`, `quote_ident(c.datname)`, 'dat').replace('c.datowner', 'c.datdba'),
    named('pg_tablespace', `'TABLESPACE'`, `quote_ident(c.spcname)`, 'spc'),
    // Dependencies of large objects name pg_largeobject; owner and list are with their metadata.
    `SELECT 'LARGE OBJECT ' || c.oid, NULL, c.lomowner, c.lomacl
       FROM touched t JOIN pg_largeobject_metadata c ON t.classid = 'pg_largeobject'::regclass AND c.oid = t.objid`,
    ...(version < 150000
      ? []
      : [
          `SELECT 'PARAMETER ' || quote_ident(c.parname), NULL, 10::oid, c.paracl
             FROM touched t JOIN pg_parameter_acl c ON t.classid = 'pg_parameter_acl'::regclass AND c.oid = t.objid`,
        ]),
  ].join('\n UNION ALL ');
}

/** Whether the administrator can act as the role whose oid is `oid`. */
function canSet(version: number, oid: string): string {
  return `pg_has_role(${oid}, '${version >= 160000 ? 'SET' : 'MEMBER'}')`;
}

function query(version: number): string {
  const me = '(SELECT oid FROM pg_roles WHERE rolname = current_user)';
  return `
WITH touched AS (
  SELECT DISTINCT classid, objid, objsubid FROM pg_shdepend
   WHERE refclassid = 'pg_authid'::regclass AND refobjid = ANY($1::oid[]) AND deptype = 'a'
     AND dbid IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
), object (name, col, owner, acl) AS (
  ${objects(version)}
), entry AS (
  SELECT '' AS prefix, o.name AS object, o.owner, o.acl,
         x.privilege_type || coalesce(' (' || o.col || ')', '') AS privilege, x.privilege_type AS bare,
         x.grantor, x.grantee, x.is_grantable
    FROM object o, aclexplode(o.acl) x
   UNION ALL
  -- What somebody's future objects will grant to a slot. The slots' own are dealt with elsewhere (ownership.ts).
  SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I ', pg_get_userbyid(d.defaclrole))
         || coalesce('IN SCHEMA ' || (SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = d.defaclnamespace) || ' ', ''),
         CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'ROUTINES'
           WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END,
         d.defaclrole, d.defaclacl, x.privilege_type, x.privilege_type, d.defaclrole, x.grantee, x.is_grantable
    FROM pg_default_acl d, aclexplode(d.defaclacl) x WHERE d.defaclrole <> ALL($1::oid[])
), mine AS (
  SELECT e.*, CASE WHEN e.grantor = ANY($1) THEN 'passed-on' ELSE 'direct' END AS kind,
         e.owner = $2 OR EXISTS (SELECT FROM aclexplode(e.acl) h WHERE h.grantee = $2
           AND h.privilege_type = e.bare AND (h.is_grantable OR NOT e.is_grantable)) AS held,
         CASE WHEN e.grantor = ${me} OR (e.grantor = e.owner AND pg_has_role(e.grantor, 'USAGE')) THEN 'self'
              WHEN ${canSet(version, 'e.grantor')} THEN 'set' ELSE 'none' END AS reach
    FROM entry e
   WHERE (e.grantee = ANY($1) AND e.grantor <> ALL($1))
      OR (e.grantor = ANY($1) AND e.grantee <> ALL($1) AND e.grantee <> $2)
)
SELECT object, prefix, kind, is_grantable AS grantable, held, reach, pg_get_userbyid(grantor) AS grantor,
       CASE WHEN grantee = 0 THEN NULL ELSE pg_get_userbyid(grantee) END AS grantee,
       string_agg(privilege, ', ' ORDER BY privilege) AS privileges
  FROM mine GROUP BY object, prefix, kind, is_grantable, held, reach, grantor, grantee
 ORDER BY kind, prefix, object, grantee`;
}
