import { Aws, Duration } from 'aws-cdk-lib';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { CfnSubscriptionFilter } from 'aws-cdk-lib/aws-logs';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { acknowledge } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from '../stacks/state.ts';
import { HandlerFunction } from './handler-function.ts';

export interface DatabaseLogObserverProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/**
 * What of a log is delivered: how connections begin, who is let in, what ends one, and the checkpoints that show that a quiet
 * server's log is delivered. Any refusal of PostgreSQL is FATAL, and so is the rest of a line that a name has broken.
 */
export const DELIVERED = [
  'connection received: host=',
  'connection authorized: user=',
  ']:FATAL:',
  'checkpoint complete:',
] as const;

/** Logs of databases, as far as they tell of logins, and the function that keeps these as uses of credentials. */
export class DatabaseLogObserver extends Construct {
  readonly handler: HandlerFunction;
  /** Deliveries that could not be kept, for want of a ledger. */
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, { settings, state }: DatabaseLogObserverProps) {
    super(scope, id);
    this.deadLetters = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(this.deadLetters, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    const { ledger } = state;
    this.handler = new HandlerFunction(this, 'ObserveDatabaseLogs', {
      name: 'observe-database-logs',
      description: 'Keeps who logs in to databases, from their logs',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(60),
      // CloudWatch Logs calls and doesn't wait: what fails is tried again by Lambda, and put aside after that.
      deadLetters: this.deadLetters,
      environment: {
        tenant: settings.tenant,
        table: state.table.tableName,
        databaseLogs: JSON.stringify(settings.uses.databaseLogs),
      },
      grants: [...may.writeUpstreamUses(ledger), ...may.listCredentials(ledger)],
    });
    for (const [index, { logGroupArn }] of settings.uses.databaseLogs.entries())
      this.#subscribe(index, logGroupArn);
  }

  #subscribe(index: number, logGroupArn: string): void {
    const { live } = this.handler;
    live.addPermission(`Logs${index}`, {
      principal: new ServicePrincipal('logs.amazonaws.com'),
      sourceArn: `${logGroupArn}:*`,
      sourceAccount: Aws.ACCOUNT_ID,
    });
    const filter = new CfnSubscriptionFilter(this, `Subscription${index}`, {
      logGroupName: logGroupArn.slice(logGroupArn.indexOf(':log-group:') + ':log-group:'.length),
      filterPattern: DELIVERED.map((phrase) => `?"${phrase}"`).join(' '),
      destinationArn: live.functionArn,
    });
    // CloudWatch Logs tries the function out when the filter is made.
    filter.node.addDependency(live);
  }
}
