import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PROJECTS } from '../vitest.config.ts';
import { aligned, forgetRun, lastRun, rowsOf } from './upstream-run.ts';

/**
 * Everything that must hold before a change is merged, in the order of what it costs. `npm test -- unit` runs only the
 * test projects named, without the static checks.
 */
const root = join(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);
const only = process.argv.slice(2);

interface Check {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly show?: boolean;
}

/** The longest first: two run at a time. */
const STATIC: readonly Check[] = [
  { name: 'templates', command: process.execPath, args: [join(root, 'scripts', 'lint-templates.ts')] },
  { name: 'format', command: bin('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: bin('tsc'), args: ['-p', 'tsconfig.json'] },
  { name: 'types of the client', command: bin('tsc'), args: ['-p', 'client/tsconfig.json', '--noEmit'] },
  { name: 'lint', command: bin('oxlint'), args: ['--type-aware', '--deny-warnings'] },
  {
    name: 'direction of imports',
    command: bin('depcruise'),
    args: ['--config', '.dependency-cruiser.mjs', '.'],
  },
  { name: 'dead code', command: bin('knip'), args: [] },
];

const report = join(root, '.cache', 'test-report.json');
const TESTS: Check = {
  name: 'tests',
  command: bin('vitest'),
  args: [
    'run',
    ...only.flatMap((project) => ['--project', project]),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ],
  show: true,
};

const unknown = only.filter((name) => !Object.hasOwn(PROJECTS, name));
if (unknown.length > 0) {
  console.error(
    `there is no test project ${unknown.map((name) => `"${name}"`).join(', ')}. ` +
      `Name one or more of: ${Object.keys(PROJECTS).join(', ')}; or none, for everything`,
  );
  process.exit(2);
}

await mkdir(join(root, '.cache'), { recursive: true });
await rm(report, { force: true });
await forgetRun();
const failed: string[] = [];
if (only.length === 0) await inTwoLanes(STATIC);
await carryOut(TESTS);
const run = await lastRun();
if (run !== undefined) {
  console.log(`\nUpstreams through deployed functions:\n${aligned(rowsOf(run)).join('\n')}`);
  for (const line of run.counts ?? []) console.log(line);
}
if (failed.length > 0) {
  console.error(`\nfailed: ${failed.join(', ')}`);
  process.exitCode = 1;
}

async function inTwoLanes(checks: readonly Check[]): Promise<void> {
  console.log(`${checks.map(({ name }) => name).join(', ')} …`);
  const left = [...checks];
  const lane = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await carryOut(next);
  };
  await Promise.all([lane(), lane()]);
}

async function carryOut(check: Check): Promise<void> {
  if (!(await passes(check))) failed.push(check.name);
}

/** Runs a check; its output is shown where it fails, or all along where it is long. */
async function passes({ name, command, args, show }: Check): Promise<boolean> {
  const began = Date.now();
  const child = spawn(command, args, {
    cwd: root,
    stdio: show === true ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  child.stdout?.on('data', (chunk) => (output += String(chunk)));
  child.stderr?.on('data', (chunk) => (output += String(chunk)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (show === true) return code === 0;
  console.log(`${name}: ${code === 0 ? 'ok' : 'FAILED'} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
  if (code !== 0) console.log(output);
  return code === 0;
}
