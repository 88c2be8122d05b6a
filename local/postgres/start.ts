import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../ports.ts';
import { countRefusals, type Refusals } from './log.ts';

export interface PostgresOptions {
  /** Accept connections without TLS as well; the default is TLS only. */
  readonly allowPlaintext?: boolean;
  readonly maxConnections?: number;
  /** Further server parameters. */
  readonly parameters?: Readonly<Record<string, string>>;
}

/** A running PostgreSQL server of one's own. */
export interface Postgres {
  readonly host: string;
  readonly port: number;
  /** The authority that its certificate comes from, made for this server alone. */
  readonly caPem: string;
  readonly superuser: { readonly user: string; readonly password: string };
  /** PostgreSQL's own log. */
  readonly logFile: string;
  /** Counts refusals in PostgreSQL's own log, everything up to now included. */
  refusals(): Promise<Refusals>;
  /** Ends the server and removes its files. */
  stop(): Promise<void>;
}

/** What the keeper process is told. */
export interface KeeperSettings {
  readonly dir: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly logFile: string;
  readonly allowPlaintext: boolean;
  readonly maxConnections: number;
  readonly parameters: Readonly<Record<string, string>>;
}

/** What the keeper process says when the server is up. */
export interface Ready {
  readonly caPem: string;
}

const readyLimitMs = 60_000;
const host = '127.0.0.1';

/** Starts a real PostgreSQL in a private temporary folder, on a free loopback port, with TLS and SCRAM. */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-postgres-'));
  const settings: KeeperSettings = {
    dir,
    port: await freePort(),
    user: 'postgres',
    password: randomBytes(18).toString('base64url'),
    logFile: join(dir, 'postgresql.log'),
    allowPlaintext: options.allowPlaintext === true,
    maxConnections: options.maxConnections ?? 200,
    parameters: options.parameters ?? {},
  };
  const keeper = spawn(process.execPath, [join(import.meta.dirname, 'keeper.ts')], {
    env: { ...process.env, REKEY_POSTGRES: JSON.stringify(settings) },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: true, // Ctrl-C goes to us; the keeper ends when we have ended
  });
  let ready: Ready;
  try {
    ready = await firstLine(keeper);
  } catch (error) {
    await end(keeper, dir);
    throw error;
  }
  const { port, user, password, logFile } = settings;
  const superuser = { user, password };
  return {
    host,
    port,
    caPem: ready.caPem,
    superuser,
    logFile,
    refusals: () => countRefusals(logFile, { host, port, ...superuser, ssl: { ca: ready.caPem } }),
    stop: () => end(keeper, dir),
  };
}

/** As root the server runs as another user, who has to get through to its programs. */
function explained(errors: string): string {
  const text = errors.trim().slice(-2_000);
  const isClosed = process.getuid?.() === 0 && text.includes('EACCES');
  return isClosed
    ? `${text}\nAs root it runs as another user, who may not enter this folder: chmod o+x each folder above ${process.cwd()}, or don't run it as root.`
    : text;
}

async function firstLine(keeper: ChildProcess): Promise<Ready> {
  let out = '';
  let errors = '';
  keeper.stderr?.on('data', (chunk) => (errors += String(chunk)));
  return new Promise((resolve, reject) => {
    const limit = setTimeout(
      () => reject(new Error(`PostgreSQL isn't ready after ${readyLimitMs / 1000} s`)),
      readyLimitMs,
    );
    keeper.once('error', reject);
    keeper.once('exit', () => reject(new Error(`PostgreSQL didn't start: ${explained(errors)}`)));
    keeper.stdout?.on('data', (chunk) => {
      out += String(chunk);
      if (!out.includes('\n')) return;
      clearTimeout(limit);
      const ready: Ready = JSON.parse(out);
      resolve(ready);
    });
  });
}

async function end(keeper: ChildProcess, dir: string): Promise<void> {
  if (keeper.exitCode === null && keeper.signalCode === null && keeper.pid !== undefined) {
    const gone = once(keeper, 'exit');
    keeper.stdin?.end();
    const limit = AbortSignal.timeout(8_000);
    await Promise.race([gone, once(limit, 'abort')]);
    if (limit.aborted) {
      await killServer(dir);
      keeper.kill('SIGKILL');
      await gone;
    }
  }
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}

/** The last resort, where the keeper hangs: ends the server itself by the pid in its lock file. */
async function killServer(dir: string): Promise<void> {
  const lock = await readFile(join(dir, 'data', 'postmaster.pid'), 'utf8').catch(() => '');
  const pid = Number(lock.split('\n')[0]);
  if (pid > 1) process.kill(pid, 'SIGQUIT');
}
