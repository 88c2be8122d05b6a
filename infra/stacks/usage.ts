import { Aws, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Match, Rule, RuleTargetInput, Schedule, type CfnRule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { DatabaseLogObserver } from '../constructs/database-log-observer.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { ReaderObserver } from '../constructs/reader-observer.ts';
import { UsageCollectors } from '../constructs/usage-collectors.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from './state.ts';

export interface UsageStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/** Calls are taken together for so long: one call of the function for many. */
const GATHER = Duration.minutes(5);
const TIMEOUT = Duration.seconds(120);
/** How often the function makes a call of its own, which CloudTrail has to tell of; well within `quietSeconds` of the source. */
const CALL_EVERY = Duration.minutes(10);

function hasTrail({ types, uses }: Settings): boolean {
  return types.includes('cloud-key') && uses.cloudTrail === 'observe';
}

/** What tells of reads of secrets and of uses at upstreams, and the functions that keep it. They change no credential. */
export class UsageStack extends Stack {
  readonly functions: readonly HandlerFunction[];
  readonly readers: ReaderObserver;
  /** Where the settings name logs of databases. */
  readonly databaseLogs: DatabaseLogObserver | undefined;
  /** What of CloudTrail and of providers could not be worked on, for want of a ledger. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: UsageStackProps) {
    super(scope, id, props);
    const { settings, state } = props;
    this.deadLetters = new Queue(this, 'UsesDeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    const collectors = new UsageCollectors(this, 'Collect', {
      settings,
      state,
      deadLetters: this.deadLetters,
    });
    this.readers = new ReaderObserver(this, 'Readers', { settings, state });
    this.databaseLogs =
      settings.uses.databaseLogs.length === 0
        ? undefined
        : new DatabaseLogObserver(this, 'DatabaseLogs', { settings, state });
    this.functions = [
      ...(hasTrail(settings) ? [this.#observer(props)] : []),
      ...collectors.functions,
      this.readers.handler,
      ...(this.databaseLogs === undefined ? [] : [this.databaseLogs.handler]),
    ];
  }

  #observer({ settings, state }: UsageStackProps): HandlerFunction {
    const calls = this.#queue('Calls');
    const observer = new HandlerFunction(this, 'ObserveUses', {
      name: 'observe-uses',
      description: 'Keeps what CloudTrail tells of uses of access keys',
      settings,
      logKey: state.key,
      timeout: TIMEOUT,
      deadLetters: this.deadLetters,
      environment: {
        tenant: settings.tenant,
        account: Aws.ACCOUNT_ID,
        table: state.table.tableName,
      },
      grants: [
        ...may.writeUpstreamUses(state.ledger),
        ...may.findOwners(state.ledger, 'TARGET'),
        ...may.takeFrom(calls.queueArn),
      ],
    });
    this.#cloudTrail(calls, observer);
    return observer;
  }

  #queue(id: string): Queue {
    return new Queue(this, id, {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(1),
      // By the guide of Lambda: six times the function's own time, and the time for which it gathers.
      visibilityTimeout: Duration.seconds(6 * TIMEOUT.toSeconds() + GATHER.toSeconds()),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
  }

  /** Calls with keys of IAM users, and the function's own, which shows that CloudTrail tells. */
  #cloudTrail(queue: Queue, observer: HandlerFunction): void {
    this.#rule('KeyCalls', queue, 'Gathers calls that are made with access keys of IAM users', {
      userIdentity: { type: ['IAMUser'], accessKeyId: [{ prefix: 'AKIA' }] },
    });
    this.#rule('OwnCalls', queue, 'Gathers the calls by which Rekey sees that CloudTrail tells of calls', {
      eventSource: ['sts.amazonaws.com'],
      eventName: ['GetCallerIdentity'],
      userIdentity: {
        sessionContext: { sessionIssuer: { arn: [observer.function.role?.roleArn ?? ''] } },
      },
    });
    new Rule(this, 'CallSchedule', {
      description: 'Makes a call that CloudTrail has to tell of',
      schedule: Schedule.rate(CALL_EVERY),
      targets: [
        new LambdaTarget(observer.live, {
          event: RuleTargetInput.fromObject({}),
          deadLetterQueue: this.deadLetters,
          maxEventAge: CALL_EVERY,
        }),
      ],
    });
    new EventSourceMapping(this, 'Mapping', {
      target: observer.live,
      eventSourceArn: queue.queueArn,
      batchSize: 1000,
      maxBatchingWindow: GATHER,
      // The least that Lambda allows: nothing is urgent here, and the account's capacity is everybody's.
      maxConcurrency: 2,
    });
  }

  #rule(id: string, queue: Queue, description: string, detail: Record<string, unknown>): void {
    const rule = new Rule(this, id, {
      description,
      // Nobody but AWS may name such a source; the kind of an event is whatever its sender says.
      eventPattern: {
        source: Match.prefix('aws.'),
        detailType: ['AWS API Call via CloudTrail'],
        detail,
      },
      targets: [
        new SqsQueue(queue, {
          message: RuleTargetInput.fromEventPath('$.detail'),
          deadLetterQueue: this.deadLetters,
        }),
      ],
    });
    // Read-only events come to rules in this state only; the construct of the library knows enabled and disabled.
    (rule.node.defaultChild as CfnRule).state = 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS';
  }
}
