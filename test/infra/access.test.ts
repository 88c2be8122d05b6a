import { runSimulation } from '@cloud-copilot/iam-simulate';
import { describe, expect, test } from 'vitest';
import { API_ROUTES, ROLES, type Role } from '../../shared/domain/access.ts';
import { ofType, synthesise, text, type Json, type Resource } from './app.ts';

const ACCOUNT = '111122223333';
const REGION = 'eu-central-1';

const stacks = synthesise({ stage: 'test' });
const arns = {
  api: 'abc123',
  archive: 'arn:aws:s3:::archive',
  results: 'arn:aws:s3:::results',
  alarms: `arn:aws:sns:${REGION}:${ACCOUNT}:alarms`,
};

/** A CloudFormation value as the deployment would have it. */
function resolve(value: Json): Json {
  if (Array.isArray(value)) return value.map(resolve);
  if (value === null || typeof value !== 'object') return value;
  const [name, args] = Object.entries(value)[0] ?? [];
  if (name === 'Ref') {
    const pseudo = { 'AWS::Partition': 'aws', 'AWS::Region': REGION, 'AWS::AccountId': ACCOUNT }[text(args)];
    return pseudo ?? text(args);
  }
  if (name === 'Fn::ImportValue') {
    const exported = text(args);
    if (exported.includes('Api')) return arns.api;
    if (exported.includes('Alarms')) return arns.alarms;
    return exported.includes('QueryResults') ? arns.results : arns.archive;
  }
  if (name === 'Fn::Join') {
    const [separator, parts] = args as [string, Json[]];
    return parts.map((part) => text(resolve(part))).join(separator);
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, resolve(each)]));
}

function policyOf(role: Role): Resource {
  const name = `rekey-test-${role}`;
  const found = ofType(stacks, 'AWS::IAM::ManagedPolicy').find(
    ({ Properties }) => Properties['ManagedPolicyName'] === name,
  );
  if (found === undefined) throw new Error(`no policy ${name}`);
  return found;
}

async function decision(role: Role, action: string, resource: string): Promise<string> {
  const answer = await runSimulation(
    {
      request: {
        principal: `arn:aws:iam::${ACCOUNT}:role/people/somebody`,
        action,
        resource: { resource, accountId: ACCOUNT },
        contextVariables: {},
      },
      identityPolicies: [
        { name: role, policy: resolve(policyOf(role).Properties['PolicyDocument'] ?? null) },
      ],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
    },
    {},
  );
  if (answer.resultType === 'error') throw new Error(JSON.stringify(answer.errors));
  return answer.overallResult;
}

const route = (method: string, path: string): string =>
  `arn:aws:execute-api:${REGION}:${ACCOUNT}:${arns.api}/$default/${method}${path}`;

const service = (name: string, resource: string): string =>
  `arn:aws:${name}:${REGION}:${ACCOUNT}:${resource}`;

/** What auditors alone may do. */
const EVIDENCE: readonly (readonly [string, string])[] = [
  ['s3:ListBucket', arns.archive],
  ['s3:GetObject', `${arns.archive}/records/tenant=default/one.json`],
  ['s3:GetObjectRetention', `${arns.archive}/records/tenant=default/one.json`],
  ['athena:StartQueryExecution', service('athena', 'workgroup/rekey-test')],
  ['athena:GetQueryResults', service('athena', 'workgroup/rekey-test')],
  ['glue:GetTable', service('glue', 'table/rekey_test/audit_records')],
  ['s3:PutObject', `${arns.results}/results/answer.csv`],
];

