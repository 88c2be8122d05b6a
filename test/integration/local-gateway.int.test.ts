import { DynamoDBClient, GetItemCommand, PutItemCommand, CreateTableCommand } from '@aws-sdk/client-dynamodb';
import { GetObjectCommand, PutObjectCommand, CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { startLocalStack, type LocalStack } from '../../local/stack.ts';

let stack: LocalStack;
let table: DynamoDBClient;
let bucket: S3Client;

beforeAll(async () => {
  stack = await startLocalStack();
  table = new DynamoDBClient({ ...stack.clientConfig, maxAttempts: 1 });
  bucket = new S3Client({ ...stack.clientConfig, maxAttempts: 1 });
  await table.send(
    new CreateTableCommand({
      TableName: 'table',
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      BillingMode: 'PAY_PER_REQUEST',
    }),
  );
  await bucket.send(new CreateBucketCommand({ Bucket: 'bucket' }));
}, 120_000);

afterEach(() => stack.gateway.faults.clear());

afterAll(async () => {
  table?.destroy();
  bucket?.destroy();
  await stack?.stop();
});

const put = (pk: string) => table.send(new PutItemCommand({ TableName: 'table', Item: { pk: { S: pk } } }));
const isThere = async (pk: string) =>
  (await table.send(new GetItemCommand({ TableName: 'table', Key: { pk: { S: pk } } }))).Item !== undefined;

async function admin(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown }> {
  const answer = await fetch(`${stack.endpoint}/_rekey/${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, json: await answer.json() };
}

describe('A call that meets a fault rule', () => {
  test('with a lost answer is made, though the caller sees a broken connection', async () => {
    stack.gateway.faults.add({ match: { operation: 'PutItem' }, times: 1, action: { kind: 'lose-answer' } });
    await expect(put('lost')).rejects.toThrow(/hang up|ECONNRESET|network/);
    expect(await isThere('lost')).toBe(true);
  });

  test('that drops it is not made', async () => {
    stack.gateway.faults.add({ match: { operation: 'PutItem' }, times: 1, action: { kind: 'drop' } });
    await expect(put('dropped')).rejects.toThrow(/hang up|ECONNRESET|network/);
    expect(await isThere('dropped')).toBe(false);
  });

  test('is throttled in the form of its service', async () => {
    stack.gateway.faults.add({ action: { kind: 'throttle' } });
    await expect(put('throttled')).rejects.toMatchObject({ name: 'ThrottlingException' });
    const object = new PutObjectCommand({ Bucket: 'bucket', Key: 'k', Body: 'x' });
    await expect(bucket.send(object)).rejects.toMatchObject({ name: 'SlowDown' });
  });

  test('is delayed', async () => {
    stack.gateway.faults.add({ match: { service: 'dynamodb' }, action: { kind: 'delay', ms: 150 } });
    const started = Date.now();
    await put('late');
    expect(Date.now() - started).toBeGreaterThanOrEqual(149);
  });

  test('loses the answer of a streamed call as well', async () => {
    stack.gateway.faults.add({ match: { service: 's3' }, times: 1, action: { kind: 'lose-answer' } });
    const object = { Bucket: 'bucket', Key: 'lost' };
    await expect(bucket.send(new PutObjectCommand({ ...object, Body: 'x' }))).rejects.toThrow();
    const found = await bucket.send(new GetObjectCommand(object));
    expect(await found.Body?.transformToString()).toBe('x');
  });
});

test('Objects of some megabytes pass through unchanged', async () => {
  const Body = Buffer.alloc(5_000_000, 'rekey');
  await bucket.send(new PutObjectCommand({ Bucket: 'bucket', Key: 'large', Body }));
  const found = await bucket.send(new GetObjectCommand({ Bucket: 'bucket', Key: 'large' }));
  expect(Body.equals(Buffer.from((await found.Body?.transformToByteArray()) ?? []))).toBe(true);
});

test('Rules and records are there for other processes too', async () => {
  const rule = { match: { operation: 'PutItem' }, action: { kind: 'error', status: 503 } };
  expect((await admin('POST', 'faults', rule)).status).toBe(200);
  await expect(put('refused')).rejects.toMatchObject({ $metadata: { httpStatusCode: 503 } });
  expect((await admin('DELETE', 'faults')).status).toBe(200);
  await put('accepted');
  const { json } = await admin('GET', 'calls?operation=PutItem&resource=table');
  expect(json).toMatchObject({
    calls: expect.arrayContaining([expect.objectContaining({ status: 503, fault: 'error' })]),
  });
  expect(await admin('POST', 'faults', { action: { kind: 'explode' } })).toMatchObject({ status: 400 });
  expect(await admin('POST', 'rotations/fire', { SecretId: 'none' })).toMatchObject({ status: 400 });
});

test('Two stacks run side by side and know nothing of each other', async () => {
  const other = await startLocalStack();
  try {
    await put('mine');
    const client = new DynamoDBClient({ ...other.clientConfig, maxAttempts: 1 });
    const get = client.send(new GetItemCommand({ TableName: 'table', Key: { pk: { S: 'mine' } } }));
    await expect(get).rejects.toMatchObject({ name: 'ResourceNotFoundException' });
    client.destroy();
  } finally {
    await other.stop();
  }
});
