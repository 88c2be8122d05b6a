import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IAMClient, ListRolesCommand } from '@aws-sdk/client-iam';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { ListSecretsCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { ListQueuesCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { BELIEFS, type BeliefId } from '../../local/verify/beliefs.ts';
import type { Report } from '../../local/verify/run.ts';
import { PREFIX } from '../../local/verify/stage.ts';

const SCRIPT = join(import.meta.dirname, '../../local/verify/main.ts');
const SHORT = ['--patience', '40', '--quiet', '2', '--hold', '4'];
const RETRY = { attempts: 5, firstDelayMs: 300, maxDelayMs: 600 };

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Starts the script as `npm run verify:aws` does; `onOutput` sees all that was printed so far. */
function start(
  stack: LocalStack,
  args: readonly string[],
  onOutput: (output: string, child: ChildProcess) => void = () => undefined,
): Promise<Ended> {
  const child = spawn(process.execPath, [SCRIPT, ...args], { env: { ...process.env, ...stack.env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
      onOutput(output, child);
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, output }));
  });
}

/** What the script has made and is still there. */
async function left({ clientConfig }: LocalStack): Promise<string[]> {
  const [secrets, functions, roles, queues] = await Promise.all([
    new SecretsManagerClient(clientConfig).send(new ListSecretsCommand({ IncludePlannedDeletion: true })),
    new LambdaClient(clientConfig).send(new ListFunctionsCommand({})),
    new IAMClient(clientConfig).send(new ListRolesCommand({})),
    new SQSClient(clientConfig).send(new ListQueuesCommand({})),
  ]);
  const names = [
    ...(secrets.SecretList ?? []).map(({ Name }) => Name),
    ...(functions.Functions ?? []).map(({ FunctionName }) => FunctionName),
    ...(roles.Roles ?? []).map(({ RoleName }) => RoleName),
    ...(queues.QueueUrls ?? []),
  ];
  return names.flatMap((name) => (name?.includes(PREFIX) === true ? [name] : []));
}

describe('npm run verify:aws', () => {
  let folder: string;
  let stack: LocalStack;
  /** Plays another service: what has failed is repeated where it failed. */
  let other: LocalStack;
  let ended: Ended;
  let endedElsewhere: Ended;
  const report = async (name: string): Promise<Report> =>
    JSON.parse(await readFile(join(folder, name), 'utf8')) as Report;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'rekey-verify-'));
    stack = await startLocalStack({ iam: true, retry: RETRY });
    other = await startLocalStack({ iam: true, retry: { ...RETRY, from: 'step' } });
    [ended, endedElsewhere] = await Promise.all([
      start(stack, ['--yes', ...SHORT, '--json', join(folder, 'ours.json')]),
      start(other, ['--yes', ...SHORT, '--json', join(folder, 'other.json')]),
    ]);
  });

  afterAll(async () => {
    await stack?.stop();
    await other?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test.each(Object.keys(BELIEFS) as BeliefId[])(
    'the gateway does what the engine believes of Secrets Manager: %s',
    async (id) => {
      const found = (await report('ours.json')).findings.find((finding) => finding.id === id);
      expect(found, ended.output).toMatchObject({ ...BELIEFS[id], outcome: 'holds' });
    },
  );

  test('a service that does otherwise is reported with what was seen, and fails the run', async () => {
    const { findings } = await report('other.json');
    expect(findings.filter(({ outcome }) => outcome !== 'holds')).toEqual([
      expect.objectContaining({
        id: 'failure-is-retried',
        outcome: 'differs',
        seen: expect.stringContaining('createSecret, setSecret, setSecret'),
      }),
    ]);
    expect(endedElsewhere.code).toBe(1);
    expect(endedElsewhere.output).toContain('1 differ');
  });

  test('nothing that it made is left', async () => {
    expect(ended.code).toBe(0);
    expect([await left(stack), await left(other)]).toEqual([[], []]);
  });

  test('nothing is left either where it is interrupted in the middle', async () => {
    let interrupted = false;
    const { code, output } = await start(stack, ['--yes', ...SHORT], (soFar, child) => {
      if (interrupted || !soFar.includes('holds:')) return;
      interrupted = true;
      child.kill('SIGINT');
    });
    expect([code, output]).toEqual([130, expect.stringContaining('removing what was made')]);
    expect(await left(stack)).toEqual([]);
  });

  test('nothing is made unless somebody agrees, and it says what that would be', async () => {
    const { code, output } = await start(stack, []);
    expect(code).toBe(2);
    expect(output).toContain(`secrets ${PREFIX}*`);
    expect(output).toContain('less than $0.05');
    expect(output).not.toContain('making');
  });

  test('a service that is broken is not taken for one that differs', async () => {
    const stop = stack.gateway.faults.add({
      match: { service: 'secretsmanager', operation: 'PutSecretValue' },
      action: { kind: 'error', status: 500 },
    });
    const { code, output } = await start(stack, ['--yes', ...SHORT, '--patience', '3']);
    stop();
    expect(code).toBe(3);
    expect(output).toContain('0 differ');
    expect(output).toContain('not observed in time: put-same-text (');
    expect(await left(stack)).toEqual([]);
  });
});
