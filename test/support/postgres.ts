import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { startPostgres, type Postgres } from '../../local/postgres/start.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { PostgresMaterial } from '../../shared/providers/postgresql/material.ts';
import type { PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import { parseTarget } from '../../shared/providers/postgresql/target.ts';
import type { ProviderContext } from '../../shared/providers/provider.ts';
import type { AgentSession } from '../contract/describe-provider.ts';

/** A login at the test server. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * A real server with an administrator like RDS's master: CREATEROLE and the roles that own the tables, no superuser.
 * Each target gets a database of its own with a schema `app` and a table `app.orders` that `app_owner` owns.
 */
export class TestServer {
  private postgres: Postgres | undefined;
  private count = 0;
  readonly admin: Login = { user: 'rekey_admin', password: `admin-${randomUUID()}` };

  get server(): Postgres {
    if (this.postgres === undefined) throw new Error('the test server is not running');
    return this.postgres;
  }

  async start(): Promise<void> {
    this.postgres = await startPostgres({ parameters: { log_statement: 'all' } });
    await this.sql(
      `CREATE ROLE rekey_admin LOGIN CREATEROLE CREATEDB PASSWORD '${this.admin.password}';
       CREATE ROLE app_owner NOLOGIN; GRANT app_owner TO rekey_admin;
       CREATE ROLE reader NOLOGIN; CREATE ROLE stranger NOLOGIN`,
    );
  }

  async stop(): Promise<void> {
    await this.postgres?.stop();
  }

  async freshTarget(changes: Record<string, unknown> = {}): Promise<PostgresTarget> {
    const name = `t${++this.count}`;
    await this.sql(`CREATE DATABASE ${name}`);
    await this.sql(
      `REVOKE CREATE ON SCHEMA public FROM PUBLIC;
       CREATE SCHEMA app AUTHORIZATION app_owner; SET ROLE app_owner;
       CREATE TABLE app.orders (id int, total int); INSERT INTO app.orders VALUES (1, 10);`,
      name,
    );
    return parseTarget({
      host: this.server.host,
      port: this.server.port,
      database: name,
      ownerRole: `${name}_agents`,
      tls: { mode: 'verify-full', ca: this.server.caPem },
      ...changes,
    });
  }

  context(login: Login = this.admin): ProviderContext {
    // The host in the administrative secret is a trap: only the target's may be connected to.
    const secret = { host: '192.0.2.1', username: login.user, password: login.password };
    return { clock: Date.now, admin: async () => new Redacted(JSON.stringify(secret)) };
  }

  /** Runs statements as the superuser; the rows of the last one. */
  async sql(text: string, database = 'postgres'): Promise<readonly Record<string, unknown>[]> {
    return this.as(this.server.superuser, text, database);
  }

  async as(login: Login, text: string, database: string): Promise<readonly Record<string, unknown>[]> {
    const client = await this.connect(login, database);
    try {
      const answer: unknown = await client.query(text);
      const results = (Array.isArray(answer) ? answer : [answer]) as { rows: Record<string, unknown>[] }[];
      return results.at(-1)?.rows ?? [];
    } finally {
      await client.end();
    }
  }

  /** The agent's statement, with the agent's credential. */
  async asAgent(
    target: PostgresTarget,
    material: Redacted<PostgresMaterial>,
    text: string,
  ): Promise<readonly Record<string, unknown>[]> {
    const { username, password } = material.reveal();
    return this.as({ user: username, password }, text, target.database);
  }

  async connect(login: Login, database: string): Promise<Client> {
    const { host, port, caPem } = this.server;
    const client = new Client({
      host,
      port,
      ...login,
      database,
      ssl: { ca: caPem },
      connectionTimeoutMillis: 5_000,
    });
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async open(target: PostgresTarget, material: Redacted<PostgresMaterial>): Promise<AgentSession> {
    const { username, password } = material.reveal();
    const client = await this.connect({ user: username, password }, target.database);
    return {
      works: async () =>
        client.query('SELECT 1').then(
          () => true,
          () => false,
        ),
      close: async () => client.end().catch(() => undefined),
    };
  }

  /** The server's log, everything up to now included. */
  async log(): Promise<string> {
    await this.server.refusals();
    return readFile(this.server.logFile, 'utf8');
  }
}
