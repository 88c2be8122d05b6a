import { viaService, type IamRequest } from '../../../local/gateway/requests.ts';
import { localAccountId, localRegion } from '../../../local/settings.ts';
import { RULE_PREFIX } from '../../../shared/domain/subscription.ts';
import { ENV } from '../../../shared/names.ts';
import { at, list, text, type Json, type Resource, type Stack } from '../../infra/app.ts';
import type { Policies, Role } from './policies.ts';

/**
 * A call that no recorder in front of AWS can see, since a service makes it inside AWS: in the name of a role, or in
 * its own name where the policy of a resource must let it.
 */
export interface UnseenCall {
  /** What makes it, for the name of the test. */
  readonly path: string;
  readonly by: Role | string;
  readonly asks: IamRequest;
}

/** Every such call of the app, read off its templates: a new function, stream or alarm brings its own. */
export function unseenCalls(policies: Policies): UnseenCall[] {
  return [
    ...logsOfFunctions(policies),
    ...joinedNetworks(policies),
    ...polledStreams(policies),
    ...polledQueues(policies),
    ...gatheredEvents(policies),
    ...failedInvocations(policies),
    ...machines(policies),
    ...deadLettersOfEvents(policies),
    ...subscriptions(policies),
    ...notifications(policies),
    ...encryptedLogs(policies),
    ...accessLogs(policies),
  ];
}

function logsOfFunctions(policies: Policies): UnseenCall[] {
  return policies.each('AWS::Lambda::Function').flatMap(([handler, stack]) => {
    const group = policies.arn(at(handler.Properties, 'LoggingConfig', 'LogGroup'), stack);
    return ['logs:CreateLogStream', 'logs:PutLogEvents'].map((action) => ({
      path: 'Lambda writes the log of a function',
      by: policies.roleOf(handler, stack),
      asks: { action, resource: group.replace(/\*$/, 'log-stream:one') },
    }));
  });
}

/** Lambda asks EC2 in the name of the function's role; EC2 knows no resource for it at that time. */
function joinedNetworks(policies: Policies): UnseenCall[] {
  return policies.each('AWS::Lambda::Function').flatMap(([handler, stack]) =>
    handler.Properties['VpcConfig'] === undefined
      ? []
      : NETWORK.map(({ action, resource }) => ({
          path: 'Lambda joins the network of the settings',
          by: policies.roleOf(handler, stack),
          asks: { action, ...(resource === undefined ? {} : { resource: ec2(resource) }) },
        })),
  );
}

const ec2 = (resource: string): string => `arn:aws:ec2:${localRegion}:${localAccountId}:${resource}`;

/** The list of the guide of Lambda; actions that EC2 authorises on an interface name one. */
const NETWORK: readonly { readonly action: string; readonly resource?: string }[] = [
  { action: 'ec2:CreateNetworkInterface', resource: 'network-interface/*' },
  { action: 'ec2:DescribeNetworkInterfaces' },
  { action: 'ec2:DescribeSubnets' },
  { action: 'ec2:DeleteNetworkInterface', resource: 'network-interface/eni-1' },
  { action: 'ec2:AssignPrivateIpAddresses', resource: 'network-interface/eni-1' },
  { action: 'ec2:UnassignPrivateIpAddresses', resource: 'network-interface/eni-1' },
];

/** Mappings of functions to what feeds them, of one service. */
function mappings(
  policies: Policies,
  service: string,
): { by: Role; source: string; of: [Resource, Stack] }[] {
  return policies
    .each('AWS::Lambda::EventSourceMapping')
    .map(([mapping, stack]) => ({
      by: policies.invoked(mapping.Properties['FunctionName'], stack),
      source: policies.resolver.text(mapping.Properties['EventSourceArn'] ?? '', stack),
      of: [mapping, stack] as [Resource, Stack],
    }))
    .filter(({ source }) => source.split(':')[2] === service);
}

/** The list of the guide of Lambda. */
function polledQueues(policies: Policies): UnseenCall[] {
  return mappings(policies, 'sqs').flatMap(({ by, source }) =>
    ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'].map((action) => ({
      path: 'Lambda polls a queue',
      by,
      asks: { action, resource: source },
    })),
  );
}

/** A queue that is a rule's target takes messages from that rule, and EventBridge has no role there. */
function gatheredEvents(policies: Policies): UnseenCall[] {
  return policies.each('AWS::Events::Rule').flatMap(([rule, stack]) =>
    list(rule.Properties['Targets'])
      .map((target) => policies.resolver.text(at(target, 'Arn') ?? '', stack))
      .filter((target) => target.split(':')[2] === 'sqs')
      .map((target) => ({
        path: 'EventBridge gathers events in a queue',
        by: 'events.amazonaws.com',
        asks: { ...sendTo(target), context: fromSource(policies.resolver.arn(rule, stack)) },
      })),
  );
}

