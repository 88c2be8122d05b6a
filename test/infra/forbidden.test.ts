import { describe, expect, it } from 'vitest';
import { viaService, type IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { SEAL, TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { resource, synthesise } from './app.ts';

/**
 * Role × forbidden action: every role of the app is asked each of these, under the conditions that suit it best, and
 * only those named may. A new function is in the matrix without further ado; where it needs one of them, its name goes
 * here, in front of whoever reviews it.
 */
const stacks = synthesise();
const policies = new Policies(stacks);
const names = policies.roles.map(({ name }) => name);

const arn = (service: string, rest: string): string =>
  `arn:aws:${service}:${localRegion}:${localAccountId}:${rest}`;
const arnOf = (stack: string, logicalId: string): string => {
  const where = stacks[stack];
  if (where === undefined) throw new Error(`no stack ${stack}`);
  return policies.resolver.arn(resource(stacks, stack, logicalId), where);
};
const aliasOf = (name: string): string => {
  const id = name.replace(/(?:^|-)(.)/g, (_match, letter: string) => letter.toUpperCase());
  const [alias, stack] =
    policies.each('AWS::Lambda::Alias').find(([{ logicalId }]) => logicalId.startsWith(`${id}Live`)) ?? [];
  if (alias === undefined || stack === undefined) throw new Error(`${name} has no alias`);
  return policies.resolver.arn(alias, stack);
};
function queueOf(start: string): string {
  const [queue, stack] =
    policies.each('AWS::SQS::Queue').find(([{ logicalId }]) => logicalId.startsWith(start)) ?? [];
  if (queue === undefined || stack === undefined) throw new Error(`no queue ${start}`);
  return policies.resolver.arn(queue, stack);
}
const machineOf = (name: string): string => arn('states', `stateMachine:${name}`);

const secret =
  (name: string, tags: Record<string, string>) =>
  (operation: string): IamRequest => ({
    action: `secretsmanager:${operation}`,
    resource: arn('secretsmanager', `secret:${name}-a1b2c3`),
    context: Object.fromEntries(
      Object.entries(tags).map(([tag, value]) => [`aws:ResourceTag/${tag}`, value]),
    ),
  });
const tagged = { [TAG.type]: 'database', [TAG.stage]: 'dev' };
const ofAgents = secret('agents/orders', tagged);
const ofAdmin = secret('admin/orders', { [TAG.admin]: 'database' });
const labelling = (of: typeof ofAgents, stage: string): IamRequest => {
  const { context = {}, ...asked } = of('UpdateSecretVersionStage');
  return { ...asked, context: { ...context, 'secretsmanager:VersionStage': stage } };
};
const creating = (operation: string, tags: Record<string, string>): IamRequest => ({
  action: `secretsmanager:${operation}`,
  resource: arn('secretsmanager', 'secret:agents/new-a1b2c3'),
  context: {
    'aws:TagKeys': Object.keys(tags),
    ...Object.fromEntries(Object.entries(tags).map(([tag, value]) => [`aws:RequestTag/${tag}`, value])),
  },
});

const retagging = (operation: string, tags: Record<string, string>, keys: string[]): IamRequest => {
  const { context = {}, ...asked } = secret('agents/orders', tags)(operation);
  return { ...asked, context: { ...context, 'aws:TagKeys': keys } };
};

const service = (stage: string): IamRequest => ({
  action: 'ecs:UpdateService',
  resource: arn('ecs', 'service/main/web'),
  context: { [`aws:ResourceTag/${TAG.stage}`]: stage },
});
const looking = (stage: string): IamRequest => ({
  action: 'lambda:GetFunctionConfiguration',
  resource: arn('lambda', 'function:orders'),
  context: { [`aws:ResourceTag/${TAG.stage}`]: stage },
});

const ledger = arnOf('state', 'Ledger');
const inLedger = (operation: string, key: string): IamRequest => ({
  action: `dynamodb:${operation}`,
  resource: ledger,
  context: { 'dynamodb:LeadingKeys': [key] },
});
const sealed = (action: string, purpose: string): IamRequest[] => [
  { action, resource: dataKey, context: { [`kms:EncryptionContext:${SEAL.purpose}`]: purpose } },
];
const RECORDS_OF = `default#C#0b6f7a0e-0000-4000-8000-000000000000`;

const archive = arnOf('evidence', 'Archive');
const snapshots = arnOf('state', 'Snapshots');
const dataKey = arnOf('state', 'DataKey');
const secretsKey = arnOf('state', 'SecretsKey');
const bus = arnOf('state', 'Bus');
const busName = bus.split('/').at(-1) ?? '';
const subscription = arn('events', `rule/${busName}/subscription-0123456789abcdef0123`);
const targeting = (target: string): IamRequest => ({
  action: 'events:PutTargets',
  resource: subscription,
  context: { 'events:TargetArn': [target] },
});
const handingOn = (role: string, to: string): IamRequest => ({
  action: 'iam:PassRole',
  resource: role,
  context: { 'iam:PassedToService': to },
});
const readsQueue = queueOf('ReadersReads');
const lifecycle = machineOf('rekey-dev-rotation-lifecycle');
const emergency = machineOf('rekey-dev-incident-emergency');
const on = (resourceArn: string, ...actions: string[]): IamRequest[] =>
  actions.map((action) => ({ action, resource: resourceArn }));

const WRITERS_OF_THE_LEDGER = [
  'begin-rotation',
  'check-holders',
  'control-api',
  'plan-rotations',
  'receive-notice',
  'reconcile-database',
  'record-emergency',
  'register-database',
  'replace-database',
  'retire-database',
  'revoke-database',
  'rollback-database',
  'rotate-database',
  'verify-database',
];

interface Row {
  readonly what: string;
  /** Asked one by one; each must have the same answer. */
  readonly asks: readonly IamRequest[];
  /** Who may. Without it nobody. */
  readonly may?: readonly string[];
}

const MATRIX: Readonly<Record<string, readonly Row[]>> = {
  'secrets of agents': [
    {
      what: 'reads a value',
      asks: [ofAgents('GetSecretValue'), viaService('kms:Decrypt', secretsKey, 'secretsmanager', {})],
      may: [
        'reconcile-database',
        'register-database',
        'replace-database',
        'rollback-database',
        'rotate-database',
      ],
    },
    {
      what: 'stores a value',
      asks: [ofAgents('PutSecretValue')],
      may: ['replace-database', 'rotate-database'],
    },
    {
      what: 'takes off the label of a version that is to come',
      asks: [labelling(ofAgents, 'AWSPENDING')],
      may: [
        'begin-rotation',
        'reconcile-database',
        'register-database',
        'replace-database',
        'rollback-database',
        'rotate-database',
      ],
    },
    {
      what: 'moves the label of the version that agents read',
      asks: [labelling(ofAgents, 'AWSCURRENT')],
      may: ['reconcile-database', 'replace-database', 'rollback-database', 'rotate-database'],
    },
    { what: 'rotates', asks: [ofAgents('RotateSecret')], may: ['begin-rotation', 'register-database'] },
    {
      what: 'creates, tagged as Rekey does',
      asks: [
        creating('CreateSecret', { ...tagged, [TAG.credential]: 'id' }),
        creating('TagResource', { ...tagged, [TAG.credential]: 'id' }),
      ],
      may: ['register-database'],
    },
    { what: 'deletes', asks: [ofAgents('DeleteSecret')], may: ['register-database'] },
    {
      what: 'names its credential on a secret whose owner has consented, or takes that name and the schedule off again',
      asks: [
        retagging('TagResource', tagged, [TAG.credential]),
        retagging('UntagResource', tagged, [TAG.credential]),
        ofAgents('CancelRotateSecret'),
      ],
      may: ['register-database'],
    },
    {
      what: 'takes the tags off a secret that Rekey made, so that no role reaches it any more',
      asks: [retagging('UntagResource', tagged, [TAG.type, TAG.stage, TAG.credential])],
      may: ['register-database'],
    },
    {
      what: 'takes another tag off, or puts one on',
      asks: [
        retagging('UntagResource', tagged, [TAG.admin]),
        retagging('UntagResource', tagged, [TAG.credential, 'team']),
        retagging('TagResource', tagged, [TAG.type]),
        retagging('TagResource', tagged, [TAG.admin]),
        retagging('TagResource', tagged, ['team']),
        retagging('TagResource', {}, [TAG.credential]),
      ],
    },
    {
      what: 'creates without the tags, for another stage or as an administrative one',
      asks: [
        creating('CreateSecret', {}),
        creating('CreateSecret', { ...tagged, [TAG.stage]: 'prod' }),
        creating('CreateSecret', { ...tagged, [TAG.admin]: 'database' }),
        creating('TagResource', { [TAG.admin]: 'database' }),
        creating('TagResource', { ...tagged, [TAG.admin]: 'database' }),
      ],
    },
    {
      what: 'changes what guards a secret, or overwrites it past its versions',
      asks: [
        'UntagResource',
        'PutResourcePolicy',
        'DeleteResourcePolicy',
        'UpdateSecret',
        'ReplicateSecretToRegions',
        'RestoreSecret',
      ].map(ofAgents),
    },
  ],
  'secrets of others': [
    {
      what: 'reads an administrative value',
      asks: [ofAdmin('GetSecretValue')],
      may: WRITERS_OF_THE_LEDGER.filter((name) => /-database$|never^/.test(name)),
    },
    {
      what: 'changes an administrative secret',
      asks: [
        ...['PutSecretValue', 'RotateSecret', 'DeleteSecret', 'TagResource'].map(ofAdmin),
        labelling(ofAdmin, 'AWSPENDING'),
        labelling(ofAdmin, 'AWSCURRENT'),
      ],
    },
    {
      what: 'reads a value of another stage, another type, outside the prefix or without a tag',
      asks: [
        secret('agents/orders', { ...tagged, [TAG.stage]: 'prod' })('GetSecretValue'),
        secret('agents/orders', { ...tagged, [TAG.type]: 'floppy' })('GetSecretValue'),
        secret('agents/orders', {})('GetSecretValue'),
        secret('payroll/bank', tagged)('GetSecretValue'),
        secret('payroll/bank', { [TAG.admin]: 'floppy' })('GetSecretValue'),
      ],
    },
    {
      what: 'looks for secrets',
      asks: [{ action: 'secretsmanager:ListSecrets' }],
      may: ['take-inventory'],
    },
    { what: 'reads many values at once', asks: [{ action: 'secretsmanager:BatchGetSecretValue' }] },
  ],
  ledger: [
    { what: 'writes an item', asks: [inLedger('PutItem', RECORDS_OF)], may: WRITERS_OF_THE_LEDGER },
    {
      what: 'keeps who reads a secret',
      asks: [inLedger('PutItem', 'default#READER#agents/orders')],
      may: [...WRITERS_OF_THE_LEDGER, 'observe-readers'],
    },
    {
      what: 'takes a key from a pool',
      asks: [inLedger('PutItem', 'default#POOL#sha256:0a1b')],
      may: WRITERS_OF_THE_LEDGER,
    },
    {
      what: 'gives back a reservation',
      asks: ['default#NAME#orders', 'default#SECRET#agents/orders', 'default#TARGET#db'].map((key) =>
        inLedger('DeleteItem', key),
      ),
      may: ['register-database'],
    },
    {
      what: 'deletes a head or a record, or changes an item in place',
      asks: [inLedger('DeleteItem', RECORDS_OF), inLedger('UpdateItem', RECORDS_OF)],
    },
    {
      what: 'keeps what agents say',
      asks: ['default#PACT#checkout', 'default#AGENT#checkout', 'default#ACK#r#2026'].map((key) =>
        inLedger('PutItem', key),
      ),
      may: [...WRITERS_OF_THE_LEDGER, 'agent-api'],
    },
    {
      what: 'keeps what a session does, flags an acknowledgement, counts uses, spends a challenge',
      asks: [
        ...['default#AGENT#checkout', 'default#ACK#r#2026', 'default#USE#c'].map((key) =>
          inLedger('UpdateItem', key),
        ),
        inLedger('DeleteItem', 'default#ACK#CHALLENGE#s'),
      ],
      may: ['agent-api'],
    },
    {
      what: 'takes back what an agent has said, or changes a pact',
      asks: [
        ...['default#PACT#checkout', 'default#AGENT#checkout', 'default#ACK#r#2026', 'default#USE#c'].map(
          (key) => inLedger('DeleteItem', key),
        ),
        inLedger('UpdateItem', 'default#PACT#checkout'),
      ],
    },
    {
      what: 'reads or writes in bulk, or touches the table itself',
      asks: on(
        ledger,
        'dynamodb:Scan',
        'dynamodb:BatchWriteItem',
        'dynamodb:PartiQLDelete',
        'dynamodb:PartiQLUpdate',
        'dynamodb:DeleteTable',
        'dynamodb:UpdateTable',
        'dynamodb:UpdateContinuousBackups',
        'dynamodb:UpdateTimeToLive',
        'dynamodb:ExportTableToPointInTime',
      ),
    },
  ],
  'archive and snapshots': [
    {
      what: 'adds a record',
      asks: on(`${archive}/records/one`, 's3:PutObject'),
      may: ['archive-audit'],
    },
    { what: 'reads a record', asks: on(`${archive}/records/one`, 's3:GetObject'), may: ['AuditorRole'] },
    {
      what: 'hides, deletes or unlocks evidence',
      asks: [
        ...on(
          `${archive}/records/one`,
          's3:DeleteObject',
          's3:DeleteObjectVersion',
          's3:PutObjectRetention',
          's3:PutObjectLegalHold',
          's3:BypassGovernanceRetention',
        ),
        ...on(
          archive,
          's3:PutLifecycleConfiguration',
          's3:PutBucketPolicy',
          's3:DeleteBucketPolicy',
          's3:PutBucketVersioning',
          's3:PutBucketObjectLockConfiguration',
          's3:DeleteBucket',
        ),
      ],
    },
    {
      what: 'writes a snapshot',
      asks: on(`${snapshots}/snapshots/one`, 's3:PutObject'),
      may: ['archive-audit'],
    },
    {
      what: 'reads a snapshot: an emergency without the ledger, and who says whether that would work',
      asks: on(`${snapshots}/snapshots/one`, 's3:GetObject'),
      may: ['revoke-database', 'record-emergency', 'control-api'],
    },
    {
      what: 'leaves an intent beside a snapshot',
      asks: on(`${snapshots}/intents/one`, 's3:PutObject'),
      may: ['revoke-database', 'record-emergency'],
    },
    {
      what: 'reads an intent, to write it into the ledger',
      asks: on(`${snapshots}/intents/one`, 's3:GetObject'),
      may: ['record-emergency'],
    },
    {
      what: 'takes away an intent that is in the ledger, whose last version stays',
      asks: on(`${snapshots}/intents/one`, 's3:DeleteObject'),
      may: ['record-emergency'],
    },
    {
      what: 'deletes a snapshot, or what is left of an intent that was taken away',
      asks: [
        ...on(`${snapshots}/snapshots/one`, 's3:DeleteObject', 's3:DeleteObjectVersion'),
        ...on(`${snapshots}/intents/one`, 's3:DeleteObjectVersion'),
        ...on(snapshots, 's3:PutBucketVersioning', 's3:PutLifecycleConfiguration'),
      ],
    },
  ],
  keys: [
    {
      what: 'uses a key directly, past the service that it is for',
      asks: [dataKey, secretsKey].flatMap((key) =>
        on(key, 'kms:Decrypt', 'kms:Encrypt', 'kms:GenerateDataKey', 'kms:ReEncryptFrom', 'kms:CreateGrant'),
      ),
    },
    {
      what: 'seals what acknowledgements are held against (hard decision 7)',
      asks: sealed('kms:Encrypt', 'acknowledgement'),
      may: ['rotate-database', 'rollback-database', 'reconcile-database'],
    },
    {
      what: 'seals keys of instances, and unseals what agents are checked against',
      asks: [
        ...sealed('kms:Encrypt', 'instance'),
        ...sealed('kms:Decrypt', 'instance'),
        ...sealed('kms:Decrypt', 'acknowledgement'),
      ],
      may: ['agent-api'],
    },
    {
      what: 'seals or unseals anything else',
      asks: [...sealed('kms:Encrypt', 'other'), ...sealed('kms:Decrypt', 'other')],
    },
    {
      what: 'deletes, disables or hands on a key',
      asks: [dataKey, secretsKey].flatMap((key) =>
        on(key, 'kms:ScheduleKeyDeletion', 'kms:DisableKey', 'kms:PutKeyPolicy', 'kms:ReplicateKey'),
      ),
    },
  ],
  'workloads of others': [
    {
      what: 'redeploys a service or looks at a function whose owner has consented',
      asks: [service('dev'), looking('dev')],
      may: ['check-holders'],
    },
    {
      what: 'touches one without consent or of another stage, or changes what runs there',
      asks: [
        service('prod'),
        looking('prod'),
        { action: 'ecs:UpdateService', resource: arn('ecs', 'service/main/web') },
        ...on(arn('ecs', 'task/main/one'), 'ecs:StopTask', 'ecs:ExecuteCommand'),
        ...on(arn('ecs', 'task-definition/web:1'), 'ecs:RunTask', 'ecs:RegisterTaskDefinition'),
        { ...looking('dev'), action: 'lambda:UpdateFunctionConfiguration' },
        { ...looking('dev'), action: 'lambda:GetFunction' },
        { action: 'iam:PassRole', resource: 'arn:aws:iam::111122223333:role/any' },
      ],
    },
  ],
  'functions and machines': [
    {
      what: 'registers',
      asks: on(aliasOf('register-database'), 'lambda:InvokeFunction'),
      may: ['control-api'],
    },
    {
      what: 'invokes the rotation function, as asking for a rotation demands',
      asks: on(aliasOf('rotate-database'), 'lambda:InvokeFunction'),
      may: ['begin-rotation', 'register-database'],
    },
    {
      what: 'decides a window, or looks at a database for the API',
      asks: on(aliasOf('verify-database'), 'lambda:InvokeFunction'),
      may: ['LifecycleMachine', 'control-api'],
    },
    {
      what: 'invokes a revocation',
      asks: on(aliasOf('revoke-database'), 'lambda:InvokeFunction'),
      may: ['EmergencyMachine', 'SuspensionMachine'],
    },
    {
      what: 'invokes a function past its alias',
      asks: on(aliasOf('revoke-database').replace(/:live$/, ''), 'lambda:InvokeFunction'),
    },
    {
      what: 'changes a function',
      asks: on(
        aliasOf('revoke-database').replace(/:live$/, ''),
        'lambda:UpdateFunctionCode',
        'lambda:UpdateFunctionConfiguration',
        'lambda:UpdateAlias',
        'lambda:AddPermission',
        'lambda:PutFunctionConcurrency',
        'lambda:DeleteFunction',
      ),
    },
    {
      what: 'starts a rotation',
      asks: on(lifecycle, 'states:StartExecution'),
      may: ['begin-rotation', 'control-api', 'plan-rotations', 'reconcile-database', 'rotate-database'],
    },
    {
      what: 'starts an emergency',
      asks: on(emergency, 'states:StartExecution'),
      // The machine itself: its distributed map's items are executions of it.
      may: ['EmergencyMachine', 'control-api'],
    },
    {
      what: 'fails a waiting state or changes a machine',
      asks: [lifecycle, emergency].flatMap((machine) =>
        on(machine, 'states:SendTaskFailure', 'states:UpdateStateMachine', 'states:DeleteStateMachine'),
      ),
    },
    {
      what: 'stops an execution',
      asks: on(arn('states', 'execution:rekey-dev-incident-emergency:one'), 'states:StopExecution'),
      may: ['EmergencyMachine'],
    },
  ],
  'events, logs, alarms': [
    {
      what: 'publishes on the bus of Rekey',
      asks: on(bus, 'events:PutEvents'),
      may: ['publish-events', 'record-emergency'],
    },
    {
      what: 'carries events to a bus of the account or of another, or to an API destination',
      asks: [
        ...on(arn('events', 'event-bus/default'), 'events:PutEvents'),
        ...on('arn:aws:events:eu-west-1:444455556666:event-bus/fleets', 'events:PutEvents'),
        ...on(arn('events', 'api-destination/pager/0a1b2c3d'), 'events:InvokeApiDestination'),
      ],
      may: ['SubscriptionsDelivery'],
    },
    {
      what: 'changes who hears: the rules of subscriptions',
      asks: [
        ...on(
          subscription,
          'events:PutRule',
          'events:DescribeRule',
          'events:ListTargetsByRule',
          'events:RemoveTargets',
          'events:DeleteRule',
        ),
        ...[
          arn('sqs', 'shop'),
          arn('sns', 'shop'),
          arn('events', 'api-destination/pager/0a1b2c3d'),
          'arn:aws:events:eu-west-1:444455556666:event-bus/fleets',
        ].map(targeting),
        handingOn(policies.role('SubscriptionsDelivery').arn, 'events.amazonaws.com'),
        { action: 'events:ListRules' },
      ],
      may: ['manage-subscriptions'],
    },
    {
      what: 'changes any other rule, lets a rule of a subscription do more than tell, or hands on another role',
      asks: [
        ...[
          `rule/${busName}/rekey-dev-monitoring-Pages`,
          'rule/one',
          'rule/other-bus/subscription-1',
        ].flatMap((rule) =>
          on(
            arn('events', rule),
            'events:PutRule',
            'events:PutTargets',
            'events:DeleteRule',
            'events:RemoveTargets',
          ),
        ),
        ...on(subscription, 'events:DisableRule', 'events:TagResource'),
        ...[
          aliasOf('revoke-database'),
          emergency,
          arn('sqs', 'shop').replace(localAccountId, '444455556666'),
          arn('kinesis', 'stream/shop'),
        ].map(targeting),
        handingOn(policies.role('SubscriptionsDelivery').arn, 'lambda.amazonaws.com'),
        handingOn(policies.role('control-api').arn, 'events.amazonaws.com'),
      ],
    },
    {
      what: 'changes the bus itself, its archive or its policy',
      asks: [
        ...on(bus, 'events:DeleteEventBus', 'events:UpdateEventBus'),
        { action: 'events:PutPermission' },
        { action: 'events:RemovePermission' },
        ...on(arn('events', 'archive/one'), 'events:DeleteArchive', 'events:UpdateArchive'),
      ],
    },
    {
      what: 'removes or shortens a log',
      asks: on(
        arn('logs', 'log-group:RevokeDatabaseLog533707FE:*'),
        'logs:DeleteLogGroup',
        'logs:PutRetentionPolicy',
      ),
    },
    {
      what: 'takes dead letters away',
      asks: on(
        arn('sqs', 'DeadLettersBBF8BAAB'),
        'sqs:ReceiveMessage',
        'sqs:DeleteMessage',
        'sqs:PurgeQueue',
      ),
    },
    {
      what: 'takes reads of secrets from their queue',
      asks: on(readsQueue, 'sqs:ReceiveMessage', 'sqs:DeleteMessage'),
      may: ['observe-readers'],
    },
    {
      what: 'puts reads into it that nobody has made',
      asks: on(readsQueue, 'sqs:SendMessage'),
    },
    {
      what: 'silences an alarm',
      asks: on(
        arn('cloudwatch', 'alarm:one'),
        'cloudwatch:DisableAlarmActions',
        'cloudwatch:DeleteAlarms',
        'cloudwatch:SetAlarmState',
      ),
    },
  ],
  'the account': [
    {
      what: 'becomes or makes somebody else',
      asks: [
        ...on(
          `arn:aws:iam::${localAccountId}:role/admin`,
          'iam:PassRole',
          'sts:AssumeRole',
          'iam:PutRolePolicy',
          'iam:AttachRolePolicy',
          'iam:UpdateAssumeRolePolicy',
        ),
        ...on(`arn:aws:iam::${localAccountId}:user/one`, 'iam:CreateUser', 'iam:CreateAccessKey'),
      ],
    },
    {
      what: 'takes a deployment away',
      asks: on(
        arn('cloudformation', 'stack/rekey-dev-evidence/one'),
        'cloudformation:DeleteStack',
        'cloudformation:UpdateStack',
        'cloudformation:UpdateTerminationProtection',
      ),
    },
  ],
};

describe.each(Object.entries(MATRIX))('%s', (_group, rows) => {
  it.each(rows.map((row) => [who(row), row] as const))('%s', async (_title, { asks, may = [] }) => {
    for (const each of asks) {
      const allowed: string[] = [];
      for (const role of policies.roles) {
        if ((await policies.decide(role, each)).allowed) allowed.push(role.name);
      }
      expect(
        { ...each, may: allowed.toSorted() },
        'narrow the grant; where the role needs it, name it in this row',
      ).toEqual({ ...each, may: may.toSorted() });
    }
  });
});

it('the matrix asks every role of the app', () => {
  expect(names).toEqual(expect.arrayContaining(['control-api', 'LifecycleMachine', 'AuditorRole']));
  expect(new Set(names).size).toBe(names.length);
});

function who({ what, may = [] }: Row): string {
  return may.length === 0 ? `nobody ${what}` : `${what}: ${may.join(', ')} and nobody else`;
}
