import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SWEPT } from '../../infra/stacks/monitoring.ts';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { EVENT, FAMILY_TYPE, TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, ofType, resource, root, synthesise, text } from './app.ts';

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
    expect(alarms.map(({ Properties }) => Properties['Threshold'])).toEqual([1, 1, 1]);
  });

  it('counts what each run comes to by what the coordinator logs, on the dashboard and in an alarm with an entry of the runbook', () => {
    const handler = readFileSync(join(root, 'lambdas', 'refresh-families', 'handler.ts'), 'utf8');
    expect(handler).toContain(`logger.info('${SWEPT.message}', { ...swept, counts }`);
    const [, counted = ''] = /const counts = \{([^}]*)\}/.exec(handler) ?? [];
    const filters = ofType(stacks, 'AWS::Logs::MetricFilter').filter(
      ({ Properties }) => Properties['FilterPattern'] === `{ $.message = "${SWEPT.message}" }`,
    );
    const names = filters.map(({ Properties }) => at(Properties, 'MetricTransformations', '0'));
    expect(names.map((each) => at(each, 'MetricValue'))).toEqual(
      SWEPT.counts.map((count) => `$.counts.${count}`),
    );
    for (const count of SWEPT.counts) expect(counted).toMatch(new RegExp(`\\b${count}\\b`));
    const dashboard = JSON.stringify(ofType(stacks, 'AWS::CloudWatch::Dashboard'));
    for (const each of names) expect(dashboard).toContain(text(at(each, 'MetricName')));
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm').filter(({ Properties }) =>
      text(Properties['MetricName']).startsWith('Families'),
    );
    expect(
      alarms.map(({ Properties }) => [
        Properties['MetricName'],
        Properties['Threshold'],
        Properties['Period'],
        JSON.stringify(Properties['AlarmDescription']).replace(/.*#|"/g, ''),
      ]),
    ).toEqual([
      ['FamiliesFailed', 5, 900, 'refreshes-failing'],
      ['FamiliesLeft', 1, 300, 'coordinator-failed'],
    ]);
    const runbook = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8');
    expect(runbook).toContain('\n## Refreshes failing\n');
    expect(JSON.stringify(ofType(synthesise(), 'AWS::CloudWatch::Dashboard'))).not.toContain(
      'Token families',
    );
  });
});
