import {
  DescribeLogGroupsCommand,
  CloudWatchLogsClient,
  FilterLogEventsCommand,
} from '@aws-sdk/client-cloudwatch-logs';
import { DynamoDBClient, ScanCommand } from '@aws-sdk/client-dynamodb';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import { EventBridgeClient, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { GetObjectCommand, ListBucketsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import {
  GetSecretValueCommand,
  ListSecretsCommand,
  ListSecretVersionIdsCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import {
  DescribeExecutionCommand,
  GetExecutionHistoryCommand,
  ListExecutionsCommand,
  SFNClient,
} from '@aws-sdk/client-sfn';
import { readFile } from 'node:fs/promises';
import type { World } from '../../local/demo/world.ts';
import { OUTPUT } from '../../shared/names.ts';

/** Everything that a run has written outside the vault, by where it stands. */
export type Traces = Readonly<
  Record<'logs' | 'events' | 'table' | 'workflows' | 'objects' | 'postgres', string>
>;

/** Every password that the vault holds or has held, the administrator's included. */
export async function vaultPasswords(world: World): Promise<string[]> {
  const client = new SecretsManagerClient(world.stack.clientConfig);
  const passwords = new Set<string>();
  for (const { ARN } of (await client.send(new ListSecretsCommand({}))).SecretList ?? []) {
    const versions = await client.send(
      new ListSecretVersionIdsCommand({ SecretId: ARN, IncludeDeprecated: true }),
    );
    for (const { VersionId } of versions.Versions ?? []) {
      const found = await client.send(new GetSecretValueCommand({ SecretId: ARN, VersionId }));
      const { password } = JSON.parse(found.SecretString ?? '{}') as { password?: string };
      if (password !== undefined) passwords.add(password);
    }
  }
  client.destroy();
  return [...passwords];
}

/** Collects every event of a bus in a queue from now on. */
export async function tapBus(world: World): Promise<() => Promise<string[]>> {
  const sqs = new SQSClient(world.stack.clientConfig);
  const events = new EventBridgeClient(world.stack.clientConfig);
  const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName: 'tap' }));
  const { Attributes } = await sqs.send(
    new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }),
  );
  const rule = { Name: 'tap', EventBusName: world.output(OUTPUT.bus) };
  await events.send(new PutRuleCommand({ ...rule, EventPattern: JSON.stringify({ source: ['rekey'] }) }));
  await events.send(
    new PutTargetsCommand({
      Rule: rule.Name,
      EventBusName: rule.EventBusName,
      Targets: [{ Id: 'tap', Arn: Attributes?.['QueueArn'] }],
    }),
  );
  const seen: string[] = [];
  return async () => {
    for (;;) {
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10, VisibilityTimeout: 3600 }),
      );
      if (Messages.length === 0) return seen;
      seen.push(...Messages.map(({ Body }) => Body ?? ''));
    }
  };
}

/** Gathers what a run has written, in full. */
export async function gatherTraces(world: World, events: readonly string[]): Promise<Traces> {
  const [logs, table, workflows, objects, postgres] = await Promise.all([
    allLogs(world),
    allItems(world),
    allExecutions(world),
    allObjects(world),
    readFile(world.server.logFile, 'utf8'),
  ]);
  return { logs, events: events.join('\n'), table, workflows, objects, postgres };
}

async function allLogs(world: World): Promise<string> {
  const client = new CloudWatchLogsClient(world.stack.clientConfig);
  const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({ limit: 50 }));
  const texts: string[] = [];
  for (const { logGroupName } of logGroups) {
    let nextToken: string | undefined;
    do {
      const page = await client.send(
        new FilterLogEventsCommand({ logGroupName, ...(nextToken === undefined ? {} : { nextToken }) }),
      );
      texts.push(...(page.events ?? []).map(({ message }) => message ?? ''));
      nextToken = page.nextToken;
    } while (nextToken !== undefined);
  }
  client.destroy();
  return texts.join('\n');
}

async function allItems(world: World): Promise<string> {
  const client = new DynamoDBClient(world.stack.clientConfig);
  const texts: string[] = [];
  let start: Record<string, never> | undefined;
  do {
    const page = await client.send(
      new ScanCommand({
        TableName: world.output(OUTPUT.table),
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      }),
    );
    texts.push(JSON.stringify(page.Items));
    start = page.LastEvaluatedKey as typeof start;
  } while (start !== undefined);
  client.destroy();
  return texts.join('\n');
}

async function allExecutions(world: World): Promise<string> {
  const client = new SFNClient(world.stack.clientConfig);
  const texts: string[] = [];
  for (const machine of [world.output(OUTPUT.lifecycle), world.output(OUTPUT.emergency)]) {
    const { executions = [] } = await client.send(new ListExecutionsCommand({ stateMachineArn: machine }));
    for (const { executionArn } of executions) {
      texts.push(JSON.stringify(await client.send(new DescribeExecutionCommand({ executionArn }))));
      texts.push(
        JSON.stringify(await client.send(new GetExecutionHistoryCommand({ executionArn, maxResults: 1000 }))),
      );
    }
  }
  client.destroy();
  return texts.join('\n');
}

async function allObjects(world: World): Promise<string> {
  const client = new S3Client({ ...world.stack.clientConfig, forcePathStyle: true });
  const { Buckets = [] } = await client.send(new ListBucketsCommand({}));
  const texts: string[] = [];
  for (const { Name: Bucket } of Buckets.filter(({ Name }) => Name?.startsWith('rekey-') === true)) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    for (const { Key } of Contents) {
      const object = await client.send(new GetObjectCommand({ Bucket, Key }));
      texts.push((await object.Body?.transformToString()) ?? '');
    }
  }
  client.destroy();
  return texts.join('\n');
}
