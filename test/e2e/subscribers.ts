import { createServer, type IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateApiDestinationCommand,
  CreateConnectionCommand,
  CreateEventBusCommand,
  EventBridgeClient,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { AwsClient } from 'aws4fetch';
import type { World } from '../../local/demo/world.ts';
import type { BusEvent } from '../compat/recorded.ts';

/** Somebody who may be subscribed, and what has arrived so far. */
export interface Subscriber {
  readonly arn: string;
  received(): Promise<readonly BusEvent[]>;
}

/** A queue; where it hears by a topic, its policy lets that in. */
export async function queue({ stack }: World, name: string, by?: string): Promise<Subscriber> {
  const sqs = new SQSClient(stack.clientConfig);
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: name }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  const arn = Attributes?.QueueArn ?? '';
  if (by !== undefined) {
    const statement = {
      Effect: 'Allow',
      Principal: { Service: 'sns.amazonaws.com' },
      Action: 'sqs:SendMessage',
      Resource: arn,
      Condition: { ArnEquals: { 'aws:SourceArn': by } },
    };
    const Policy = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
    await sqs.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: { Policy } }));
  }
  const events: BusEvent[] = [];
  return {
    arn,
    received: async () => {
      for (;;) {
        const { Messages = [] } = await sqs.send(
          new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
        );
        if (Messages.length === 0) return events;
        for (const { Body = '', ReceiptHandle } of Messages) {
          events.push(JSON.parse(Body) as BusEvent);
          await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
        }
      }
    },
  };
}

/** Another bus, which hands everything on to a queue. */
export async function bus(world: World, name: string): Promise<Subscriber> {
  const events = new EventBridgeClient(world.stack.clientConfig);
  const { EventBusArn = '' } = await events.send(new CreateEventBusCommand({ Name: name }));
  const behind = await queue(world, `${name}-queue`);
  const rule = { EventBusName: name, Name: 'everything' };
  await events.send(new PutRuleCommand({ ...rule, EventPattern: JSON.stringify({ source: ['rekey'] }) }));
  const Targets = [{ Id: 'queue', Arn: behind.arn }];
  await events.send(new PutTargetsCommand({ EventBusName: name, Rule: rule.Name, Targets }));
  return { ...behind, arn: EventBusArn };
}

/** A topic, each of whose subscribers hears of one fleet only, by a filter: the way beyond 300 rules on a bus. */
export async function topic(
  world: World,
  name: string,
  fleets: readonly string[],
): Promise<{ readonly arn: string; readonly behind: readonly Subscriber[] }> {
  const arn = /<TopicArn>(.*?)</.exec(await callSns(world, { Action: 'CreateTopic', Name: name }))?.[1] ?? '';
  const behind = await Promise.all(fleets.map((fleet) => queue(world, `${name}-${fleet}`, arn)));
  for (const [index, { arn: Endpoint }] of behind.entries()) {
    const attributes = {
      RawMessageDelivery: 'true',
      FilterPolicyScope: 'MessageBody',
      FilterPolicy: JSON.stringify({ detail: { fleets: [fleets[index], '*'] } }),
    };
    await subscribe(world, arn, Endpoint, attributes);
  }
  return { arn, behind };
}

/** A queue that hears what a topic says, and the texts that it has heard. */
export async function listener(world: World, topicArn: string): Promise<() => Promise<readonly string[]>> {
  const heard = await queue(world, 'listener', topicArn);
  await subscribe(world, topicArn, heard.arn, {});
  // As SNS wraps a message that is not to be raw.
  return async () => (await heard.received()).map((each) => (each as unknown as { Message: string }).Message);
}

async function subscribe(
  world: World,
  TopicArn: string,
  Endpoint: string,
  attributes: Readonly<Record<string, string>>,
): Promise<void> {
  const entries = Object.entries(attributes).flatMap(([key, value], at) => [
    [`Attributes.entry.${at + 1}.key`, key],
    [`Attributes.entry.${at + 1}.value`, value],
  ]);
  const about = { TopicArn, Protocol: 'sqs', Endpoint, ...Object.fromEntries(entries) };
  await callSns(world, { Action: 'Subscribe', ...about });
}

async function callSns({ stack }: World, input: Record<string, string>): Promise<string> {
  const client = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region });
  const answer = await client.fetch(stack.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ Version: '2010-03-31', ...input }).toString(),
    aws: { service: 'sns' },
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

/** An endpoint that is called, whether it takes an event or not. */
export interface Webhook extends Subscriber {
  /** Headers and event of each call. */
  readonly calls: readonly { readonly headers: IncomingHttpHeaders; readonly event: BusEvent }[];
  /** From now on it takes everything. */
  mend(): void;
  close(): Promise<void>;
}

/**
 * An HTTP endpoint behind an API destination, whose connection sends `key` as the header `x-api-key`. To each event it gives
 * the answers in turn, the last of them from then on, and has received what it answered with 2xx.
 */
export async function webhook(
  { stack }: Pick<World, 'stack'>,
  name: string,
  key: string,
  answers: readonly number[] = [204],
): Promise<Webhook> {
  const events: BusEvent[] = [];
  const calls: { headers: IncomingHttpHeaders; event: BusEvent }[] = [];
  let given = answers;
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      const event = JSON.parse(text) as BusEvent;
      const before = calls.filter((call) => call.event.detail['id'] === event.detail['id']).length;
      const status = given[Math.min(before, given.length - 1)] ?? 204;
      calls.push({ headers: request.headers, event });
      if (status < 300) events.push(event);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = new EventBridgeClient(stack.clientConfig);
  const { ConnectionArn } = await client.send(
    new CreateConnectionCommand({
      Name: name,
      AuthorizationType: 'API_KEY',
      AuthParameters: { ApiKeyAuthParameters: { ApiKeyName: 'x-api-key', ApiKeyValue: key } },
    }),
  );
  const { ApiDestinationArn = '' } = await client.send(
    new CreateApiDestinationCommand({
      Name: name,
      ConnectionArn,
      InvocationEndpoint: `http://127.0.0.1:${address.port}/events`,
      HttpMethod: 'POST',
    }),
  );
  return {
    arn: ApiDestinationArn,
    calls,
    received: async () => Promise.resolve(events),
    mend: () => {
      given = [204];
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** An event that could not be delivered, and what EventBridge says of it. */
export interface DeadLetter {
  readonly event: BusEvent;
  readonly said: Readonly<Record<string, string | undefined>>;
}

/** Takes the dead letters of a target, by the ARN of their queue; the first may take as long as a delivery is tried. */
export async function deadLetters(
  { stack }: Pick<World, 'stack'>,
  queueArn: string,
  target: string,
): Promise<readonly DeadLetter[]> {
  const sqs = new SQSClient(stack.clientConfig);
  const { QueueUrl } = await sqs.send(
    new GetQueueUrlCommand({ QueueName: queueArn.split(':').at(-1) ?? '' }),
  );
  const found: DeadLetter[] = [];
  for (const end = Date.now() + 60_000; found.length === 0 && Date.now() < end; await sleep(250)) {
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageAttributeNames: ['All'],
        VisibilityTimeout: 1,
      }),
    );
    for (const { Body = '', MessageAttributes = {}, ReceiptHandle } of Messages) {
      const said = Object.fromEntries(
        Object.entries(MessageAttributes).map(([key, { StringValue }]) => [key, StringValue]),
      );
      if (said['TARGET_ARN'] !== target) continue;
      found.push({ event: JSON.parse(Body) as BusEvent, said });
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
  }
  sqs.destroy();
  return found;
}
