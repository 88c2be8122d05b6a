import { describe, expect, it } from 'vitest';
import { COLUMNS } from '../../infra/stacks/evidence.ts';
import { GENESIS, seal } from '../../shared/domain/audit.ts';
import {
  DEPLOYED,
  at,
  functionNames,
  list,
  ofType,
  resource,
  statementsOf,
  synthesise,
  text,
  type Json,
} from './app.ts';

const stacks = synthesise();

/** Everything that settings can change, at once. */
const varied = synthesise({
  stage: 'local',
  settings: {
    timing: { minWindowSeconds: 5 },
    network: {
      vpcId: 'vpc-0a1b2c3d',
      subnets: [
        { id: 'subnet-0a1b2c3d', zone: 'eu-central-1a' },
        { id: 'subnet-1a1b2c3d', zone: 'eu-central-1b' },
      ],
      securityGroupIds: ['sg-0a1b2c3d'],
    },
    archiveLock: { mode: 'compliance', days: 400 },
    archiveReaders: ['444455556666'],
    reservedConcurrency: { revoke: 40 },
  },
  allowComplianceLock: true,
});

describe('state that must not be lost', () => {
  it.each([
    ['state', 'Ledger', 'AWS::DynamoDB::Table'],
    ['state', 'DataKey', 'AWS::KMS::Key'],
    ['state', 'SecretsKey', 'AWS::KMS::Key'],
    ['state', 'Bus', 'AWS::Events::EventBus'],
    ['state', 'Snapshots', 'AWS::S3::Bucket'],
    ['state', 'AccessLogs', 'AWS::S3::Bucket'],
    ['evidence', 'Archive', 'AWS::S3::Bucket'],
  ])('%s/%s keeps its logical id and is retained', (stack, logicalId, type) => {
    const found = resource(stacks, stack, logicalId);
    expect(found).toMatchObject({ Type: type, DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
  });

  it('its stacks are protected against termination', () => {
    expect(stacks['state']?.terminationProtection).toBe(true);
    expect(stacks['evidence']?.terminationProtection).toBe(true);
  });

  it('the ledger has point-in-time recovery, deletion protection, a customer key and both images in its stream', () => {
    expect(resource(stacks, 'state', 'Ledger').Properties).toMatchObject({
      DeletionProtectionEnabled: true,
      PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
      SSESpecification: { SSEEnabled: true, SSEType: 'KMS' },
      StreamSpecification: { StreamViewType: 'NEW_AND_OLD_IMAGES' },
    });
  });

  it('hard decision 12: keys can take part in other regions, and rotate', () => {
    for (const key of ofType(stacks, 'AWS::KMS::Key')) {
      expect(key.Properties).toMatchObject({ MultiRegion: true, EnableKeyRotation: true });
    }
  });

  it('nothing anywhere empties a bucket when a stack goes', () => {
    expect(ofType(stacks, 'Custom::S3AutoDeleteObjects')).toEqual([]);
  });
});

describe('the audit archive', () => {
  const policyOf = (of: typeof stacks): ReturnType<typeof statementsOf> =>
    statementsOf(
      of['evidence']?.resources.find(
        ({ Type, Properties }) =>
          Type === 'AWS::S3::BucketPolicy' && at(Properties, 'Bucket', 'Ref') === 'Archive',
      ),
    );
  const policy = policyOf(stacks);

  it('is locked, by default for a day in governance mode', () => {
    expect(resource(stacks, 'evidence', 'Archive').Properties).toMatchObject({
      ObjectLockEnabled: true,
      ObjectLockConfiguration: { Rule: { DefaultRetention: { Mode: 'GOVERNANCE', Days: 1 } } },
      VersioningConfiguration: { Status: 'Enabled' },
      PublicAccessBlockConfiguration: { BlockPublicAcls: true, RestrictPublicBuckets: true },
    });
  });

  it('takes the lock of the settings', () => {
    expect(at(resource(varied, 'evidence', 'Archive').Properties, 'ObjectLockConfiguration')).toMatchObject({
      Rule: { DefaultRetention: { Mode: 'COMPLIANCE', Days: 400 } },
    });
  });

  it('denies everybody deletion, lifecycle rules, changed retention and plain HTTP', () => {
    const keep = policy.find(({ Sid }) => Sid === 'KeepEvidence');
    expect(keep).toMatchObject({ Effect: 'Deny', Principal: { AWS: '*' } });
    expect(keep?.Action).toEqual(
      expect.arrayContaining([
        's3:DeleteObject*',
        's3:PutLifecycleConfiguration',
        's3:PutObjectRetention',
        's3:BypassGovernanceRetention',
      ]),
    );
    expect(policy).toContainEqual(
      expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
    );
  });

  it('may be read by accounts that the settings name, and by no other; they may do nothing else', () => {
    expect(policy.filter(({ Effect }) => Effect === 'Allow')).toEqual([]);
    const allowed = policyOf(varied).filter(({ Effect }) => Effect === 'Allow');
    expect(allowed.flatMap(({ Action }) => Action).toSorted()).toEqual([
      's3:GetBucketLocation',
      's3:GetBucketObjectLockConfiguration',
      's3:GetObject',
      's3:GetObjectRetention',
      's3:GetObjectVersion',
      's3:ListBucket',
      's3:ListBucketVersions',
    ]);
    for (const { Principal } of allowed)
      expect(JSON.stringify(Principal)).toMatch(/^\{"AWS":\{"Fn::Join":.*:iam::444455556666:root"/);
  });

  it('is described to Athena column by column as records are sealed', () => {
    const record = seal(
      { id: 'id', name: 'n', holders: [], seq: 0, chain: GENESIS, tenant: 't', account: 'a', region: 'r' },
      { action: 'retired', time: '2026-01-01T00:00:00.000Z', trigger: { kind: 'operator', actor: 'x' } },
    );
    expect(Object.keys(COLUMNS)).toEqual(Object.keys(record));
    for (const [name, type] of Object.entries(COLUMNS)) {
      expect([name, type.replaceAll('bigint', 'int')]).toEqual([
        name,
        hiveType(record[name as keyof typeof record]),
      ]);
    }
  });

  it('finds its partitions by projection where the archiver writes them', () => {
    const [table] = ofType(stacks, 'AWS::Glue::Table');
    const parameters = at(table?.Properties, 'TableInput', 'Parameters');
    expect(JSON.stringify(at(parameters, 'storage.location.template'))).toContain(
      '/records/tenant=${tenant}/account=${account}/region=${region}/dt=${dt}/',
    );
    expect(parameters).toMatchObject({ 'projection.enabled': 'true', 'projection.tenant.values': 'default' });
  });
});

describe('functions', () => {
  const functions = ofType(stacks, 'AWS::Lambda::Function');

  it('are those of the contract, each with an alias', () => {
    expect(functionNames(functions)).toEqual(DEPLOYED.toSorted());
    expect(ofType(stacks, 'AWS::Lambda::Alias').map(({ Properties }) => at(Properties, 'Name'))).toEqual(
      DEPLOYED.map(() => 'live'),
    );
  });

  it('run on ARM64 and the current Node, with a log of their own', () => {
    for (const { Properties } of functions) {
      expect(Properties).toMatchObject({ Architectures: ['arm64'], Runtime: 'nodejs24.x' });
      expect(at(Properties, 'LoggingConfig', 'LogGroup')).toBeDefined();
    }
  });

  it('shorten nothing on an AWS stage', () => {
    expect(JSON.stringify(functions)).not.toContain('REKEY_MIN_WINDOW_SECONDS');
    expect(JSON.stringify(ofType(varied, 'AWS::Lambda::Function'))).toContain('REKEY_MIN_WINDOW_SECONDS');
  });

  it('that log in to databases join the network of the settings, and no other does', () => {
    const joined = ofType(varied, 'AWS::Lambda::Function').filter(
      ({ Properties }) => at(Properties, 'VpcConfig') !== undefined,
    );
    expect(functionNames(joined)).toEqual([
      'reconcile-database',
      'register-database',
      'replace-database',
      'retire-database',
      'revoke-database',
      'rollback-database',
      'rotate-database',
      'verify-database',
    ]);
  });

  it('Secrets Manager may only rotate for secrets of this account', () => {
    const permissions = ofType(stacks, 'AWS::Lambda::Permission').filter(
      ({ Properties }) => at(Properties, 'Principal') === 'secretsmanager.amazonaws.com',
    );
    expect(permissions).toHaveLength(1);
    expect(permissions[0]?.Properties).toMatchObject({ SourceAccount: { Ref: 'AWS::AccountId' } });
  });
});

describe('machines, API, streams and the schedule', () => {
  const aliases = new Set(ofType(stacks, 'AWS::Lambda::Alias').map(({ logicalId }) => logicalId));
  const isAlias = (value: Json | undefined): boolean => aliases.has(text(at(value, 'Ref')));
  /** `function:alias`, taken from the alias's own ARN. */
  const isQualified = (value: Json | undefined): boolean =>
    at(value, 'Fn::Join', '1', '1') === ':live' &&
    isAlias(at(value, 'Fn::Join', '1', '0', 'Fn::Select', '1', 'Fn::Split', '1'));

  it('hard decision 6: invoke aliases, never a function itself', () => {
    for (const machine of ofType(stacks, 'AWS::StepFunctions::StateMachine')) {
      const { partition: _partition, ...called } = at(
        machine.Properties,
        'DefinitionSubstitutions',
      ) as Record<string, Json>;
      expect(Object.values(called).every(isAlias)).toBe(true);
    }
    for (const mapping of ofType(stacks, 'AWS::Lambda::EventSourceMapping')) {
      expect(isQualified(mapping.Properties['FunctionName'])).toBe(true);
    }
    for (const permission of ofType(stacks, 'AWS::Lambda::Permission')) {
      expect(isAlias(permission.Properties['FunctionName'])).toBe(true);
    }
    for (const integration of ofType(stacks, 'AWS::ApiGatewayV2::Integration')) {
      expect(isAlias(integration.Properties['IntegrationUri'])).toBe(true);
    }
    const schedules = ofType(stacks, 'AWS::Events::Rule').filter(
      ({ Properties }) => Properties['ScheduleExpression'] !== undefined,
    );
    const targets = schedules.flatMap(({ Properties }) => list(Properties['Targets']));
    expect(targets).toHaveLength(6);
    expect(targets.every((target) => isAlias(at(target, 'Arn')))).toBe(true);
  });

  it('machines log errors without data', () => {
    for (const machine of ofType(stacks, 'AWS::StepFunctions::StateMachine')) {
      expect(machine.Properties).toMatchObject({
        StateMachineType: 'STANDARD',
        LoggingConfiguration: { Level: 'ERROR', IncludeExecutionData: false },
      });
    }
  });

  it('streams isolate a bad record and hand it to a dead-letter queue', () => {
    const mappings = ofType(stacks, 'AWS::Lambda::EventSourceMapping').filter(
      ({ Properties }) => Properties['StartingPosition'] !== undefined,
    );
    expect(mappings).toHaveLength(2);
    for (const { Properties } of mappings) {
      expect(Properties).toMatchObject({
        BisectBatchOnFunctionError: true,
        FunctionResponseTypes: ['ReportBatchItemFailures'],
        StartingPosition: 'TRIM_HORIZON',
      });
      expect(at(Properties, 'DestinationConfig', 'OnFailure', 'Destination')).toBeDefined();
    }
  });

  it('every queue is encrypted, refuses plain HTTP and ends in a dead-letter queue or is one', () => {
    const queues = ofType(stacks, 'AWS::SQS::Queue');
    expect(queues.length).toBeGreaterThan(4);
    const policies = ofType(stacks, 'AWS::SQS::QueuePolicy');
    for (const { logicalId, Properties } of queues) {
      const last = logicalId.includes('DeadLetters');
      expect([logicalId, last || Properties['RedrivePolicy'] !== undefined]).toEqual([logicalId, true]);
      expect(Properties['SqsManagedSseEnabled']).toBe(true);
      const own = policies.filter((each) => JSON.stringify(each.Properties['Queues']).includes(logicalId));
      expect(own.flatMap(statementsOf)).toContainEqual(
        expect.objectContaining({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      );
    }
  });

  it('every route of the API wants a caller that IAM knows', () => {
    const routes = ofType(stacks, 'AWS::ApiGatewayV2::Route');
    expect(routes.length).toBeGreaterThanOrEqual(9);
    for (const { Properties } of routes) expect(Properties['AuthorizationType']).toBe('AWS_IAM');
  });
});

/** The Hive type of a value. */
function hiveType(value: unknown): string {
  if (Array.isArray(value)) return 'array<string>';
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).map(([name, each]) => `${name}:${hiveType(each)}`);
    return `struct<${fields.join(',')}>`;
  }
  return typeof value === 'number' ? 'int' : 'string';
}
