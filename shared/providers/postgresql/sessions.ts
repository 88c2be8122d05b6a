import type { CredentialHandle } from '../../domain/credential.ts';
import type { Client } from '../../domain/evidence.ts';
import type { Row, Session } from './connection.ts';
import type { PostgresTarget } from './target.ts';

/** Different clients that are told of: names are the clients' own, and there may be any number. */
const CLIENTS = 20;
/** Addresses that are told of each. */
const ADDRESSES = 100;

/**
 * How many sessions a user has, and who is logged in as either user of the target; without Rekey's own trial logins.
 * Addresses show only to an administrator with pg_read_all_stats or the users' own privileges.
 */
export async function sessionsOf(
  session: Session,
  { users }: PostgresTarget,
  { id }: CredentialHandle,
): Promise<{ sessions: number; clients: Client[] }> {
  const rows = await session.query<
    Row & { user: string; application: string; addresses: string[] | null; sessions: number }
  >(
    `SELECT usename AS user, coalesce(application_name, '') AS application,
       (array_agg(DISTINCT host(client_addr)) FILTER (WHERE client_addr IS NOT NULL))[1:${ADDRESSES}] AS addresses,
       count(*)::int AS sessions
     FROM pg_stat_activity WHERE usename = ANY ($1) AND pid <> pg_backend_pid() GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2`,
    [[...users]],
  );
  const own = rows.filter(({ user }) => user === id);
  const others = rows.filter(({ application }) => application !== 'rekey-verify');
  return {
    sessions: own.reduce((sum, { sessions }) => sum + sessions, 0),
    clients: others.slice(0, CLIENTS).map(({ user, application, addresses }) => ({
      user,
      ...(application === '' ? {} : { application }),
      ...(addresses === null ? {} : { addresses }),
    })),
  };
}
