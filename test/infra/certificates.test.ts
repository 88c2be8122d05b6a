import { describe, expect, it } from 'vitest';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, list, ofType, resource, statementsOf, synthesise, text, type Stacks } from './app.ts';

/** Who may do what around the issuing of certificates, as `forbidden.test.ts` has it for the rest. */
const stacks = synthesise({ settings: { types: ['database', 'signing-key', 'certificate-authority'] } });
const policies = new Policies(stacks);
const tableOf = (logicalId: string): string => {
  const { state } = stacks;
  if (state === undefined) throw new Error('there is no stack state');
  return policies.resolver.arn(resource(stacks, 'state', logicalId), state);
};
const item = (table: string, operation: string, key: string): IamRequest => ({
  action: `dynamodb:${operation}`,
  resource: tableOf(table),
  context: { 'dynamodb:LeadingKeys': [`default#${key}`] },
});
const signing = (tags: Record<string, string>, usage = 'SIGN_VERIFY'): IamRequest => ({
  action: 'kms:Sign',
  resource: `arn:aws:kms:${localRegion}:${localAccountId}:key/1`,
  context: {
    'kms:KeyUsage': usage,
    ...Object.fromEntries(Object.entries(tags).map(([tag, value]) => [`aws:ResourceTag/${tag}`, value])),
  },
});
const atPrivateCa = (
  operation: string,
  tags: Record<string, string>,
  template = 'EndEntityCertificate_APIPassthrough/V1',
): IamRequest => ({
  action: `acm-pca:${operation}`,
  resource: `arn:aws:acm-pca:${localRegion}:${localAccountId}:certificate-authority/1`,
  context: {
    'acm-pca:TemplateArn': `arn:aws:acm-pca:::template/${template}`,
    ...Object.fromEntries(Object.entries(tags).map(([tag, value]) => [`aws:ResourceTag/${tag}`, value])),
  },
});
const ours = { [TAG.type]: 'certificate-authority', [TAG.stage]: 'dev' };

const typed = (...roles: string[]): string[] => roles.map((role) => `${role}-certificate-authority`);

async function allowed(ask: IamRequest): Promise<string[]> {
  const found: string[] = [];
  for (const role of policies.roles) {
    if ((await policies.decide(role, ask)).allowed) found.push(role.name);
  }
  return found.toSorted();
}

