import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { npmRun } from './npm-run.ts';

test('the exercise plays its leak to the end, and finds that it went as it should', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'rekey-reports-'));
  try {
    const { status, said } = await npmRun('tabletop', ['--out', folder], 400_000);
    // What it said is part of the comparison, so that a failure shows it.
    expect({ said, status }).toEqual({ said: expect.stringContaining('It went as it should'), status: 0 });
    expect((await readdir(folder)).filter((name) => name.endsWith('.html'))).not.toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
