import { Aws, Duration } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule, type CfnRule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping } from 'aws-cdk-lib/aws-lambda';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { SLOT_SECONDS } from '../../shared/domain/anomalies/slots.ts';
import type { Settings } from '../config.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from '../stacks/state.ts';
import { HandlerFunction } from './handler-function.ts';

export interface ReaderObserverProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/** Reads are taken together for so long: one call of the function for many. */
const GATHER = Duration.minutes(5);
const TIMEOUT = Duration.seconds(60);

/** How often reports of uses are judged. */
const JUDGE_EVERY = Duration.seconds(SLOT_SECONDS);

/**
 * Reads of secrets as CloudTrail tells of them, gathered in a queue, and the function that keeps who they were by.
 * GetSecretValue is a read-only management event: EventBridge gives those only to rules in a state of their own
 * (docs/adr/020).
 */
export class ReaderObserver extends Construct {
  readonly handler: HandlerFunction;
  /** What could not be worked on, for want of a ledger. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { settings, state }: ReaderObserverProps) {
    super(scope, id);
    const guarded = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true };
    this.deadLetters = new Queue(this, 'DeadLetters', { ...guarded, retentionPeriod: Duration.days(14) });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    const queue = new Queue(this, 'Reads', {
      ...guarded,
      retentionPeriod: Duration.days(1),
      // By the guide of Lambda: six times the function's own time, and the time for which it gathers.
      visibilityTimeout: Duration.seconds(6 * TIMEOUT.toSeconds() + GATHER.toSeconds()),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: 5 },
    });
    // One for each: all of them in one pattern could be longer than EventBridge takes.
    for (const [index, prefix] of [settings.secretPrefix, ...settings.adoptPrefixes].entries()) {
      this.#rule(`Rule${index}`, queue, prefix, settings);
    }
    const isJudged = settings.signals.unusual !== 'off';
    this.handler = new HandlerFunction(this, 'ObserveReaders', {
      name: 'observe-readers',
      description:
        'Keeps who reads secrets, to propose holders, and what is unusual of reads and reported uses',
      settings,
      logKey: state.key,
      timeout: TIMEOUT,
      deadLetters: this.deadLetters,
      environment: {
        stage: settings.stage,
        tenant: settings.tenant,
        account: Aws.ACCOUNT_ID,
        table: state.table.tableName,
        secretPrefix: settings.secretPrefix,
        adoptPrefixes: settings.adoptPrefixes.join(','),
        ...(settings.uses.reads === 'off' ? {} : { keepReads: 'yes' }),
        ...(isJudged ? { unusual: settings.signals.unusual } : {}),
      },
      grants: [
        ...may.writeReaders(state.ledger),
        ...(settings.uses.reads === 'off'
          ? []
          : [...may.writeUpstreamUses(state.ledger), ...may.findOwners(state.ledger, 'SECRET')]),
        ...may.takeFrom(queue.queueArn),
        ...(isJudged ? [...may.listLedger(state.ledger), ...may.readUses(state.ledger)] : []),
      ],
    });
    if (isJudged) this.#judging();
    new EventSourceMapping(this, 'Mapping', {
      target: this.handler.live,
      eventSourceArn: queue.queueArn,
      batchSize: 1000,
      maxBatchingWindow: GATHER,
      // The least that Lambda allows: nothing is urgent here, and the account's capacity is everybody's.
      maxConcurrency: 2,
    });
  }

  #judging(): void {
    new Rule(this, 'JudgeSchedule', {
      description: 'Holds reports of uses against what is usual and against pacts',
      schedule: Schedule.rate(JUDGE_EVERY),
      targets: [
        new LambdaTarget(this.handler.live, {
          event: RuleTargetInput.fromObject({ action: 'judge-uses' }),
          deadLetterQueue: this.deadLetters,
          maxEventAge: JUDGE_EVERY,
        }),
      ],
    });
  }

  #rule(id: string, queue: Queue, prefix: string, { readers }: Settings): void {
    const rule = new Rule(this, id, {
      description: `Gathers who reads secrets below ${prefix}, to propose holders`,
      eventPattern: {
        source: ['aws.secretsmanager'],
        detailType: ['AWS API Call via CloudTrail'],
        detail: {
          eventSource: ['secretsmanager.amazonaws.com'],
          eventName: ['GetSecretValue'],
          errorCode: [{ exists: false }],
          requestParameters: { secretId: idsBelow(prefix) },
        },
      },
      targets: [
        new SqsQueue(queue, {
          message: RuleTargetInput.fromEventPath('$.detail'),
          deadLetterQueue: this.deadLetters,
        }),
      ],
    });
    // The construct of the library knows enabled and disabled only.
    (rule.node.defaultChild as CfnRule).state =
      readers === 'off' ? 'DISABLED' : 'ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS';
  }
}

/** Callers name a secret by its name or by its ARN. */
function idsBelow(prefix: string): { prefix: string }[] {
  const arns = `arn:${Aws.PARTITION}:secretsmanager:${Aws.REGION}:${Aws.ACCOUNT_ID}:secret:`;
  return [{ prefix }, { prefix: `${arns}${prefix}` }];
}