describe('roles around certificates', () => {
  it.each([
    ['looks for what a key has had', item('Directory', 'GetItem', 'LEAFKEY#shop#ab')],
    ['counts them', item('Directory', 'UpdateItem', 'LEAFCOUNT#shop#ca-1#checkout')],
  ])('%s: the function that issues them, and nobody else', async (_what, ask) => {
    expect(await allowed(ask)).toEqual(['issue-certificates']);
  });

  it.each([
    ['one', 'LEAF#shop#ca'],
    ['its key', 'LEAFKEY#shop#ab'],
  ])(
    'record %s: the function that issues them, and those that make keys for who can not',
    async (_what, key) => {
      const who = ['issue-certificates', ...typed('register', 'replace', 'rotate')];
      expect(await allowed(item('Directory', 'PutItem', key))).toEqual(who.toSorted());
    },
  );

  it('keep keys of holders sealed until they have them: who makes those, and nobody else opens them', async () => {
    const sealed = (operation: string) =>
      allowed(item('Directory', operation, 'SEALED#leaves#spiffe://shop/agent/lb'));
    const makes = typed('register', 'replace', 'rotate').toSorted();
    expect(await sealed('GetItem')).toEqual(makes);
    expect(await sealed('PutItem')).toEqual(makes);
  });

  it('sign with keys of authorities: who issues, who lists what is revoked, and who makes or proves an authority', async () => {
    const who = typed('register', 'replace', 'rotate', 'reconcile', 'rollback');
    expect(await allowed(signing(ours))).toEqual(
      ['issue-certificates', 'revoke-certificates', ...who].toSorted(),
    );
  });

  it.each([
    [
      'IssueCertificate',
      ['issue-certificates', ...typed('register', 'replace', 'rotate', 'reconcile', 'rollback')],
    ],
    [
      'GetCertificate',
      ['issue-certificates', ...typed('register', 'replace', 'rotate', 'reconcile', 'rollback')],
    ],
    ['DescribeCertificateAuthority', ['revoke-certificates', ...typed('register', 'replace', 'rotate')]],
    ['GetCertificateAuthorityCertificate', typed('register', 'replace', 'rotate')],
    ['UpdateCertificateAuthority', typed('register', 'replace', 'rotate', 'reconcile', 'retire', 'revoke')],
    ['DeleteCertificateAuthority', []],
    ['RevokeCertificate', ['revoke-certificates']],
    ['TagCertificateAuthority', []],
  ])('call %s of AWS Private CA: whoever needs it', async (operation, who) => {
    expect(await allowed(atPrivateCa(operation, ours))).toEqual(who.toSorted());
  });

  it.each([
    ['of another type', atPrivateCa('IssueCertificate', { ...ours, [TAG.type]: 'signing-key' })],
    ['of another deployment', atPrivateCa('IssueCertificate', { ...ours, [TAG.stage]: 'prod' })],
    ['that nobody has tagged', atPrivateCa('UpdateCertificateAuthority', {})],
    [
      'by a template that makes authorities',
      atPrivateCa('IssueCertificate', ours, 'SubordinateCACertificate_PathLen0/V1'),
    ],
    ['by one whose request decides', atPrivateCa('IssueCertificate', ours, 'EndEntityCertificate/V1')],
  ])('nobody has AWS Private CA issue from an authority %s', async (_what, ask) => {
    expect(await allowed(ask)).toEqual([]);
  });

  it('nobody makes an authority in AWS Private CA', async () => {
    expect(await allowed({ ...atPrivateCa('CreateCertificateAuthority', {}), resource: '*' })).toEqual([]);
  });

  it.each<readonly [string, IamRequest]>([
    ['signs with a key of another type', signing({ ...ours, [TAG.type]: 'signing-key' })],
    ['signs with a key of another deployment', signing({ ...ours, [TAG.stage]: 'prod' })],
    ['signs with a key that nobody has tagged', signing({})],
    ['changes a bundle', item('Directory', 'PutItem', 'SET#bundles#shop')],
    ['reads keys of tokens', item('Directory', 'GetItem', 'SET#jwks#shop')],
    ['reads what is sealed', item('Directory', 'GetItem', 'SEALED#bundles#shop')],
    ['deletes a record of a certificate', item('Directory', 'DeleteItem', 'LEAF#shop#ca')],
    ['changes a count by putting another', item('Directory', 'PutItem', 'LEAFCOUNT#shop#ca-1#checkout')],
    ['writes into the ledger', item('Ledger', 'PutItem', 'C#1')],
    ['reads what agents have said', item('Ledger', 'GetItem', 'AGENT#checkout')],
    ['makes a key', { ...signing(ours), action: 'kms:CreateKey', resource: '*' }],
    ['ends a key', { ...signing(ours), action: 'kms:ScheduleKeyDeletion' }],
    [
      'reads a secret',
      {
        action: 'secretsmanager:GetSecretValue',
        resource: `arn:aws:secretsmanager:${localRegion}:${localAccountId}:secret:agents/a-123456`,
        context: {
          [`aws:ResourceTag/${TAG.type}`]: 'certificate-authority',
          [`aws:ResourceTag/${TAG.stage}`]: 'dev',
        },
      },
    ],
  ])('who issues never %s', async (_what, ask) => {
    expect(await allowed(ask)).not.toContain('issue-certificates');
  });
});

