import type { Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import type { CredentialSource } from './credential-source.ts';
import { HandOver } from './hand-over.ts';
import { loginOf, type Login } from './login.ts';

export { loginOf, type Login } from './login.ts';

/** A pool of PostgreSQL connections whose user and password change under it. Close it before its source. */
export interface RotatingPool extends AsyncDisposable {
  /** One statement, on any connection. */
  query<Row extends QueryResultRow = QueryResultRow>(
    statement: string | QueryConfig,
    values?: unknown[],
  ): Promise<QueryResult<Row>>;
  /** Several statements on one connection, e.g. a transaction; it keeps its login until it is given back. */
  withClient<T>(work: (client: PoolClient) => Promise<T>): Promise<T>;
}

/**
 * Pools of `pg`, one for each login: `open` makes one, e.g. `(login) => new pg.Pool({ host, database, ...login })`. After
 * a swap the next connection comes from a new pool; the old one ends when its last connection is given back.
 */
export function rotatingPool(source: CredentialSource, open: (login: Login) => Pool): RotatingPool {
  const pools = new HandOver<Pool, PoolClient>(source, {
    open: (credential) => {
      const pool = open(loginOf(credential));
      // A session that the server ends while nobody uses it is replaced at the next use; unheard, it would end the process.
      pool.on('error', () => undefined);
      return pool;
    },
    connect: async (pool) => pool.connect(),
    release: (client, failed) => client.release(failed),
    end: async (pool) => pool.end(),
  });
  return {
    query: async <Row extends QueryResultRow>(statement: string | QueryConfig, values?: unknown[]) =>
      pools.with(async (client) => client.query<Row>(statement, values)),
    withClient: async (work) => pools.with(work),
    [Symbol.asyncDispose]: async () => pools[Symbol.asyncDispose](),
  };
}
