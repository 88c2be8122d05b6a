import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { brokenPromises, type DemoReport } from '../../local/demo/report.ts';

const root = join(import.meta.dirname, '..', '..');
let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-demo-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

/** Runs `npm run demo` as a person would. */
async function demo(name: string): Promise<{ status: number | null; report: DemoReport; said: string }> {
  const file = join(dir, `${name}.json`);
  const child = spawn('npm', ['run', 'demo', '--', '--json', file], { cwd: root, timeout: 400_000 });
  let said = '';
  child.stdout.on('data', (chunk) => (said += String(chunk)));
  child.stderr.on('data', (chunk) => (said += String(chunk)));
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Error(`the demo ended with ${status} and wrote no result:\n${said}`);
  });
  return { status, report: JSON.parse(text) as DemoReport, said };
}

test(
  'two demos at the same time keep every promise, each on ports of its own',
  { timeout: 450_000 },
  async () => {
    const runs = await Promise.all([demo('one'), demo('two')]);
    for (const { status, report, said } of runs) {
      // What the demo said is part of the comparison, so that a failure shows it.
      expect({ said, broken: brokenPromises(report), status }).toEqual({ said, broken: [], status: 0 });
      expect(report.seconds).toBeLessThan(180);
    }
  },
);
