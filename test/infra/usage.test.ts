import { describe, expect, it } from 'vitest';
import { at, functionNames, list, ofType, statementsByFunction, synthesise, type Stacks } from './app.ts';

const rulesOf = (stacks: Stacks) =>
  (stacks['usage']?.resources ?? []).filter(
    ({ Type, logicalId }) => Type === 'AWS::Events::Rule' && !logicalId.startsWith('Readers'),
  );

describe('uses of access keys', () => {
  const stacks = synthesise({
    settings: { types: ['database', 'cloud-key'], uses: { providers: 'off' } },
  });

  it('are told by rules that want read-only events as well, of long-lived keys of users, and of the function itself', () => {
    const gathering = rulesOf(stacks).filter(({ Properties }) => Properties['EventPattern'] !== undefined);
    expect(gathering.map(({ Properties }) => Properties['State'])).toEqual([
      'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS',
      'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS',
    ]);
    // A use or a time without uses that somebody else puts on the bus would be false evidence.
    for (const { Properties } of gathering)
      expect(at(Properties, 'EventPattern', 'source')).toEqual([{ prefix: 'aws.' }]);
    const identities = gathering.map(({ Properties }) =>
      at(Properties, 'EventPattern', 'detail', 'userIdentity'),
    );
    expect(identities).toContainEqual({ type: ['IAMUser'], accessKeyId: [{ prefix: 'AKIA' }] });
    expect(JSON.stringify(identities)).toContain('ObserveUsesRole');
  });

  it('cover quiet times too: a call of its own comes every ten minutes', () => {
    const [scheduled, ...others] = rulesOf(stacks).flatMap(
      ({ Properties }) => Properties['ScheduleExpression'] ?? [],
    );
    expect([scheduled, others]).toEqual(['rate(10 minutes)', []]);
  });

  it('are kept by a function that may write nothing else, and reads locks of targets only', () => {
    const own = statementsByFunction(stacks)['observe-uses'] ?? [];
    const onTable = own.filter(({ Action }) => JSON.stringify(Action).includes('dynamodb:'));
    const below = (...keys: string[]) => ({ 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': keys } });
    expect(onTable.map(({ Action, Condition }) => [list(Action), Condition])).toEqual([
      [['dynamodb:GetItem', 'dynamodb:PutItem'], below('*#UPSTREAM#*', '*#COVERED#*')],
      [['dynamodb:GetItem'], below('*#TARGET#*')],
    ]);
    expect(JSON.stringify(own)).not.toMatch(/secretsmanager|iam:|sts:/);
  });

  it('are not looked for where the settings say so, nor where no key of IAM rotates', () => {
    const off = synthesise({
      settings: { types: ['cloud-key'], uses: { cloudTrail: 'off', providers: 'off' } },
    });
    for (const none of [off, synthesise({ settings: { types: ['database'] } })]) {
      const names = functionNames(ofType(none, 'AWS::Lambda::Function'));
      expect(names.filter((name) => /^(observe-uses|collect-usage)/.test(name))).toEqual([]);
    }
    expect(ofType(stacks, 'AWS::Glue::Table')).toHaveLength(3);
  });
});
