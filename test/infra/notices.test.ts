import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SIGNALS } from '../../infra/stacks/monitoring.ts';
import type { IamRequest } from '../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../local/settings.ts';
import { TAG } from '../../shared/names.ts';
import { Policies } from '../support/iam/policies.ts';
import { at, list, ofType, resource, root, synthesise, text, type Stacks } from './app.ts';

const stacks = synthesise();
const withKeys = synthesise({ settings: { types: ['database', 'cloud-key'] } });
const policies = new Policies(stacks);
const inLedger = (operation: string, key: string): IamRequest => {
  const state = stacks['state'];
  if (state === undefined) throw new Error('there is no stack state');
  return {
    action: `dynamodb:${operation}`,
    resource: policies.resolver.arn(resource(stacks, 'state', 'Ledger'), state),
    context: { 'dynamodb:LeadingKeys': [key] },
  };
};
const may = async (name: string, ask: IamRequest): Promise<boolean> =>
  (await policies.decide(policies.role(name), ask)).allowed;
const rules = (where: Stacks) =>
  (where['signals']?.resources ?? []).filter(({ Type }) => Type === 'AWS::Events::Rule');
const environmentOf = (where: Stacks, name: string) =>
  at(
    ofType(where, 'AWS::Lambda::Function').find(
      ({ Properties }) => at(Properties, 'Environment', 'Variables', 'REKEY_FUNCTION') === name,
    )?.Properties,
    'Environment',
    'Variables',
  );