describe('roles around lists of revoked certificates', () => {
  it('are written by whoever ends a certificate, and read by those, by what shows them and by what tries whether one counts', async () => {
    const ends = [
      'revoke-certificates',
      ...typed('reconcile', 'register', 'replace', 'retire', 'revoke', 'rotate'),
    ];
    expect(await allowed(item('Directory', 'PutItem', 'CRL#shop#ca'))).toEqual(ends.toSorted());
    const looks = [...ends, 'serve-directory', ...typed('rollback', 'verify')];
    expect(await allowed(item('Directory', 'GetItem', 'CRL#shop#ca'))).toEqual(looks.toSorted());
    for (const operation of ['DeleteItem', 'UpdateItem'])
      expect(await allowed(item('Directory', operation, 'CRL#shop#ca'))).toEqual([]);
  });

  it.each<readonly [string, IamRequest]>([
    ['signs with a key of another type', signing({ ...ours, [TAG.type]: 'signing-key' })],
    ['signs with a key of another deployment', signing({ ...ours, [TAG.stage]: 'prod' })],
    ['changes a bundle', item('Directory', 'PutItem', 'SET#bundles#shop')],
    ['records a certificate', item('Directory', 'PutItem', 'LEAF#shop#ca')],
    ['reads what is sealed', item('Directory', 'GetItem', 'SEALED#bundles#shop')],
    ['changes what agents have said', item('Ledger', 'PutItem', 'AGENT#checkout')],
    ['gives back a name', item('Ledger', 'DeleteItem', 'NAME#shop-ca')],
    ['ends a key', { ...signing(ours), action: 'kms:ScheduleKeyDeletion' }],
  ])('who revokes never %s', async (_what, ask) => {
    expect(await allowed(ask)).not.toContain('revoke-certificates');
  });

  it('what faces the internet signs none', async () => {
    expect(await allowed(signing(ours))).not.toContain('serve-directory');
  });

  it('are signed every five minutes, and somebody is told where they are not', () => {
    const rules = ofType(stacks, 'AWS::Events::Rule').filter(({ logicalId }) =>
      logicalId.startsWith('ListSchedule'),
    );
    expect(rules.map(({ Properties }) => Properties['ScheduleExpression'])).toEqual(['rate(5 minutes)']);
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').map(({ logicalId }) => logicalId);
    for (const alarm of ['ListsSilent', 'RevokeCertificatesErrors'])
      expect(alarms.some((id) => id.startsWith(alarm))).toBe(true);
  });
});

describe('the address at which certificates say that revocations are told', () => {
  const told = (of: Stacks): [string, string][] =>
    ofType(of, 'AWS::Lambda::Function').flatMap(({ Properties }): [string, string][] => {
      const variable = (name: string) => text(at(Properties, 'Environment', 'Variables', name));
      return variable('REKEY_STATUS_URL') === ''
        ? []
        : [[variable('REKEY_FUNCTION'), variable('REKEY_STATUS_URL')]];
    });

  it('is that of the settings, for functions that make authorities, and else the directory', () => {
    expect(told(stacks)).toEqual([]);
    const statusUrl = 'http://status.example.com';
    const types = ['certificate-authority'];
    const found = told(synthesise({ settings: { types, statusUrl } }));
    expect(found).toContainEqual(['rotate-certificate-authority', statusUrl]);
    expect(found.every(([name]) => name.endsWith('-certificate-authority'))).toBe(true);
  });
});

describe('the route for certificates', () => {
  const routesOf = (of: Stacks) =>
    (of['agents']?.resources ?? [])
      .filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Route')
      .map(
        ({ Properties }) => [text(Properties['RouteKey']), text(Properties['AuthorizationType'])] as const,
      );
  const invokes = (of: Stacks) =>
    ofType(of, 'AWS::IAM::ManagedPolicy')
      .filter(({ logicalId }) => logicalId.startsWith('AgentsPolicy'))
      .flatMap(statementsOf)
      .flatMap(({ Resource }) => list(Resource).map((each) => JSON.stringify(each)));

  it('asks for the signature of its caller, and is in the policy of agents', () => {
    expect(routesOf(stacks)).toContainEqual(['POST /certificates', 'AWS_IAM']);
    expect(invokes(stacks).some((each) => each.includes('/$default/POST/certificates'))).toBe(true);
  });

  it('is not there where no certificate authorities are', () => {
    const without = synthesise();
    expect(routesOf(without).map(([key]) => key)).not.toContain('POST /certificates');
    expect(invokes(without)).toHaveLength(1);
    const functions = ofType(without, 'AWS::Lambda::Function').map(({ Properties }) =>
      text(at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION')),
    );
    expect(functions).not.toContain('issue-certificates');
  });

  it('leaves what it records to end by itself', () => {
    expect(at(resource(stacks, 'state', 'Directory').Properties, 'TimeToLiveSpecification')).toEqual({
      AttributeName: 'expires',
      Enabled: true,
    });
  });
});
