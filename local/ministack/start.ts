import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { venvPython } from '../../scripts/setup.mjs';
import { freePort } from '../ports.ts';
import { localAccountId, localCredentials, localRegion } from '../settings.ts';

/** A running MiniStack. */
export interface MiniStack {
  /** Its own address; clients use the gateway's instead. */
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  stop(): Promise<void>;
}

export interface MiniStackOptions {
  /** The gateway's address, handed to Lambdas as their endpoint so that their calls pass through it. */
  readonly endpointUrl: string;
  /** Enforce IAM policies (MiniStack's AUTH=true): Lambdas run under their own role. */
  readonly iam?: boolean;
  readonly readyTimeoutMs?: number;
}

const attempts = 3;

/** Starts MiniStack on a free loopback port, in a private temporary folder, with the project's Node for its Lambdas. */
export async function startMiniStack(options: MiniStackOptions): Promise<MiniStack> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(options);
    } catch (error) {
      // The free port may be taken by somebody else between our probe and MiniStack's bind.
      if (attempt === attempts || !(error instanceof PortTaken)) throw error;
    }
  }
}

class PortTaken extends Error {}

async function startOnce(options: MiniStackOptions): Promise<MiniStack> {
  const port = await freePort();
  const dir = await mkdtemp(join(tmpdir(), 'rekey-ministack-'));
  const logFile = join(dir, 'ministack.log');
  await mkdir(join(dir, 'tmp'));
  const log = await open(logFile, 'a');
  const child = spawn(venvPython(), ['-u', join(import.meta.dirname, 'launch.py')], {
    detached: true, // leads its own process group, see launch.py
    stdio: ['pipe', log.fd, log.fd],
    env: environment(options, port, dir),
  });
  await log.close();
  const url = `http://127.0.0.1:${port}`;
  try {
    await ready(child, url, options.readyTimeoutMs ?? 60_000);
  } catch (error) {
    const text = await readFile(logFile, 'utf8').catch(() => '');
    await end(child, dir);
    if (text.includes('already in use')) throw new PortTaken();
    throw new Error(`MiniStack didn't start: ${String(error)}\n${text.slice(-2_000)}`, { cause: error });
  }
  return { url, pid: child.pid ?? 0, logFile, stop: () => end(child, dir) };
}

function environment(options: MiniStackOptions, port: number, dir: string): NodeJS.ProcessEnv {
  return {
    // A short list instead of our whole environment: Lambdas inherit it, and AWS gives them none of ours.
    PATH: [dirname(process.execPath), process.env['PATH'] ?? ''].join(delimiter),
    LANG: 'C.UTF-8',
    HOME: dir,
    TMPDIR: join(dir, 'tmp'),
    REKEY_STACK_DIR: dir,
    BIND_HOST: '127.0.0.1',
    GATEWAY_PORT: new URL(options.endpointUrl).port,
    REKEY_BIND_PORT: String(port), // see patches.py

    AWS_ENDPOINT_URL: options.endpointUrl,
    MINISTACK_ACCOUNT_ID: localAccountId,
    MINISTACK_REGION: localRegion,
    AWS_DEFAULT_REGION: localRegion,
    AWS_ACCESS_KEY_ID: localCredentials.accessKeyId,
    AWS_SECRET_ACCESS_KEY: localCredentials.secretAccessKey,
    AUTH: options.iam === true ? 'true' : 'false',
    S3_DATA_DIR: join(dir, 's3'),
    STATE_DIR: join(dir, 'state'),
    // Listeners on fixed ports that two stacks at once would fight over, and that nothing here uses.
    SFTP_ENABLED: '0',
    IOT_MTLS_ENABLED: '0',
    LOG_LEVEL: process.env['REKEY_MINISTACK_LOG'] ?? 'INFO',
    PYTHONDONTWRITEBYTECODE: '1', // nothing of ours is left beside the sources
  };
}

async function ready(child: ChildProcess, url: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  let failed: Error | undefined;
  child.once('error', (error) => (failed = error));
  while (Date.now() < deadline) {
    if (failed !== undefined) throw failed;
    if (child.exitCode !== null) throw new Error(`it ended with exit code ${child.exitCode}`);
    const answer = await fetch(`${url}/_ministack/health`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    if (answer?.ok === true) return;
    await sleep(50);
  }
  throw new Error(`it isn't ready after ${timeoutMs / 1000} s`);
}

async function end(child: ChildProcess, dir: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    const gone = once(child, 'exit');
    child.stdin?.end(); // launch.py ends the whole group
    const limit = AbortSignal.timeout(5_000);
    await Promise.race([gone, once(limit, 'abort')]);
    if (limit.aborted) {
      process.kill(-child.pid, 'SIGKILL');
      await gone;
    }
  }
  await rm(dir, { recursive: true, force: true, maxRetries: 5 });
}
