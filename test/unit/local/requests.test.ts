import { describe, expect, test } from 'vitest';
import { classify } from '../../../local/gateway/classify.ts';
import { Requests, type IamRequest } from '../../../local/gateway/requests.ts';

const prefixes: Readonly<Record<string, string>> = {
  dynamodb: 'DynamoDB_20120810',
  secretsmanager: 'secretsmanager',
  states: 'AWSStepFunctions',
  events: 'AWSEvents',
  kms: 'TrentService',
  'acm-pca': 'ACMPrivateCA',
};

/** What IAM is asked about a call of a JSON service; `done` lets the call succeed. */
function asked(
  requests: Requests,
  service: string,
  operation: string,
  input: Record<string, unknown>,
  done: boolean | Record<string, unknown> = false,
): readonly IamRequest[] | undefined {
  const headers = {
    authorization: `AWS4-HMAC-SHA256 Credential=ASIA1/20260101/eu-central-1/${service}/aws4_request, SignedHeaders=host`,
    'x-amz-target': `${prefixes[service] ?? ''}.${operation}`,
  };
  const call = classify('POST', '/', headers, input);
  const asks = requests.of(call, input);
  if (done !== false) requests.learn(call, input, () => (done === true ? {} : done));
  return asks;
}

const arn = (service: string, resource: string): string =>
  `arn:aws:${service}:eu-central-1:111122223333:${resource}`;

