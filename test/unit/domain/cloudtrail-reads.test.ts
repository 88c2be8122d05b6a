import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOf, type ReadScope } from '../../../shared/domain/cloudtrail-reads.ts';
import { ownRoles } from '../../../shared/names.ts';
import { ACCOUNT, assumedRole, lambdaSession, readRecord, REGION } from '../../support/cloudtrail.ts';

const scope: ReadScope = {
  account: ACCOUNT,
  region: REGION,
  prefixes: ['agents/', 'prod/legacy/'],
  ownRoles: ownRoles('prod'),
};
const SECRET = 'agents/orders';
const ARN = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:`;
const role = (name: string): string => `arn:aws:iam::${ACCOUNT}:role/${name}`;
const plain = assumedRole('crawler', 'session');
const of = (identity: Record<string, unknown>, more: Record<string, unknown> = {}): unknown =>
  readOf(readRecord(SECRET, identity, more), scope);

describe('a read in CloudTrail', () => {
  const task = '99c28596f91341839c1d07da27b65fe2';
  const sso = 'aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Admin_0a1b2c3d4e5f6071';
  const instance = {
    issuerType: 'AWS::EC2::Instance',
    credentialsIssuedTo: `arn:aws:ec2:${REGION}:${ACCOUNT}:instance/i-0c1a23fc456b7ab89`,
  };
  it.each<[string, Record<string, unknown>, Record<string, unknown>, object]>([
    ['a session under a role', plain, {}, { kind: 'role', principal: role('crawler') }],
    [
      'a Lambda function',
      lambdaSession('orders-role', 'orders'),
      {},
      { kind: 'lambda', principal: role('orders-role'), name: 'orders' },
    ],
    [
      'a Lambda function in an older record, whose name only the session claims',
      assumedRole('orders-role', 'orders'),
      { userAgent: 'Boto3/1.42.97 exec-env/AWS_Lambda_python3.12' },
      { kind: 'lambda', principal: role('orders-role') },
    ],
    [
      'code in an ECS task',
      assumedRole('web-task', task),
      { userAgent: 'Boto3/1.17.46 Python/3.6.14 exec-env/AWS_ECS_FARGATE Botocore/1.20.46' },
      { kind: 'ecs', principal: role('web-task') },
    ],
    [
      'ECS, for a task that it starts',
      assumedRole('web-execution', task),
      { userAgent: 'aws-sdk-go/1.44' },
      { kind: 'ecs-start', principal: role('web-execution') },
    ],
    [
      'an EC2 instance',
      assumedRole('box', 'i-0c1a23fc456b7ab89', instance),
      {},
      { kind: 'ec2', principal: role('box') },
    ],
    [
      'an EC2 instance in an older record',
      assumedRole('box', 'i-0c1a23fc456b7ab89'),
      {},
      { kind: 'ec2', principal: role('box') },
    ],
    [
      'an IAM user',
      { type: 'IAMUser', arn: `arn:aws:iam::${ACCOUNT}:user/team/bot`, accountId: ACCOUNT, userName: 'bot' },
      {},
      { kind: 'user', principal: `arn:aws:iam::${ACCOUNT}:user/team/bot` },
    ],
    [
      'a person by IAM Identity Center, whose session names them',
      assumedRole(sso, 'ada@example.com'),
      {},
      { kind: 'person', principal: role(sso), name: 'ada@example.com' },
    ],
    [
      'a person at the console',
      assumedRole('Admin', 'ada'),
      { sessionCredentialFromConsole: 'true' },
      { kind: 'person', principal: role('Admin'), name: 'ada' },
    ],
    [
      'the root user',
      { type: 'Root', arn: `arn:aws:iam::${ACCOUNT}:root`, accountId: ACCOUNT },
      {},
      { kind: 'person', principal: `arn:aws:iam::${ACCOUNT}:root` },
    ],
    [
      'an AWS service in its own name',
      { type: 'AWSService', invokedBy: 'appflow.amazonaws.com' },
      {},
      { kind: 'service', principal: 'appflow.amazonaws.com' },
    ],
    [
      'somebody of another account, whom the owner of the secret sees without a name',
      { type: 'AWSAccount', principalId: 'AROA123456789EXAMPLE:session', accountId: '444455556666' },
      {},
      { kind: 'account', principal: 'arn:aws:iam::444455556666:root' },
    ],
    [
      'a session without an issuer',
      { type: 'AssumedRole', arn: `arn:aws:sts::${ACCOUNT}:assumed-role/crawler/x`, accountId: ACCOUNT },
      {},
      { kind: 'role', principal: role('crawler') },
    ],
  ])('is by %s', (_who, identity, more, expected) => {
    const seen = '2026-11-22T10:12:54.000Z';
    expect(of(identity, more)).toEqual({
      secret: SECRET,
      reader: { ...expected, firstSeen: seen, lastSeen: seen },
      id: 'f9c3ed0f-81f5-4500-a6f7-0123456789ab',
      address: '203.0.113.7',
    });
  });

  it('is of a secret by its name, by its ARN, or by its ARN without the last six characters', () => {
    for (const id of [SECRET, `${ARN}${SECRET}-AbC123`, `${ARN}${SECRET}`])
      expect(readOf(readRecord(id, plain), scope)).toMatchObject({ secret: SECRET });
    expect(readOf(readRecord('prod/legacy/db', plain), scope)).toMatchObject({ secret: 'prod/legacy/db' });
  });

  it.each([
    [{ versionStage: 'AWSCURRENT' }, undefined],
    [{ versionStage: null, versionId: null }, undefined],
    [{ versionStage: 'AWSPREVIOUS' }, 'AWSPREVIOUS'],
    [{ versionId: '7DC59E8B-63AE-454D-B7A4-8A7D64AB05E7' }, '7DC59E8B-63AE-454D-B7A4-8A7D64AB05E7'],
    [{ versionStage: 'x\u001B[31m' }, undefined],
  ])('%j asks for version %s', (asked, version) => {
    const requestParameters = { secretId: SECRET, ...asked };
    const read = of(plain, { requestParameters });
    expect(read).toHaveProperty('reader');
    if (version === undefined) expect(read).not.toHaveProperty('reader.version');
    else expect(read).toHaveProperty('reader.version', version);
  });
});

describe('no read', () => {
  it.each<[string, unknown, string]>([
    ['what was refused', readRecord(SECRET, plain, { errorCode: 'AccessDenied' }), 'refused'],
    ['a secret outside the prefixes', readRecord('payroll/bank', plain), 'elsewhere'],
    [
      'a secret of another account',
      readRecord(`arn:aws:secretsmanager:${REGION}:444455556666:secret:${SECRET}-AbC123`, plain),
      'elsewhere',
    ],
    [
      'a secret of another region',
      readRecord(`arn:aws:secretsmanager:us-east-1:${ACCOUNT}:secret:${SECRET}-AbC123`, plain),
      'elsewhere',
    ],
    [
      'Rekey itself',
      readRecord(SECRET, lambdaSession('rekey-prod-rotation-RotateDatabaseRole1A2B-x', 'rotate')),
      'own',
    ],
    [
      'BatchGetSecretValue, which names no secret and leaves a GetSecretValue for each',
      {
        ...readRecord(SECRET, plain),
        eventName: 'BatchGetSecretValue',
        requestParameters: { filters: [{ key: 'tag-key', values: ['x'] }] },
      },
      'malformed',
    ],
    [
      'an identity that names nobody',
      readRecord(SECRET, { type: 'Unknown', accountId: ACCOUNT }),
      'nameless',
    ],
    ['a record without an identity', { ...readRecord(SECRET, {}), userIdentity: undefined }, 'malformed'],
    ['a record without a time', readRecord(SECRET, plain, { eventTime: 'soon' }), 'malformed'],
    [
      'a record of the last instant there is',
      readRecord(SECRET, plain, { eventTime: '+275760-09-13T00:00:00Z' }),
      'malformed',
    ],
    ['a record without parameters', readRecord(SECRET, plain, { requestParameters: null }), 'malformed'],
    ['a name of a megabyte', readRecord(`agents/${'x'.repeat(1_000_000)}`, plain), 'malformed'],
    [
      'an ARN that no role has',
      readRecord(SECRET, { type: 'AssumedRole', arn: 'arn:aws:sts::x\n', accountId: ACCOUNT }),
      'nameless',
    ],
    [
      'a service whose name is none',
      readRecord(SECRET, { type: 'AWSService', invokedBy: 'a\u001B[2J' }),
      'nameless',
    ],
    ['a list', [], 'malformed'],
    ['nothing', undefined, 'malformed'],
  ])('is %s', (_what, record, why) => {
    expect(readOf(record, scope)).toBe(why);
  });

  it('is thrown, whatever the record holds', () => {
    const field = fc.oneof(fc.anything(), fc.constant(SECRET), fc.constant(ACCOUNT));
    const any = fc.oneof(
      fc.anything(),
      fc.record({ eventName: field, userIdentity: field, requestParameters: field }).map((changes) => ({
        ...readRecord(SECRET, plain),
        ...changes,
      })),
    );
    fc.assert(fc.property(any, (record) => ['string', 'object'].includes(typeof readOf(record, scope))));
  });

  it('is the role of another stage, or one that only begins alike', () => {
    for (const name of ['rekey-test-rotation-RotateDatabaseRole-x', 'rekey-prod-agents'])
      expect(of(assumedRole(name, 'x'))).toHaveProperty('reader.principal', role(name));
  });
});
