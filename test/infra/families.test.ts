import { describe, expect, it } from 'vitest';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { EVENT, FAMILY_TYPE, TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, ofType, resource, synthesise } from './app.ts';

/** Role × what it may do with token families, as `forbidden.test.ts` has it for the rest. */
const stacks = synthesise({ settings: { types: ['database'], families: true } });
const policies = new Policies(stacks);
const stateOf = (logicalId: string): string => {
  const { state } = stacks;
  if (state === undefined) throw new Error('there is no stack state');
  return policies.resolver.arn(resource(stacks, 'state', logicalId), state);
};
const inLedger = (operation: string, key: string): IamRequest => ({
  action: `dynamodb:${operation}`,
  resource: stateOf('Ledger'),
  context: { 'dynamodb:LeadingKeys': [key] },
});
const secret = (name: string, operation: string, tags: Record<string, string>): IamRequest => ({
  action: `secretsmanager:${operation}`,
  resource: `arn:aws:secretsmanager:${localRegion}:${localAccountId}:secret:${name}-a1b2c3`,
  context: Object.fromEntries(Object.entries(tags).map(([tag, value]) => [`aws:ResourceTag/${tag}`, value])),
});
const ours = { [TAG.type]: FAMILY_TYPE, [TAG.stage]: 'dev' };
const others = { [TAG.type]: 'database', [TAG.stage]: 'dev' };
const admin = (of: string) => ({ [TAG.admin]: of });
const REFRESH = 'agents/refresh-tokens/crm';
const COORDINATOR = ['refresh-families'];

describe('roles at token families', () => {
  const rows: readonly (readonly [string, readonly IamRequest[], readonly string[]])[] = [
    ['reads a refresh token', [secret(REFRESH, 'GetSecretValue', ours)], COORDINATOR],
    ['stores one', [secret(REFRESH, 'PutSecretValue', ours)], COORDINATOR],
    [
      'gives agents an access token',
      [secret('agents/families/crm', 'UpdateSecretVersionStage', ours)],
      COORDINATOR,
    ],
    ['deletes one', [secret(REFRESH, 'DeleteSecret', ours)], []],
    [
      'reads the secret of a client',
      [secret('oauth/crm', 'GetSecretValue', admin(FAMILY_TYPE))],
      COORDINATOR,
    ],
    ['writes it', [secret('oauth/crm', 'PutSecretValue', admin(FAMILY_TYPE))], []],
  ];

  it.each(rows)('%s: nobody else', async (_what, asks, may) => {
    for (const ask of asks) {
      const allowed: string[] = [];
      for (const role of policies.roles)
        if ((await policies.decide(role, ask)).allowed) allowed.push(role.name);
      expect(allowed.toSorted()).toEqual([...may].toSorted());
    }
  });

  it('reach nothing of credentials: neither their heads and chains, nor their secrets, nor their administrators', async () => {
    const role = policies.role('refresh-families');
    const allowed = async (ask: IamRequest): Promise<boolean> => (await policies.decide(role, ask)).allowed;
    for (const key of [
      'default#F#1',
      'default#F#FP#sha256:1',
      'default#NAME#crm',
      'default#SECRET#agents/families/crm',
    ])
      expect(await allowed(inLedger('PutItem', key)), key).toBe(true);
    for (const key of [
      'default#C#1',
      'default#AGENT#a',
      'default#ACK#1',
      'default#TURN#1',
      'default#POOL#1',
      'default#FP#1',
    ])
      expect(await allowed(inLedger('PutItem', key)), key).toBe(false);
    expect(await allowed(inLedger('GetItem', 'default#C#1'))).toBe(false);
    expect(await allowed(inLedger('DeleteItem', 'default#F#1'))).toBe(false);
    expect(await allowed(secret('agents/orders', 'GetSecretValue', others))).toBe(false);
    expect(await allowed(secret('admin/orders', 'GetSecretValue', admin('database')))).toBe(false);
  });
});

describe('the stack of token families', () => {
  it('is there only where it is asked for', () => {
    expect(Object.keys(synthesise())).not.toContain('families');
    expect(Object.keys(stacks)).toContain('families');
  });

  it('runs the coordinator every minute, for less time than the longest lease lasts', () => {
    const [rule] = (stacks['families']?.resources ?? []).filter(({ Type }) => Type === 'AWS::Events::Rule');
    expect(rule?.Properties['ScheduleExpression']).toBe('rate(1 minute)');
    const [coordinator] = (stacks['families']?.resources ?? []).filter(
      ({ Type }) => Type === 'AWS::Lambda::Function',
    );
    expect(coordinator?.Properties['Timeout']).toBeLessThan(120);
    expect(at(coordinator?.Properties, 'Environment', 'Variables', 'REKEY_FUNCTION')).toBe(
      'refresh-families',
    );
  });

  it('pages where a person has to consent, and where the coordinator fails or is silent', () => {
    const rules = (stacks['monitoring']?.resources ?? []).filter(({ Type }) => Type === 'AWS::Events::Rule');
    expect(rules.map(({ Properties }) => Properties['EventPattern'])).toContainEqual({
      source: ['rekey'],
      'detail-type': [EVENT.failed],
      detail: { action: ['consent-needed', 'refresh-failed', 'refresh-endangered'] },
    });
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').filter(({ Properties }) =>
      JSON.stringify(Properties['AlarmDescription']).includes('#coordinator-failed'),
    );
    expect(alarms.map(({ Properties }) => Properties['Threshold'])).toEqual([1, 1]);
  });
});
