// The corrections in local/ministack/patch_delivery.py: what EventBridge does with what a target doesn't take.
import {
  EventBridgeClient,
  PutEventsCommand,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import { CreateQueueCommand, SQSClient } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';
import { deadLetters, webhook, type DeadLetter, type Webhook } from '../e2e/subscribers.ts';

let stack: LocalStack;
let events: EventBridgeClient;
let own: string;
const opened: Webhook[] = [];

beforeAll(async () => {
  stack = await startLocalStack();
  events = new EventBridgeClient(stack.clientConfig);
  own = `arn:aws:sqs:${stack.region}:${stack.accountId}:`;
  const sqs = new SQSClient(stack.clientConfig);
  await sqs.send(new CreateQueueCommand({ QueueName: 'dead' }));
  sqs.destroy();
}, 120_000);

afterAll(async () => {
  await Promise.all(opened.map(async (each) => each.close()));
  events?.destroy();
  await stack?.stop();
});

async function endpoint(name: string, answers: readonly number[]): Promise<Webhook> {
  const made = await webhook({ stack }, name, 'key', answers);
  opened.push(made);
  return made;
}

/** Sends an event to a target by a rule of its own. */
async function send(name: string, arn: string, policy?: object): Promise<void> {
  const EventPattern = JSON.stringify({ source: [name] });
  await events.send(new PutRuleCommand({ Name: name, EventPattern }));
  const target = { Id: 'one', Arn: arn, RoleArn: `arn:aws:iam::${stack.accountId}:role/delivery` };
  const RetryPolicy = policy === undefined ? {} : { RetryPolicy: policy };
  const Targets = [{ ...target, ...RetryPolicy, DeadLetterConfig: { Arn: `${own}dead` } }];
  await events.send(new PutTargetsCommand({ Rule: name, Targets }));
  const Entries = [{ Source: name, DetailType: 'Something', Detail: '{"id":"1"}' }];
  await events.send(new PutEventsCommand({ Entries }));
}

const dead = async (arn: string): Promise<readonly DeadLetter[]> => deadLetters({ stack }, `${own}dead`, arn);

test('A webhook that fails is called again until it takes the event', async () => {
  const flaky = await endpoint('flaky', [500, 429, 401, 204]);
  await send('flaky', flaky.arn);
  await expect.poll(async () => flaky.received(), { timeout: 10_000 }).toHaveLength(1);
  expect(flaky.calls).toHaveLength(4);
});

test('One that goes on failing is given up by the number of retries or by the age of the event', async () => {
  const busy = await endpoint('busy', [503]);
  await send('busy', busy.arn, { MaximumRetryAttempts: 2 });
  expect(await dead(busy.arn)).toEqual([
    {
      event: expect.objectContaining({ source: 'busy', detail: { id: '1' } }),
      said: {
        RULE_ARN: `arn:aws:events:${stack.region}:${stack.accountId}:rule/busy`,
        TARGET_ARN: busy.arn,
        ERROR_CODE: 'ERROR_FROM_TARGET',
        ERROR_MESSAGE: 'the endpoint answered 503',
        RETRY_ATTEMPTS: '2',
        EXHAUSTED_RETRY_CONDITION: 'MaximumRetryAttempts',
      },
    },
  ]);
  expect(busy.calls).toHaveLength(3);

  const slow = await endpoint('slow', [429]);
  await send('slow', slow.arn, { MaximumEventAgeInSeconds: 3600 });
  const [letter] = await dead(slow.arn);
  expect(letter?.said).toMatchObject({
    ERROR_CODE: 'THROTTLING',
    EXHAUSTED_RETRY_CONDITION: 'MaximumEventAgeInSeconds',
    RETRY_ATTEMPTS: String(slow.calls.length - 1),
  });
});

test('What a retry would not mend is given up at once', async () => {
  const refusing = await endpoint('refusing', [404]);
  const missing = `${own}missing`;
  await send('refusing', refusing.arn);
  await send('missing', missing);
  for (const [arn, code] of [
    [refusing.arn, 'ERROR_FROM_TARGET'],
    [missing, 'NO_RESOURCE'],
  ] as const) {
    const [letter] = await dead(arn);
    expect(letter?.said).toMatchObject({ ERROR_CODE: code, RETRY_ATTEMPTS: '0' });
    expect(letter?.said['EXHAUSTED_RETRY_CONDITION']).toBeUndefined();
  }
  expect(refusing.calls).toHaveLength(1);
});

test('An endpoint that nobody listens at is tried again', async () => {
  const closed = await endpoint('closed', [204]);
  await closed.close();
  opened.pop();
  await send('closed', closed.arn, { MaximumRetryAttempts: 1 });
  const [letter] = await dead(closed.arn);
  expect(letter?.said).toMatchObject({ ERROR_CODE: 'CONNECTION_FAILURE', RETRY_ATTEMPTS: '1' });
});
