import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Client, type ClientConfig } from 'pg';
import { startPostgres, type Postgres, type PostgresOptions } from '../../local/postgres/start.ts';
import type { CredentialHandle } from '../../shared/domain/credential.ts';
import type { Deactivation } from '../../shared/domain/evidence.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { PostgresMaterial } from '../../shared/providers/postgresql/material.ts';
import { postgresqlProvider } from '../../shared/providers/postgresql/provider.ts';
import { parseTarget, type PostgresTarget } from '../../shared/providers/postgresql/target.ts';
import type { Issued, ProviderContext } from '../../shared/providers/provider.ts';
import type { AgentSession } from '../contract/provider-life.ts';

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
  private encrypted = true;
  readonly admin: Login = { user: 'rekey_admin', password: `admin-${randomUUID()}` };

  get server(): Postgres {
    if (this.postgres === undefined) throw new Error('the test server is not running');
    return this.postgres;
  }

  async start(options: PostgresOptions = {}, encrypted = true): Promise<void> {
    this.encrypted = encrypted;
    this.postgres = await startPostgres({
      ...options,
      parameters: { log_statement: 'all', ...options.parameters },
    });
    await this.sql(
      `CREATE ROLE rekey_admin LOGIN CREATEROLE CREATEDB PASSWORD '${this.admin.password}';
       CREATE ROLE app_owner NOLOGIN; GRANT app_owner TO rekey_admin;
       CREATE ROLE reader NOLOGIN; CREATE ROLE stranger NOLOGIN`,
    );
  }

  async stop(): Promise<void> {
    await this.postgres?.stop();
  }

  async freshCredential(): Promise<TestCredential> {
    return new TestCredential(await this.freshTarget(), this.context());
  }

  async freshTarget(changes: Record<string, unknown> = {}): Promise<PostgresTarget> {
    const name = `t${++this.count}`;
    await this.sql(`CREATE DATABASE ${name} OWNER rekey_admin`);
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
    const allowedHosts = ['localhost', '127.0.0.1', '127.1'];
    const secret = { host: '192.0.2.1', allowedHosts, username: login.user, password: login.password };
    return {
      clock: Date.now,
      reach: { privateHosts: [] },
      admin: async () => new Redacted(JSON.stringify(secret)),
    };
  }

  /** Runs statements as the superuser; the rows of the last one. */
  async sql(text: string, database = 'postgres'): Promise<readonly Record<string, unknown>[]> {
    return this.as(this.server.superuser, text, database);
  }

  async as(login: Login, text: string, database: string): Promise<readonly Record<string, unknown>[]> {
    const client = await this.connect(login, database);
    try {
      // Several statements are answered with a list, which the driver's types don't say.
      const results = [await client.query<Record<string, unknown>>(text)].flat();
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

  async connect(login: Login, database: string, more: ClientConfig = {}): Promise<Client> {
    const { host, port, caPem } = this.server;
    const client = new Client({
      host,
      port,
      ...login,
      ...more,
      database,
      ssl: this.encrypted && { ca: caPem },
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

  /** The server's log, everything up to now included: all backends write to one pipe, in order. */
  async log(): Promise<string> {
    const mark = `mark ${randomUUID()}`;
    await this.sql(`SELECT '${mark}'`);
    for (let attempt = 0; attempt < 500; attempt++) {
      const text = await readFile(this.server.logFile, 'utf8');
      if (text.includes(mark)) return text;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error("the server's log isn't being written");
  }
}

/** One credential's life at the test server, from the provider's steps. */
export class TestCredential {
  readonly target: PostgresTarget;
  readonly ctx: ProviderContext;
  private generation = 0;

  constructor(target: PostgresTarget, ctx: ProviderContext) {
    this.target = target;
    this.ctx = ctx;
  }

  async issue(current?: CredentialHandle): Promise<LiveCredential> {
    const token = randomUUID();
    const generation = ++this.generation;
    const ctx = { ...this.ctx, generation, ...(current === undefined ? {} : { current }) };
    return { ...(await postgresqlProvider.issue(this.target, token, ctx)), token };
  }

  async activate(live: LiveCredential): Promise<void> {
    await postgresqlProvider.activate?.(this.target, live.token, live, this.ctx);
  }

  /** Issued, activated, verified and compared, as the four steps do it. */
  async rotate(current?: CredentialHandle): Promise<LiveCredential> {
    const next = await this.issue(current);
    await this.activate(next);
    await postgresqlProvider.verify(this.target, next.material, this.ctx);
    if (current !== undefined) await this.compare(current, next.handle);
    return next;
  }

  async compare(old: CredentialHandle, next: CredentialHandle): Promise<void> {
    await postgresqlProvider.comparePermissions?.(this.target, old, next, this.ctx);
  }

  async revoke(handle: CredentialHandle, endSessions = false): Promise<Deactivation> {
    return postgresqlProvider.revoke(this.target, handle, { endSessions }, this.ctx);
  }
}

export interface LiveCredential extends Issued<PostgresMaterial> {
  readonly token: string;
}
