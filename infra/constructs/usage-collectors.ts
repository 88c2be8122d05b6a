import { Aws, Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { EVENT, EVENT_SOURCE, METERED_ROLE, METERED_TYPES } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import * as may from '../permissions.ts';
import type { Grant } from '../permissions.ts';
import type { StateStack } from '../stacks/state.ts';
import { HandlerFunction } from './handler-function.ts';

export interface UsageCollectorsProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly deadLetters: Queue;
}

type MeteredType = (typeof METERED_TYPES)[number];

const COLLECT_EVERY = Duration.hours(1);
/** The longest that Lambda allows: whoever doesn't finish goes on an hour later. */
const TIMEOUT = Duration.minutes(15);

/** Types whose upstreams are asked how their keys were used. */
function collectedTypes({ types, uses }: Settings): MeteredType[] {
  return uses.providers === 'off' ? [] : METERED_TYPES.filter((type) => types.includes(type));
}

/**
 * Functions that ask upstreams how keys were used: by the hour, and when an emergency has ended. Not before: revocations
 * go under the same logins, which have one limit of calls.
 */
export class UsageCollectors extends Construct {
  readonly functions: readonly HandlerFunction[];

  constructor(scope: Construct, id: string, { settings, state, deadLetters }: UsageCollectorsProps) {
    super(scope, id);
    const { privateUpstreams } = settings;
    this.functions = collectedTypes(settings).map(
      (type) =>
        new HandlerFunction(this, type, {
          name: `${METERED_ROLE}-${type}`,
          description: `Asks upstreams how each ${type} was used`,
          settings,
          logKey: state.key,
          timeout: TIMEOUT,
          deadLetters,
          environment: {
            tenant: settings.tenant,
            table: state.table.tableName,
            type,
            ...(privateUpstreams.length === 0 ? {} : { privateUpstreams: privateUpstreams.join(',') }),
          },
          grants: [
            ...may.writeUpstreamUses(state.ledger),
            ...may.listLedger(state.ledger),
            ...may.readUseHistory(state.ledger),
            ...ASKS[type](settings),
          ],
        }),
    );
    if (this.functions.length === 0) return;
    const targets = (): LambdaTarget[] =>
      this.functions.map(
        ({ live }) =>
          new LambdaTarget(live, {
            event: RuleTargetInput.fromObject({}),
            deadLetterQueue: deadLetters,
            maxEventAge: COLLECT_EVERY,
          }),
      );
    new Rule(this, 'Schedule', {
      description: 'Asks upstreams how keys were used',
      schedule: Schedule.rate(COLLECT_EVERY),
      targets: targets(),
    });
    new Rule(this, 'AfterEmergency', {
      description: 'Asks upstreams how keys were used once an emergency has ended',
      eventBus: state.bus,
      eventPattern: {
        source: [EVENT_SOURCE],
        detailType: [EVENT.emergency],
        account: [Aws.ACCOUNT_ID],
      },
      targets: targets(),
    });
  }
}

/** By what right upstreams of a type are asked: their administrative logins, or a role of Rekey's own. */
const ASKS: Readonly<Record<MeteredType, (settings: Settings) => readonly Grant[]>> = {
  'llm-key': ({ adminSecretKeyArns }) => may.readAdminSecret('llm-key', adminSecretKeyArns),
  'cloud-key': ({ stage }) => may.lookAtAccessKeys(stage),
};
