import { describe, expect, it } from 'vitest';
import { AwsServiceError, type AwsCalls } from '../../../shared/adapters/aws-client.ts';
import { EventBridgeRules } from '../../../shared/adapters/eventbridge-rules.ts';

/** Rules over answers by operation; an Error among them is thrown. The calls that were made come with them. */
function over(answers: Record<string, (object | Error)[]>) {
  const calls: (readonly [string, object])[] = [];
  const aws = {
    async json(_service: string, operation: string, input: object): Promise<unknown> {
      calls.push([operation, input]);
      const answer = answers[operation]?.shift() ?? {};
      if (answer instanceof Error) throw answer;
      return Promise.resolve(answer);
    },
  };
  // The class has private fields, which a stand-in can't have; the adapter uses `json` alone.
  return { rules: new EventBridgeRules({ aws: aws as unknown as AwsCalls, bus: 'b' }), calls };
}

const gone = () => new AwsServiceError('ResourceNotFoundException', 'no rule', 400);
const target = { id: 'subscriber', arn: 'arn:queue', role: 'arn:role', deadLetter: 'arn:dead' };

describe('rules on EventBridge', () => {
  it('are counted over every page', async () => {
    const { rules, calls } = over({
      ListRules: [{ Rules: [{}, {}], NextToken: 't' }, { Rules: [{}] }],
    });
    expect(await rules.count()).toBe(3);
    expect(calls.map(([, input]) => input)).toEqual([
      { EventBusName: 'b', Limit: 100 },
      { EventBusName: 'b', Limit: 100, NextToken: 't' },
    ]);
  });

  it('that are not there are nothing, and taking them away is success', async () => {
    const { rules } = over({
      DescribeRule: [gone()],
      ListTargetsByRule: [gone(), gone()],
      DeleteRule: [gone()],
    });
    expect(await rules.find('x')).toBeUndefined();
    expect(await rules.targets('x')).toEqual([]);
    await expect(rules.remove('x')).resolves.toBeUndefined();
  });

  it('lose every target before they go, whoever has put it there', async () => {
    const { rules, calls } = over({ ListTargetsByRule: [{ Targets: [{ Id: 'a' }, { Id: 'b' }] }] });
    await rules.remove('x');
    expect(calls.slice(1)).toEqual([
      ['RemoveTargets', { EventBusName: 'b', Rule: 'x', Ids: ['a', 'b'] }],
      ['DeleteRule', { EventBusName: 'b', Name: 'x' }],
    ]);
  });

  it('take a target with its role and its dead-letter queue', async () => {
    const { rules, calls } = over({});
    await rules.putTarget('x', target);
    expect(calls).toEqual([
      [
        'PutTargets',
        {
          EventBusName: 'b',
          Rule: 'x',
          Targets: [
            {
              Id: 'subscriber',
              Arn: 'arn:queue',
              RoleArn: 'arn:role',
              DeadLetterConfig: { Arn: 'arn:dead' },
            },
          ],
        },
      ],
    ]);
  });

  it.each([
    [new AwsServiceError('ResourceNotFoundException', 'no such destination', 400), 'ERR_REQUEST'],
    [new AwsServiceError('ValidationException', 'no ARN', 400), 'ERR_REQUEST'],
    [{ FailedEntryCount: 1, FailedEntries: [{ ErrorCode: 'ValidationException' }] }, 'ERR_REQUEST'],
    [new AwsServiceError('ConcurrentModificationException', 'busy', 400), 'ERR_UNAVAILABLE'],
    [{ FailedEntries: [{ ErrorCode: 'ConcurrentModificationException' }] }, 'ERR_UNAVAILABLE'],
    [new AwsServiceError('LimitExceededException', 'full', 400), 'ERR_CAPACITY'],
  ])('%j of a target is %s', async (answer, code) => {
    const { rules } = over({ PutTargets: [answer] });
    await expect(rules.putTarget('x', target)).rejects.toMatchObject({ code });
  });

  it('a target that could not be taken off keeps its rule', async () => {
    const { rules, calls } = over({
      ListTargetsByRule: [{ Targets: [{ Id: 'a' }] }],
      RemoveTargets: [{ FailedEntries: [{ ErrorCode: 'ConcurrentModificationException' }] }],
    });
    await expect(rules.remove('x')).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(calls.map(([operation]) => operation)).not.toContain('DeleteRule');
  });

  it('a page token that is none of EventBridge’s is the caller’s mistake', async () => {
    const invalid = () => new AwsServiceError('ValidationException', 'token', 400);
    const { rules } = over({ ListRules: [invalid(), invalid()] });
    await expect(rules.list('x')).rejects.toMatchObject({ code: 'ERR_REQUEST', field: 'page' });
    await expect(rules.list()).rejects.toMatchObject({ name: 'ValidationException' });
  });
});
