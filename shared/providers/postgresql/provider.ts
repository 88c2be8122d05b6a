import { CAPABILITIES } from '../../domain/capabilities.ts';
import { toInstant } from '../../domain/clock.ts';
import type { CredentialHandle } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Deactivation, Usage } from '../../domain/evidence.ts';
import type { CredentialProvider, ProviderContext } from '../provider.ts';
import { activate, assertFree, chooseSlot } from './activate.ts';
import { adopt, identify, release } from './adopt.ts';
import { manualRevocation } from './by-hand.ts';
import { changeSlot, type Changed } from './change.ts';
import { asAdmin, asAgent } from './connection.ts';
import { dependencies } from './dependencies.ts';
import { syncNow } from './grants.ts';
import { lookAtEnded } from './look-at-ended.ts';
import {
  assertMaterialBelongs,
  assertSlot,
  newMaterial,
  parseMaterial,
  serializeMaterial,
  type PostgresMaterial,
} from './material.ts';
import { comparePermissions } from './permissions.ts';
import { preflight } from './preflight.ts';
import { sessionsOf } from './sessions.ts';
import { assertToken, readRoles, type Role } from './slots.ts';
import { parseTarget, readTarget, type PostgresTarget } from './target.ts';

/**
 * PostgreSQL 14 and later, self-run, RDS or Aurora: two users take turns under a role that can't log in and holds
 * every privilege. A user's role stays for good; which use of it (generation) is in it, its comment tells.
 */
export const postgresqlProvider: CredentialProvider<PostgresTarget, PostgresMaterial> = {
  type: 'database',
  provider: 'postgresql',
  overlap: CAPABILITIES['database/postgresql'].overlap,
  revocation: 'api',
  createsAt: 'activate',
  target: parseTarget,
  storedTarget: readTarget,
  identity: ({ host, port, ownerRole }) => `${host.toLowerCase()}:${port}/${ownerRole}`,
  material: parseMaterial,
  serialize: serializeMaterial,
  secretPart: (material) => material.map(({ password }) => password),

  preflight,

  /** Changes nothing upstream, so that a crash right after leaves nothing behind; `activate` has the effect. */
  async issue(target, token, ctx) {
    assertToken(token);
    const id = await asAdmin(target, ctx, async (session) => {
      const roles = await readRoles(session, target);
      const slot = chooseSlot(target, roles, token, ctx.current?.id);
      assertFree(target, roles, slot, ctx.generation, token);
      return slot;
    });
    return { handle: { id, generation: ctx.generation, token }, material: newMaterial(target, id) };
  },

  activate,
  assertBelongs: assertMaterialBelongs,

  async verify(target, material) {
    const { username, password } = material.reveal();
    assertMaterialBelongs(target, { id: username, generation: 0 }, material);
    await asAgent(target, { user: username, password }, async (session) => {
      const [row] = await session.query('SELECT session_user AS name, 1 AS one');
      if (row?.['name'] === username) return;
      throw new RekeyError('ERR_REJECTED', `the login of "${username}" became another role's`, {
        remedy: 'look for a user name map in pg_ident.conf',
      });
    });
  },

  comparePermissions,

  async revoke(target, handle, options, ctx) {
    assertSlot(target, handle);
    // Planned: what was given to this user alone since its last rotation goes to the owner role first. In an
    // emergency nothing comes before the revocation; the next activation moves it.
    if (!options.endSessions) await syncNow(target, ctx);
    const changed = await asAdmin(target, ctx, async (session) =>
      changeSlot(session, target, handle, { to: 'retired', emergency: options.endSessions }),
    );
    return deactivation(handle, changed, options.endSessions, toInstant(ctx.clock()));
  },

  deactivation: lookAtEnded,

  async list(target, ctx) {
    const { slots } = await asAdmin(target, ctx, async (session) => readRoles(session, target));
    return slots.flatMap((slot) => liveHandle(target, slot));
  },

  /**
   * Sessions by user, as pg_stat_activity shows them to everybody, in all databases of the cluster. PostgreSQL keeps
   * no time of the last login: a client that connects, queries and disconnects between two looks is not seen, so
   * `lastSeen: null` means no session now. Behind a pooler (RDS Proxy, PgBouncer) sessions are the pooler's: they
   * outlive the agents' use, or hide which agent it is.
   */
  async usage(target, handle, ctx): Promise<Usage> {
    assertSlot(target, handle);
    const { sessions, clients } = await asAdmin(target, ctx, async (session) =>
      sessionsOf(session, target, handle),
    );
    const observedAt = toInstant(ctx.clock());
    return { lastSeen: sessions > 0 ? observedAt : null, observedAt, lagSeconds: 0, sessions, clients };
  },

  suspension: {
    /** Of something that is gone, or was followed by a later generation: nothing to suspend. */
    async suspend(target, handle, ctx) {
      await move(target, handle, 'suspended', ctx);
    },
    async restore(target, handle, ctx) {
      const { outcome } = await move(target, handle, 'live', ctx);
      if (outcome === 'done') return;
      const revoked = outcome === 'retired';
      throw new RekeyError(
        revoked ? 'ERR_POINT_OF_NO_RETURN' : 'ERR_REJECTED',
        `generation ${handle.generation} of "${handle.id}" can't be restored: ${WORDS[outcome]}`,
        { remedy: 'start a rotation; the next generation takes its place' },
      );
    },
  },

  adoption: {
    identify: async (target, material) => Promise.resolve(identify(target, material)),
    dependencies,
    adopt,
    release,
  },
  manualRevocation,
};

async function move(
  target: PostgresTarget,
  handle: CredentialHandle,
  to: 'suspended' | 'live',
  ctx: ProviderContext,
): Promise<Changed> {
  assertSlot(target, handle);
  return asAdmin(target, ctx, async (session) =>
    changeSlot(session, target, handle, { to, emergency: false }),
  );
}

function liveHandle(target: PostgresTarget, slot: Role | undefined): CredentialHandle[] {
  if (slot?.mark?.credential !== target.ownerRole || !slot.canLogin) return [];
  return [{ id: slot.name, generation: slot.mark.generation, token: slot.mark.token }];
}

const WORDS: Readonly<Record<Changed['outcome'], string>> = {
  done: 'it is revoked',
  absent: 'the role does not exist',
  superseded: 'a later generation is in the role',
  never: 'the role never held it',
  retired: 'it is revoked already',
  unmarked: "the role's comment was overwritten, so which generation it holds can't be told",
  foreign: 'another credential uses the role',
};

function deactivation(
  handle: CredentialHandle,
  changed: Changed,
  endSessions: boolean,
  observedAt: string,
): Deactivation {
  const acted = changed.outcome === 'done' || (changed.outcome === 'unmarked' && endSessions);
  // Where a later generation is in the role this one can't log in: a role has one password.
  const gone = changed.outcome === 'absent' || changed.outcome === 'superseded';
  const confirmed = gone || (acted && !changed.canLogin && changed.sessionsLeft === 0);
  const detail = [
    `${handle.id} generation ${handle.generation}: ${WORDS[changed.outcome]}`,
    ...(acted
      ? [changed.canLogin ? 'the role may still log in' : 'the role may not log in (rolcanlogin is false)']
      : []),
    ...(acted && changed.sessionsLeft > 0 ? [`${changed.sessionsLeft} sessions are open`] : []),
    ...(changed.denied ? [`the administrator may not end sessions: GRANT pg_signal_backend to it`] : []),
  ].join('; ');
  return {
    confirmed,
    method: 'status-read',
    observedAt,
    detail,
    ...(endSessions ? { sessionsEnded: changed.sessionsEnded } : {}),
  };
}
