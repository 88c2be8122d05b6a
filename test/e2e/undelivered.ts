// What becomes of events that a subscriber doesn't take, and how they reach it after all.
import { EventBridgeClient, ListArchivesCommand, StartReplayCommand } from '@aws-sdk/client-eventbridge';
import { AwsClient } from 'aws4fetch';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { SubscriptionsAnswer } from '../../shared/api/messages.ts';
import { EVENT } from '../../shared/names.ts';
import { deadLetters, type Webhook } from './subscribers.ts';

/** Tests of a webhook that refuses every `halt` of its fleet, and of one that refused it twice, once both were told. */
export function describeUndelivered(
  given: () => { readonly world: World; readonly deaf: Webhook; readonly pager: Webhook },
): void {
  test('a webhook that fails twice is called again, and knows by the id that it is one event', async () => {
    const { pager } = given();
    const tries = pager.calls
      .filter(({ event }) => event['detail-type'] === EVENT.halt)
      .map(({ event }) => event);
    expect(tries).toHaveLength(3);
    expect(new Set(tries.map(({ detail }) => detail['id'])).size).toBe(1);
    const halts = (await pager.received()).filter((event) => event['detail-type'] === EVENT.halt);
    expect(new Set(halts.map(({ detail }) => detail['id']))).toEqual(new Set([tries[0]?.detail['id']]));
  });

  test('what a webhook refuses to the end waits in the dead-letter queue, which has an alarm, and comes by a replay to its rule', async () => {
    const { world, deaf, pager } = given();
    const { subscriptions } = await rekeyJson<SubscriptionsAnswer>(['subscriptions'], world.env);
    const own = subscriptions.find(({ to }) => to === deaf.arn);
    const queueArn = own?.deadLetter ?? '';
    const [letter] = await deadLetters(world, queueArn, deaf.arn);
    expect(letter).toMatchObject({
      event: { 'detail-type': EVENT.halt },
      said: {
        RULE_ARN: expect.stringMatching(`/subscription-${own?.id}$`),
        ERROR_CODE: 'ERROR_FROM_TARGET',
        ERROR_MESSAGE: expect.stringContaining('500'),
        EXHAUSTED_RETRY_CONDITION: 'MaximumEventAgeInSeconds',
      },
    });
    expect(Number(letter?.said['RETRY_ATTEMPTS'])).toBe(
      deaf.calls.filter(({ event }) => event.detail['id'] === letter?.event.detail['id']).length - 1,
    );
    expect(await deaf.received()).toEqual([]);
    expect(await alarmsOf(world, queueArn.split(':').at(-1) ?? '')).toEqual([
      expect.stringMatching(/runbook\.md#undelivered-events$/),
    ]);

    deaf.mend();
    const others = (await pager.received()).length;
    await replayTo(world, letter?.said['RULE_ARN'] ?? '');
    for (const end = Date.now() + 30_000; Date.now() < end; await sleep(250))
      if ((await deaf.received()).length > 0) break;
    expect((await deaf.received()).map(({ detail }) => detail['id'])).toContain(letter?.event.detail['id']);
    expect(await pager.received()).toHaveLength(others);
  });
}

/** As docs/runbook.md, "Undelivered events", says. */
async function replayTo({ stack }: World, rule: string): Promise<void> {
  const client = new EventBridgeClient(stack.clientConfig);
  const busArn = rule.replace(':rule/', ':event-bus/').replace(/\/subscription-.*/, '');
  const { Archives = [] } = await client.send(new ListArchivesCommand({ EventSourceArn: busArn }));
  await client.send(
    new StartReplayCommand({
      ReplayName: 'undelivered',
      EventSourceArn: busArn.replace(/:event-bus\/.*/, `:archive/${Archives[0]?.ArchiveName}`),
      EventStartTime: new Date(Date.now() - 3_600_000),
      EventEndTime: new Date(Date.now() + 60_000),
      Destination: { Arn: busArn, FilterArns: [rule] },
    }),
  );
  client.destroy();
}

/** What the alarms say that watch a queue. */
async function alarmsOf({ stack }: World, queue: string): Promise<readonly string[]> {
  const client = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region });
  const answer = await client.fetch(stack.endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': 'GraniteServiceVersion20100801.DescribeAlarms',
    },
    body: JSON.stringify({ MaxRecords: 100 }),
    aws: { service: 'monitoring' },
  });
  const { MetricAlarms } = (await answer.json()) as {
    MetricAlarms: { AlarmDescription: string; Dimensions: { Name: string; Value: string }[] }[];
  };
  return MetricAlarms.filter(({ Dimensions }) => Dimensions.some(({ Value }) => Value === queue)).map(
    ({ AlarmDescription }) => AlarmDescription,
  );
}
