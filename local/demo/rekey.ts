import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const launcher = join(import.meta.dirname, '..', '..', 'cli', 'rekey.mjs');

/** The answer of a `rekey` command. */
export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the `rekey` command as an operator would, in a process of its own; `input` is piped into it, `onLine` told what it writes. */
export function rekey(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs = 120_000,
  input = '',
  onLine?: (line: string) => void,
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [launcher, ...args],
      { env: { ...process.env, ...env, NO_COLOR: '1' }, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const status = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ status, stdout, stderr });
      },
    );
    if (onLine !== undefined && child.stdout !== null) createInterface(child.stdout).on('line', onLine);
    child.stdin?.end(input);
  });
}

/** The JSON answer of a command that must succeed. */
export async function rekeyJson<T>(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  timeoutMs?: number,
): Promise<T> {
  const result = await rekey([...args, '--json'], env, timeoutMs);
  if (result.status !== 0) {
    throw new Error(`rekey ${args.join(' ')} ended with ${result.status}: ${result.stderr || result.stdout}`);
  }
  return JSON.parse(result.stdout) as T;
}
