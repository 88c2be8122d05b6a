import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { readJson, root } from './app.ts';

const run = promisify(execFile);

/** The CDK CLI as a person runs it. */
async function cdk(args: string[]): Promise<{ code: number; text: string }> {
  const cli = join(root, 'node_modules', 'aws-cdk', 'bin', 'cdk');
  const env = { ...process.env, NO_COLOR: '1', CI: '' };
  try {
    const { stdout, stderr } = await run(process.execPath, [cli, ...args], { cwd: root, env });
    return { code: 0, text: stdout + stderr };
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return { code, text: stdout + stderr };
  }
}

describe('cdk synth', { timeout: 180_000 }, () => {
  it('is free of warnings and of cdk-nag errors, and knows no account', async () => {
    const out = mkdtempSync(join(tmpdir(), 'rekey-cdk-'));
    try {
      const { code, text } = await cdk(['synth', '--strict', '--quiet', '--no-notices', '--output', out]);
      expect(text.replaceAll(out, 'OUT').trim()).toBe(
        'Successfully synthesized to OUT\n' +
          'Supply a stack id (State, Evidence, Verifiers, Rotation, Incident, Signals, Usage, Api, Agents, Monitoring, Access) to display its template.',
      );
      expect(code).toBe(0);
      expect(
        readJson<{ pluginReports: object[] }>(join(out, 'validation-report.json')).pluginReports,
      ).toEqual([]);
      const { artifacts } = readJson<{ artifacts: Record<string, { environment?: string }> }>(
        join(out, 'manifest.json'),
      );
      const environments = Object.values(artifacts).map(({ environment }) => environment ?? 'none');
      expect(environments.filter((each) => /\d{12}/.test(each))).toEqual([]);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  });

  it('an AWS stage that sets a timing of the local stage fails and names it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rekey-cdk-'));
    try {
      const file = join(folder, 'settings.json');
      writeFileSync(file, JSON.stringify({ timing: { minWindowSeconds: 5 } }));
      const context = ['--context', 'stage=prod', '--context', `settings=${file}`];
      const { code, text } = await cdk(['synth', '--quiet', '--no-notices', '--output', folder, ...context]);
      expect(code).not.toBe(0);
      expect(text).toContain('timing.minWindowSeconds: only stage "local" may set it');
      expect(text).not.toContain('    at ');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
