import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Synthesises the app as for AWS, with each of the worked examples and for the local stack, and holds the templates
 * against cfn-lint. Any word on stderr of synth is a warning.
 */
const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  default: [],
  'small-team': ['settings=examples/settings-small-team.json'],
  regulated: ['settings=examples/settings-regulated.json', 'allowComplianceLock=true'],
  local: ['stage=local'],
};
const root = join(import.meta.dirname, '..');
const out = mkdtempSync(join(tmpdir(), 'rekey-synth-'));
try {
  for (const [name, context] of Object.entries(SETTINGS)) synthesise(join(out, name), context);
  const templates = Object.keys(SETTINGS).flatMap((name) =>
    readdirSync(join(out, name))
      .filter((file) => file.endsWith('.template.json'))
      .map((file) => join(out, name, file)),
  );
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

function synthesise(output: string, context: readonly string[]): void {
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
      output,
      ...context.flatMap((each) => ['--context', each]),
    ],
    {
      cwd: root,
      encoding: 'utf8',
      timeout: 300_000,
      // No credentials: the examples name a region of their own, and "local" would be refused for an AWS account.
      env: { ...withoutAws(process.env), CDK_DISABLE_CLI_TELEMETRY: 'true', REKEY_STORED_BUNDLES: '1' },
    },
  );
  if (synth.status !== 0 || /warning|\[Error/i.test(synth.stderr)) {
    throw new Error(`cdk synth ${context.join(' ')} is not clean:\n${synth.stdout}${synth.stderr}`);
  }
}

function withoutAws(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const rest = Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('AWS_')));
  return {
    ...rest,
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_CONFIG_FILE: '/dev/null',
  };
}

/** cfn-lint from the Python environment that the set-up has made. */
function cfnLint(): string {
  for (const name of readdirSync(join(root, '.cache')).filter((entry) => entry.startsWith('venv-'))) {
    const path = join(root, '.cache', name, 'bin', 'cfn-lint');
    if (existsSync(path)) return path;
  }
  throw new Error('cfn-lint is not installed: run npm run setup');
}
