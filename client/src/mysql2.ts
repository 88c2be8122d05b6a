import type { FieldPacket, Pool, PoolConnection, QueryResult } from 'mysql2/promise';
import type { CredentialSource } from './credential-source.ts';
import { HandOver } from './hand-over.ts';
import { loginOf, type Login } from './login.ts';

export { loginOf, type Login } from './login.ts';

/** A pool of MySQL or MariaDB connections whose user and password change under it. Close it before its source. */
export interface RotatingPool extends AsyncDisposable {
  /** One statement, on any connection. */
  query<Result extends QueryResult>(statement: string, values?: unknown[]): Promise<[Result, FieldPacket[]]>;
  /** Several statements on one connection, e.g. a transaction; it keeps its login until it is given back. */
  withConnection<T>(work: (connection: PoolConnection) => Promise<T>): Promise<T>;
}

/**
 * Pools of `mysql2/promise`, one for each login: `open` makes one, e.g.
 * `(login) => mysql.createPool({ host, database, ...login })`. After a swap the next connection comes from a new pool;
 * the old one ends when its last connection is given back.
 */
export function rotatingPool(source: CredentialSource, open: (login: Login) => Pool): RotatingPool {
  const pools = new HandOver<Pool, PoolConnection>(source, {
    open: (credential) => open(loginOf(credential)),
    connect: async (pool) => pool.getConnection(),
    release: (connection, failed) => (failed ? connection.destroy() : connection.release()),
    end: async (pool) => pool.end(),
  });
  return {
    query: async <Result extends QueryResult>(statement: string, values?: unknown[]) =>
      pools.with(async (connection) => connection.query<Result>(statement, values)),
    withConnection: async (work) => pools.with(work),
    [Symbol.asyncDispose]: async () => pools[Symbol.asyncDispose](),
  };
}