function polledStreams(policies: Policies): UnseenCall[] {
  return mappings(policies, 'dynamodb').flatMap(({ by, source: stream, of: [mapping, stack] }) => {
    const queue = at(mapping.Properties, 'DestinationConfig', 'OnFailure', 'Destination');
    const table = stream.split('/stream/')[0] ?? '';
    const asks: IamRequest[] = [
      ...['DescribeStream', 'GetRecords', 'GetShardIterator'].map((operation) => ({
        action: `dynamodb:${operation}`,
        resource: stream,
      })),
      ...policies.keysOfTable(table).map((key) => decryptTable(key, table)),
      ...(queue === undefined ? [] : [sendTo(policies.resolver.text(queue, stack))]),
    ];
    return asks.map((each) => ({ path: 'Lambda polls a stream and gives up on a record', by, asks: each }));
  });
}

function failedInvocations(policies: Policies): UnseenCall[] {
  return policies.each('AWS::Lambda::EventInvokeConfig').map(([config, stack]) => ({
    path: 'Lambda gives up on an asynchronous invocation',
    by: policies.invoked(config.Properties['FunctionName'], stack),
    asks: sendTo(
      policies.resolver.text(
        at(config.Properties, 'DestinationConfig', 'OnFailure', 'Destination') ?? '',
        stack,
      ),
    ),
  }));
}

/** A machine that calls anything but functions needs its entry here: the definition's `Resource`s are checked. */
function machines(policies: Policies): UnseenCall[] {
  return policies.each('AWS::StepFunctions::StateMachine').flatMap(([machine, stack]) => {
    const by = policies.roleOf(machine, stack);
    const { partition: _partition, ...called } = at(machine.Properties, 'DefinitionSubstitutions') as Record<
      string,
      Json
    >;
    const definition = JSON.stringify(machine.Properties['DefinitionString']);
    for (const [, integration = ''] of definition.matchAll(/:states:::([a-zA-Z:.-]+)/g)) {
      if (/^lambda:invoke(\.waitForTaskToken)?$/.test(integration)) continue;
      throw new Error(
        `${machine.logicalId} uses ${integration}: say in unseen.ts what that asks IAM for, in the machine's name`,
      );
    }
    const invocations = Object.values(called).map((alias) => ({
      path: 'Step Functions invokes a function',
      by,
      asks: { action: 'lambda:InvokeFunction', resource: policies.resolver.text(alias, stack) },
    }));
    // The actions that the guide of Step Functions demands for delivery of logs and traces; they know no resources.
    const delivery = [...LOG_DELIVERY, ...TRACING].map((action) => ({
      path: 'Step Functions delivers logs and traces',
      by,
      asks: { action },
    }));
    return [...invocations, ...delivery];
  });
}

const LOG_DELIVERY = [
  'logs:CreateLogDelivery',
  'logs:GetLogDelivery',
  'logs:UpdateLogDelivery',
  'logs:DeleteLogDelivery',
  'logs:ListLogDeliveries',
  'logs:PutResourcePolicy',
  'logs:DescribeResourcePolicies',
  'logs:DescribeLogGroups',
];
const TRACING = [
  'xray:PutTraceSegments',
  'xray:PutTelemetryRecords',
  'xray:GetSamplingRules',
  'xray:GetSamplingTargets',
];

function deadLettersOfEvents(policies: Policies): UnseenCall[] {
  const ofRules = policies.each('AWS::Events::Rule').flatMap(([rule, stack]) =>
    list(rule.Properties['Targets']).flatMap((target) => {
      const queue = at(target, 'DeadLetterConfig', 'Arn');
      return queue === undefined ? [] : [{ queue, stack, source: policies.resolver.arn(rule, stack) }];
    }),
  );
  const ofBuses = policies.each('AWS::Events::EventBus').flatMap(([bus, stack]) => {
    const queue = at(bus.Properties, 'DeadLetterConfig', 'Arn');
    return queue === undefined ? [] : [{ queue, stack, source: policies.resolver.arn(bus, stack) }];
  });
  return [...ofRules, ...ofBuses].map(({ queue, stack, source }) => ({
    path: 'EventBridge gives up on an event',
    by: 'events.amazonaws.com',
    asks: { ...sendTo(policies.resolver.text(queue, stack)), context: fromSource(source) },
  }));
}

