import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { Issued, ProviderContext } from '../provider.ts';
import { asAdmin, type Row, type Session } from './connection.ts';
import { quote } from './failures.ts';
import { syncGrants } from './grants.ts';
import { assertMaterialBelongs, type PostgresMaterial } from './material.ts';
import { scramVerifier } from './scram.ts';
import { settingsToCarry, type SettingsFrom } from './settings.ts';
import {
  assertOwnSlot,
  assertToken,
  literal,
  markText,
  readRoles,
  sharedLockSql,
  slotLockSql,
  type Role,
  type Roles,
} from './slots.ts';
import { patiently, runAll } from './statements.ts';
import type { PostgresTarget } from './target.ts';

/**
 * Lets the issued user log in: roles, password, mark, membership, and everything that the other user may do, all in
 * one transaction. What can't be carried over fails the whole, before anything is cut over.
 */
export async function activate(
  target: PostgresTarget,
  token: string,
  issued: Issued<PostgresMaterial>,
  ctx: ProviderContext,
): Promise<void> {
  assertToken(token);
  assertMaterialBelongs(target, issued.handle, issued.material);
  const verifier = await scramVerifier(password(issued.material));
  const { id, generation } = issued.handle;
  await asAdmin(
    target,
    ctx,
    async (session) => {
      await gatherAdopted(session, target);
      await patiently(async () =>
        session.transaction(async () => {
          await session.batch(`${slotLockSql(id)}; ${sharedLockSql(target)}`);
          const before = await readRoles(session, target);
          assertAdmin(before);
          assertOwner(before);
          assertFree(target, before, id, generation, token);
          await ensureRoles(session, target, before, id);
          const note = before.slots.find((role) => role?.name === id)?.mark?.note;
          const mark = markText({
            generation,
            state: 'live',
            token,
            credential: target.ownerRole,
            ...(note === undefined ? {} : { note }),
          });
          await session.batch(
            `ALTER ROLE ${quote(id)} LOGIN INHERIT PASSWORD ${literal(verifier)};
           COMMENT ON ROLE ${quote(id)} IS ${literal(mark)}`,
          );
          await syncGrants(session, target, ctx);
          await runAll(session, await settingsToCarry(session, target, id, settingsFrom(before, id, token)));
        }),
      );
    },
    { purpose: `rekey-activate ${generation}` },
  );
}

/** From the other user only while it is trusted, hence live: after an emergency there is none. */
function settingsFrom(before: Roles, slot: string, token: string): SettingsFrom {
  const live = before.slots.filter((role) => role?.canLogin === true && role.mark?.state === 'live');
  if (live.some((role) => role?.name !== slot)) return 'other-user';
  return live.some((role) => role?.mark?.token === token) ? 'unchanged' : 'owner-role';
}

const password = (material: Redacted<PostgresMaterial>): string => material.reveal().password;

/** The slot that the next credential gets: not the current one's; without one, the slot that was idle for longest. */
export function chooseSlot(target: PostgresTarget, roles: Roles, token: string, current?: string): string {
  const [a, b] = target.users;
  // The token is there already: the answer to an earlier call was lost after the activation.
  const known = roles.slots.find(
    (slot) => slot?.mark?.token === token && slot.mark.credential === target.ownerRole,
  );
  if (known !== undefined && known.name !== current) return known.name;
  if (current === a) return b;
  if (current === b) return a;
  if (current !== undefined) {
    throw new RekeyError('ERR_MATERIAL_MISMATCH', `"${current}" is none of the target's users`, {
      field: 'target.users',
      remedy: 'register the credential again where its users were renamed',
    });
  }
  const age = (slot: Role | undefined): number =>
    slot === undefined ? -1 : slot.canLogin ? Infinity : (slot.mark?.generation ?? Infinity);
  return age(roles.slots[1]) < age(roles.slots[0]) && roles.slots[0] !== undefined ? b : a;
}

/** Refuses a slot whose previous generation isn't retired, and generations that are over (hard decision 2). */
export function assertFree(
  target: PostgresTarget,
  roles: Roles,
  slot: string,
  generation: number,
  token: string,
): void {
  const existing = roles.slots.filter((each) => each !== undefined);
  // Both: grants given to a user that isn't recognised would not be carried over.
  for (const each of existing) assertOwnSlot(target, each);
  const role = existing.find((each) => each.name === slot);
  if (role?.mark === undefined) return;
  const { mark } = role;
  assertAdministered(roles, role, 'target.users');
  if (mark.generation > generation) {
    throw new RekeyError(
      'ERR_CONFLICT',
      `the user "${slot}" already has generation ${mark.generation}; generation ${generation} comes too late`,
      { remedy: 'start another rotation' },
    );
  }
  if (mark.generation === generation && (mark.state === 'retired' || mark.token !== token)) {
    throw new RekeyError(
      mark.state === 'retired' ? 'ERR_TOMBSTONED' : 'ERR_CONFLICT',
      `generation ${generation} of the user "${slot}" is ${mark.state === 'retired' ? 'retired' : 'of another rotation'}`,
      { remedy: 'start another rotation' },
    );
  }
  const idle = mark.state === 'retired' && !role.canLogin;
  if (mark.token === token || idle) return;
  throw new RekeyError(
    'ERR_CAPACITY',
    `the user "${slot}" still holds generation ${mark.generation}, which is not retired (${mark.state})`,
    {
      field: slot,
      remedy: `retire or revoke generation ${mark.generation} first; both users are taken until then`,
    },
  );
}

