// The corrections in local/ministack/patch*.py, each seen as a machine or a function of Rekey would see it.
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  PutUserPolicyCommand,
} from '@aws-sdk/client-iam';
import {
  DeleteFunctionConcurrencyCommand,
  LambdaClient,
  PutFunctionConcurrencyCommand,
} from '@aws-sdk/client-lambda';
import {
  CreateSecretCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from '@aws-sdk/client-secrets-manager';
import {
  CreateStateMachineCommand,
  DescribeExecutionCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { deployTestFunction } from './local-function.ts';

let stack: LocalStack;
let machines: SFNClient;
let thrower: string;
let machineCount = 0;

beforeAll(async () => {
  stack = await startLocalStack();
  machines = new SFNClient(stack.clientConfig);
  thrower = await deployTestFunction(stack, 'thrower', join(import.meta.dirname, 'local-thrower.ts'));
}, 120_000);

afterAll(async () => {
  machines?.destroy();
  await stack?.stop();
});

async function machineOf(task: object): Promise<string> {
  const definition = {
    QueryLanguage: 'JSONata',
    StartAt: 'Task',
    States: { Task: { Type: 'Task', End: true, ...task } },
  };
  const made = await machines.send(
    new CreateStateMachineCommand({
      name: `machine-${++machineCount}`,
      roleArn: `arn:aws:iam::${stack.accountId}:role/test`,
      definition: JSON.stringify(definition),
    }),
  );
  return made.stateMachineArn ?? '';
}

async function outcome(
  task: object,
  input: object = {},
): Promise<{ status?: string; error?: string; output: unknown }> {
  const stateMachineArn = await machineOf(task);
  const { executionArn } = await machines.send(
    new StartExecutionCommand({ stateMachineArn, input: JSON.stringify(input) }),
  );
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    const { status, error, output } = await machines.send(new DescribeExecutionCommand({ executionArn }));
    if (status !== 'RUNNING') {
      const parsed: unknown = output === undefined ? undefined : JSON.parse(output);
      return {
        ...(status === undefined ? {} : { status }),
        ...(error === undefined ? {} : { error }),
        output: parsed,
      };
    }
    await sleep(50);
  }
  throw new Error('The execution did not end');
}

const invoke = 'arn:aws:states:::lambda:invoke';

test('The timeout of a callback may be a JSONata expression', async () => {
  const Arguments = { FunctionName: thrower, Payload: { token: '{% $states.context.Task.Token %}' } };
  const task = {
    Resource: `${invoke}.waitForTaskToken`,
    TimeoutSeconds: '{% $states.input.seconds %}',
    Arguments,
  };
  expect(await outcome(task, { seconds: 1 })).toMatchObject({ status: 'FAILED', error: 'States.Timeout' });
});

test('Items of a distributed map are executions of their own, with an input of their own, and one that fails is missed alone', async () => {
  const own = '{% $states.context.Execution.Input.part %}';
  const done = await outcome(
    {
      Type: 'Map',
      Items: '{% $partition($states.input.all, 2) %}',
      ItemSelector: {
        part: '{% $states.context.Map.Item.Value %}',
        of: '{% $states.context.Execution.Name %}',
      },
      ToleratedFailurePercentage: 100,
      ItemProcessor: {
        ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
        StartAt: 'Which',
        States: {
          Which: {
            Type: 'Choice',
            Choices: [{ Condition: '{% 3 in $states.context.Execution.Input.part %}', Next: 'Lost' }],
            Default: 'Kept',
          },
          Lost: { Type: 'Fail', Error: 'Lost' },
          Kept: {
            Type: 'Pass',
            Output: {
              parts: own,
              same: '{% $states.context.Execution.Name = $states.context.Execution.Input.of %}',
            },
            End: true,
          },
        },
      },
      Output: { parts: '{% [$states.result.parts] %}', same: '{% [$states.result.same] %}' },
    },
    { all: [1, 2, 3, 4, 5] },
  );
  expect(done).toEqual({ status: 'SUCCEEDED', output: { parts: [1, 2, 5], same: [false, false] } });
});

test('A machine catches a function by the name of its error', async () => {
  const task = {
    Resource: invoke,
    Arguments: { FunctionName: thrower, Payload: { throw: 'ERR_CAPACITY' } },
    Retry: [{ ErrorEquals: ['ERR_CAPACITY'], MaxAttempts: 1, IntervalSeconds: 1 }],
  };
  expect(await outcome(task)).toMatchObject({ status: 'FAILED', error: 'ERR_CAPACITY' });
});

test('A callback task fails at once when the function that it calls fails', async () => {
  const Arguments = { FunctionName: thrower, Payload: { throw: 'ERR_REJECTED' } };
  const task = { Resource: `${invoke}.waitForTaskToken`, TimeoutSeconds: 60, Arguments };
  expect(await outcome(task)).toMatchObject({ status: 'FAILED', error: 'ERR_REJECTED' });
});

test('A function that is invoked through an alias sees the alias', async () => {
  const task = {
    Resource: invoke,
    Arguments: { FunctionName: thrower, Payload: {} },
    Output: '{% $states.result.Payload %}',
  };
  expect(await outcome(task)).toMatchObject({ status: 'SUCCEEDED', output: { arn: thrower } });
});

test('A function that has no place to run in is refused to whoever calls it through an alias, until it has one again', async () => {
  const lambda = new LambdaClient(stack.clientConfig);
  const of = { FunctionName: 'thrower' };
  const task = { Resource: invoke, Arguments: { FunctionName: thrower, Payload: {} } };
  await lambda.send(new PutFunctionConcurrencyCommand({ ...of, ReservedConcurrentExecutions: 0 }));
  expect((await outcome(task)).status).toBe('FAILED');
  await lambda.send(new DeleteFunctionConcurrencyCommand(of));
  lambda.destroy();
  expect((await outcome(task)).status).toBe('SUCCEEDED');
});

test('Starting a running execution again with the same name and input is no error', async () => {
  const stateMachineArn = await machineOf({ Type: 'Wait', Seconds: 30 });
  const start = () =>
    machines.send(new StartExecutionCommand({ stateMachineArn, name: 'once', input: '{"a":1}' }));
  const first = await start();
  expect((await start()).executionArn).toBe(first.executionArn);
  const other = new StartExecutionCommand({ stateMachineArn, name: 'once', input: '{"a":2}' });
  await expect(machines.send(other)).rejects.toMatchObject({ name: 'ExecutionAlreadyExists' });
  await machines.send(new StopExecutionCommand({ executionArn: first.executionArn }));
});

test('A rotation that a machine starts by itself is driven, and its call is recorded', async () => {
  const rotator = await deployTestFunction(stack, 'rotator', join(import.meta.dirname, 'local-rotator.ts'));
  const secrets = new SecretsManagerClient(stack.clientConfig);
  await secrets.send(new CreateSecretCommand({ Name: 'machine-made', SecretString: 'first' }));
  secrets.destroy();
  const task = {
    Resource: 'arn:aws:states:::aws-sdk:secretsmanager:rotateSecret',
    Arguments: { SecretId: 'machine-made', ClientRequestToken: 't'.repeat(32), RotationLambdaARN: rotator },
  };
  expect(await outcome(task)).toMatchObject({ status: 'SUCCEEDED', output: { VersionId: 't'.repeat(32) } });
  await stack.gateway.secrets.idle();
  expect(stack.gateway.secrets.jobs.at(-1)?.state).toBe('succeeded');
  expect(stack.gateway.recorder.calls({ function: 'states', operation: 'RotateSecret' })).toHaveLength(1);
});

test('A caller who may move one label only is refused another', async () => {
  const guarded = await startLocalStack({ iam: true });
  const vault = new SecretsManagerClient(guarded.clientConfig);
  const caller = new SecretsManagerClient({
    ...guarded.clientConfig,
    credentials: await userWith(guarded, {
      Effect: 'Allow',
      Action: 'secretsmanager:UpdateSecretVersionStage',
      Resource: '*',
      Condition: { 'ForAnyValue:StringEquals': { 'secretsmanager:VersionStage': 'AWSPENDING' } },
    }),
  });
  try {
    const first = await vault.send(new CreateSecretCommand({ Name: 'labelled', SecretString: 'first' }));
    const next = await vault.send(
      new PutSecretValueCommand({
        SecretId: 'labelled',
        SecretString: 'next',
        VersionStages: ['AWSPENDING'],
      }),
    );
    const move = (VersionStage: string, versions: object) =>
      caller.send(new UpdateSecretVersionStageCommand({ SecretId: 'labelled', VersionStage, ...versions }));
    await expect(
      move('AWSCURRENT', { MoveToVersionId: next.VersionId, RemoveFromVersionId: first.VersionId }),
    ).rejects.toMatchObject({ name: 'AccessDeniedException' });
    await move('AWSPENDING', { RemoveFromVersionId: next.VersionId });
  } finally {
    caller.destroy();
    vault.destroy();
    await guarded.stop();
  }
});

/** Keys of a new user who may do what a statement says. */
async function userWith({ clientConfig }: LocalStack, statement: object) {
  const iam = new IAMClient(clientConfig);
  const UserName = 'caller';
  const PolicyDocument = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await iam.send(new CreateUserCommand({ UserName }));
  await iam.send(new PutUserPolicyCommand({ UserName, PolicyName: 'own', PolicyDocument }));
  const { AccessKey } = await iam.send(new CreateAccessKeyCommand({ UserName }));
  iam.destroy();
  return { accessKeyId: AccessKey?.AccessKeyId ?? '', secretAccessKey: AccessKey?.SecretAccessKey ?? '' };
}
