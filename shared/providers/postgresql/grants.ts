import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { ProviderContext } from '../provider.ts';
import { asAdmin, type Row, type Session } from './connection.ts';
import { quote } from './failures.ts';
import { futureObjects, membershipsToMove, ownershipToMove, policiesToMove } from './ownership.ts';
import { asRole, grantSql, readGrants, revokeSql, type Grant } from './privileges.ts';
import { readRoles, sharedLockSql, type Role } from './slots.ts';
import { denied, patiently, runAll, type Statement } from './statements.ts';
import type { PostgresTarget } from './target.ts';

/**
 * Longest wait for a table that an agent holds: whoever comes after us in the queue waits as long. Well under PostgreSQL's
 * deadlock_timeout of a second, so that an agent which waits for us in turn is let go before it is taken for the one
 * to end.
 */
const LOCK_WAIT = '200ms';

/** The two users and their owner role, where they are this credential's. */
interface Team {
  readonly version: number;
  readonly slots: readonly Role[];
  readonly owner: Role;
}

/**
 * Moves to the owner role whatever was given to one of its users alone, or is owned by one: both users then have it,
 * and it outlives either. Each privilege is granted to the owner role and taken from the user in one transaction, so
 * nobody is ever without it. Other databases of the cluster come first, each in a transaction of its own.
 *
 * Call it inside a transaction. @throws RekeyError ERR_ADMIN_DENIED naming what the administrator may not move
 */
export async function syncGrants(
  session: Session,
  target: PostgresTarget,
  ctx: ProviderContext,
): Promise<void> {
  const team = await readTeam(session, target);
  if (team === undefined) return;
  for (const database of await otherDatabases(session, team.slots)) {
    await asAdmin(
      target,
      ctx,
      async (other) =>
        patiently(async () =>
          other.transaction(async () => {
            await other.batch(sharedLockSql(target));
            await syncDatabase(other, team);
          }),
        ),
      { database },
    ).catch((error: unknown) => {
      throw inDatabase(database, error, session.user);
    });
  }
  await runAll(session, await membershipsToMove(session, team.version, team.slots, team.owner));
  await syncDatabase(session, team);
  await runAll(session, await futureObjects(session, team.slots, team.owner));
}

/** `syncGrants` by itself: between two rotations, or before a user is retired. */
export async function syncNow(target: PostgresTarget, ctx: ProviderContext): Promise<void> {
  await asAdmin(target, ctx, async (session) =>
    patiently(async () =>
      session.transaction(async () => {
        await session.batch(sharedLockSql(target));
        await syncGrants(session, target, ctx);
      }),
    ),
  );
}

async function readTeam(session: Session, target: PostgresTarget): Promise<Team | undefined> {
  const roles = await readRoles(session, target);
  const slots = roles.slots
    .filter((slot) => slot !== undefined)
    .filter((slot) => slot.mark?.credential === target.ownerRole);
  if (roles.owner === undefined || slots.length === 0) return undefined;
  // Of masters: nothing is refused to a superuser, and some of what one owns nobody else may own.
  if (slots.some(({ superuser }) => superuser)) return undefined;
  return { version: roles.version, slots, owner: roles.owner };
}

/** Databases of the cluster, but for the one connected to, in which `slots` own something or have rights. */
export async function otherDatabases(session: Session, slots: readonly Role[]): Promise<string[]> {
  const rows = await session.query<Row & { name: string }>(
    `SELECT DISTINCT d.datname AS name FROM pg_shdepend s JOIN pg_database d ON d.oid = s.dbid
      WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = ANY($1::oid[]) AND d.datname <> current_database()
        AND s.deptype IN ('a', 'o', 'r') AND NOT (s.deptype = 'o' AND s.classid = 'pg_default_acl'::regclass)
      ORDER BY 1`,
    [slots.map((slot) => slot.oid)],
  );
  return rows.map((row) => row.name);
}

async function syncDatabase(session: Session, team: Team): Promise<void> {
  await session.batch(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
  // CREATE on a schema first: the owner role needs it to become the owner of what is in there.
  await moveGrants(
    session,
    team,
    (grant) => /^(SCHEMA|DATABASE) /.test(grant.object) && grant.kind === 'direct',
  );
  await runAll(session, await ownershipToMove(session, team.slots, team.owner));
  await runAll(session, await policiesToMove(session, team.slots, team.owner));
  await moveGrants(session, team, () => true);
  // GRANT by a role without the right to it is only a warning: look again.
  const left = (await grantsOf(session, team)).filter((grant) => grant.kind === 'direct' && !grant.held);
  if (left.length > 0) throw denied(left.map((grant) => unreachable(grant, team.owner, session.user)));
}

const grantsOf = async (session: Session, { version, slots, owner }: Team): Promise<readonly Grant[]> =>
  readGrants(
    session,
    version,
    slots.map((slot) => slot.oid),
    owner.oid,
  );

async function moveGrants(session: Session, team: Team, concerns: (grant: Grant) => boolean): Promise<void> {
  const grants = (await grantsOf(session, team)).filter(concerns);
  const direct = grants.filter((grant) => grant.kind === 'direct');
  const owner = quote(team.owner.name);
  const missing = direct.filter((grant) => !grant.held);
  const blocked = missing.filter((grant) => grant.reach === 'none');
  if (blocked.length > 0) throw denied(blocked.map((grant) => unreachable(grant, team.owner, session.user)));
  const statement = (grant: Grant, sql: string, role: string | undefined): Statement => ({
    ...unreachable(grant, team.owner, session.user),
    sql: role === undefined ? sql : asRole(role, sql),
  });
  const actor = (grant: Grant): string | undefined => (grant.reach === 'set' ? grant.grantor : undefined);
  await runAll(session, [
    ...missing.map((grant) => statement(grant, grantSql(grant, owner), actor(grant))),
    // What a user gave to others stands on its grant option, so the owner role gives it as well.
    ...grants
      .filter((grant) => grant.kind === 'passed-on')
      .map((grant) => statement(grant, grantSql(grant, grantee(grant)), team.owner.name)),
    ...direct
      .filter((grant) => grant.reach !== 'none')
      .map((grant) => statement(grant, revokeSql(grant, grantee(grant)), actor(grant))),
  ]);
}

const grantee = (grant: Grant): string => (grant.grantee === null ? 'PUBLIC' : quote(grant.grantee));

function unreachable(grant: Grant, owner: Role, admin: string): Statement {
  return {
    sql: '',
    what: `${grant.privileges} on ${grant.prefix}${grant.object}`,
    remedy: `run as "${grant.grantor}": ${grantSql(grant, quote(owner.name))}; or GRANT ${quote(grant.grantor)} TO ${quote(admin)}`,
  };
}

/** `error`, met in another database than the target's. */
export function inDatabase(database: string, error: unknown, admin: string): unknown {
  if (!isRekeyError(error)) return error;
  return new RekeyError(
    error.code,
    `in the database "${database}", which the users also have rights in: ${error.message}`,
    {
      field: error.field ?? 'target.database',
      remedy:
        error.field === 'target.database'
          ? `GRANT CONNECT ON DATABASE ${quote(database)} TO ${quote(admin)}`
          : (error.remedy ?? ''),
    },
  );
}
