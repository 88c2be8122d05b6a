import { Socket } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { Client, type ClientConfig } from 'pg';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { ProviderContext } from '../provider.ts';
import { toRekeyError, type Party } from './failures.ts';
import { parseAdmin, type AdminLogin } from './admin.ts';
import type { PostgresTarget } from './target.ts';

const CONNECT_MS = 5_000;
const STATEMENT_MS = 10_000;
/** The client's own bound, for a server that has stopped answering. */
const QUERY_MS = 12_000;
const LOCK_MS = 5_000;
/** A rotator that is killed or frozen between two statements gives its locks back after this. */
const IDLE_IN_TRANSACTION_MS = 15_000;
const CLOSE_MS = 1_000;

export type Row = Readonly<Record<string, unknown>>;

/** One open connection. Every failure leaves it as a RekeyError. */
export interface Session {
  /** The role that is logged in. */
  readonly user: string;
  query<R extends Row = Row>(text: string, values?: readonly unknown[]): Promise<readonly R[]>;
  /** Several statements in one round trip; the rows of the last one. Values must be escaped literals. */
  batch<R extends Row = Row>(text: string): Promise<readonly R[]>;
  /** Commits what `work` does, or nothing of it. */
  transaction<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * What the administrator's session is for; pg_stat_activity shows it, and an emergency ends an activation of the same
 * or an earlier generation by it.
 */
export type Purpose = 'rekey' | 'rekey-verify' | `rekey-activate ${number}`;

interface Login {
  readonly party: Party;
  readonly user: string;
  readonly password: string;
  readonly database: string;
  readonly purpose: Purpose;
}

/** Runs `work` as the administrator, always at the target's own host, whatever host the secret names. */
export async function asAdmin<T>(
  target: PostgresTarget,
  ctx: ProviderContext,
  work: (session: Session) => Promise<T>,
  options: { purpose?: Purpose; database?: string } = {},
): Promise<T> {
  const admin: Redacted<AdminLogin> = parseAdmin(await ctx.admin());
  const login: Login = {
    party: 'admin',
    user: admin.reveal().username,
    password: admin.reveal().password,
    database: options.database ?? target.database,
    purpose: options.purpose ?? 'rekey',
  };
  return connected(target, login, work);
}

/** Runs `work` as an agent would: its login, no settings of ours. */
export async function asAgent<T>(
  target: PostgresTarget,
  login: { user: string; password: string },
  work: (session: Session) => Promise<T>,
): Promise<T> {
  return connected(
    target,
    { ...login, party: 'agent', database: target.database, purpose: 'rekey-verify' },
    work,
  );
}

async function connected<T>(
  target: PostgresTarget,
  login: Login,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const socket = new Socket();
  const client = new Client(settings(target, login, socket));
  // A connection that dies between two queries would otherwise end the process; the next query reports it.
  client.on('error', () => undefined);
  if (login.party === 'admin') refuseWeakLogin(client, target);
  try {
    try {
      await client.connect();
    } catch (error) {
      throw toRekeyError(error, login.party, target);
    }
    return await work(sessionOf(client, login, target));
  } finally {
    await close(client, socket);
  }
}

/**
 * The server chooses how it wants the password. The administrator's leaves only as a SCRAM proof, never in clear or as
 * an MD5 hash; both go through one function of the driver, which is taken away here.
 */
function refuseWeakLogin(client: Client, target: PostgresTarget): void {
  const { connection } = client;
  const password = (): void => {
    connection.emit(
      'error',
      new RekeyError(
        'ERR_ADMIN_DENIED',
        `PostgreSQL at ${target.host}:${target.port} asked for the administrator's password in clear or as MD5; nothing was sent`,
        {
          field: 'admin',
          remedy: 'use scram-sha-256 in pg_hba.conf and password_encryption, then set the password again',
        },
      ),
    );
  };
  // Not in the driver's types.
  Object.assign(connection, { password });
}

/** Every setting is given: the driver would fill what is missing from PG… variables. */
function settings(target: PostgresTarget, login: Login, socket: Socket): ClientConfig {
  return {
    host: target.host,
    port: target.port,
    database: login.database,
    user: login.user,
    password: login.password,
    ssl: tlsOptions(target),
    sslnegotiation: 'postgres',
    application_name: login.purpose,
    client_encoding: 'utf8',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: QUERY_MS,
    stream: () => socket,
    ...(login.party === 'admin'
      ? {
          statement_timeout: STATEMENT_MS,
          lock_timeout: LOCK_MS,
          idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS,
          // Only the system's own functions and operators: agents may create others in "public".
          options: '-c search_path=pg_catalog -c default_transaction_read_only=off -c datestyle=ISO',
        }
      : {}),
  };
}

/** Certificate and host name are always checked; plaintext needs the target's word. There is nothing in between. */
function tlsOptions(target: PostgresTarget): false | ConnectionOptions {
  if (target.tls.mode === 'disable') return false;
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(target.tls.ca === undefined ? {} : { ca: target.tls.ca }),
  };
}

function sessionOf(client: Client, login: Login, target: PostgresTarget): Session {
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw toRekeyError(error, login.party, target);
    }
  };
  const query = async <R extends Row>(text: string, values: readonly unknown[] = []): Promise<readonly R[]> =>
    guarded(async () => (await client.query<R>(text, [...values])).rows);
  const batch = async <R extends Row>(text: string): Promise<readonly R[]> =>
    guarded(async () => {
      // The driver answers several statements with a list, which its types don't say.
      const results = [await client.query<R>(text)].flat();
      return results.at(-1)?.rows ?? [];
    });
  return {
    user: login.user,
    query,
    batch,
    async transaction(work) {
      await batch('BEGIN');
      try {
        const result = await work();
        await batch('COMMIT');
        return result;
      } catch (error) {
        // Where the connection is gone the server has rolled back by itself.
        await batch('ROLLBACK').catch(() => undefined);
        throw error;
      }
    },
  };
}

async function close(client: Client, socket: Socket): Promise<void> {
  const timer = setTimeout(() => socket.destroy(), CLOSE_MS);
  try {
    await client.end();
  } catch {
    // It was never open, or is gone already.
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