/** What everybody needs to find the API and to see how the deployment stands; no address of who is alarmed. */
const DEPLOYMENT: readonly (readonly [string, string, boolean])[] = [
  ['cloudformation:DescribeStacks', service('cloudformation', 'stack/rekey-test-api/1234'), true],
  ['cloudformation:DescribeStacks', service('cloudformation', 'stack/rekey-test-state/1234'), true],
  ['cloudformation:DescribeStacks', service('cloudformation', 'stack/rekey-prod-state/1234'), false],
  ['cloudformation:GetTemplate', service('cloudformation', 'stack/rekey-test-api/1234'), false],
  ['sns:GetTopicAttributes', arns.alarms, true],
  ['sns:ListSubscriptionsByTopic', arns.alarms, false],
  ['sns:GetTopicAttributes', service('sns', 'somebody-elses'), false],
  ['cloudtrail:DescribeTrails', '*', true],
  ['cloudtrail:GetTrailStatus', 'arn:aws:cloudtrail:us-east-1:444455556666:trail/all', true],
  ['cloudtrail:GetEventSelectors', 'arn:aws:cloudtrail:us-east-1:444455556666:trail/all', true],
  ['cloudtrail:LookupEvents', '*', false],
];

/** What nobody may do by their role: the power is Rekey's, not that of people. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ['secretsmanager:GetSecretValue', service('secretsmanager', 'secret:agents/orders-db-abcdef')],
  ['secretsmanager:RotateSecret', service('secretsmanager', 'secret:agents/orders-db-abcdef')],
  ['dynamodb:GetItem', service('dynamodb', 'table/ledger')],
  ['dynamodb:PutItem', service('dynamodb', 'table/ledger')],
  ['states:StartExecution', service('states', 'stateMachine:rekey-test-emergency')],
  ['lambda:InvokeFunction', service('lambda', 'function:revoke-database')],
  ['kms:Decrypt', service('kms', 'key/1234abcd-12ab-34cd-56ef-1234567890ab')],
  ['s3:PutObject', `${arns.archive}/records/tenant=default/one.json`],
  ['s3:DeleteObject', `${arns.archive}/records/tenant=default/one.json`],
  ['s3:BypassGovernanceRetention', `${arns.archive}/records/tenant=default/one.json`],
  ['s3:PutObjectRetention', `${arns.archive}/records/tenant=default/one.json`],
  ['athena:StartQueryExecution', service('athena', 'workgroup/primary')],
  ['execute-api:Invoke', route('POST', '/v1/anything-else')],
  ['iam:PassRole', `arn:aws:iam::${ACCOUNT}:role/anything`],
];

describe('roles of people', () => {
  for (const role of ROLES) {
    for (const { method, path, roles } of API_ROUTES) {
      const may = roles.includes(role);
      test(`${role} ${may ? 'may' : 'may not'} ${method} ${path}`, async () => {
        const asked = route(method, path.replaceAll(/\{[^}]+\}/g, 'orders-db'));
        expect(await decision(role, 'execute-api:Invoke', asked)).toBe(may ? 'Allowed' : 'ImplicitlyDenied');
      });
    }
    for (const [action, resource] of EVIDENCE) {
      const may = role === 'auditor';
      test(`${role} ${may ? 'may' : 'may not'} ${action} on ${resource}`, async () => {
        expect(await decision(role, action, resource)).toBe(may ? 'Allowed' : 'ImplicitlyDenied');
      });
    }
    test.each(DEPLOYMENT)(`${role}: %s on %s: %s`, async (action, resource, may) => {
      expect(await decision(role, action, resource)).toBe(may ? 'Allowed' : 'ImplicitlyDenied');
    });
    test.each(FORBIDDEN)(`${role} may never %s on %s`, async (action, resource) => {
      expect(await decision(role, action, resource)).toBe('ImplicitlyDenied');
    });
  }

  test('a role is assumed by attribute only, under the name of the user', () => {
    for (const role of ROLES) {
      const found = ofType(stacks, 'AWS::IAM::Role').find(
        ({ Properties }) => Properties['RoleName'] === `rekey-test-${role}`,
      );
      expect(found?.Properties['AssumeRolePolicyDocument']).toMatchObject({
        Statement: [
          {
            Effect: 'Allow',
            Action: 'sts:AssumeRole',
            Condition: {
              StringLike: { 'aws:PrincipalTag/rekey:test': `*${role}*` },
              StringEquals: { 'sts:RoleSessionName': '${aws:username}' },
            },
          },
        ],
      });
    }
  });

  test('no name of a role is part of another, since tags are matched by pattern', () => {
    for (const one of ROLES) {
      expect(ROLES.filter((other) => other.includes(one))).toEqual([one]);
    }
  });
});
