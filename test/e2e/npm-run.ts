import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** How a script of package.json has ended, and everything that it said. */
export interface Ran {
  readonly status: number | null;
  readonly said: string;
}

/** Runs a script of package.json as a person would. */
export async function npmRun(script: string, args: readonly string[], timeout: number): Promise<Ran> {
  const cwd = join(import.meta.dirname, '..', '..');
  const child = spawn('npm', ['run', script, '--', ...args], { cwd, timeout });
  let said = '';
  child.stdout.on('data', (chunk) => (said += String(chunk)));
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, said };
}
