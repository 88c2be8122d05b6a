import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CREDENTIAL_TYPES, DATABASE_TYPES, TYPED_ROLES } from '../../shared/names.ts';
import {
  at,
  list,
  ofType,
  readJson,
  root,
  statementsByFunction,
  synthesise,
  text,
  type JsonObject,
  type Resource,
} from './app.ts';

const regulated = { settings: join(root, 'examples', 'settings-regulated.json'), allowComplianceLock: true };
const smallTeam = { settings: join(root, 'examples', 'settings-small-team.json') };
const created = synthesise(regulated);
const existing = synthesise(smallTeam);

const isJoined = ({ Properties }: Resource): boolean => Properties['VpcConfig'] !== undefined;
const nameOf = ({ Properties }: Resource): string =>
  text(at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION'));

describe('endpoints "existing"', () => {
  it('make nothing in the VPC', () => {
    expect(existing['network']).toBeUndefined();
    expect(ofType(existing, 'AWS::EC2::VPCEndpoint')).toEqual([]);
    expect(JSON.stringify(ofType(existing, 'AWS::Lambda::Function'))).not.toContain('AWS_ENDPOINT_URL');
  });
});

describe('the network of databases', () => {
  // It bundles the functions of every type.
  it(
    'is joined by the functions of databases and of their roots, and by no other',
    { timeout: 240_000 },
    () => {
      const settings = { ...readJson<object>(smallTeam.settings), types: [...CREDENTIAL_TYPES] };
      const joined = ofType(synthesise({ settings }), 'AWS::Lambda::Function').filter(isJoined).map(nameOf);
      const own = DATABASE_TYPES.flatMap((type) => TYPED_ROLES.map((role) => `${role}-${type}`));
      expect(joined.toSorted()).toEqual(own.toSorted());
    },
  );
});

describe('endpoints "create"', () => {
  const endpoints = ofType(created, 'AWS::EC2::VPCEndpoint');
  const services = ofType(created, 'AWS::Lambda::Function')
    .filter(isJoined)
    .flatMap((each) => statementsByFunction(created)[nameOf(each)] ?? [])
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(({ Action }) => list(Action).map(text));
  /** Actions of database functions that go through the VPC: Lambda itself writes logs, dead letters and joins subnets; keys are used for the caller, but for what is sealed. */
  const called = new Set(
    services.filter((action) => !/^(logs|sqs|ec2|kms:(Decrypt|GenerateDataKey)|lambda):?/.test(action)),
  );

  it('let through exactly what database functions may call, of this account alone', () => {
    const statements = endpoints.flatMap((each) => list(at(each.Properties, 'PolicyDocument', 'Statement')));
    expect(statements.flatMap((each) => list(at(each, 'Action')).map(text)).toSorted()).toEqual(
      [...called].toSorted(),
    );
    for (const statement of statements) {
      expect(at(statement, 'Condition')).toEqual({
        StringEquals: { 'aws:PrincipalAccount': { Ref: 'AWS::AccountId' } },
      });
      for (const resource of list(at(statement, 'Resource'))) expect(resource).not.toBe('*');
    }
  });

  it('are interface endpoints without a name that others in the VPC resolve, and free gateways', () => {
    const kinds = endpoints.map(({ logicalId, Properties }) => [
      logicalId,
      Properties['VpcEndpointType'],
      Properties['PrivateDnsEnabled'],
      at(Properties, 'RouteTableIds', '0'),
    ]);
    expect(kinds).toEqual([
      ['SecretsManager', 'Interface', false, undefined],
      ['Kms', 'Interface', false, undefined],
      ['States', 'Interface', false, undefined],
      ['DynamoDb', 'Gateway', undefined, 'rtb-0a1b2c3d4e5f60718'],
      ['S3', 'Gateway', undefined, 'rtb-0a1b2c3d4e5f60718'],
    ]);
  });

  it('take HTTPS from the functions alone', () => {
    const [group] = ofType(created, 'AWS::EC2::SecurityGroup');
    const [rule, ...others] = list(group?.Properties['SecurityGroupIngress']);
    expect(others).toEqual([]);
    expect(rule).toMatchObject({ FromPort: 443, ToPort: 443, IpProtocol: 'tcp' });
    expect(at(rule, 'CidrIp')).toBeUndefined();
    expect(JSON.stringify(at(rule, 'SourceSecurityGroupId'))).toContain('SecurityGroups');
  });

  it('are known to every function in the VPC, and to no other', () => {
    for (const each of ofType(created, 'AWS::Lambda::Function')) {
      const variables = Object.keys(at(each.Properties, 'Environment', 'Variables') as JsonObject);
      const known = variables.filter((name) => name.startsWith('AWS_ENDPOINT_URL')).toSorted();
      expect([nameOf(each), known]).toEqual([
        nameOf(each),
        isJoined(each)
          ? ['AWS_ENDPOINT_URL_KMS', 'AWS_ENDPOINT_URL_SECRETS_MANAGER', 'AWS_ENDPOINT_URL_SFN']
          : [],
      ]);
    }
  });
});

describe('the network, before CloudFormation changes anything,', () => {
  it.each(['network', 'rotation', 'incident'])('is held against the account: %s', (stack) => {
    const { parameters, rules } = created[stack] ?? { parameters: {}, rules: {} };
    const types = Object.values(parameters).map((each) => [at(each, 'Type'), at(each, 'Default')]);
    expect(types).toEqual(
      expect.arrayContaining([
        ['AWS::EC2::VPC::Id', 'vpc-0a1b2c3d4e5f60718'],
        [
          'List<AWS::EC2::Subnet::Id>',
          'subnet-0a1b2c3d4e5f60718,subnet-0b1c2d3e4f5061728,subnet-0c1d2e3f405162738',
        ],
        ['List<AWS::EC2::SecurityGroup::Id>', 'sg-0a1b2c3d4e5f60718'],
      ]),
    );
    const rule = Object.entries(rules).find(([name]) => name.startsWith('DatabaseNetwork'))?.[1];
    expect(list(at(rule, 'Assertions')).map((each) => at(each, 'AssertDescription'))).toEqual([
      'network.subnets: one is not in vpc-0a1b2c3d4e5f60718; correct it or network.vpcId',
      'network.subnets: one is in another zone than the settings say; correct it',
    ]);
  });

  it('reaches a stack under another name when it changes, since `cdk deploy` keeps the value of a known parameter', () => {
    const names = (stacks: typeof created): string[] =>
      Object.keys(stacks['rotation']?.parameters ?? {}).filter((name) => name.startsWith('Subnets'));
    expect(names(created)).toHaveLength(1);
    expect(names(created)).not.toEqual(names(existing));
  });
});

describe('destinations of alarms', () => {
  it('subscribe to a topic of Rekey, each by its protocol', () => {
    const alarms = { emails: ['a@example.com', 'b@example.com'], webhooks: ['https://example.com/hook'] };
    const stacks = synthesise({ settings: { alarms } });
    const subscriptions = ofType(stacks, 'AWS::SNS::Subscription').map(({ Properties }) => [
      Properties['Protocol'],
      Properties['Endpoint'],
    ]);
    expect(subscriptions).toEqual([
      ['email', 'a@example.com'],
      ['email', 'b@example.com'],
      ['https', 'https://example.com/hook'],
    ]);
  });

  it('are a topic of the settings, for every alarm and for rotations that page', () => {
    const topic = 'arn:aws:sns:eu-central-1:111122223333:pager';
    expect(ofType(created, 'AWS::SNS::Topic')).toEqual([]);
    for (const { Properties } of ofType(created, 'AWS::CloudWatch::Alarm')) {
      expect(Properties['AlarmActions']).toEqual([topic]);
    }
    const pages = (created['monitoring']?.resources ?? []).filter(({ Type }) => Type === 'AWS::Events::Rule');
    const targets = pages.flatMap(({ Properties }) =>
      list(Properties['Targets']).map((each) => at(each, 'Arn')),
    );
    expect(targets.length).toBeGreaterThan(0);
    expect(new Set(targets)).toEqual(new Set([topic]));
  });
});