/** Their rules are made at run time: templates show where such a rule may deliver, and what takes the rest. */
function subscriptions(policies: Policies): UnseenCall[] {
  const [handler, stack] =
    policies
      .each('AWS::Lambda::Function')
      .find(
        ([{ Properties }]) => at(Properties, 'Environment', 'Variables', ENV.deliveryRole) !== undefined,
      ) ?? [];
  if (handler === undefined || stack === undefined) throw new Error('nothing manages subscriptions');
  const setting = (name: string): string =>
    policies.resolver.text(at(handler.Properties, 'Environment', 'Variables', name) ?? '', stack);
  const role = policies.roles.find(({ arn }) => arn === setting(ENV.deliveryRole));
  if (role === undefined) throw new Error('no role delivers to subscribers');
  const events = (resource: string): string => `arn:aws:events:${localRegion}:${localAccountId}:${resource}`;
  const context = fromSource(events(`rule/${setting(ENV.bus)}/${RULE_PREFIX}0123456789abcdef0123`));
  return [
    {
      path: 'EventBridge gives up on an event of a subscription',
      by: 'events.amazonaws.com',
      asks: { ...sendTo(setting(ENV.deadLetters)), context },
    },
    ...[
      { action: 'events:PutEvents', resource: events('event-bus/fleets') },
      { action: 'events:PutEvents', resource: 'arn:aws:events:eu-west-1:444455556666:event-bus/fleets' },
      { action: 'events:InvokeApiDestination', resource: events('api-destination/pager/0a1b2c3d') },
    ].map((asks) => ({ path: 'EventBridge carries an event to a subscriber', by: role, asks })),
  ];
}

/** Alarms and rules that tell a topic: the topic and the key under it must both let the service. */
function notifications(policies: Policies): UnseenCall[] {
  const topics = new Map(
    policies
      .each('AWS::SNS::Topic')
      .map(([topic, stack]) => [policies.resolver.arn(topic, stack), { topic, stack }]),
  );
  const publish = (by: string, source: string, target: string): UnseenCall[] => {
    const found = topics.get(target);
    if (found === undefined) return [];
    const key = found.topic.Properties['KmsMasterKeyId'];
    const keys = key === undefined ? [] : [policies.resolver.text(key, found.stack)];
    const context = fromSource(source);
    return [
      { action: 'sns:Publish', resource: target, context },
      ...keys.flatMap((resource) =>
        ['kms:Decrypt', 'kms:GenerateDataKey'].map((action) => ({ action, resource, context })),
      ),
    ].map((asks) => ({ path: `${by} tells a topic`, by, asks }));
  };
  const ofAlarms = policies
    .each('AWS::CloudWatch::Alarm')
    .flatMap(([alarm, stack]) =>
      list(alarm.Properties['AlarmActions']).flatMap((action) =>
        publish(
          'cloudwatch.amazonaws.com',
          `arn:aws:cloudwatch:${localRegion}:${localAccountId}:alarm:${alarm.logicalId}`,
          policies.resolver.text(action, stack),
        ),
      ),
    );
  const ofRules = policies
    .each('AWS::Events::Rule')
    .flatMap(([rule, stack]) =>
      list(rule.Properties['Targets']).flatMap((target) =>
        publish(
          'events.amazonaws.com',
          policies.resolver.arn(rule, stack),
          policies.resolver.text(at(target, 'Arn') ?? '', stack),
        ),
      ),
    );
  return [...ofAlarms, ...ofRules];
}

function encryptedLogs(policies: Policies): UnseenCall[] {
  return policies.each('AWS::Logs::LogGroup').flatMap(([group, stack]) => {
    const key = group.Properties['KmsKeyId'];
    if (key === undefined) return [];
    const arn = policies.resolver.arn(group, stack).replace(/:\*$/, '');
    return ['kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey'].map((action) => ({
      path: 'CloudWatch Logs encrypts a log',
      by: `logs.${localRegion}.amazonaws.com`,
      asks: {
        action,
        resource: policies.resolver.text(key, stack),
        context: { 'kms:EncryptionContext:aws:logs:arn': arn },
      },
    }));
  });
}

function accessLogs(policies: Policies): UnseenCall[] {
  return policies.each('AWS::S3::Bucket').flatMap(([bucket, stack]: [Resource, Stack]) => {
    const target = at(bucket.Properties, 'LoggingConfiguration', 'DestinationBucketName');
    if (target === undefined) return [];
    const prefix = text(at(bucket.Properties, 'LoggingConfiguration', 'LogFilePrefix'));
    return [
      {
        path: 'S3 writes access logs',
        by: 'logging.s3.amazonaws.com',
        asks: {
          action: 's3:PutObject',
          resource: `arn:aws:s3:::${policies.resolver.text(target, stack)}/${prefix}one`,
          context: fromSource(policies.resolver.arn(bucket, stack)),
        },
      },
    ];
  });
}

/** DynamoDB opens the key of a table in the name of whoever reads or writes it. */
export function decryptTable(key: string, table: string): IamRequest {
  return viaService('kms:Decrypt', key, 'dynamodb', {
    'aws:dynamodb:tableName': table.split('/').at(-1) ?? '',
    'aws:dynamodb:subscriberId': localAccountId,
  });
}

function sendTo(queue: string): IamRequest {
  return { action: 'sqs:SendMessage', resource: queue };
}

function fromSource(arn: string): Record<string, string> {
  return { 'aws:SourceArn': arn, 'aws:SourceAccount': localAccountId };
}
