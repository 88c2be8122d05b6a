// The gateway's rotation, as far as verify-aws.int.test.ts doesn't look: refusals, the schedule, what the gateway shows.
import {
  CreateSecretCommand,
  DescribeSecretCommand,
  GetSecretValueCommand,
  PutSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  type RotateSecretCommandInput,
} from '@aws-sdk/client-secrets-manager';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { AwsClient } from 'aws4fetch';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { recordsOf } from '../../local/json.ts';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { deployTestFunction } from './local-function.ts';

let stack: LocalStack;
let client: SecretsManagerClient;
let rotator: string;

beforeAll(async () => {
  stack = await startLocalStack({ retry: { attempts: 3, firstDelayMs: 20, maxDelayMs: 40 } });
  client = new SecretsManagerClient({ ...stack.clientConfig, maxAttempts: 1 });
  rotator = await deployTestFunction(stack, 'rotator', join(import.meta.dirname, 'local-rotator.ts'));
}, 120_000);

afterEach(async () => {
  stack.gateway.faults.clear();
  await stack.gateway.secrets.idle();
});

afterAll(async () => {
  client?.destroy();
  await stack?.stop();
});

async function newSecret(): Promise<{ id: string; first: string }> {
  const id = `secret-${randomUUID()}`;
  const made = await client.send(new CreateSecretCommand({ Name: id, SecretString: 'first' }));
  return { id, first: made.VersionId ?? '' };
}

const rotate = (id: string, more: Partial<RotateSecretCommandInput> = {}) =>
  client.send(new RotateSecretCommand({ SecretId: id, RotationLambdaARN: rotator, ...more }));

const describeSecret = (id: string) => client.send(new DescribeSecretCommand({ SecretId: id }));

async function labels(id: string): Promise<Record<string, string[]>> {
  return (await describeSecret(id)).VersionIdsToStages ?? {};
}

const valueOf = async (id: string, version?: string) =>
  (await client.send(new GetSecretValueCommand({ SecretId: id, VersionId: version }))).SecretString;

const jobOf = (token: string | undefined) =>
  stack.gateway.secrets.jobs.findLast((job) => job.token === token);
const stepsOf = (token: string | undefined) => jobOf(token)?.steps.map(({ step }) => step) ?? [];

/** Makes the rotation function fail at its n-th call of an operation. */
function failRotator(operation: string, times = 1): void {
  const match = { service: 'secretsmanager', operation, function: 'test-rotator' };
  stack.gateway.faults.add({ match, times, action: { kind: 'error' } });
}

describe('RotateSecret', () => {
  test('takes the pending label from a current version that kept it', async () => {
    const { id } = await newSecret();
    const { VersionId: one } = await rotate(id);
    await stack.gateway.secrets.idle();
    const { VersionId: two } = await rotate(id);
    await stack.gateway.secrets.idle();
    expect(await labels(id)).toEqual({
      [one ?? '']: ['AWSPREVIOUS'],
      [two ?? '']: expect.arrayContaining(['AWSCURRENT', 'AWSPENDING']),
    });
  });

  test('tells DescribeSecret when it rotated and when it will again', async () => {
    const { id } = await newSecret();
    await rotate(id, { RotationRules: { AutomaticallyAfterDays: 7 } });
    await stack.gateway.secrets.idle();
    const shown = await describeSecret(id);
    expect(shown).toMatchObject({ RotationEnabled: true, RotationLambdaARN: rotator });
    const days =
      ((shown.NextRotationDate?.getTime() ?? 0) - (shown.LastRotatedDate?.getTime() ?? 0)) / 86_400_000;
    expect(days).toBe(7);
  });

  test('gives up after its attempts and leaves the pending version where it is', async () => {
    const { id, first } = await newSecret();
    failRotator('PutSecretValue', 3);
    const { VersionId: token } = await rotate(id);
    await stack.gateway.secrets.idle();
    expect(jobOf(token)?.state).toBe('failed');
    expect(stepsOf(token)).toEqual(['createSecret', 'createSecret', 'createSecret']);
    expect(await labels(id)).toEqual({ [first]: ['AWSCURRENT'], [token ?? '']: ['AWSPENDING'] });
  });

  test.each([
    ['a token that is too short', { ClientRequestToken: 'short' }, 'InvalidParameterException'],
    [
      'two schedules at once',
      { RotationRules: { AutomaticallyAfterDays: 1, ScheduleExpression: 'rate(1 day)' } },
      'InvalidParameterException',
    ],
    [
      'an interval under four hours',
      { RotationRules: { ScheduleExpression: 'rate(3 hours)' } },
      'InvalidParameterException',
    ],
    [
      'a function that it may not invoke',
      { RotationLambdaARN: 'arn:aws:lambda:eu-central-1:111122223333:function:other' },
      'AccessDeniedException',
    ],
    ['a secret without a function', { RotationLambdaARN: undefined }, 'InvalidRequestException'],
  ])('refuses %s and changes nothing', async (_what, input, name) => {
    const { id, first } = await newSecret();
    await expect(rotate(id, input)).rejects.toMatchObject({ name });
    expect(await labels(id)).toEqual({ [first]: ['AWSCURRENT'] });
    expect((await describeSecret(id)).RotationEnabled).toBe(false);
  });

  test('is driven by the schedule too, which takes up a pending version first', async () => {
    const { id } = await newSecret();
    await rotate(id, { RotateImmediately: false });
    await stack.gateway.secrets.idle();
    failRotator('PutSecretValue', 3);
    const pending = await stack.gateway.secrets.fireSchedule(id);
    await stack.gateway.secrets.idle();
    expect(jobOf(pending)?.state).toBe('failed');
    expect(await stack.gateway.secrets.fireSchedule(id)).toBe(pending);
    await stack.gateway.secrets.idle();
    expect(jobOf(pending)?.state).toBe('succeeded');
  });

  test('is abandoned when the current value is changed by hand meanwhile', async () => {
    const { id } = await newSecret();
    stack.gateway.faults.add({
      match: { operation: 'PutSecretValue', function: 'test-rotator' },
      action: { kind: 'delay', ms: 200 },
    });
    const { VersionId: token } = await rotate(id);
    await client.send(new PutSecretValueCommand({ SecretId: id, SecretString: 'by hand' }));
    await sleep(600);
    expect(jobOf(token)?.state).toBe('abandoned');
    expect(await valueOf(id)).toBe('by hand');
  });
});

