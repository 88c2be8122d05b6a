import { Aws, Duration } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { acknowledge, acknowledgeGrants } from '../nag.ts';
import * as may from '../permissions.ts';
import type { StateStack } from '../stacks/state.ts';
import { HandlerFunction } from './handler-function.ts';

export interface SubscriptionsProps {
  readonly settings: Settings;
  readonly state: StateStack;
}

/**
 * Who is told of events: the function that makes rules for them, the role that carries events to other buses and API
 * destinations, and the queue for what can't be delivered. Queues and topics let a rule in by their own policies.
 */
export class Subscriptions extends Construct {
  readonly handler: HandlerFunction;
  readonly deadLetters: Queue;

  constructor(scope: Construct, id: string, props: SubscriptionsProps) {
    super(scope, id);
    const { settings, state } = props;
    const rules = may.subscriptionRules(state.busName);
    this.deadLetters = this.#deadLetters(rules);
    const delivery = this.#delivery(props, rules);
    this.handler = new HandlerFunction(this, 'ManageSubscriptions', {
      name: 'manage-subscriptions',
      description: 'Makes, lists and ends the rules that send events to subscribers',
      settings,
      logKey: state.key,
      timeout: Duration.seconds(25),
      environment: {
        account: Aws.ACCOUNT_ID,
        bus: state.bus.eventBusName,
        deliveryRole: delivery.roleArn,
        deadLetters: this.deadLetters.queueArn,
      },
      grants: may.manageRules(rules, delivery.roleArn),
    });
  }

  #deadLetters(rules: string): Queue {
    const queue = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(queue, 'AwsSolutions-SQS3', 'This queue is the dead-letter queue.');
    queue.addToResourcePolicy(
      new PolicyStatement({
        principals: [new ServicePrincipal('events.amazonaws.com')],
        actions: ['sqs:SendMessage'],
        resources: [queue.queueArn],
        conditions: { ArnLike: { 'aws:SourceArn': rules } },
      }),
    );
    return queue;
  }

  /** Taken by the rules of subscriptions only. Never back to Rekey's own bus, where its own functions alone publish. */
  #delivery({ settings, state }: SubscriptionsProps, rules: string): Role {
    const role = new Role(this, 'Delivery', {
      description: `Rekey ${settings.stage}: carries events to subscribed buses and API destinations`,
      assumedBy: new ServicePrincipal('events.amazonaws.com').withConditions({
        StringEquals: { 'aws:SourceAccount': Aws.ACCOUNT_ID },
        ArnLike: { 'aws:SourceArn': rules },
      }),
    });
    const grants = may.deliverEvents();
    for (const grant of grants) role.addToPolicy(may.statement(grant));
    acknowledgeGrants(role, grants);
    role.addToPolicy(
      new PolicyStatement({
        effect: Effect.DENY,
        actions: ['events:PutEvents'],
        resources: [state.bus.eventBusArn],
      }),
    );
    return role;
  }
}
