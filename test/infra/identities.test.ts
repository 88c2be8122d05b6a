import { describe, expect, it } from 'vitest';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { IDENTITY_TYPES, SEAL, TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, ofType, resource, synthesise, text } from './app.ts';

/** Role × what it may do with the directory, as `forbidden.test.ts` has it for the rest. */
const stacks = synthesise({ settings: { types: ['database', ...IDENTITY_TYPES] } });
const policies = new Policies(stacks);
const stateOf = (logicalId: string): string => {
  const { state } = stacks;
  if (state === undefined) throw new Error('there is no stack state');
  return policies.resolver.arn(resource(stacks, 'state', logicalId), state);
};
const directory = (operation: string, key: string): IamRequest => ({
  action: `dynamodb:${operation}`,
  resource: stateOf('Directory'),
  context: { 'dynamodb:LeadingKeys': [key] },
});
const sealing = (action: string): IamRequest => ({
  action,
  resource: stateOf('DataKey'),
  context: { [`kms:EncryptionContext:${SEAL.purpose}`]: 'identity' },
});

/** Types whose keys may stay in KMS. */
const SIGNING = ['signing-key', 'certificate-authority'] as const;
const tagged = (type: string, usage = 'SIGN_VERIFY'): Record<string, string> => ({
  'kms:KeyUsage': usage,
  [`aws:ResourceTag/${TAG.type}`]: type,
  [`aws:ResourceTag/${TAG.stage}`]: 'dev',
});
const key = (type: string, operation: string): IamRequest => ({
  action: `kms:${operation}`,
  resource: `arn:aws:kms:${localRegion}:${localAccountId}:key/1234`,
  context: tagged(type),
});
const makingKey = (type: string): IamRequest[] =>
  ['kms:CreateKey', 'kms:TagResource'].map((action) => ({
    action,
    resource: '*',
    context: {
      'kms:KeyUsage': 'SIGN_VERIFY',
      [`aws:RequestTag/${TAG.type}`]: type,
      [`aws:RequestTag/${TAG.stage}`]: 'dev',
      'aws:TagKeys': [TAG.type, TAG.stage, TAG.set],
    },
  }));

const of = (type: string, ...roles: string[]): string[] => roles.map((role) => `${role}-${type}`);
const TAKES = ['rotate', 'register', 'replace'];
const ENDS = [...TAKES, 'retire', 'reconcile', 'revoke'];

