// The agents of examples/ on the deployed stack, each a process under the role of the fleet.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { build } from 'esbuild';
import type { World } from '../../local/demo/world.ts';
import { venvPython } from '../../scripts/setup.mjs';
import { root } from '../infra/app.ts';

/** How a process has ended. */
export interface Ended {
  readonly code: number | null;
  /** What it printed, by line. */
  readonly said: readonly string[];
  readonly complained: string;
}

/** A process that works until it is told to end. */
export interface ExampleAgent {
  /** Tells it so, and waits for it. */
  end(): Promise<Ended>;
}

/** `examples/client/agent.ts`, made one file with the client's sources. */
export async function typescriptAgent(
  world: World,
  env: Readonly<Record<string, string>>,
): Promise<ExampleAgent> {
  const file = join(world.dir, 'agent.mjs');
  await build({
    entryPoints: [join(root, 'examples', 'client', 'agent.ts')],
    outfile: file,
    bundle: true,
    platform: 'node',
    format: 'esm',
    // Some drivers are CommonJS.
    banner: {
      js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
    },
    logLevel: 'error',
  });
  return start(process.execPath, [file], env);
}

/** `examples/python/agent.py`. */
export function pythonAgent(
  env: Readonly<Record<string, string>>,
  options: Readonly<Record<string, string>>,
): ExampleAgent {
  const given = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return start(venvPython(), [join(root, 'examples', 'python', 'agent.py'), ...given], env);
}

function start(
  command: string,
  given: readonly string[],
  env: Readonly<Record<string, string>>,
): ExampleAgent {
  const child = spawn(command, given, { env: { PATH: process.env['PATH'], ...env } });
  const said = text(child.stdout);
  const complained = text(child.stderr);
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  return {
    end: async () => {
      child.kill('SIGTERM');
      const lines = (await said).split('\n').filter((line) => line !== '');
      return { code: await code, said: lines, complained: await complained };
    },
  };
}
