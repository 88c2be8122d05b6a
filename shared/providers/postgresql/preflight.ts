import { RekeyError } from '../../domain/errors.ts';
import type { Notice, ProviderContext } from '../provider.ts';
import { assertAdmin, assertAdministered, assertOwner } from './activate.ts';
import { assertPlace } from './admin.ts';
import { asAdmin, type Session } from './connection.ts';
import { assertOwnSlot, readRoles, type Roles } from './slots.ts';
import type { PostgresTarget } from './target.ts';

/** Proves that the target can be administered, and that its roles are free or this credential's. */
export async function preflight(target: PostgresTarget, ctx: ProviderContext): Promise<readonly Notice[]> {
  assertPlace(await ctx.admin(), target);
  return asAdmin(target, ctx, async (session) => {
    const roles = await readRoles(session, target);
    await assertReady(session, target, roles);
    assertOwner(roles);
    for (const slot of roles.slots.filter((role) => role !== undefined)) {
      assertOwnSlot(target, slot);
      assertAdministered(roles, slot, 'target.users');
    }
    // Of an adopted login it is made by the first rotation, which also fills it.
    const filled = roles.owner !== undefined || roles.slots.some((slot) => slot?.mark?.state === 'live');
    return filled ? [] : [newOwner(target)];
  });
}

/** A misspelt owner role would be an empty one: agents could log in and do nothing. */
function newOwner({ ownerRole }: PostgresTarget): Notice {
  return {
    field: 'target.ownerRole',
    message: `the owner role "${ownerRole}" does not exist; it is created without any privilege`,
    remedy: 'check its spelling; where it is meant to be new, grant to it what agents need',
  };
}

/**
 * Whoever makes a role is above it from then on, and nobody is above the other as well: of two logins that take turns only
 * superusers can end each other.
 */
function assertKeepsItself({ admin: { name, superuser } }: Roles): void {
  if (superuser) return;
  throw new RekeyError('ERR_DECLARATION', `"${name}" is no superuser, so its successor could never end it`, {
    field: 'admin',
    remedy: `name another login as admin, one that has "${name}" WITH ADMIN OPTION (docs/providers/postgresql-master.md); or write provider: by-hand with target.upstream: postgresql`,
  });
}

/** Version, administrator and server, whatever the users are. */
export async function assertReady(session: Session, target: PostgresTarget, roles: Roles): Promise<void> {
  assertAdmin(roles);
  const { admin } = roles;
  if (target.isMaster === true && target.users.includes(admin.name)) assertKeepsItself(roles);
  else if ([target.ownerRole, ...target.users].includes(admin.name)) {
    throw new RekeyError(
      'ERR_DECLARATION',
      'the administrator is one of the roles that it is to administer',
      {
        field: 'admin',
        remedy: 'use a login of its own with CREATEROLE',
      },
    );
  }
  const [server] = await session.query('SELECT pg_is_in_recovery() AS standby');
  if (server?.['standby'] === true) {
    throw new RekeyError('ERR_DECLARATION', `${target.host} is a standby, on which no role can be changed`, {
      field: 'target.host',
      remedy: 'name the primary, or the endpoint for writing',
    });
  }
}
