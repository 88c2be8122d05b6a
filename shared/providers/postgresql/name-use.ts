import type { Dependency } from '../provider.ts';
import type { Row, Session } from './connection.ts';
import type { Role } from './slots.ts';
import type { PostgresTarget } from './target.ts';

/** What asks PostgreSQL who is logged in; deparsed expressions write these in capitals, sources as people like. */
const NAME_WORDS = 'current_user|session_user|current_role|session_authorization|system_user';
const ASKS = new RegExp(`\\b(${NAME_WORDS})\\b|\\bUSER\\b`, 'i');
const ASKS_DEPARSED = new RegExp(`\\b(${NAME_WORDS.toUpperCase()}|USER)\\b|session_authorization`);
/** Membership in a role is the same for both users: the way that survives a rotation. */
const BY_MEMBERSHIP = new RegExp(`pg_has_role\\(\\s*\\(?(${NAME_WORDS}|user)\\)?(::\\w+)?\\s*,`, 'gi');
const COMPARED = new RegExp(
  `([=<>~]|\\bIN|\\bANY|\\bLIKE)\\s*\\(*(${NAME_WORDS}|USER)\\b|\\b(${NAME_WORDS}|USER)\\b\\)*(::\\w+)?\\)*\\s*([=<>~]|IN\\b|LIKE\\b)`,
  'i',
);

type Kind = 'policy' | 'view' | 'default' | 'constraint' | 'trigger' | 'function';

/** How a text depends on the name of the user: it decides by it, only mentions it, or neither. */
export function nameUse(kind: Kind, text: string, login: string): 'decides' | 'mentions' | 'none' {
  const rest = text.replace(BY_MEMBERSHIP, '');
  const literal = rest.includes(`'${login.replaceAll("'", "''")}'`);
  if (kind === 'function') return ASKS.test(rest) || literal ? 'mentions' : 'none';
  const asks = ASKS_DEPARSED.test(rest);
  if (!asks) return 'none';
  // Whatever a policy does with the name, it decides about rows.
  return kind === 'policy' || (kind === 'view' && COMPARED.test(rest)) ? 'decides' : 'mentions';
}

/** How a report calls several things of one kind that only mention the name. */
const MENTIONS: Readonly<Record<Kind, string>> = {
  policy: 'policies',
  view: 'views that show the name of the user',
  default: 'column defaults that store the name of the user',
  constraint: 'constraints that ask for the name of the user',
  trigger: 'triggers that ask for the name of the user',
  function: 'functions that ask for the name of the user, or hold it',
};

const SHOWN = 5;

/** Everything in this database that goes by the login's name, as far as the login meets it. */
export async function nameDependencies(
  session: Session,
  target: PostgresTarget,
  login: Role,
): Promise<Dependency[]> {
  const rows = await session.query<Row & { kind: Kind; what: string; text: string }>(TEXTS, [login.name]);
  const used = rows.map((row) => ({ ...row, use: nameUse(row.kind, row.text, login.name) }));
  const decides = used.filter(({ use }) => use === 'decides').map((row) => decided(target, row));
  const kinds = [...new Set(used.filter(({ use }) => use === 'mentions').map(({ kind }) => kind))];
  const mentions = kinds.map((kind): Dependency => {
    const names = used.filter((row) => row.kind === kind && row.use === 'mentions').map(({ what }) => what);
    const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
    return {
      what: MENTIONS[kind],
      severity: 'note',
      detail: `${names.slice(0, SHOWN).join(', ')}${more}: after a rotation the name there is the other user's`,
      remedy: `where it decides something, ask pg_has_role(current_user, '${target.ownerRole}', 'USAGE') instead`,
    };
  });
  return [
    ...decides,
    ...mentions,
    ...(await ownSchema(session, target, login)),
    ...(await mappings(session, login)),
  ];
}

function decided(target: PostgresTarget, { what }: { what: string }): Dependency {
  return accepted(target, {
    what,
    severity: 'blocks',
    detail: 'decides by the name of the user: the other user of the pair would see other rows',
    remedy: `let it ask pg_has_role(current_user, '${target.ownerRole}', 'USAGE') or a setting that agents make; or say in target.acceptNameUse why both names are served`,
  });
}