describe('What IAM is asked about a call', () => {
  test('of a transaction is each operation inside it, with the key that it touches', () => {
    const input = {
      TransactItems: [
        { Put: { TableName: 't', Item: { pk: { S: 'a' } } } },
        { Delete: { TableName: 't', Key: { pk: { S: 'b' } } } },
        { ConditionCheck: { TableName: 't', Key: { pk: { S: 'c' } } } },
      ],
    };
    expect(asked(new Requests(), 'dynamodb', 'TransactWriteItems', input)).toEqual(
      [
        ['PutItem', 'a'],
        ['DeleteItem', 'b'],
        ['ConditionCheckItem', 'c'],
      ].map(([operation, key]) => ({
        action: `dynamodb:${operation}`,
        resource: arn('dynamodb', 'table/t'),
        context: { 'dynamodb:LeadingKeys': [key] },
      })),
    );
  });

  test('of a move of a label names the label', () => {
    const input = { SecretId: 'agents/a', VersionStage: 'AWSPENDING', RemoveFromVersionId: 'v' };
    expect(asked(new Requests(), 'secretsmanager', 'UpdateSecretVersionStage', input)).toMatchObject([
      { context: { 'secretsmanager:VersionStage': 'AWSPENDING' } },
    ]);
  });

  test('of a query names the partition that it reads', () => {
    const input = {
      TableName: 't',
      KeyConditionExpression: 'pk = :p AND sk > :s',
      ExpressionAttributeValues: { ':p': { S: 'a' }, ':s': { S: 'b' } },
    };
    expect(asked(new Requests(), 'dynamodb', 'Query', input)).toEqual([
      {
        action: 'dynamodb:Query',
        resource: arn('dynamodb', 'table/t'),
        context: { 'dynamodb:LeadingKeys': ['a'] },
      },
    ]);
  });

  test('of a key says what it is used for, and nothing of what is in it', () => {
    const input = {
      KeyId: 'one',
      CiphertextBlob: 'sealed',
      EncryptionContext: { 'rekey:purpose': 'instance' },
    };
    expect(asked(new Requests(), 'kms', 'Decrypt', input)).toEqual([
      {
        action: 'kms:Decrypt',
        resource: arn('kms', 'key/one'),
        context: { 'kms:CallerAccount': '111122223333', 'kms:EncryptionContext:rekey:purpose': 'instance' },
      },
    ]);
    expect(asked(new Requests(), 'kms', 'ListKeys', {})).toBeUndefined();
  });

  test('of a query by an index is about the index', () => {
    const input = { TableName: 't', IndexName: 'i' };
    expect(asked(new Requests(), 'dynamodb', 'Query', input)).toEqual([
      { action: 'dynamodb:Query', resource: arn('dynamodb', 'table/t/index/i') },
    ]);
  });

  test('of a creation names the tags in the request, and asks for tagging and for the key', () => {
    const input = { Name: 's', SecretString: 'hidden', KmsKeyId: 'k', Tags: [{ Key: 'x', Value: 'y' }] };
    const asks = asked(new Requests(), 'secretsmanager', 'CreateSecret', input);
    expect(asks?.map(({ action }) => action)).toEqual([
      'secretsmanager:CreateSecret',
      'secretsmanager:TagResource',
      'kms:GenerateDataKey',
      'kms:Decrypt',
    ]);
    expect(asks?.[0]?.context).toEqual({ 'aws:RequestTag/x': 'y', 'aws:TagKeys': ['x'] });
    expect(asks?.[2]).toMatchObject({
      resource: arn('kms', 'key/k'),
      context: { 'kms:ViaService': 'secretsmanager.eu-central-1.amazonaws.com' },
    });
    expect(JSON.stringify(asks)).not.toContain('hidden');
  });

  test('of a later call brings the tags and the key that the secret was made with, by name and by ARN', () => {
    const requests = new Requests();
    const made = { Name: 's', KmsKeyId: arn('kms', 'key/k'), Tags: [{ Key: 'x', Value: 'y' }] };
    asked(requests, 'secretsmanager', 'CreateSecret', made, true);
    for (const SecretId of ['s', arn('secretsmanager', 'secret:s-a1b2c3')]) {
      const asks = asked(requests, 'secretsmanager', 'GetSecretValue', { SecretId });
      expect(asks?.[0]?.context).toEqual({ 'aws:ResourceTag/x': 'y' });
      expect(asks?.[1]).toMatchObject({ action: 'kms:Decrypt', resource: arn('kms', 'key/k') });
    }
  });

  test('of a rotation asks for the rotation function, also where an earlier call named it', () => {
    const requests = new Requests();
    asked(requests, 'secretsmanager', 'CreateSecret', { Name: 's' }, true);
    const rotator = arn('lambda', 'function:f:live');
    const first = { SecretId: 's', RotationLambdaARN: rotator };
    asked(requests, 'secretsmanager', 'RotateSecret', first, true);
    expect(asked(requests, 'secretsmanager', 'RotateSecret', { SecretId: 's' })).toContainEqual({
      action: 'lambda:InvokeFunction',
      resource: rotator,
    });
  });

  test('of events is the bus of each, with source and type', () => {
    const Entries = [{ EventBusName: 'b', Source: 's', DetailType: 'd', Detail: '{"hidden":1}' }];
    expect(asked(new Requests(), 'events', 'PutEvents', { Entries })).toEqual([
      {
        action: 'events:PutEvents',
        resource: arn('events', 'event-bus/b'),
        context: { 'events:source': 's', 'events:detail-type': 'd' },
      },
    ]);
  });

  test('of a task token leaves the machine open', () => {
    expect(asked(new Requests(), 'states', 'SendTaskSuccess', { taskToken: 'secret' })).toEqual([
      { action: 'states:SendTaskSuccess' },
    ]);
  });

  test.each([
    ['s3', 'PUT', '/b/a/c.json', { action: 's3:PutObject', resource: 'arn:aws:s3:::b/a/c.json' }],
    [
      's3',
      'GET',
      '/b?list-type=2&prefix=a%2F',
      { action: 's3:ListBucket', resource: 'arn:aws:s3:::b', context: { 's3:prefix': 'a/' } },
    ],
    [
      'lambda',
      'POST',
      `/2015-03-31/functions/${encodeURIComponent(arn('lambda', 'function:f:live'))}/invocations`,
      { action: 'lambda:InvokeFunction', resource: arn('lambda', 'function:f:live') },
    ],
  ])('of %s names the resource in its path', (service, method, url, expected) => {
    const headers = {
      authorization: `AWS4-HMAC-SHA256 Credential=ASIA1/20260101/eu-central-1/${service}/aws4_request`,
    };
    expect(new Requests().of(classify(method, url, headers, undefined), undefined)).toEqual([expected]);
  });

  test('of an operation that nobody has written down is unknown, not nothing', () => {
    expect(asked(new Requests(), 'dynamodb', 'ListTables', {})).toBeUndefined();
    const call = { service: 's3', operation: 'PUTObject?retention', resource: 'b/k' };
    expect(new Requests().of(call, undefined)).toBeUndefined();
  });

  test('of a key that signs is whose it is and what it is for, from its creation on', () => {
    const requests = new Requests();
    const input = {
      KeyUsage: 'SIGN_VERIFY',
      Tags: [{ TagKey: 'rekey:stage', TagValue: 'local' }],
    };
    const made = asked(requests, 'kms', 'CreateKey', input, { KeyMetadata: { Arn: arn('kms', 'key/a') } });
    const context = {
      'kms:CallerAccount': '111122223333',
      'kms:KeyUsage': 'SIGN_VERIFY',
      'aws:RequestTag/rekey:stage': 'local',
      'aws:TagKeys': ['rekey:stage'],
    };
    expect(made).toEqual([
      { action: 'kms:CreateKey', resource: '*', context },
      { action: 'kms:TagResource', resource: '*', context },
    ]);
    expect(asked(requests, 'kms', 'Sign', { KeyId: arn('kms', 'key/a'), Message: 'eA==' })).toEqual([
      {
        action: 'kms:Sign',
        resource: arn('kms', 'key/a'),
        context: {
          'kms:CallerAccount': '111122223333',
          'kms:KeyUsage': 'SIGN_VERIFY',
          'aws:ResourceTag/rekey:stage': 'local',
        },
      },
    ]);
  });

  test('of a service that is played asks for its tags there, and for the template that is named', () => {
    const authority = arn('acm-pca', 'certificate-authority/a');
    const tags = { 'rekey:stage': 'local' };
    const played = new Requests((service, of) => (service === 'acm-pca' && of === authority ? tags : {}));
    const TemplateArn = 'arn:aws:acm-pca:::template/EndEntityCertificate_APIPassthrough/V1';
    const input = { CertificateAuthorityArn: authority, TemplateArn };
    expect(asked(played, 'acm-pca', 'IssueCertificate', input)).toEqual([
      {
        action: 'acm-pca:IssueCertificate',
        resource: authority,
        context: { 'aws:ResourceTag/rekey:stage': 'local', 'acm-pca:TemplateArn': TemplateArn },
      },
    ]);
  });
});

test('A call that a role signed shows by whose keys, whatever its user agent says', () => {
  const authorization = (key: string): string =>
    `AWS4-HMAC-SHA256 Credential=${key}/20260101/eu-central-1/s3/aws4_request, SignedHeaders=host`;
  expect(classify('GET', '/b/k', { authorization: authorization('ASIAX') }, undefined).session).toBe('ASIAX');
  const root = classify('GET', '/b/k', { authorization: authorization('111122223333') }, undefined);
  expect(root.session).toBeUndefined();
});