describe('roles at the directory', () => {
  const rows: readonly (readonly [string, readonly IamRequest[], readonly string[]])[] = [
    [
      'reads public keys',
      [directory('GetItem', 'default#SET#jwks#orders')],
      ['serve-directory', ...of('signing-key', 'verify', ...ENDS)],
    ],
    [
      'reads trust bundles',
      [directory('GetItem', 'default#SET#bundles#orders')],
      [
        'serve-directory',
        'issue-certificates',
        'revoke-certificates',
        ...of('certificate-authority', 'verify', 'rollback', ...ENDS),
      ],
    ],
    [
      'publishes or ends certificate authorities',
      [
        directory('PutItem', 'default#SET#bundles#orders'),
        directory('DeleteItem', 'default#SEALED#bundles#orders'),
      ],
      of('certificate-authority', ...ENDS),
    ],
    ...SIGNING.flatMap((type): [string, IamRequest[], string[]][] => [
      [`makes a key in KMS (${type})`, makingKey(type), of(type, ...TAKES)],
      [
        `signs with one (${type})`,
        [key(type, 'Sign')],
        [
          ...of(type, ...TAKES, 'rollback', 'reconcile'),
          ...(type === 'certificate-authority' ? ['issue-certificates', 'revoke-certificates'] : []),
        ],
      ],
      [`ends one (${type})`, [key(type, 'DisableKey'), key(type, 'ScheduleKeyDeletion')], of(type, ...ENDS)],
    ]),
    [
      'uses a key that encrypts, gives one back, or changes the tags of one',
      [
        {
          ...key('certificate-authority', 'Sign'),
          context: tagged('certificate-authority', 'ENCRYPT_DECRYPT'),
        },
        key('certificate-authority', 'CancelKeyDeletion'),
        key('certificate-authority', 'TagResource'),
        key('certificate-authority', 'PutKeyPolicy'),
      ],
      [],
    ],
    [
      'reads digests of tokens',
      [directory('GetItem', 'default#SET#tokens#orders')],
      ['serve-directory', ...of('agent-token', 'verify', 'rollback', ...ENDS)],
    ],
    [
      'publishes or ends keys',
      [
        directory('PutItem', 'default#SET#jwks#orders'),
        directory('DeleteItem', 'default#SEALED#jwks#orders'),
      ],
      of('signing-key', ...ENDS),
    ],
    [
      'publishes or ends tokens',
      [directory('PutItem', 'default#SET#tokens#orders')],
      of('agent-token', 'rollback', ...ENDS),
    ],
    [
      'keeps and reads what is sealed of keys',
      ['GetItem', 'PutItem'].map((operation) => directory(operation, 'default#SEALED#jwks#orders')),
      of('signing-key', ...TAKES),
    ],
    [
      'opens what is sealed',
      [sealing('kms:Encrypt'), sealing('kms:Decrypt')],
      IDENTITY_TYPES.flatMap((type) => of(type, ...TAKES)),
    ],
    [
      'deletes a set, lists the directory, or changes it in place',
      [
        directory('DeleteItem', 'default#SET#jwks#orders'),
        directory('UpdateItem', 'default#SET#jwks#orders'),
        { action: 'dynamodb:Query', resource: stateOf('Directory') },
        { action: 'dynamodb:Scan', resource: stateOf('Directory') },
      ],
      [],
    ],
  ];

  it.each(rows)('%s: nobody else', async (_what, asks, may) => {
    for (const ask of asks) {
      const allowed: string[] = [];
      for (const role of policies.roles) {
        if ((await policies.decide(role, ask)).allowed) allowed.push(role.name);
      }
      expect(allowed.toSorted()).toEqual([...may].toSorted());
    }
  });

  it('what faces the internet tells which certificates are revoked, with a key that certifies nothing', async () => {
    const found = policies.each('AWS::KMS::Key').find(([{ logicalId }]) => logicalId.startsWith('StatusKey'));
    if (found === undefined) throw new Error('there is no such key');
    const statusKey = policies.resolver.arn(...found);
    const may = async (action: string, where: string): Promise<string[]> => {
      const allowed = [];
      for (const role of policies.roles)
        if ((await policies.decide(role, { action, resource: where })).allowed) allowed.push(role.name);
      return allowed.toSorted();
    };
    expect(await may('kms:Sign', statusKey)).toEqual(['serve-directory']);
    expect(await may('kms:GetPublicKey', statusKey)).toEqual(
      ['revoke-certificates', ...of('certificate-authority', ...TAKES)].toSorted(),
    );
  });

  it('what faces the internet reads the directory, and nothing else of Rekey', async () => {
    const role = policies.roles.find(({ name }) => name === 'serve-directory');
    if (role === undefined) throw new Error('there is no such role');
    for (const ask of [
      { action: 'dynamodb:GetItem', resource: stateOf('Ledger') },
      directory('GetItem', 'default#SEALED#jwks#orders'),
      sealing('kms:Decrypt'),
      {
        action: 'secretsmanager:GetSecretValue',
        resource: `arn:aws:secretsmanager:${localRegion}:${localAccountId}:secret:agents/a-123456`,
      },
    ])
      expect((await policies.decide(role, ask)).allowed).toBe(false);
  });
});

describe('the API of verifiers', () => {
  it('asks everybody but readers of public keys for their signature', () => {
    const { verifiers } = stacks;
    const routes = (verifiers?.resources ?? []).filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Route');
    const byKey = routes.map(({ Properties }) => [
      text(Properties['RouteKey']),
      Properties['AuthorizationType'],
    ]);
    expect(Object.fromEntries(byKey)).toEqual({
      'GET /jwks/{set}': 'NONE',
      'GET /bundles/{set}': 'NONE',
      'GET /crl/{set}': 'NONE',
      'GET /crl/{set}/{authority}': 'NONE',
      'POST /ocsp/{set}': 'NONE',
      'GET /ocsp/{set}/{request+}': 'NONE',
      'GET /tokens/{set}': 'AWS_IAM',
      'POST /introspect': 'AWS_IAM',
    });
  });

  it('is throttled, logged and alarmed', () => {
    const stage = verifiersOf('AWS::ApiGatewayV2::Stage')[0]?.Properties;
    expect(at(stage, 'DefaultRouteSettings', 'ThrottlingRateLimit')).toBe(200);
    expect(at(stage, 'AccessLogSettings', 'DestinationArn')).toBeDefined();
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').map(({ logicalId }) => logicalId);
    expect(alarms.some((id) => id.startsWith('DirectoryServerErrors'))).toBe(true);
  });

  it('is not there where no identities are', () => {
    expect(Object.keys(synthesise())).not.toContain('verifiers');
  });

  function verifiersOf(type: string) {
    return (stacks['verifiers']?.resources ?? []).filter(({ Type }) => Type === type);
  }
});
