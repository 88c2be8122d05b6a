import { describe, expect, test } from 'vitest';
import { classify } from '../../../local/gateway/classify.ts';
import { faultRuleSchema } from '../../../local/gateway/fault-rule.ts';
import { Faults } from '../../../local/gateway/faults.ts';
import { Recorder } from '../../../local/gateway/recorder.ts';
import { nextRotation, ruleError } from '../../../local/gateway/rotation/rules.ts';
import { startGateway } from '../../../local/gateway/start.ts';

const signed = (service: string) => ({
  authorization: `AWS4-HMAC-SHA256 Credential=111122223333/20260101/eu-central-1/${service}/aws4_request, SignedHeaders=host`,
});

describe('Reading a call from its wire form', () => {
  test('names operation, resource and keys of a JSON call, and never its values', () => {
    const headers = {
      ...signed('secretsmanager'),
      'x-amz-target': 'secretsmanager.PutSecretValue',
      'user-agent': 'aws-sdk-js/3.1 lang/js app/rotate-postgresql',
    };
    const body = { SecretId: 'a', SecretString: 'hidden', ClientRequestToken: 't' };
    expect(classify('POST', '/', headers, body)).toEqual({
      service: 'secretsmanager',
      operation: 'PutSecretValue',
      function: 'rotate-postgresql',
      resource: 'a',
      keys: { ClientRequestToken: 't' },
    });
  });

  test.each([
    ['s3', 'PUT', '/bucket/a/b.json', { operation: 'PutObject', resource: 'bucket/a/b.json' }],
    [
      's3',
      'GET',
      '/bucket?list-type=2&prefix=a',
      { operation: 'ListObjectsV2', resource: 'bucket', keys: { prefix: 'a' } },
    ],
    ['s3', 'PUT', '/bucket/a?retention', { operation: 'PUTObject?retention', resource: 'bucket/a' }],
    [
      'lambda',
      'POST',
      '/2015-03-31/functions/f%3Alive/invocations',
      { operation: 'Invoke', resource: 'f:live' },
    ],
    ['scheduler', 'POST', '/schedules/x', { operation: 'CreateSchedule', resource: 'x' }],
    [
      'monitoring',
      'POST',
      '/service/G/operation/PutMetricData',
      { service: 'cloudwatch', operation: 'PutMetricData' },
    ],
    ['execute-api', 'GET', '/_aws/execute-api/abc/v1/x', { operation: 'GET /v1/x', resource: 'abc' }],
  ])('knows %s %s %s', (service, method, url, expected) => {
    expect(classify(method, url, signed(service), undefined)).toMatchObject({ service, ...expected });
  });

  test('names all tables of a transaction', () => {
    const body = { TransactItems: [{ Put: { TableName: 'b' } }, { Update: { TableName: 'a' } }] };
    const headers = { ...signed('dynamodb'), 'x-amz-target': 'DynamoDB_20120810.TransactWriteItems' };
    expect(classify('POST', '/', headers, body).resource).toBe('a,b');
  });

  test('takes the function from hand-signed calls', () => {
    const headers = { ...signed('dynamodb'), 'user-agent': 'rekey/0.1.0 fn/revoke' };
    expect(classify('POST', '/', headers, undefined).function).toBe('revoke');
  });
});

