import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import type { Deactivation } from '../../domain/evidence.ts';
import type { ProviderContext } from '../provider.ts';
import { asAdmin, type Row } from './connection.ts';
import { assertSlot } from './material.ts';
import { parseMark } from './slots.ts';
import type { PostgresTarget } from './target.ts';

interface SlotRow extends Row {
  readonly comment: string | null;
  readonly can_login: boolean;
  readonly sessions: number;
}

/**
 * Whether a handle that was ended is: nothing is changed, whatever is in its slot now. A role that may not log in is dead
 * whatever it held; one that may is no proof against it, where its password is a later generation's.
 */
export async function lookAtEnded(
  target: PostgresTarget,
  handle: CredentialHandle,
  ctx: ProviderContext,
): Promise<Deactivation> {
  assertSlot(target, handle);
  const [slot] = await asAdmin(target, ctx, async (session) =>
    session.query<SlotRow>(
      `SELECT shobj_description(r.oid, 'pg_authid') AS comment, r.rolcanlogin AS can_login,
              (SELECT count(*)::int FROM pg_stat_activity a
                WHERE a.usesysid = r.oid AND a.pid <> pg_backend_pid()) AS sessions
         FROM pg_roles r WHERE r.rolname = $1`,
      [handle.id],
    ),
  );
  const { confirmed, said } = judge(target, handle, slot);
  return {
    confirmed,
    method: 'status-read',
    observedAt: toInstant(ctx.clock()),
    detail: `${handle.id} generation ${handle.generation}: ${said}`,
  };
}

function judge(
  { ownerRole }: PostgresTarget,
  { generation }: CredentialHandle,
  slot: SlotRow | undefined,
): { confirmed: boolean; said: string } {
  if (slot === undefined) return { confirmed: true, said: 'the role does not exist' };
  const mark = parseMark(slot.comment);
  if (mark?.credential === ownerRole && mark.generation > generation) {
    return { confirmed: true, said: 'a later generation is in the role, and a role has one password' };
  }
  if (slot.can_login) return { confirmed: false, said: 'the role may log in, and nothing says with what' };
  return {
    confirmed: slot.sessions === 0,
    said: `the role may not log in${slot.sessions > 0 ? `; ${slot.sessions} sessions are open` : ''}`,
  };
}
