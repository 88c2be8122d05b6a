import { describe, expect, it } from 'vitest';
import { at, list, ofType, statementsByFunction, synthesise, text, type Stacks } from './app.ts';

const stacks = synthesise();
const rulesOf = (where: Stacks) =>
  ofType(where, 'AWS::Events::Rule').filter(({ Properties }) =>
    list(at(Properties, 'EventPattern', 'source')).includes('aws.secretsmanager'),
  );

describe('readers', () => {
  it('are seen by a rule that wants read-only management events, which EventBridge keeps back otherwise', () => {
    const [rule, ...others] = rulesOf(stacks);
    expect(others).toEqual([]);
    expect(rule?.Properties['State']).toBe('ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS');
    expect(rule?.Properties['EventBusName']).toBeUndefined();
    expect(rule?.Properties['EventPattern']).toMatchObject({
      'detail-type': ['AWS API Call via CloudTrail'],
      detail: { eventName: ['GetSecretValue'], errorCode: [{ exists: false }] },
    });
    const ids = list(at(rule?.Properties, 'EventPattern', 'detail', 'requestParameters', 'secretId'));
    expect(ids[0]).toEqual({ prefix: 'agents/' });
    expect(JSON.stringify(ids[1])).toContain(':secret:agents/');
  });

  it('of secrets that may be adopted are seen as well, each pattern within what EventBridge takes', () => {
    const adoptPrefixes = Array.from({ length: 10 }, (_each, index) => `prod/${index}${'x'.repeat(249)}`);
    const rules = rulesOf(synthesise({ settings: { adoptPrefixes } }));
    expect(rules).toHaveLength(11);
    for (const { Properties } of rules)
      expect(JSON.stringify(Properties['EventPattern']).length).toBeLessThan(2048);
  });

  it('are not looked for where the settings say so', () => {
    const off = synthesise({ settings: { readers: 'off' } });
    expect(rulesOf(off).map(({ Properties }) => Properties['State'])).toEqual(['DISABLED']);
  });

  it('reach the function in batches, from a queue that waits for it', () => {
    const [mapping] = ofType(stacks, 'AWS::Lambda::EventSourceMapping').filter(
      ({ Properties }) => Properties['MaximumBatchingWindowInSeconds'] !== undefined,
    );
    expect(mapping?.Properties).toMatchObject({
      BatchSize: 1000,
      MaximumBatchingWindowInSeconds: 300,
      ScalingConfig: { MaximumConcurrency: 2 },
    });
    const [queue] = ofType(stacks, 'AWS::SQS::Queue').filter(
      ({ Properties }) => Properties['RedrivePolicy'] !== undefined,
    );
    expect(queue?.Properties['VisibilityTimeout']).toBe(6 * 60 + 300);
  });

  it('are kept one by one only where the settings say so', () => {
    const off = synthesise({ settings: { uses: { reads: 'off' } } });
    expect(JSON.stringify(statementsByFunction(off)['observe-readers'])).not.toContain(
      '*#UPSTREAM#*","*#COVERED#*',
    );
  });

  it('are kept by a function that may write nothing else, and for 90 days', () => {
    const own = statementsByFunction(stacks)['observe-readers'] ?? [];
    const onTable = own.filter(({ Action }) =>
      list(Action).some((each) => text(each).startsWith('dynamodb:')),
    );
    const below = (...keys: string[]) => ({ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } });
    const written = ['dynamodb:GetItem', 'dynamodb:PutItem'];
    expect(onTable.map(({ Action, Condition }) => [list(Action), Condition])).toEqual([
      [written, below('*#READER#*', '*#BASELINE#*')],
      [written, below('*#UPSTREAM#*', '*#COVERED#*')],
      [['dynamodb:GetItem'], below('*#SECRET#*')],
      [['dynamodb:Query'], undefined],
      [['dynamodb:GetItem'], below('*#C#*', '*#PACT#*')],
      [['dynamodb:Query'], below('*#USE#*', '*#UPSTREAM#*')],
    ]);
    expect(JSON.stringify(own)).not.toContain('secretsmanager');
    expect(at(ofType(stacks, 'AWS::DynamoDB::Table')[0]?.Properties, 'TimeToLiveSpecification')).toEqual({
      AttributeName: 'expires',
      Enabled: true,
    });
  });
});
