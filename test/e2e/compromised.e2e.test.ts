import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DeleteFunctionConcurrencyCommand,
  GetFunctionConcurrencyCommand,
  LambdaClient,
  PutFunctionConcurrencyCommand,
} from '@aws-sdk/client-lambda';
import { GetRolePolicyCommand, IAMClient } from '@aws-sdk/client-iam';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settledArchive } from '../../local/demo/archive.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { registerCredentials } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type { ListAnswer } from '../../shared/api/messages.ts';
import { OUTPUT } from '../../shared/names.ts';
import { Guide } from '../support/guide.ts';
import { writeNextVersion } from '../support/next-version.ts';
import { bashAt, type Bash } from './bash.ts';
import { quiet } from './deployed.ts';
import { runningOf } from './upgrading.ts';

/**
 * What docs/runbook.md says to type when Rekey is compromised, run by bash with the real AWS CLI, from one shell to the next as
 * its reader does.
 */
describe('the runbook for a compromise of Rekey, command by command', { timeout: 300_000 }, () => {
  let world: World;
  let bash: Bash;
  let blocks: string[];
  let clients: { lambda: LambdaClient; iam: IAMClient };
  /** What the blocks before have defined, as in the one shell of the reader. */
  let before = '';

  const shell = async (index: number): Promise<string> => {
    const block = blocks[index] ?? '';
    const script = block
      .replace('stage=prod', 'stage=local')
      .replace("archive='…'", `archive='${world.output(OUTPUT.archive)}'`)
      .replaceAll('npx rekey', 'rekey');
    const { stdout, stderr } = await bash(`${before}\n${script}`, 200_000);
    before += `\n${definitions(script)}`;
    return stdout + stderr;
  };
  const functions = async (): Promise<string[]> =>
    (await shellText(`aws lambda list-functions --output text --query "Functions[].[FunctionName]"`))
      .split('\n')
      .filter((name) => name.startsWith('rekey-local-'));
  const shellText = async (script: string): Promise<string> => (await bash(script, 60_000)).stdout;
  const roleNames = async (): Promise<string[]> =>
    (await shellText('aws iam list-roles --output text --query "Roles[].[RoleName]"')).split('\n');
  const deployers = async (): Promise<string[]> =>
    (await roleNames()).filter((name) =>
      /^cdk-.*-(deploy|cfn-exec|file-publishing|image-publishing)-role-/.test(name),
    );
  const reserved = async (name: string): Promise<number | undefined> =>
    (await clients.lambda.send(new GetFunctionConcurrencyCommand({ FunctionName: name })))
      .ReservedConcurrentExecutions;
  const policyOf = async (role: string, name: string): Promise<unknown> => {
    const { PolicyDocument = '' } = await clients.iam.send(
      new GetRolePolicyCommand({ RoleName: role, PolicyName: name }),
    );
    return JSON.parse(decodeURIComponent(PolicyDocument));
  };

  beforeAll(async () => {
    blocks = await Guide.shellOf('runbook.md', 'Rekey is compromised');
    world = await startWorld(quiet);
    clients = {
      lambda: new LambdaClient(world.stack.clientConfig),
      iam: new IAMClient(world.stack.clientConfig),
    };
    bash = await bashAt(world);
    await registerCredentials(world, quiet);
  }, 240_000);

  afterAll(async () => {
    for (const client of Object.values(clients ?? {})) client.destroy();
    await world?.stop();
  }, 60_000);

  test('has seven blocks of commands', () => {
    expect(blocks).toHaveLength(7);
  });

  test('takes all rights from the roles that CDK deploys with', async () => {
    await shell(0);
    const roles = await deployers();
    expect(roles.length).toBeGreaterThan(0);
    for (const role of roles)
      expect(await policyOf(role, 'frozen')).toMatchObject({
        Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
      });
  });

  test('freezes: no function starts, and no execution goes on', async () => {
    const { rotation } = await rekeyJson<{ rotation: { id: string } }>(['rotate', 'orders'], world.env);
    expect(rotation.id).not.toBe('');
    const said = await shell(1);
    expect(said).not.toContain('NOT FROZEN');
    expect(said).toContain('frozen: rekey-local-');
    const frozen = await functions();
    expect(frozen.length).toBeGreaterThan(15);
    for (const name of frozen) expect([name, await reserved(name)]).toEqual([name, 0]);
    expect(await runningOf(world, OUTPUT.lifecycle)).toEqual([]);
    expect((await rekey(['list'], world.env)).status).not.toBe(0);
  });

  test('cuts the sessions of each role of the deployment', async () => {
    await shell(2);
    const roles = (await roleNames()).filter((name) => name.startsWith('rekey-local-'));
    expect(roles.length).toBeGreaterThan(20);
    for (const role of roles) {
      expect(await policyOf(role, 'revoke-older-sessions')).toMatchObject({
        Statement: [
          {
            Effect: 'Deny',
            Action: '*',
            Resource: '*',
            Condition: { DateLessThan: { 'aws:TokenIssueTime': expect.stringMatching(/^\d{4}-.*Z$/) } },
          },
        ],
      });
    }
  });

  test('leaves a function that runs after all nothing: its session is refused', async () => {
    const { recorder } = world.stack.gateway;
    const FunctionName = (await functions()).find((name) => name.includes('ControlApi')) ?? '';
    await clients.lambda.send(new DeleteFunctionConcurrencyCommand({ FunctionName }));
    const after = recorder.seq;
    expect((await rekey(['list'], world.env)).status).not.toBe(0);
    const called = recorder.calls({ after, function: 'control-api' });
    expect(called).not.toEqual([]);
    expect(called.filter(({ status }) => status !== 403)).toEqual([]);
    await clients.lambda.send(
      new PutFunctionConcurrencyCommand({ FunctionName, ReservedConcurrentExecutions: 0 }),
    );
  });

  test('verifies the evidence by a copy, and what is changed in the copy is found', async () => {
    await settledArchive(world.stack, world.output(OUTPUT.archive), 4);
    const said = await shell(3);
    expect(said).toContain('The copy is whole in itself');
    await cp(join(world.dir, 'copy'), join(world.dir, 'damaged'), { recursive: true });
    const script = `f=$(find damaged/records -name '000000000001-*' | head -1) && rm "$f" && rekey audit --archive damaged`;
    await expect(shellText(script)).rejects.toMatchObject({
      code: 3,
      stdout: expect.stringContaining('gap  record 1'),
    });
  });

  test('lets everything run again, and the ledger says of its chains what the copy holds', async () => {
    await shell(4);
    for (const role of await deployers()) await expect(policyOf(role, 'frozen')).rejects.toThrow();
    // What was deployed runs on with old sessions, as said there.
    await world.upgrade(await writeNextVersion(join(world.dir, 'next')));
    await shell(5);
    for (const name of await functions()) expect([name, await reserved(name)]).toEqual([name, undefined]);
    const { credentials } = await rekeyJson<ListAnswer>(['list'], world.env);
    expect(credentials.length).toBeGreaterThan(0);
    const told = await shellText('rekey audit --json | tee ends.json');
    const { chain } = JSON.parse(told) as { chain: { ends: { seq: number }[] } };
    const records = chain.ends.reduce((sum, { seq }) => sum + seq, 0);
    await settledArchive(world.stack, world.output(OUTPUT.archive), records, 90_000);
    const said = await shell(6);
    expect(said).toMatch(/2 of 2 chains were held against ends\.json/);
    expect(said).toContain('The copy is whole in itself');
  });
});

/** Variables and functions of a script, without what it does. */
function definitions(script: string): string {
  return script
    .split('\n')
    .filter((line) => /^(?:export )?[A-Za-z_]+=|^[a-z]+\(\) \{/.test(line))
    .join('\n');
}
