import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import mysql from 'mysql2/promise';
import { freePort } from '../../local/ports.ts';

/** A server of MySQL's protocol in which tests change passwords. */
export interface MysqlServer {
  readonly port: number;
  /** Makes the user, where it isn't there, and sets its password. */
  setPassword(user: string, password: string): Promise<void>;
  /** How many sessions the user has. */
  sessions(user: string): Promise<number>;
  stop(): Promise<void>;
}

const PATH = `${process.env['PATH'] ?? ''}:/usr/sbin:/usr/local/sbin`;
const READY_LIMIT_MS = 60_000;

/** Whether this machine has MariaDB (Debian: `mariadb-server`). */
export function hasMariaDb(): boolean {
  return ['mariadbd', 'mariadb-install-db', 'my_print_defaults'].every(
    (name) => spawnSync(name, ['--help'], { env: { PATH }, stdio: 'ignore' }).error === undefined,
  );
}

/** A MariaDB of its own, on the loopback interface. */
export async function startMariaDb(): Promise<MysqlServer> {
  const dir = await mkdtemp(join(tmpdir(), 'rekey-mariadb-'));
  const data = ['--no-defaults', `--datadir=${join(dir, 'data')}`, `--user=${userInfo().username}`];
  const install = ['--auth-root-authentication-method=normal', '--skip-test-db'];
  const installed = spawnSync('mariadb-install-db', [...data, ...install], {
    env: { PATH },
    encoding: 'utf8',
  });
  if (installed.status !== 0) throw new Error(`MariaDB can't be set up: ${installed.stdout.slice(-1_000)}`);
  const port = await freePort();
  const socketPath = join(dir, 'socket');
  const files = [`--socket=${socketPath}`, `--pid-file=${join(dir, 'pid')}`, `--tmpdir=${dir}`];
  const address = [`--port=${port}`, '--bind-address=127.0.0.1'];
  const child = spawn('mariadbd', [...data, ...files, ...address], { env: { PATH }, stdio: 'ignore' });
  const root = await connected(child, socketPath);
  return {
    port,
    setPassword: async (user, password) => {
      await root.query(`CREATE USER IF NOT EXISTS '${user}'@'%'`);
      await root.query(`ALTER USER '${user}'@'%' IDENTIFIED BY ?`, [password]);
    },
    sessions: async (user) => {
      const [rows] = await root.query('SELECT id FROM information_schema.processlist WHERE user = ?', [user]);
      return Array.isArray(rows) ? rows.length : 0;
    },
    stop: async () => {
      await root.end();
      await new Promise((resolve) => {
        child.once('exit', resolve);
        child.kill('SIGTERM');
      });
      await rm(dir, { recursive: true, force: true });
    },
  };
}

async function connected(child: ChildProcess, socketPath: string): Promise<mysql.Connection> {
  const end = Date.now() + READY_LIMIT_MS;
  for (;;) {
    try {
      return await mysql.createConnection({ socketPath, user: 'root' });
    } catch (error) {
      if (child.exitCode !== null || Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
