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

/** Version, administrator and server, whatever the users are. */
export async function assertReady(session: Session, target: PostgresTarget, roles: Roles): Promise<void> {
  assertAdmin(roles);
  if ([target.ownerRole, ...target.users].includes(roles.admin.name)) {
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
