import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '..', '..', '..');

test('npm test names the projects that there are where one is misspelt, and runs nothing', () => {
  const script = join(root, 'scripts', 'check.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, 'unti'], { encoding: 'utf8' });
  expect(status).toBe(2);
  expect(stderr).toContain('"unti"');
  expect(stderr).toContain('unit, integration, faults, e2e');
  expect(stdout).toBe('');
});
