import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { brokenPromises, type DemoReport } from '../../local/demo/report.ts';
import { npmRun, type Ran } from './npm-run.ts';

let dir: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'rekey-demo-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function demo(name: string): Promise<Ran & { report: DemoReport }> {
  const file = join(dir, `${name}.json`);
  const ran = await npmRun('demo', ['--json', file], 400_000);
  const text = await readFile(file, 'utf8').catch(() => {
    throw new Error(`the demo ended with ${ran.status} and wrote no result:\n${ran.said}`);
  });
  return { ...ran, report: JSON.parse(text) as DemoReport };
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