describe('what AWS and the own rules notice', () => {
  it('comes from AWS Health alone, in the own account, where nobody else can send as it', () => {
    const [rule] = rules(withKeys).filter(({ Properties }) => Properties['EventPattern'] !== undefined);
    expect(rule?.Properties['EventBusName']).toBeUndefined();
    expect(rule?.Properties['EventPattern']).toEqual({
      source: ['aws.health'],
      'detail-type': ['AWS Health Event'],
      account: [{ Ref: 'AWS::AccountId' }],
      detail: { service: ['RISK'], eventTypeCode: [{ prefix: 'AWS_RISK_CREDENTIALS_' }] },
    });
  });

  it('is weighed every five minutes, and what could not be done waits for a person', () => {
    const [schedule] = rules(stacks).filter(
      ({ Properties }) => Properties['ScheduleExpression'] !== undefined,
    );
    expect(schedule?.Properties['ScheduleExpression']).toBe('rate(5 minutes)');
    for (const { Properties } of rules(withKeys))
      expect(
        list(Properties['Targets']).map((target) => at(target, 'DeadLetterConfig', 'Arn')),
      ).not.toContain(undefined);
    expect(rules(withKeys)).toHaveLength(2);
    expect(rules(stacks)).toHaveLength(1);
    const alarms = ofType(stacks, 'AWS::CloudWatch::Alarm')
      .map(({ logicalId }) => logicalId)
      .join(' ');
    for (const start of [
      'ReceiveNoticeErrors',
      'NoticesDeadLetters',
      'NoticesOverBudget',
      'NoticeNotIdentified',
    ])
      expect(alarms).toContain(start);
    const handler = readFileSync(join(root, 'lambdas', 'receive-notice', 'handler.ts'), 'utf8');
    for (const message of [SIGNALS.overBudget, SIGNALS.notIdentified])
      expect(handler).toContain(`logger.warn('${message}'`);
  });

  it('is read and learnt by a function that may keep nothing but that, and acted on by one that reads no secret', async () => {
    expect(await may('observe-readers', inLedger('PutItem', 'default#BASELINE#agents/orders'))).toBe(true);
    expect(await may('observe-readers', inLedger('PutItem', 'default#C#1'))).toBe(false);
    expect(await may('observe-readers', inLedger('UpdateItem', 'default#SIGNAL#anomaly'))).toBe(false);
    expect(await may('receive-notice', inLedger('UpdateItem', 'default#SIGNAL#anomaly'))).toBe(true);
    expect(await may('receive-notice', inLedger('Query', 'default#C#1'))).toBe(false);
    expect(await may('receive-notice', inLedger('DeleteItem', 'default#C#1'))).toBe(false);
    const reading = {
      action: 'secretsmanager:GetSecretValue',
      resource: `arn:aws:secretsmanager:${localRegion}:${localAccountId}:secret:agents/orders-a1b2c3`,
      context: { [`aws:ResourceTag/${TAG.type}`]: 'database', [`aws:ResourceTag/${TAG.stage}`]: 'dev' },
    };
    expect(await may('receive-notice', reading)).toBe(false);
  });

  it('is looked for in reports of uses every quarter of an hour, and not where nothing is to be learnt', async () => {
    const judging = (where: Stacks) =>
      ofType(where, 'AWS::Events::Rule').filter(({ Properties }) =>
        JSON.stringify(Properties['Targets']).includes('judge-uses'),
      );
    const [schedule] = judging(stacks);
    expect(schedule?.Properties['ScheduleExpression']).toBe('rate(15 minutes)');
    expect(at(list(schedule?.Properties['Targets'])[0], 'DeadLetterConfig', 'Arn')).toBeDefined();
    const off = synthesise({ settings: { signals: { unusual: 'off' } } });
    expect(judging(off)).toEqual([]);
    expect(await may('observe-readers', inLedger('Query', 'default#USE#1'))).toBe(true);
    expect(await may('observe-readers', inLedger('Query', 'default#C#1'))).toBe(false);
    for (const key of ['default#USE#1', 'default#STRAY#1', 'default#SIGNAL#TOLD#1', 'default#PACT#checkout'])
      expect(await may('observe-readers', inLedger('PutItem', key))).toBe(false);
    expect(await may('agent-api', inLedger('PutItem', 'default#STRAY#1'))).toBe(true);
    expect(await may('agent-api', inLedger('PutItem', 'default#BASELINE#agents/orders'))).toBe(false);
  });

  it('starts an emergency only where there are keys of IAM, and a rotation only there or where the settings say so', async () => {
    const starts = async (where: Stacks): Promise<string[]> => {
      const roles = new Policies(where);
      const machines = ['rotation-lifecycle', 'incident-emergency'];
      const answers = await Promise.all(
        machines.map((name) =>
          roles.decide(roles.role('receive-notice'), {
            action: 'states:StartExecution',
            resource: `arn:aws:states:${localRegion}:${localAccountId}:stateMachine:rekey-dev-${name}`,
          }),
        ),
      );
      return machines.filter((_name, n) => answers[n]?.allowed === true);
    };
    expect(await starts(stacks)).toEqual([]);
    expect(await starts(synthesise({ settings: { signals: { unusual: 'rotate' } } }))).toEqual([
      'rotation-lifecycle',
    ]);
    expect(await starts(withKeys)).toEqual(['rotation-lifecycle', 'incident-emergency']);
  });

  it('does what the settings say: by default a person is told, and nothing is learnt where it is off', () => {
    const policy = (where: Stacks): unknown =>
      (
        JSON.parse(text(at(environmentOf(where, 'receive-notice'), 'REKEY_SIGNAL_POLICY'))) as {
          unusual?: string;
        }
      ).unusual;
    expect(policy(stacks)).toBe('tell');
    expect(policy(synthesise({ settings: { signals: { unusual: 'rotate' } } }))).toBe('rotate');
    expect(at(environmentOf(stacks, 'observe-readers'), 'REKEY_UNUSUAL')).toBe('tell');
    const off = synthesise({ settings: { types: ['cloud-key'], signals: { unusual: 'off' } } });
    expect(at(environmentOf(off, 'observe-readers'), 'REKEY_UNUSUAL')).toBeUndefined();
    // Keys of IAM are still told of.
    expect(rules(off).map(({ Properties }) => Properties['ScheduleExpression'])).toEqual([undefined]);
  });
});
