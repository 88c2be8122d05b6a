import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

/** Builds the package `@rekey/client` into `client/dist`; `npm pack` and `npm publish` in `client/` do it by themselves. */
const root = join(import.meta.dirname, '..');
rmSync(join(root, 'client', 'dist'), { recursive: true, force: true });
const tsc = join(root, 'node_modules', '@typescript', 'native', 'bin', 'tsc');
const built = spawnSync(process.execPath, [tsc, '-p', join(root, 'client', 'tsconfig.json')], {
  stdio: 'inherit',
});
process.exitCode = built.status ?? 1;
