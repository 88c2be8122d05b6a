import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Synthesises the app as for AWS and holds the templates against cfn-lint. Any word on stderr of synth is a warning. */
const root = join(import.meta.dirname, '..');
const out = mkdtempSync(join(tmpdir(), 'rekey-synth-'));
try {
  const synth = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk'),
      'synth',
      '--quiet',
      '--strict',
      '--no-notices',
      '--no-color',
      '--output',
      out,
    ],
    {
      cwd: root,
      encoding: 'utf8',
      timeout: 300_000,
      env: { ...process.env, CDK_DISABLE_CLI_TELEMETRY: 'true' },
    },
  );
  if (synth.status !== 0 || /warning|\[Error/i.test(synth.stderr)) {
    throw new Error(`cdk synth is not clean:\n${synth.stdout}${synth.stderr}`);
  }
  const templates = readdirSync(out)
    .filter((name) => name.endsWith('.template.json'))
    .map((name) => join(out, name));
  const lint = spawnSync(cfnLint(), ['--non-zero-exit-code', 'warning', '--', ...templates], {
    cwd: root,
    encoding: 'utf8',
    timeout: 300_000,
  });
  if (lint.status !== 0)
    throw new Error(`cfn-lint:\n${lint.error?.message ?? ''}${lint.stdout}${lint.stderr}`);
  console.log(`${templates.length} templates are clean`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(out, { recursive: true, force: true });
}

/** cfn-lint from the Python environment that the set-up has made. */
function cfnLint(): string {
  for (const name of readdirSync(join(root, '.cache')).filter((entry) => entry.startsWith('venv-'))) {
    const path = join(root, '.cache', name, 'bin', 'cfn-lint');
    if (existsSync(path)) return path;
  }
  throw new Error('cfn-lint is not installed: run npm run setup');
}
