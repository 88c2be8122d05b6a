import { RekeyError } from './errors.ts';

/** Where the rules are, and by which role they reach other buses and API destinations. */
export interface Here {
  readonly account: string;
  readonly region: string;
  /** Name of Rekey's bus. */
  readonly bus: string;
  readonly deliveryRole: string;
  /** Queue that takes what can't be delivered, where the subscriber has none of its own. */
  readonly deadLetters: string;
}

/** What the owner of a resource has to do, so that events arrive. */
export interface Need {
  readonly of: string;
  readonly text: string;
  /** A statement for the policy of `of`. */
  readonly statement?: object;
}

const KINDS = {
  queue: /^arn:[a-z-]+:sqs:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]{1,80})$/,
  topic: /^arn:[a-z-]+:sns:([a-z0-9-]+):(\d{12}):([A-Za-z0-9_-]{1,256})$/,
  bus: /^arn:[a-z-]+:events:([a-z0-9-]+):(\d{12}):event-bus\/([\w./-]{1,256})$/,
  webhook: /^arn:[a-z-]+:events:([a-z0-9-]+):(\d{12}):api-destination\/([\w./-]{1,128})$/,
} as const;
type Kind = keyof typeof KINDS;

/**
 * What kind of target an ARN is.
 * @throws RekeyError ERR_REQUEST naming the field `to`, where events can't be sent there.
 */
export function kindOf(to: string, here: Here): Kind {
  const kinds = Object.keys(KINDS) as Kind[];
  const kind = kinds.find((each) => KINDS[each].test(to));
  if (kind === undefined) {
    const fifo = /:(sqs|sns):.*\.fifo$/.test(to);
    throw new RekeyError(
      'ERR_REQUEST',
      fifo ? 'events keep no order, and a FIFO target would refuse them' : `events can't be sent to ${to}`,
      {
        field: 'to',
        remedy: fifo
          ? 'use a standard queue or topic'
          : 'give the ARN of an SQS queue, an SNS topic, an event bus or an API destination of EventBridge',
      },
    );
  }
  if (kind !== 'bus') assertHome('to', to, KINDS[kind].exec(to), here);
  else if (to === busArn(here)) {
    throw new RekeyError('ERR_REQUEST', "that is Rekey's own bus: its events would come back to it", {
      field: 'to',
      remedy: 'give another bus',
    });
  }
  return kind;
}

/** Refuses a dead-letter queue that EventBridge would. @throws RekeyError ERR_REQUEST naming the field. */
export function assertDeadLetter(arn: string, here: Here): void {
  assertHome('deadLetter', arn, KINDS.queue.exec(arn), here);
}

/** Queues, topics and API destinations are reached in the account and region of the bus only. */
function assertHome(
  field: 'to' | 'deadLetter',
  given: string,
  found: RegExpExecArray | null,
  { region, account }: Here,
): void {
  if (found === null) {
    throw new RekeyError('ERR_REQUEST', `${given} is not the ARN of a standard SQS queue`, {
      field,
      remedy: 'give the ARN of a queue in the account and region of the deployment',
    });
  }
  if (found[1] === region && found[2] === account) return;
  throw new RekeyError('ERR_REQUEST', `${given} is not in ${account} and ${region}, where the events are`, {
    field,
    remedy:
      field === 'to'
        ? 'subscribe an event bus of that account or region, and make the rule to the target there'
        : 'give a queue in the account and region of the deployment',
  });
}

/** What owners have to do for a rule and its target. Rekey gives nobody a right over what isn't its own. */
export function needsOf(
  {
    rule,
    target,
  }: {
    readonly rule: { readonly name: string };
    readonly target: { readonly arn: string; readonly deadLetter?: string };
  },
  here: Here,
): Need[] {
  const source = busArn(here).replace(':event-bus/', ':rule/') + `/${rule.name}`;
  const letIn = (of: string, action: string): Need => ({
    of,
    text: 'its policy has to let this rule in; where a key of your own encrypts it, that key has to let events.amazonaws.com use kms:Decrypt and kms:GenerateDataKey',
    statement: {
      Sid: `Rekey${rule.name.replace(/[^A-Za-z0-9]/g, '')}`,
      Effect: 'Allow',
      Principal: { Service: 'events.amazonaws.com' },
      Action: action,
      Resource: of,
      Condition: { ArnEquals: { 'aws:SourceArn': source } },
    },
  });
  const { arn, deadLetter = here.deadLetters } = target;
  return [
    ...targetNeeds(arn, here, letIn),
    ...(deadLetter === here.deadLetters ? [] : [letIn(deadLetter, 'sqs:SendMessage')]),
  ];
}

function targetNeeds(arn: string, here: Here, letIn: (of: string, action: string) => Need): Need[] {
  if (KINDS.queue.test(arn)) return [letIn(arn, 'sqs:SendMessage')];
  if (KINDS.topic.test(arn)) return [letIn(arn, 'sns:Publish')];
  if (KINDS.webhook.test(arn)) {
    return [
      {
        of: arn,
        text: 'its connection holds what the endpoint asks for as authorization: you make both, and Rekey never sees it',
      },
    ];
  }
  if (KINDS.bus.exec(arn)?.[2] === here.account) return [];
  return [
    {
      of: arn,
      text: 'the policy of a bus in another account has to let the role in that delivers',
      statement: {
        Sid: 'RekeyEvents',
        Effect: 'Allow',
        Principal: { AWS: here.deliveryRole },
        Action: 'events:PutEvents',
        Resource: arn,
      },
    },
  ];
}

function busArn({ region, account, bus, deliveryRole }: Here): string {
  return `arn:${deliveryRole.split(':')[1] ?? 'aws'}:events:${region}:${account}:event-bus/${bus}`;
}
