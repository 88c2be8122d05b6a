import { Aws, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { FAMILY_TYPE } from '../../shared/names.ts';
import type { Settings } from '../config.ts';
import { HandlerFunction } from '../constructs/handler-function.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from './state.ts';

export interface FamiliesStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/** A server takes a token whose answer was lost once more, but for seconds only at most of them. */
const EVERY = Duration.minutes(1);

/** OAuth token families: the one function that refreshes them, every minute and on request. */
export class FamiliesStack extends Stack {
  readonly coordinator: HandlerFunction;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { settings, state, ...props }: FamiliesStackProps) {
    super(scope, id, props);
    const { privateUpstreams } = settings;
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    this.coordinator = new HandlerFunction(this, 'RefreshFamilies', {
      name: 'refresh-families',
      description: 'Refreshes OAuth token families, and does what operators ask of one',
      settings,
      logKey: state.key,
      // Shorter than the longest lease (shared/domain/family-refresh.ts).
      timeout: Duration.seconds(110),
      environment: {
        stage: settings.stage,
        tenant: settings.tenant,
        account: Aws.ACCOUNT_ID,
        table: state.table.tableName,
        bus: state.bus.eventBusName,
        secretPrefix: settings.secretPrefix,
        secretsKey: state.secretsKey.keyArn,
        sealingKey: state.key.keyArn,
        ...(privateUpstreams.length === 0 ? {} : { privateUpstreams: privateUpstreams.join(',') }),
      },
      grants: [
        ...may.keepFamilies(state.ledger),
        ...may.keepTokens(
          { ...may.secretsOf(FAMILY_TYPE, settings), adoptPrefixes: [], adoptKeyArns: [] },
          state.secretsKey.keyArn,
          state.key.keyArn,
        ),
        ...may.readAdminSecret(FAMILY_TYPE, settings.adminSecretKeyArns),
        ...may.publish(state.bus.eventBusArn),
      ],
    });
    new Rule(this, 'RefreshSchedule', {
      description: 'Refreshes token families that are due',
      schedule: Schedule.rate(EVERY),
      targets: [
        new LambdaTarget(this.coordinator.live, { deadLetterQueue: this.deadLetters, maxEventAge: EVERY }),
      ],
    });
  }
}