function accepted(target: PostgresTarget, dependency: Dependency): Dependency {
  if (target.acceptNameUse === undefined) return dependency;
  const { remedy: _answered, ...rest } = dependency;
  return { ...rest, severity: 'note', detail: `${rest.detail}; accepted: ${target.acceptNameUse}` };
}

/** The default search_path begins with "$user": tables in a schema of the login's name are found by its name alone. */
async function ownSchema(session: Session, target: PostgresTarget, login: Role): Promise<Dependency[]> {
  const rows = await session.query<Row & { setting: string | null }>(
    `SELECT (SELECT substr(c, 13) FROM pg_db_role_setting s, unnest(s.setconfig) c
              WHERE c LIKE 'search_path=%' AND s.setrole IN (0, $2::oid)
                AND s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
              ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1) AS setting
       FROM pg_namespace WHERE nspname = $1`,
    [login.name, login.oid],
  );
  const [found] = rows;
  if (found === undefined || !(found.setting ?? '"$user"').includes('$user')) return [];
  return [
    accepted(target, {
      what: `schema ${login.name}`,
      severity: 'blocks',
      detail: 'is found by the name of the user ("$user" in search_path), which the other user does not have',
      remedy: `ALTER ROLE "${login.name}" SET search_path = "${login.name}", public; it is carried from user to user`,
    }),
  ];
}

async function mappings(session: Session, login: Role): Promise<Dependency[]> {
  const rows = await session.query<Row & { server: string }>(
    'SELECT srvname AS server FROM pg_user_mappings WHERE umuser = $1 ORDER BY 1',
    [login.oid],
  );
  return rows.map(({ server }) => ({
    what: `user mapping for server ${server}`,
    severity: 'blocks',
    detail: 'belongs to the one user and holds a password, so it can not be given to the other',
    remedy: `CREATE USER MAPPING FOR PUBLIC SERVER "${server}", and drop the one of "${login.name}"`,
  }));
}

/** Texts of what the login meets, but for what the system or an extension brought. */
const TEXTS = `
WITH me AS (SELECT oid FROM pg_roles WHERE rolname = $1),
relation AS (
  SELECT c.oid, c.relkind, c.relrowsecurity, format('%I.%I', n.nspname, c.relname) AS name
    FROM me, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
   WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
     AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     AND (has_table_privilege(me.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
          OR has_any_column_privilege(me.oid, c.oid, 'SELECT, INSERT, UPDATE'))
)
SELECT 'policy' AS kind, format('policy %I on %s', p.polname, r.name) AS what,
       concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS text
  FROM me, pg_policy p JOIN relation r ON r.oid = p.polrelid AND r.relrowsecurity
 WHERE EXISTS (SELECT FROM unnest(p.polroles) u WHERE u = 0 OR pg_has_role(me.oid, u, 'USAGE'))
 UNION ALL
SELECT 'view', 'view ' || name, pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
 UNION ALL
SELECT 'default', format('%s.%I', r.name, a.attname), pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attrdef d JOIN relation r ON r.oid = d.adrelid
  JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
 UNION ALL
SELECT 'constraint', format('%I on %s', c.conname, r.name), pg_get_constraintdef(c.oid)
  FROM pg_constraint c JOIN relation r ON r.oid = c.conrelid WHERE c.contype = 'c'
 UNION ALL
SELECT 'trigger', format('%I on %s', t.tgname, r.name), substring(pg_get_triggerdef(t.oid) FROM ' WHEN (.*) EXECUTE ')
  FROM pg_trigger t JOIN relation r ON r.oid = t.tgrelid WHERE NOT t.tgisinternal AND t.tgqual IS NOT NULL
 UNION ALL
SELECT 'function', f.oid::regprocedure::text, pg_get_functiondef(f.oid)
  FROM me, pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND f.prokind IN ('f', 'p')
   AND has_function_privilege(me.oid, f.oid, 'EXECUTE')
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = f.oid AND d.deptype = 'e')
 ORDER BY 1, 2`;
