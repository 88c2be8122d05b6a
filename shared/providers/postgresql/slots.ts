import { createHash } from 'node:crypto';
import { escapeLiteral } from 'pg';
import { RekeyError } from '../../domain/errors.ts';
import type { Session } from './connection.ts';
import type { PostgresTarget } from './target.ts';

/**
 * What Rekey writes into `COMMENT ON ROLE` of a slot, in the transaction of the change that it tells of: the upstream
 * itself then knows which use of the slot is in it (hard decision 2), and under which token it was issued.
 */
export interface Mark {
  readonly generation: number;
  readonly state: 'live' | 'suspended' | 'retired';
  readonly token: string;
  /** Owner role of the credential that uses the slot. */
  readonly credential: string;
  /** What a person had written as the comment of the role before it was adopted; it stands below the mark. */
  readonly note?: string;
}

/** The same for JavaScript and for PostgreSQL, which also reads the mark (change.ts). */
export const MARK_PATTERN =
  '^rekey:1 gen=([0-9]{1,15}) state=(live|suspended|retired) token=([^ ]+) credential=([^\\n]+)(?:\\n(.*))?$';
const MARK = new RegExp(MARK_PATTERN, 's');

export function markText(mark: Mark): string {
  const note = mark.note === undefined ? '' : `\n${mark.note}`;
  return `rekey:1 gen=${mark.generation} state=${mark.state} token=${mark.token} credential=${mark.credential}${note}`;
}

/** The mark in a role's comment; undefined where there is none, hence the role isn't Rekey's. */
export function parseMark(comment: string | null | undefined): Mark | undefined {
  const [, generation, state, token, credential, note] = MARK.exec(comment ?? '') ?? [];
  if (generation === undefined || token === undefined || credential === undefined) return undefined;
  return {
    generation: Number(generation),
    state: state === 'live' || state === 'suspended' ? state : 'retired',
    token,
    credential,
    ...(note === undefined ? {} : { note }),
  };
}

/** @throws RekeyError ERR_REQUEST where the token can't be part of a mark */
export function assertToken(token: string): void {
  if (/^[A-Za-z0-9_.:-]{1,128}$/.test(token)) return;
  throw new RekeyError('ERR_REQUEST', 'the token of a rotation may hold letters, digits and _ . : - only', {
    field: 'token',
    remedy: 'use the ClientRequestToken of the rotation',
  });
}

/** A role as the catalog shows it to everybody. */
export interface Role {
  readonly oid: number;
  readonly name: string;
  readonly canLogin: boolean;
  readonly superuser: boolean;
  readonly createRole: boolean;
  readonly mark?: Mark;
  /** The role's comment as it stands, mark or not. */
  readonly comment?: string;
  /** Whether the administrator may grant this role to others (from version 16 on: ADMIN OPTION). */
  readonly administered: boolean;
  /** Whether the administrator may act as this role. */
  readonly assumed: boolean;
  /** Whether it has, without more ado, what the owner role has. */
  readonly inheritsOwner: boolean;
}

/** Everything about roles that a step decides on, read at one instant. */
export interface Roles {
  /** `server_version_num`, e.g. 160004. */
  readonly version: number;
  readonly admin: Role;
  readonly owner?: Role;
  /** In the order of `target.users`. */
  readonly slots: readonly [Role | undefined, Role | undefined];
}

interface RoleRow {
  readonly [column: string]: unknown;
  readonly version: number;
  readonly oid: string;
  readonly name: string;
  readonly is_admin: boolean;
  readonly can_login: boolean;
  readonly superuser: boolean;
  readonly create_role: boolean;
  readonly comment: string | null;
  readonly administered: boolean;
  readonly assumed: boolean;
  readonly inherits_owner: boolean;
}

export async function readRoles(session: Session, target: PostgresTarget): Promise<Roles> {
  const rows = await session.query<RoleRow>(
    `SELECT current_setting('server_version_num')::int AS version, r.oid::text AS oid, r.rolname AS name,
            r.rolname = current_user AS is_admin, r.rolcanlogin AS can_login, r.rolsuper AS superuser,
            r.rolcreaterole AS create_role, shobj_description(r.oid, 'pg_authid') AS comment,
            pg_has_role(r.oid, 'MEMBER WITH ADMIN OPTION') AS administered,
            pg_has_role(r.oid, 'USAGE') AND pg_has_role(r.oid, CASE
              WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AS assumed,
            coalesce((SELECT pg_has_role(r.oid, o.oid, 'USAGE') FROM pg_roles o WHERE o.rolname = $2), false) AS inherits_owner
       FROM pg_roles r WHERE r.rolname = ANY($1) OR r.rolname = current_user`,
    [[target.ownerRole, ...target.users], target.ownerRole],
  );
  const roles = rows.map(toRole);
  const named = (name: string): Role | undefined => roles.find((role) => role.name === name);
  const adminAt = rows.findIndex((row) => row.is_admin);
  const admin = roles[adminAt];
  if (admin === undefined) throw new RekeyError('ERR_ADMIN_DENIED', 'the administrator is not in pg_roles');
  const owner = named(target.ownerRole);
  return {
    version: rows[adminAt]?.version ?? 0,
    admin,
    ...(owner === undefined ? {} : { owner }),
    slots: [named(target.users[0]), named(target.users[1])],
  };
}

function toRole(row: RoleRow): Role {
  const mark = parseMark(row.comment);
  return {
    oid: Number(row.oid),
    name: row.name,
    canLogin: row.can_login,
    superuser: row.superuser,
    createRole: row.create_role,
    administered: row.administered,
    assumed: row.assumed,
    inheritsOwner: row.inherits_owner,
    ...(row.comment === null ? {} : { comment: row.comment }),
    ...(mark === undefined ? {} : { mark }),
  };
}

/** Refuses a role that carries a slot's name without being this credential's. */
export function assertOwnSlot(target: PostgresTarget, role: Role): Mark {
  if (role.mark?.credential === target.ownerRole) return role.mark;
  const whose = role.mark === undefined ? 'was not made by Rekey' : `belongs to "${role.mark.credential}"`;
  throw new RekeyError('ERR_DECLARATION', `the role "${role.name}" exists and ${whose}`, {
    field: 'target.users',
    remedy: `name two users that do not exist yet; or, where the comment of a user of Rekey's was overwritten, restore it (COMMENT ON ROLE ${role.name} IS 'rekey:1 …')`,
  });
}

/** SQL that takes the lock under which everything about one slot happens. Ends with the transaction. */
export function slotLockSql(slot: string): string {
  const [space, key] = lockKeys(`slot ${slot}`);
  return `SELECT pg_advisory_xact_lock(${space}, ${key})`;
}

/** The same for everything that the two slots share; always taken after a slot's. */
export function sharedLockSql(target: PostgresTarget): string {
  const [space, key] = lockKeys(`owner ${target.ownerRole}`);
  return `SELECT pg_advisory_xact_lock(${space}, ${key})`;
}

/** "RKEY" as a number, and 32 bits of what is locked: a collision only makes two wait for each other. */
export function lockKeys(what: string): [number, number] {
  return [0x524b_4559, createHash('sha256').update(what).digest().readInt32BE(0)];
}

/** `text` as a literal, for statements that take no parameters. */
export const literal = (text: string): string => escapeLiteral(text);
