import { describe, expect, test } from 'vitest';
import { fillIn, takeOut, type Template } from '../../../local/bridge/template.ts';
import { BRIDGED_TYPES } from '../../../local/bridge/types.ts';

test('The list of bridged types grows only on purpose', () => {
  expect(Object.keys(BRIDGED_TYPES).toSorted()).toEqual([
    'AWS::Athena::NamedQuery',
    'AWS::Events::Archive',
    'AWS::SecretsManager::ResourcePolicy',
    'AWS::SecretsManager::RotationSchedule',
  ]);
});

describe('Taking bridged resources out of a template', () => {
  const template = (): Template => ({
    Resources: {
      Group: { Type: 'AWS::Athena::WorkGroup', DependsOn: ['Query', 'Bucket'] },
      Bucket: { Type: 'AWS::S3::Bucket', DependsOn: 'Query' },
      Query: {
        Type: 'AWS::Athena::NamedQuery',
        Properties: {
          Name: 'a',
          WorkGroup: { Ref: 'Group' },
          QueryString: { 'Fn::Sub': 'select ${Bucket}' },
        },
      },
    },
    Outputs: {
      QueryId: { Value: { 'Fn::GetAtt': ['Query', 'NamedQueryId'] } },
      Name: { Value: { Ref: 'Bucket' } },
    },
  });

  test('removes them, what waits for them and what shows them', () => {
    const left = template();
    expect(takeOut(left).map(({ logicalId }) => logicalId)).toEqual(['Query']);
    expect(left.Resources).toEqual({
      Group: { Type: 'AWS::Athena::WorkGroup', DependsOn: ['Bucket'] },
      Bucket: { Type: 'AWS::S3::Bucket' },
    });
    expect(Object.keys(left.Outputs ?? {})).not.toContain('QueryId');
  });

  test('lets CloudFormation resolve what their properties refer to', () => {
    const left = template();
    const [query] = takeOut(left);
    const values = { '{"Ref":"Group"}': 'group', '{"Fn::Sub":"select ${Bucket}"}': 'select bucket' };
    const outputs = Object.fromEntries(
      Object.entries(left.Outputs ?? {}).map(([name, output]) => [
        name,
        new Map(Object.entries(values)).get(JSON.stringify(output['Value'])) ?? '',
      ]),
    );
    expect(query).toBeDefined();
    if (query !== undefined) {
      // oxlint-disable-next-line vitest/no-conditional-expect -- the line above has asserted it
      expect(fillIn(query, outputs)).toEqual({ Name: 'a', WorkGroup: 'group', QueryString: 'select bucket' });
    }
  });

  test('refuses a template in which another resource needs one of them', () => {
    const needs = { Type: 'AWS::SSM::Parameter', Properties: { Value: { Ref: 'Query' } } };
    const wrong = template();
    wrong.Resources = { ...wrong.Resources, Needs: needs };
    expect(() => takeOut(wrong)).toThrow('Needs refers to Query');
  });
});
