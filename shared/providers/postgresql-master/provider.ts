import { randomBytes } from 'node:crypto';
import { CAPABILITIES } from '../../domain/capabilities.ts';
import { toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { asAdmin, type Session } from '../postgresql/connection.ts';
import { LoginUnknown, quote } from '../postgresql/failures.ts';
import { assertMaterialBelongs, serializeMaterial, type PostgresMaterial } from '../postgresql/material.ts';
import { postgresqlProvider } from '../postgresql/provider.ts';
import { parseTarget, readTarget, type PostgresTarget } from '../postgresql/target.ts';
import type { CredentialProvider } from '../provider.ts';

/**
 * Rekey's own administrative login at a PostgreSQL, the root of the provider `postgresql`: a pair of users as agents have one, but of
 * administrators. A superuser administers itself; every other needs a second login above both (ADR 035).
 */
export const postgresqlMasterProvider: CredentialProvider<PostgresTarget, PostgresMaterial> = {
  ...postgresqlProvider,
  type: 'database-root',
  provider: 'postgresql-master',
  overlap: CAPABILITIES['database-root/postgresql-master'].overlap,
  target: (input) => ({ ...parseTarget(input), isMaster: true }),
  storedTarget: (input) => ({ ...readTarget(input), isMaster: true }),

  /** Logs in as Rekey's functions do, and makes a role, which is taken back at once. */
  async verify(target, material, ctx) {
    const { username } = material.reveal();
    assertMaterialBelongs(target, { id: username, generation: 0 }, material);
    const own = { ...ctx, admin: async () => Promise.resolve(serializeMaterial(material)) };
    try {
      await asAdmin(target, own, async (session) => administers(session, username), {
        purpose: 'rekey-verify',
      });
    } catch (error) {
      if (!isRekeyError(error, 'ERR_ADMIN_DENIED')) throw error;
      const { message, field = 'secret', remedy = 'see the log of the server' } = error;
      throw new RekeyError('ERR_REJECTED', message, { field, remedy });
    }
  },

  /**
   * The login that ends itself is dead once PostgreSQL knows it no more; its sessions ended in the round trip that did it. Where
   * another hand did, they may go on: the evidence says so.
   */
  async revoke(target, handle, options, ctx) {
    try {
      return await postgresqlProvider.revoke(target, handle, options, ctx);
    } catch (error) {
      if (options.ownLogin !== true || !(error instanceof LoginUnknown)) throw error;
      return {
        confirmed: true,
        method: 'negative-authentication',
        observedAt: toInstant(ctx.clock()),
        detail: `${handle.id} generation ${handle.generation}: PostgreSQL refuses its login; its sessions can't be asked for with it. If another hand changed its password before, nobody has ended its sessions: run the statements of rekey show`,
      };
    }
  },
};

async function administers(session: Session, username: string): Promise<void> {
  const [row] = await session.query(
    'SELECT session_user AS name, rolsuper OR rolcreaterole AS able FROM pg_roles WHERE rolname = current_user',
  );
  if (row?.['name'] !== username) {
    throw new RekeyError('ERR_REJECTED', `the login of "${username}" became another role's`, {
      remedy: 'look for a user name map in pg_ident.conf',
    });
  }
  if (row['able'] !== true) {
    throw new RekeyError('ERR_REJECTED', `"${username}" may not create roles`, {
      field: 'target.users',
      remedy: `ALTER ROLE ${quote(username)} CREATEROLE`,
    });
  }
  const trial = quote(`rekey_trial_${randomBytes(8).toString('hex')}`);
  await session.batch(`BEGIN; CREATE ROLE ${trial} NOLOGIN; ROLLBACK`);
}
