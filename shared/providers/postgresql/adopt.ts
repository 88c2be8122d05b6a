import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { Issued, ProviderContext } from '../provider.ts';
import { assertAdministered, assertAdmin } from './activate.ts';
import { asAdmin, type Session } from './connection.ts';
import { quote } from './failures.ts';
import { assertMaterialBelongs, assertSlot, type PostgresMaterial } from './material.ts';
import {
  assertOwnSlot,
  assertToken,
  literal,
  markText,
  readRoles,
  sharedLockSql,
  slotLockSql,
  type Role,
} from './slots.ts';
import { RDS_PROXY, type PostgresTarget } from './target.ts';

/** The user that a secret's value logs in as. @throws RekeyError where it is none that the target declares */
export function identify(target: PostgresTarget, material: Redacted<PostgresMaterial>): string {
  const { username, host } = material.reveal();
  if (host !== undefined && RDS_PROXY.test(host)) {
    throw new RekeyError('ERR_ADOPTION', 'the secret names an RDS Proxy as its host', {
      field: 'secret',
      remedy:
        'let agents connect to the cluster or instance itself: a proxy knows only the users that it was configured with',
    });
  }
  if (!target.users.includes(username)) {
    throw new RekeyError(
      'ERR_ADOPTION',
      `the secret logs in as "${username}", which target.users does not name`,
      {
        field: 'target.users',
        remedy: `name the login and a second one that does not exist yet, e.g. ["${username}", "${username}_b"]`,
      },
    );
  }
  assertMaterialBelongs(target, { id: username, generation: 0 }, material);
  return username;
}

/**
 * Marks a login that exists as this credential's: its comment, and nothing else. Password, privileges, attributes and
 * sessions stay as they are until the first rotation, which moves what the login has to the owner role.
 */
export async function adopt(
  target: PostgresTarget,
  token: string,
  { handle, material }: Issued<PostgresMaterial>,
  ctx: ProviderContext,
): Promise<CredentialHandle> {
  assertToken(token);
  assertMaterialBelongs(target, handle, material);
  await withSlot(target, handle, ctx, async (session, role) => {
    if (role === undefined) {
      throw new RekeyError('ERR_ADOPTION', `the user "${handle.id}" does not exist`, {
        field: 'target.users',
      });
    }
    const mark = role.mark === undefined ? undefined : assertOwnSlot(target, role);
    if (mark?.token === token && mark.generation === handle.generation && mark.state === 'live') return;
    if (!role.canLogin) {
      throw new RekeyError('ERR_REJECTED', `the user "${handle.id}" may not log in`, {
        remedy: 'find out who took its LOGIN; an emergency may have',
      });
    }
    if (mark !== undefined && mark.generation >= handle.generation) {
      // Of an earlier life of this credential: whoever counts on from a higher number gets it.
      throw new RekeyError(
        'ERR_CONFLICT',
        `the user "${handle.id}" already has generation ${mark.generation} of "${target.ownerRole}"`,
        { remedy: 'adopt it with a higher generation' },
      );
    }
    const note = mark === undefined ? role.comment : mark.note;
    await comment(
      session,
      handle.id,
      markText({
        generation: handle.generation,
        state: 'live',
        token,
        credential: target.ownerRole,
        ...(note === undefined ? {} : { note }),
      }),
    );
  });
  return handle;
}

/** Takes the mark off again, and leaves the comment that was there. Of another use of the user nothing is touched. */
export async function release(
  target: PostgresTarget,
  token: string,
  handle: CredentialHandle,
  ctx: ProviderContext,
): Promise<void> {
  assertSlot(target, handle);
  await withSlot(target, handle, ctx, async (session, role) => {
    const mark = role?.mark;
    if (mark?.credential !== target.ownerRole || mark.token !== token || mark.state !== 'live') return;
    if (mark.generation !== handle.generation) return;
    await comment(session, handle.id, mark.note);
  });
}

async function withSlot(
  target: PostgresTarget,
  handle: CredentialHandle,
  ctx: ProviderContext,
  work: (session: Session, role: Role | undefined) => Promise<void>,
): Promise<void> {
  await asAdmin(target, ctx, async (session) =>
    session.transaction(async () => {
      await session.batch(`${slotLockSql(handle.id)}; ${sharedLockSql(target)}`);
      const roles = await readRoles(session, target);
      assertAdmin(roles);
      const role = roles.slots.find((each) => each?.name === handle.id);
      if (role !== undefined) {
        assertNotPrivileged(target, role, roles.admin);
        assertAdministered(roles, role, 'target.users');
      }
      await work(session, role);
    }),
  );
}

/** A superuser's login, or the administrator's own, can't be one of a pair that the administrator manages: but for masters. */
export function assertNotPrivileged(target: PostgresTarget, role: Role, admin: Role): void {
  const isMaster = target.isMaster === true;
  if (isMaster && admin.superuser) return;
  if (!role.superuser && role.name !== admin.name) return;
  throw new RekeyError(
    'ERR_ADOPTION',
    role.superuser ? `"${role.name}" is a superuser` : `"${role.name}" is the administrator itself`,
    {
      field: 'target.users',
      remedy: isMaster
        ? 'name a superuser as its admin; or write provider: by-hand with target.upstream: postgresql'
        : 'give agents a login of their own with the privileges that they need',
    },
  );
}

async function comment(session: Session, role: string, text: string | undefined): Promise<void> {
  await session.batch(`COMMENT ON ROLE ${quote(role)} IS ${text === undefined ? 'NULL' : literal(text)}`);
}
