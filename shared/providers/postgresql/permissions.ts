import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { ProviderContext } from '../provider.ts';
import { asAdmin, type Row } from './connection.ts';
import { syncNow } from './grants.ts';
import { assertSlot } from './material.ts';
import type { PostgresTarget } from './target.ts';

const SHOWN = 5;

/**
 * Brings both users into step, then compares what they may do in effect: on relations, columns, routines, types,
 * schemas, servers and the database, through whichever role. @throws RekeyError ERR_REJECTED naming the differences
 */
export async function comparePermissions(
  target: PostgresTarget,
  old: CredentialHandle,
  next: CredentialHandle,
  ctx: ProviderContext,
): Promise<'same'> {
  assertSlot(target, old);
  assertSlot(target, next);
  await syncNow(target, ctx);
  const differences = await asAdmin(target, ctx, async (session) =>
    session.query<Row & { what: string; old: boolean }>(COMPARISON, [old.id, next.id, SHOWN + 1]),
  );
  if (differences.length === 0) return 'same';
  const named = differences
    .slice(0, SHOWN)
    .map((each) => `${each.old ? 'lacks' : 'has in excess'}: ${each.what}`);
  throw new RekeyError(
    'ERR_REJECTED',
    `the new user "${next.id}" ${named.join('; ')}${differences.length > SHOWN ? '; and more' : ''}`,
    {
      remedy: `give it to "${target.ownerRole}", which both users inherit from, or take it from the one that has it`,
    },
  );
}

/** System objects only where somebody changed their list; PUBLIC has the rest. */
const COMPARISON = `
WITH u AS (
  SELECT a.oid AS old, b.oid AS next FROM pg_roles a, pg_roles b WHERE a.rolname = $1 AND b.rolname = $2
), space AS (
  SELECT oid, nspname AS name, nspacl AS acl, nspname IN ('pg_catalog', 'information_schema') AS system
    FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)'
), maintain AS (
  SELECT CASE WHEN current_setting('server_version_num')::int >= 170000 THEN ARRAY['MAINTAIN'] ELSE '{}' END AS extra
), right_of (what, old, next) AS (
  SELECT format('%s on %I.%I', p, s.name, c.relname), has_table_privilege(u.old, c.oid, p), has_table_privilege(u.next, c.oid, p)
    FROM u, maintain, pg_class c JOIN space s ON s.oid = c.relnamespace,
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'] || maintain.extra) p
   WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND (NOT s.system OR c.relacl IS NOT NULL)
   UNION ALL
  SELECT format('%s on sequence %I.%I', p, s.name, c.relname),
         has_sequence_privilege(u.old, c.oid, p), has_sequence_privilege(u.next, c.oid, p)
    FROM u, pg_class c JOIN space s ON s.oid = c.relnamespace, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) p
   WHERE c.relkind = 'S'
   UNION ALL
  SELECT format('ownership of %I.%I', s.name, c.relname),
         pg_has_role(u.old, c.relowner, 'USAGE'), pg_has_role(u.next, c.relowner, 'USAGE')
    FROM u, pg_class c JOIN space s ON s.oid = c.relnamespace WHERE NOT s.system
   UNION ALL
  SELECT format('%s on column %I.%I.%I', p, s.name, c.relname, a.attname),
         has_column_privilege(u.old, c.oid, a.attnum, p), has_column_privilege(u.next, c.oid, a.attnum, p)
    FROM u, pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN space s ON s.oid = c.relnamespace,
         unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) p
   WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
   UNION ALL
  SELECT format('EXECUTE on %s', f.oid::regprocedure),
         has_function_privilege(u.old, f.oid, 'EXECUTE'), has_function_privilege(u.next, f.oid, 'EXECUTE')
    FROM u, pg_proc f JOIN space s ON s.oid = f.pronamespace WHERE NOT s.system OR f.proacl IS NOT NULL
   UNION ALL
  SELECT format('USAGE on type %I.%I', s.name, t.typname),
         has_type_privilege(u.old, t.oid, 'USAGE'), has_type_privilege(u.next, t.oid, 'USAGE')
    FROM u, pg_type t JOIN space s ON s.oid = t.typnamespace WHERE t.typacl IS NOT NULL
   UNION ALL
  SELECT format('%s on schema %I', p, s.name), has_schema_privilege(u.old, s.oid, p), has_schema_privilege(u.next, s.oid, p)
    FROM u, space s, unnest(ARRAY['USAGE', 'CREATE']) p
   UNION ALL
  SELECT format('%s on database %I', p, d.datname),
         has_database_privilege(u.old, d.oid, p), has_database_privilege(u.next, d.oid, p)
    FROM u, pg_database d, unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) p WHERE d.datallowconn
   UNION ALL
  SELECT format('USAGE on server %I', f.srvname),
         has_server_privilege(u.old, f.oid, 'USAGE'), has_server_privilege(u.next, f.oid, 'USAGE')
    FROM u, pg_foreign_server f
   UNION ALL
  -- A user mapping belongs to one user and isn't inherited; one for PUBLIC serves both.
  SELECT format('a user mapping for server %I', f.srvname),
         EXISTS (SELECT FROM pg_user_mappings m WHERE m.srvid = f.oid AND m.umuser IN (u.old, 0)),
         EXISTS (SELECT FROM pg_user_mappings m WHERE m.srvid = f.oid AND m.umuser IN (u.next, 0))
    FROM u, pg_foreign_server f
   UNION ALL
  SELECT p.what || quote_ident(r.rolname), pg_has_role(u.old, r.oid, p.privilege), pg_has_role(u.next, r.oid, p.privilege)
    FROM u, pg_roles r, (VALUES ('membership in ', 'USAGE'), ('the right to act as ',
           CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END),
           ('the right to grant ', 'MEMBER WITH ADMIN OPTION')) p (what, privilege)
   WHERE r.oid NOT IN (u.old, u.next)
   UNION ALL
  SELECT a.name, (to_jsonb(o) ->> a.col)::boolean, (to_jsonb(n) ->> a.col)::boolean
    FROM u JOIN pg_roles o ON o.oid = u.old JOIN pg_roles n ON n.oid = u.next,
         (VALUES ('SUPERUSER', 'rolsuper'), ('CREATEDB', 'rolcreatedb'), ('CREATEROLE', 'rolcreaterole'),
                 ('BYPASSRLS', 'rolbypassrls'), ('REPLICATION', 'rolreplication'), ('INHERIT', 'rolinherit')) a (name, col)
)
SELECT what, coalesce(old, false) AS old FROM right_of WHERE coalesce(old, false) <> coalesce(next, false)
 ORDER BY what LIMIT $3`;