/** The administrator needs CREATEROLE, and nothing that only a superuser has. */
export function assertAdmin({ admin, version }: Roles): void {
  if (version < 140000) {
    throw new RekeyError('ERR_DECLARATION', 'PostgreSQL is older than version 14', {
      field: 'target.host',
      remedy: 'upgrade the server; 14 to 18 are supported',
    });
  }
  if (admin.superuser || admin.createRole) return;
  throw new RekeyError('ERR_ADMIN_DENIED', `the administrator "${admin.name}" may not create roles`, {
    field: 'admin',
    remedy: `ALTER ROLE ${quote(admin.name)} CREATEROLE`,
  });
}

/** Refuses an owner role that could log in by itself, and one that the administrator may not pass on. */
export function assertOwner(roles: Roles): void {
  const { owner } = roles;
  if (owner === undefined) return;
  if (owner.canLogin || owner.superuser) {
    const what = owner.superuser ? 'is a superuser' : 'may log in, which would be a third credential';
    throw new RekeyError('ERR_DECLARATION', `the owner role "${owner.name}" ${what}`, {
      field: 'target.ownerRole',
      remedy: 'name a role without LOGIN; Rekey creates it where there is none',
    });
  }
  assertAdministered(roles, owner, 'target.ownerRole');
}

/** From version 16 on CREATEROLE reaches only the roles that one was given, or made oneself. */
export function assertAdministered({ admin, version }: Roles, role: Role, field: string): void {
  if (admin.superuser || role.administered || version < 160000) return;
  throw new RekeyError(
    'ERR_ADMIN_DENIED',
    `the administrator may not alter or grant the role "${role.name}"`,
    {
      field,
      remedy: `GRANT ${quote(role.name)} TO ${quote(admin.name)} WITH ADMIN OPTION`,
    },
  );
}

/**
 * Makes an adopted login a member of the owner role before anything of it is moved there. In a transaction of its own:
 * what is moved in other databases of the cluster is committed before the activation is.
 */
async function gatherAdopted(session: Session, target: PostgresTarget): Promise<void> {
  const outside = ({ slots }: Roles): Role[] =>
    slots
      .filter((role) => role !== undefined)
      .filter((role) => role.mark !== undefined && !role.inheritsOwner);
  if (outside(await readRoles(session, target)).length === 0) return;
  await session.transaction(async () => {
    await session.batch(sharedLockSql(target));
    const before = await readRoles(session, target);
    assertAdmin(before);
    assertOwner(before);
    for (const role of outside(before)) {
      assertOwnSlot(target, role);
      assertAdministered(before, role, 'target.users');
      await ensureRoles(session, target, await readRoles(session, target), role.name);
    }
  });
}

async function ensureRoles(
  session: Session,
  target: PostgresTarget,
  before: Roles,
  slot: string,
): Promise<void> {
  const modern = before.version >= 160000;
  const owner = quote(target.ownerRole);
  const existing = before.slots.find((role) => role?.name === slot);
  const pair = await pairOf(session, before);
  // From 16 on the creator of a role may grant it, but neither acts as it nor inherits from it, unless it says so.
  const assume = (role: string): string =>
    pair === undefined
      ? `GRANT ${role} TO CURRENT_USER${modern ? ' WITH INHERIT TRUE, SET TRUE' : ''}`
      : `GRANT ${role} TO ${quote(pair)} WITH ${modern ? 'ADMIN TRUE, INHERIT TRUE, SET TRUE' : 'ADMIN OPTION'}`;
  const needsAssuming = (role: Role | undefined): boolean =>
    !before.admin.superuser && role?.assumed !== true;
  await session.batch(
    [
      ...(before.owner === undefined ? [`CREATE ROLE ${owner} NOLOGIN`] : []),
      ...(needsAssuming(before.owner) ? [assume(owner)] : []),
      ...(existing === undefined ? [`CREATE ROLE ${quote(slot)} NOLOGIN INHERIT`] : []),
      ...(needsAssuming(existing) ? [assume(quote(slot))] : []),
      `GRANT ${owner} TO ${quote(slot)}${modern ? ' WITH INHERIT TRUE, SET TRUE' : ''}`,
    ].join(';\n'),
  );
}

/**
 * Where the administrator takes turns with another (`postgresql-master`), the role that both inherit from: what either makes is
 * both's at once, whichever of them comes next.
 */
async function pairOf(session: Session, { admin }: Roles): Promise<string | undefined> {
  if (admin.mark === undefined) return undefined;
  const [pair] = await session.query<Row & { name: string }>(
    `SELECT rolname AS name FROM pg_roles WHERE rolname = $1 AND NOT rolcanlogin AND pg_has_role(oid, 'USAGE')`,
    [admin.mark.credential],
  );
  return pair?.name;
}