test('The events of the service reach the default bus, in the form in which CloudTrail delivers them', async () => {
  const aws = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region, retries: 0 });
  const call = async (service: string, target: string, input: object): Promise<Record<string, unknown>> => {
    const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': target };
    const answer = await aws.fetch(stack.endpoint, {
      method: 'POST',
      headers,
      body: JSON.stringify(input),
      aws: { service },
    });
    return JSON.parse((await answer.text()) || '{}');
  };
  const QueueUrl = String(
    (await call('sqs', 'AmazonSQS.CreateQueue', { QueueName: 'service-events' }))['QueueUrl'],
  );
  await call('events', 'AWSEvents.PutRule', {
    Name: 'service-events',
    EventPattern: JSON.stringify({
      source: ['aws.secretsmanager'],
      'detail-type': ['AWS Service Event via CloudTrail'],
    }),
  });
  await call('events', 'AWSEvents.PutTargets', {
    Rule: 'service-events',
    Targets: [{ Id: 'queue', Arn: `arn:aws:sqs:${stack.region}:${stack.accountId}:service-events` }],
  });
  const { id } = await newSecret();
  failRotator('PutSecretValue', 3);
  await rotate(id);
  await stack.gateway.secrets.idle();
  await expect(rotate(id)).rejects.toThrow('reattempted');
  await stack.gateway.secrets.idle();

  const { ARN: arn } = await describeSecret(id);
  const names: string[] = [];
  const deadline = Date.now() + 5_000;
  while (names.length < 4 && Date.now() < deadline) {
    const { Messages } = await call('sqs', 'AmazonSQS.ReceiveMessage', {
      QueueUrl,
      MaxNumberOfMessages: 10,
    });
    for (const message of recordsOf(Messages)) {
      const { detail } = JSON.parse(String(message['Body']));
      if (detail.additionalEventData.SecretId === arn) names.push(detail.eventName);
    }
    await sleep(50);
  }
  expect(names.toSorted()).toEqual([
    'RotationFailed',
    'RotationStarted',
    'RotationStarted',
    'RotationSucceeded',
  ]);
});

test('The recorder names the function that called and keeps no value', async () => {
  const { id } = await newSecret();
  const after = stack.gateway.recorder.seq;
  await rotate(id);
  await stack.gateway.secrets.idle();
  const calls = stack.gateway.recorder.calls({ function: 'test-rotator', after });
  expect(calls.map(({ operation }) => operation)).toEqual([
    'GetSecretValue',
    'PutSecretValue',
    'GetSecretValue',
    'DescribeSecret',
    'UpdateSecretVersionStage',
  ]);
  expect(JSON.stringify(stack.gateway.recorder.calls())).not.toContain('value-of-');
});
