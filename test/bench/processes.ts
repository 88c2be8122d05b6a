import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { Readable } from 'node:stream';
import { ENV } from '../../shared/names.ts';
import { median } from './figures.ts';

const CHILD = join(import.meta.dirname, 'child.cjs');
const CACHE = join(import.meta.dirname, '..', '..', '.cache');
const CHILD_LIMIT_MS = 30_000;

/** A bundle on disk, as a function finds it. */
export interface StoredBundle {
  readonly index: string;
  /** Files that the index loads only when it needs them. */
  readonly rest: readonly string[];
  readonly bytes: number;
}

/** A folder for bundles inside the checkout, so that entries written there find their imports; removed at the end. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(CACHE, { recursive: true });
  const folder = await mkdtemp(join(CACHE, 'bench-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Stores a bundle as Lambda unpacks it. */
export async function storeBundle(
  folder: string,
  name: string,
  files: ReadonlyMap<string, string>,
): Promise<StoredBundle> {
  const dir = join(folder, name);
  await mkdir(dir);
  // The checkout is a package of ES modules; what Lambda unpacks is none.
  await writeFile(join(dir, 'package.json'), '{"type":"commonjs"}');
  for (const [file, code] of files) await writeFile(join(dir, file), code);
  return {
    index: join(dir, 'index.js'),
    rest: [...files.keys()].filter((file) => file !== 'index.js').map((file) => join(dir, file)),
    bytes: [...files.values()].reduce((sum, code) => sum + Buffer.byteLength(code), 0),
  };
}

/** What a fresh process does with a bundle. */
export interface Task {
  readonly bundle: StoredBundle;
  /** Whether the files that are loaded when needed are loaded too. */
  readonly whole: boolean;
  /** The handler's first call, and how it must end. */
  readonly call?: { readonly event: object; readonly outcome: string };
}

/** Milliseconds of each task, the median of `rounds` fresh processes; every round runs each task once, in turn. */
export async function interleaved(
  tasks: readonly Task[],
  rounds: number,
  env: Readonly<Record<string, string>>,
): Promise<number[]> {
  const times = tasks.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [at, task] of tasks.entries()) times[at]?.push(await fresh(task, env));
  }
  return times.map(median);
}

async function fresh({ bundle, whole, call }: Task, env: Readonly<Record<string, string>>): Promise<number> {
  const args = [CHILD, bundle.index, JSON.stringify(whole ? bundle.rest : [])];
  if (call !== undefined) args.push(JSON.stringify(call.event));
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...SETTINGS, ...env },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    timeout: CHILD_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const [answer, errors] = await Promise.all([
    text(child.stdio[3] as Readable),
    text(child.stderr as Readable),
  ]);
  if (answer === '') throw new Error(`the fresh process failed: ${errors.slice(-1000)}`);
  const { ms, outcome } = JSON.parse(answer) as { ms: number; outcome: string };
  const wanted = call?.outcome ?? 'loaded';
  if (outcome !== wanted) throw new Error(`the first call ended as ${outcome}, not as ${wanted}`);
  return ms;
}

/** Environment in which every function loads. */
const SETTINGS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(Object.values(ENV).map((name) => [name, 'bench'])),
  [ENV.minWindow]: '1',
  [ENV.stuckAfter]: '900',
  [ENV.type]: 'database',
  [ENV.signals]: '{}',
  [ENV.signalPolicy]: '{}',
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'bench',
  AWS_SECRET_ACCESS_KEY: 'bench',
};
