import { Aws } from 'aws-cdk-lib';
import { RULE_PREFIX } from '../../shared/domain/subscription.ts';
import { arn, type Grant } from './grant.ts';

/** ARN of the rules of a bus that are subscriptions: Rekey's own rules on it, and those of others, have other names. */
export function subscriptionRules(bus: string): string {
  return arn('events', `rule/${bus}/${RULE_PREFIX}*`);
}

/** Manages those rules, with targets of four kinds only; hands on the one role that delivers, to EventBridge. */
export function manageRules(rules: string, deliveryRoleArn: string): Grant[] {
  const wildcard = 'Subscriptions are made at run time; the pattern is the prefix of their names on one bus.';
  return [
    {
      actions: [
        'events:DeleteRule',
        'events:DescribeRule',
        'events:ListTargetsByRule',
        'events:PutRule',
        'events:RemoveTargets',
      ],
      resources: [rules],
      wildcard,
    },
    {
      actions: ['events:PutTargets'],
      resources: [rules],
      conditions: {
        'ForAllValues:ArnLike': {
          'events:TargetArn': [arn('sqs', '*'), arn('sns', '*'), arn('events', 'api-destination/*'), ANY_BUS],
        },
      },
      wildcard,
    },
    {
      actions: ['events:ListRules'],
      resources: ['*'],
      wildcard: 'EventBridge knows no resource for this action; it shows names and patterns of rules.',
    },
    {
      actions: ['iam:PassRole'],
      resources: [deliveryRoleArn],
      conditions: { StringEquals: { 'iam:PassedToService': 'events.amazonaws.com' } },
    },
  ];
}

/** Buses may be of another account or region, whose policy has to agree. */
const ANY_BUS = `arn:${Aws.PARTITION}:events:*:*:event-bus/*`;

/** Carries events on: to any bus that lets it, and to the API destinations of this account and region. */
export function deliverEvents(): Grant[] {
  const wildcard =
    'Operators subscribe buses and API destinations at run time; only rules of subscriptions take the role.';
  return [
    { actions: ['events:PutEvents'], resources: [ANY_BUS], wildcard },
    { actions: ['events:InvokeApiDestination'], resources: [arn('events', 'api-destination/*')], wildcard },
  ];
}
