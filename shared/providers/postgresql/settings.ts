import type { Session } from './connection.ts';
import { quote } from './failures.ts';
import { literal } from './slots.ts';
import type { Statement } from './statements.ts';
import type { PostgresTarget } from './target.ts';

/** Attributes that membership doesn't pass on, and how ALTER ROLE spells them. */
export const ATTRIBUTES = [
  ['rolcreatedb', 'CREATEDB'],
  ['rolcreaterole', 'CREATEROLE'],
  ['rolbypassrls', 'BYPASSRLS'],
  ['rolreplication', 'REPLICATION'],
] as const;

/** Settings whose stored value is a list of quoted names, which must be set as a list again. */
const QUOTED_LISTS = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** What only a superuser passes on, and only to another master. */
const SUPERUSER = ['rolsuper', 'SUPERUSER'] as const;

interface RoleRow {
  readonly [column: string]: unknown;
  readonly name: string;
  readonly conn_limit: number;
  readonly default_limit: number;
  readonly valid_until: string;
}

interface SettingRow {
  readonly [column: string]: unknown;
  readonly role: string;
  readonly database: string | null;
  readonly name: string;
  readonly value: string;
}

/** Where the settings of a slot come from: users may set their own, so those of a revoked one are the thief's word. */
export type SettingsFrom = 'other-user' | 'owner-role' | 'unchanged';

/** What leaves some connections to the administrator, who need not be a superuser. */
export const DEFAULT_LIMIT = `greatest(1, current_setting('max_connections')::int
  - current_setting('superuser_reserved_connections')::int
  - coalesce(current_setting('reserved_connections', true)::int, 0) - 5)`;

/**
 * Statements that give `slot` what is attached to the other user itself and isn't inherited: attributes, CONNECTION
 * LIMIT, VALID UNTIL and settings (ALTER ROLE … SET). Only differences, since some need more privileges than others.
 */
export async function settingsToCarry(
  session: Session,
  target: PostgresTarget,
  slot: string,
  settingsFrom: SettingsFrom,
): Promise<Statement[]> {
  const source = target.users[0] === slot ? target.users[1] : target.users[0];
  const attributes = target.isMaster === true ? [SUPERUSER, ...ATTRIBUTES] : ATTRIBUTES;
  const roles = await session.query<RoleRow>(
    `SELECT rolname AS name, ${attributes.map(([column]) => column).join(', ')}, rolconnlimit AS conn_limit,
            ${DEFAULT_LIMIT} AS default_limit,
            CASE WHEN isfinite(rolvaliduntil)
              THEN to_char(rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'
              ELSE coalesce(rolvaliduntil::text, 'infinity') END AS valid_until
       FROM pg_roles WHERE rolname = ANY($1)`,
    [[source, slot]],
  );
  const to = roles.find((role) => role.name === slot);
  if (to === undefined) return [];
  const other = roles.find((role) => role.name === source);
  const from = target.isMaster === true ? ableToAdminister(other ?? to) : other;
  const present = from?.conn_limit ?? to.conn_limit;
  const limit = target.connectionLimit ?? (present === -1 ? to.default_limit : present);
  const limitChanges = limit === to.conn_limit ? [] : [`CONNECTION LIMIT ${limit}`];
  const changes =
    from === undefined
      ? limitChanges
      : [
          ...attributes
            .filter(([column]) => from[column] !== to[column])
            .map(([column, word]) => `${from[column] === true ? '' : 'NO'}${word}`),
          ...limitChanges,
          ...(from.valid_until === to.valid_until ? [] : [`VALID UNTIL ${literal(from.valid_until)}`]),
        ];
  return [
    ...changes.map((change) => ({
      sql: `ALTER ROLE ${quote(slot)} ${change}`,
      what: `${change} of the user "${source}"`,
      remedy: `ALTER ROLE ${quote(slot)} ${change}, run by a superuser`,
    })),
    ...(settingsFrom === 'unchanged'
      ? []
      : await settingChanges(session, settingsFrom === 'other-user' ? source : target.ownerRole, slot)),
  ];
}

/** Of a master whatever Rekey needs, also where nothing is left that tells what the other may do. */
function ableToAdminister(from: RoleRow): RoleRow {
  return from['rolsuper'] === true ? from : { ...from, rolcreaterole: true };
}

async function settingChanges(session: Session, source: string, slot: string): Promise<Statement[]> {
  const rows = await session.query<SettingRow>(
    `SELECT r.rolname AS role, d.datname AS database, split_part(c, '=', 1) AS name,
            substr(c, strpos(c, '=') + 1) AS value
       FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
       LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c
      WHERE r.rolname = ANY($1)`,
    [[source, slot]],
  );
  const place = (row: SettingRow): string => JSON.stringify([row.database, row.name]);
  const of = (role: string): Map<string, SettingRow> =>
    new Map(rows.filter((row) => row.role === role).map((row) => [place(row), row]));
  const [wanted, present] = [of(source), of(slot)];
  const change = (row: SettingRow, action: string): Statement => ({
    sql: `ALTER ROLE ${quote(slot)}${row.database === null ? '' : ` IN DATABASE ${quote(row.database)}`} ${action}`,
    what: `the setting "${row.name}" of the user "${source}"`,
    remedy: `GRANT SET ON PARAMETER ${settingName(row.name)} TO ${quote(session.user)} (from version 15 on)`,
  });
  return [
    ...[...present]
      .filter(([key]) => !wanted.has(key))
      .map(([, row]) => change(row, `RESET ${settingName(row.name)}`)),
    ...[...wanted]
      .filter(([key, row]) => present.get(key)?.value !== row.value)
      .map(([, row]) => change(row, `SET ${settingName(row.name)} TO ${settingValue(row.name, row.value)}`)),
  ];
}

/** "app.user" is two identifiers. */
function settingName(name: string): string {
  return name.split('.').map(quote).join('.');
}

function settingValue(name: string, value: string): string {
  if (!QUOTED_LISTS.has(name)) return literal(value);
  const names = [...value.matchAll(/"((?:[^"]|"")*)"|([^\s,"]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  );
  return names.length === 0 ? "''" : names.map(literal).join(', ');
}
