import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { AwsCalls, awsCallsFromEnvironment, placeOf } from '../../../shared/adapters/aws-client.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Calls against a server that gives these answers in turn, the last one from then on. */
async function against(
  ...answers: [Answer, ...Answer[]]
): Promise<{ aws: AwsCalls; seen: IncomingMessage[]; endpoint: string }> {
  const seen: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    seen.push(request);
    request.resume();
    const answer = answers[Math.min(seen.length, answers.length) - 1] ?? answers[0];
    answer(request, response);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const endpoint = `http://127.0.0.1:${port}`;
  const aws = new AwsCalls({
    region: 'eu-central-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    endpoint,
    caller: 'test',
    timeoutMs: 200,
  });
  return { aws, seen, endpoint };
}

const json =
  (status: number, body: object): Answer =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' }).end(JSON.stringify(body));
  };
const cancelled = (...codes: string[]): Answer =>
  json(400, {
    __type: 'com.amazonaws.dynamodb.v20120810#TransactionCanceledException',
    CancellationReasons: codes.map((Code) => ({ Code })),
  });
const read = (aws: AwsCalls) => aws.json('dynamodb', 'GetItem', { TableName: 't' });

describe('calls to AWS', () => {
  it.each([
    ['eu-central-1', 'iam.amazonaws.com', 'us-east-1', 'sts.eu-central-1.amazonaws.com'],
    ['us-gov-east-1', 'iam.us-gov.amazonaws.com', 'us-gov-west-1', 'sts.us-gov-east-1.amazonaws.com'],
    [
      'cn-northwest-1',
      'iam.cn-north-1.amazonaws.com.cn',
      'cn-north-1',
      'sts.cn-northwest-1.amazonaws.com.cn',
    ],
  ])(
    'go from %s to IAM of its partition, and to other services of the region',
    (region, iam, signed, sts) => {
      expect(placeOf('iam', region)).toEqual({ host: iam, region: signed });
      expect(placeOf('sts', region)).toEqual({ host: sts, region });
    },
  );

  it('are signed with credentials that are given in place of the role’s', async () => {
    const { aws, seen } = await against(json(200, {}));
    const credentials = { accessKeyId: 'AKIDOFANAGENT', secretAccessKey: 'secret' };
    await aws.request('sts', { method: 'POST', path: '/' }, { credentials });
    expect(seen[0]?.headers.authorization).toContain('Credential=AKIDOFANAGENT/');
    expect(seen[0]?.headers).not.toHaveProperty('x-amz-security-token');
  });

  it('go to the address of a single service where one is given, the others to the common one', async () => {
    const { endpoint, seen } = await against(json(200, {}));
    const own = await against(json(200, {}));
    const aws = awsCallsFromEnvironment({
      AWS_REGION: 'eu-central-1',
      AWS_ENDPOINT_URL: endpoint,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: own.endpoint,
      AWS_ENDPOINT_URL_SFN: own.endpoint,
    });
    await aws.json('secretsmanager', 'GetSecretValue', {});
    await aws.json('states', 'SendTaskSuccess', {});
    await read(aws);
    const operations = (all: readonly IncomingMessage[]) => all.map(({ headers }) => headers['x-amz-target']);
    expect(operations(own.seen)).toEqual([
      'secretsmanager.GetSecretValue',
      'AWSStepFunctions.SendTaskSuccess',
    ]);
    expect(operations(seen)).toEqual(['DynamoDB_20120810.GetItem']);
    expect(own.seen[0]?.headers.host).toBe(new URL(own.endpoint).host);
  });

  it('name operation, signature and caller', async () => {
    const { aws, seen } = await against(json(200, { Item: { a: { S: 'ü' } } }));
    expect(await read(aws)).toEqual({ Item: { a: { S: 'ü' } } });
    expect(seen[0]?.headers).toMatchObject({
      'x-amz-target': 'DynamoDB_20120810.GetItem',
      'user-agent': expect.stringMatching(/ fn\/test$/) as unknown,
      authorization: expect.stringMatching(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\//) as unknown,
    });
  });

  it.each<[string, Answer]>([
    ['is cut', (request) => request.destroy()],
    [
      'is cut in the middle',
      (_request, response) => {
        response.writeHead(200, { 'content-length': '10' });
        response.write('{', () => response.destroy());
      },
    ],
    ['does not come', () => undefined],
    ['is a throttle', json(400, { __type: 'com.amazonaws#ThrottlingException' })],
    ['is a transaction under way', json(400, { __type: 'TransactionInProgressException' })],
    ['is another throttle', json(400, { __type: 'ThrottledException' })],
    ['is a transaction for which there is no room', cancelled('None', 'ThrottlingError')],
    ['is one without throughput', cancelled('ProvisionedThroughputExceeded', 'None')],
    ['is a throttled request', json(400, { __type: 'RequestThrottled' })],
    ['is a throttled request by its other name', json(400, { __type: 'RequestThrottledException' })],
    ['is that the one before is not over', json(400, { __type: 'PriorRequestNotComplete' })],
    ['is a limit of DynamoDB', json(400, { __type: 'LimitExceededException' })],
    ['is a failure of the service', json(500, { __type: 'InternalServerError' })],
  ])('are repeated where the answer %s', async (_what, fault) => {
    const { aws, seen } = await against(fault, json(200, { ok: true }));
    expect(await read(aws)).toEqual({ ok: true });
    expect(seen).toHaveLength(2);
  });

  it('end as unavailable once every attempt has failed', async () => {
    const { aws, seen } = await against(json(503, {}));
    await expect(read(aws)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(seen).toHaveLength(4);
  });

  it('throw what the service refuses, at once', async () => {
    const { aws, seen } = await against(
      json(400, {
        __type: 'com.amazonaws.dynamodb#TransactionCanceledException',
        message: 'no',
        CancellationReasons: [{ Code: 'ConditionalCheckFailed' }, {}],
      }),
    );
    await expect(read(aws)).rejects.toMatchObject({
      name: 'TransactionCanceledException',
      message: 'no',
      status: 400,
      cancellationReasons: ['ConditionalCheckFailed', 'None'],
    });
    expect(seen).toHaveLength(1);
  });

  it('throw a transaction of which a condition has failed at once, whatever there was no room for', async () => {
    const { aws, seen } = await against(cancelled('ThrottlingError', 'ConditionalCheckFailed'));
    await expect(read(aws)).rejects.toMatchObject({ name: 'TransactionCanceledException' });
    expect(seen).toHaveLength(1);
  });

  it('throw a quota of another service at once', async () => {
    const { aws, seen } = await against(json(400, { __type: 'LimitExceededException' }));
    await expect(aws.json('secretsmanager', 'CreateSecret', {})).rejects.toMatchObject({
      name: 'LimitExceededException',
    });
    expect(seen).toHaveLength(1);
  });

  it('understand the errors of S3', async () => {
    const { aws } = await against((_request, response) => {
      response.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
    });
    await expect(aws.request('s3', { method: 'GET', path: '/bucket/key' })).rejects.toMatchObject({
      name: 'NoSuchKey',
      status: 404,
    });
  });
});
