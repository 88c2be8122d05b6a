import { setTimeout as sleep } from 'node:timers/promises';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import pg from 'pg';
import type { Postgres } from '../postgres/start.ts';
import type { LocalStack } from '../stack.ts';
import { connection, isRefusal } from './database.ts';

/** What a fleet has gone through. */
export interface FleetCounts {
  /** Queries that were answered, each on a login of its own. */
  queries: number;
  /** Logins that the database refused. */
  authFailures: number;
  /** Queries that the database refused for want of a privilege. */
  permissionFailures: number;
  /** Anything else, by message. */
  otherFailures: Map<string, number>;
}

export interface Fleet {
  readonly counts: FleetCounts;
  /** Ends the agents and waits for them. */
  stop(): Promise<void>;
}

export interface FleetOptions {
  readonly agents: number;
  readonly secret: string;
  /** Seconds for which an agent keeps a value: the TTL of the declaration's holder. */
  readonly ttlSeconds: number;
  readonly query: string;
  /** Pause of an agent between two queries, in milliseconds. */
  readonly pauseMs?: number;
}

/**
 * Agents that query without pause, each query on a fresh login, with a value that they read from the vault at most
 * every `ttlSeconds`. That is a holder of kind polling: it knows nothing of Rekey.
 */
export function startFleet(server: Postgres, stack: LocalStack, options: FleetOptions): Fleet {
  const counts: FleetCounts = {
    queries: 0,
    authFailures: 0,
    permissionFailures: 0,
    otherFailures: new Map(),
  };
  const client = new SecretsManagerClient(stack.clientConfig);
  const ended = new AbortController();
  const agents = Array.from({ length: options.agents }, () =>
    agent(server, client, options, counts, ended.signal),
  );
  return {
    counts,
    stop: async () => {
      ended.abort();
      await Promise.all(agents);
      client.destroy();
    },
  };
}

async function agent(
  server: Postgres,
  vault: SecretsManagerClient,
  options: FleetOptions,
  counts: FleetCounts,
  ended: AbortSignal,
): Promise<void> {
  let login = { user: '', password: '' };
  let readAt = 0;
  while (!ended.aborted) {
    try {
      if (Date.now() - readAt > options.ttlSeconds * 1000) {
        login = await readLogin(vault, options.secret);
        readAt = Date.now();
      }
      await query(server, login, options.query);
      counts.queries++;
    } catch (error) {
      count(counts, error);
      // As any client would: after a refusal the value is read again, but not in a tight loop.
      if (isRefusal(error)) readAt = 0;
      await sleep(50);
    }
    if (options.pauseMs !== undefined) await sleep(options.pauseMs);
  }
}

function count(counts: FleetCounts, error: unknown): void {
  if (isRefusal(error)) counts.authFailures++;
  else if (error instanceof pg.DatabaseError && error.code === '42501') counts.permissionFailures++;
  else {
    const message = error instanceof Error ? error.message : String(error);
    counts.otherFailures.set(message, (counts.otherFailures.get(message) ?? 0) + 1);
  }
}

/** One statement on a login of its own. */
export async function query(
  server: Postgres,
  login: { user: string; password: string },
  sql: string,
): Promise<void> {
  const client = new pg.Client(connection(server, login));
  // A session that is ended by the server tells so here as well as at the query.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query(sql);
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The login in a secret's current version. */
export async function readLogin(
  vault: SecretsManagerClient,
  secret: string,
): Promise<{ user: string; password: string }> {
  const found = await vault.send(new GetSecretValueCommand({ SecretId: secret }));
  const value = JSON.parse(found.SecretString ?? '{}') as { username: string; password: string };
  return { user: value.username, password: value.password };
}
