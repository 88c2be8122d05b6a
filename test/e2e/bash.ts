import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { World } from '../../local/demo/world.ts';
import { venvPython } from '../../scripts/setup.mjs';

const run = promisify(execFile);

/** Runs a script by bash; rejects where its exit code isn't 0. */
export type Bash = (script: string, timeout: number) => Promise<{ stdout: string; stderr: string }>;

/** The bash of somebody who types what a guide says, in the folder of a world: it has the real AWS CLI, and `rekey`. */
export async function bashAt(world: World): Promise<Bash> {
  const bin = join(world.dir, 'bin');
  await mkdir(bin, { recursive: true });
  const root = dirname(dirname(import.meta.dirname));
  const programs = {
    aws: `exec "${join(dirname(venvPython()), 'aws')}" "$@"`,
    rekey: `exec "${process.execPath}" "${join(root, 'cli', 'rekey.mjs')}" "$@"`,
  };
  for (const [name, line] of Object.entries(programs))
    await writeFile(join(bin, name), `#!/bin/sh\n${line}\n`, { mode: 0o755 });
  const env = { ...process.env, ...world.env, PATH: `${bin}:${process.env['PATH']}` };
  return (script, timeout) => run('bash', ['-c', script], { cwd: world.dir, env, timeout });
}
