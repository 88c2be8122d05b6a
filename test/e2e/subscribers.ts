import { createServer, type IncomingHttpHeaders } from 'node:http';
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
  const { stack } = world;
  const client = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region });
  const call = async (input: Record<string, string>): Promise<string> => {
    const answer = await client.fetch(stack.endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ Version: '2010-03-31', ...input }).toString(),
      aws: { service: 'sns' },
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(text);
    return text;
  };
  const arn = /<TopicArn>(.*?)</.exec(await call({ Action: 'CreateTopic', Name: name }))?.[1] ?? '';
  const behind = await Promise.all(fleets.map((fleet) => queue(world, `${name}-${fleet}`, arn)));
  for (const [index, { arn: Endpoint }] of behind.entries()) {
    const attributes = {
      RawMessageDelivery: 'true',
      FilterPolicyScope: 'MessageBody',
      FilterPolicy: JSON.stringify({ detail: { fleets: [fleets[index], '*'] } }),
    };
    const entries = Object.entries(attributes).flatMap(([key, value], at) => [
      [`Attributes.entry.${at + 1}.key`, key],
      [`Attributes.entry.${at + 1}.value`, value],
    ]);
    await call({
      Action: 'Subscribe',
      TopicArn: arn,
      Protocol: 'sqs',
      Endpoint,
      ...Object.fromEntries(entries),
    });
  }
  return { arn, behind };
}

/** An HTTP endpoint behind an API destination, whose connection sends `key` as the header `x-api-key`. */
export async function webhook(
  { stack }: World,
  name: string,
  key: string,
): Promise<Subscriber & { readonly headers: readonly IncomingHttpHeaders[]; close(): Promise<void> }> {
  const events: BusEvent[] = [];
  const headers: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      headers.push(request.headers);
      events.push(JSON.parse(text) as BusEvent);
      response.writeHead(204).end();
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
    headers,
    received: async () => Promise.resolve(events),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
