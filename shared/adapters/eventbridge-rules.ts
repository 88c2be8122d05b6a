import type {
  DescribeRuleCommandOutput,
  ListRulesCommandOutput,
  ListTargetsByRuleCommandOutput,
  PutTargetsCommandOutput,
  RemoveTargetsCommandOutput,
  Rule as AwsRule,
} from '@aws-sdk/client-eventbridge';
import { RekeyError } from '../domain/errors.ts';
import { RULE_PREFIX, type Rule, type RuleTarget } from '../domain/subscription.ts';
import type { Rules } from '../ports/rules.ts';
import { isAwsError, type AwsCalls } from './aws-client.ts';

const PAGE = 50;

/** What EventBridge answers while somebody else changes the same rule, and where the account has no more room. */
const BUSY = 'ConcurrentModificationException';
const FULL = 'LimitExceededException';

/** What it answers where the input is at fault. */
const REFUSED = ['ValidationException', 'ResourceNotFoundException', 'InvalidParameterValueException'];

/** Rules of one bus of EventBridge, of which it reaches only those whose names begin as subscriptions' do. */
export class EventBridgeRules implements Rules {
  readonly #aws: AwsCalls;
  readonly #bus: string;

  constructor(options: { aws: AwsCalls; bus: string }) {
    this.#aws = options.aws;
    this.#bus = options.bus;
  }

  async count(): Promise<number> {
    let count = 0;
    let token: string | undefined;
    do {
      const answer = await this.#call<ListRulesCommandOutput>('ListRules', { Limit: 100, ...next(token) });
      count += answer.Rules?.length ?? 0;
      token = answer.NextToken;
    } while (token !== undefined);
    return count;
  }

  async list(page?: string): Promise<{ rules: readonly Rule[]; next?: string }> {
    const answer = await this.#page(page);
    return {
      rules: (answer.Rules ?? []).map(ruleOf),
      ...(answer.NextToken === undefined ? {} : { next: answer.NextToken }),
    };
  }

  async #page(page: string | undefined): Promise<ListRulesCommandOutput> {
    try {
      return await this.#call('ListRules', { NamePrefix: RULE_PREFIX, Limit: PAGE, ...next(page) });
    } catch (error) {
      if (page === undefined || !isAwsError(error, 'ValidationException')) throw error;
      throw new RekeyError('ERR_REQUEST', 'the page token is not one of ours', {
        field: 'page',
        remedy: 'pass the `next` of the answer before, or begin again without it',
        cause: error,
      });
    }
  }

  async find(name: string): Promise<Rule | undefined> {
    const answer = await absent(this.#call<DescribeRuleCommandOutput>('DescribeRule', { Name: name }));
    return answer === undefined ? undefined : ruleOf(answer);
  }

  async put({ name, pattern, description, enabled }: Rule): Promise<void> {
    await this.#call('PutRule', {
      Name: name,
      EventPattern: pattern,
      Description: description,
      State: enabled ? 'ENABLED' : 'DISABLED',
    });
  }

  async targets(rule: string): Promise<readonly RuleTarget[]> {
    const answer = await absent(
      this.#call<ListTargetsByRuleCommandOutput>('ListTargetsByRule', { Rule: rule }),
    );
    return (answer?.Targets ?? []).map(({ Id = '', Arn = '', RoleArn, DeadLetterConfig }) => ({
      id: Id,
      arn: Arn,
      ...(RoleArn === undefined ? {} : { role: RoleArn }),
      ...(DeadLetterConfig?.Arn === undefined ? {} : { deadLetter: DeadLetterConfig.Arn }),
    }));
  }

  async putTarget(rule: string, { id, arn, role, deadLetter }: RuleTarget): Promise<void> {
    const Target = {
      Id: id,
      Arn: arn,
      ...(role === undefined ? {} : { RoleArn: role }),
      ...(deadLetter === undefined ? {} : { DeadLetterConfig: { Arn: deadLetter } }),
    };
    try {
      const answer = await this.#call<PutTargetsCommandOutput>('PutTargets', {
        Rule: rule,
        Targets: [Target],
      });
      const [failed] = answer.FailedEntries ?? [];
      if (failed !== undefined) throw this.#failed(failed.ErrorCode, arn);
    } catch (error) {
      throw isAwsError(error, ...REFUSED) ? refused(arn, error) : error;
    }
  }

  async remove(rule: string): Promise<void> {
    const ids = (await this.targets(rule)).map(({ id }) => id);
    if (ids.length > 0) {
      const removing = this.#call<RemoveTargetsCommandOutput>('RemoveTargets', { Rule: rule, Ids: ids });
      const [failed] = (await absent(removing))?.FailedEntries ?? [];
      if (failed !== undefined) throw this.#failed(failed.ErrorCode, rule);
    }
    await absent(this.#call('DeleteRule', { Name: rule }));
  }

  #failed(code: string | undefined, what: string): RekeyError {
    return code === BUSY ? busy() : refused(what);
  }

  async #call<T>(operation: string, input: object): Promise<T> {
    try {
      return await this.#aws.json<T>('events', operation, { EventBusName: this.#bus, ...input });
    } catch (error) {
      if (isAwsError(error, BUSY)) throw busy(error);
      if (!isAwsError(error, FULL)) throw error;
      throw new RekeyError('ERR_CAPACITY', 'EventBridge has no room for another rule or target', {
        remedy: 'end subscriptions that nobody needs, or raise the quota of the bus',
        cause: error,
      });
    }
  }
}

function next(token: string | undefined): { NextToken?: string } {
  return token === undefined ? {} : { NextToken: token };
}

/** Nothing, where there is no such rule. */
async function absent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isAwsError(error, 'ResourceNotFoundException')) return undefined;
    throw error;
  }
}

function ruleOf({
  Name = '',
  EventPattern = '',
  Description = '',
  State,
}: AwsRule | DescribeRuleCommandOutput): Rule {
  return { name: Name, pattern: EventPattern, description: Description, enabled: State !== 'DISABLED' };
}

function busy(cause?: unknown): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', 'somebody else changes this rule right now', {
    remedy: 'try again',
    cause,
  });
}

function refused(arn: string, cause?: unknown): RekeyError {
  return new RekeyError('ERR_REQUEST', `EventBridge does not take ${arn} as a target`, {
    field: 'to',
    remedy:
      'look whether it exists, and whether its ARN is whole (of an API destination with the id at its end)',
    cause,
  });
}