describe('Fault rules', () => {
  const call = { service: 'dynamodb', operation: 'PutItem', function: 'revoke' };

  test('hit only the nth call that they match', () => {
    const faults = new Faults();
    faults.add({ match: { service: 'dynamodb' }, nth: 2, action: { kind: 'throttle' } });
    const other = { ...call, service: 'kms' };
    const hit = [call, other, call, call].map((each) => faults.judge(each).action?.kind);
    expect(hit).toEqual([undefined, undefined, 'throttle', undefined]);
  });

  test('add up their delays and end after their times', () => {
    const faults = new Faults();
    faults.add({ action: { kind: 'delay', ms: 5 } });
    faults.add({ match: { function: 'rev*' }, times: 1, action: { kind: 'delay', ms: 7 } });
    expect([faults.judge(call).delayMs, faults.judge(call).delayMs]).toEqual([12, 5]);
  });

  test('are taken back one by one', () => {
    const faults = new Faults();
    const remove = faults.add({ action: { kind: 'drop' } });
    remove();
    expect(faults.judge(call)).toEqual({ delayMs: 0 });
  });

  test.each([
    { action: { kind: 'explode' } },
    { action: { kind: 'delay', ms: -1 } },
    { nth: 0, action: { kind: 'drop' } },
    {},
  ])('refuse %j', (rule) => {
    expect(faultRuleSchema.safeParse(rule).success).toBe(false);
  });
});

test('The recorder keeps the newest calls and filters them', () => {
  const recorder = new Recorder(10);
  const call = { service: 's3', operation: 'PutObject', at: '', durationMs: 0, status: 200 };
  for (let i = 0; i < 30; i++) recorder.add({ ...call, resource: `r${i % 2}` });
  expect(recorder.calls().length).toBeLessThanOrEqual(11);
  expect(recorder.calls({ resource: 'r1', after: 27 }).map(({ seq }) => seq)).toEqual([28, 30]);
});

describe('Rotation rules', () => {
  test.each([
    [{ AutomaticallyAfterDays: 0 }],
    [{ AutomaticallyAfterDays: 1, ScheduleExpression: 'rate(1 day)' }],
    [{ ScheduleExpression: 'rate(3 hours)' }],
    [{ ScheduleExpression: 'every day' }],
    [{ Duration: '3' }],
  ])('%j is refused', (rules) => {
    expect(ruleError(rules)).toBeTypeOf('string');
  });

  test('the next rotation is an interval after the last', () => {
    expect(ruleError({ ScheduleExpression: 'rate(4 hours)', Duration: '3h' })).toBeUndefined();
    expect(nextRotation({ ScheduleExpression: 'rate(4 hours)' }, 0)).toBe(4 * 3600);
    expect(nextRotation({ AutomaticallyAfterDays: 2 }, 0)).toBe(2 * 86_400);
    expect(nextRotation(undefined, 0)).toBeUndefined();
  });
});

test('A service that is played answers calls under its name, as they are recorded, and whatever a fault makes of them', async () => {
  const gateway = await startGateway();
  try {
    const asked: unknown[] = [];
    gateway.services.set('acm-pca', {
      answer: async (operation, input) => {
        asked.push([operation, input]);
        return Promise.resolve({ status: 400, body: { __type: 'ResourceNotFoundException' } });
      },
      tagsOf: () => ({ 'rekey:stage': 'local' }),
    });
    const input = {
      CertificateAuthorityArn: 'arn:aws:acm-pca:eu-central-1:111122223333:certificate-authority/a',
    };
    const call = async () =>
      fetch(gateway.url, {
        method: 'POST',
        headers: {
          ...signed('acm-pca'),
          'user-agent': 'rekey/0.1.0 fn/rotate',
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': 'ACMPrivateCA.DescribeCertificateAuthority',
        },
        body: JSON.stringify(input),
      });
    const answer = await call();
    expect([answer.status, await answer.json()]).toEqual([400, { __type: 'ResourceNotFoundException' }]);
    gateway.faults.add({ match: { service: 'acm-pca' }, times: 1, action: { kind: 'lose-answer' } });
    await expect(call()).rejects.toThrow();
    expect(asked).toEqual([1, 2].map(() => ['DescribeCertificateAuthority', input]));
    expect(gateway.recorder.calls({ service: 'acm-pca' })[0]).toMatchObject({
      function: 'rotate',
      error: 'ResourceNotFoundException',
      asks: [
        {
          action: 'acm-pca:DescribeCertificateAuthority',
          context: { 'aws:ResourceTag/rekey:stage': 'local' },
        },
      ],
    });
  } finally {
    await gateway.stop();
  }
});
