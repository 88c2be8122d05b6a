import { createHash } from 'node:crypto';
import * as z from 'zod';
import { EVENT, EVENT_SOURCE } from '../names.ts';
import type { Instant } from './clock.ts';
import { RekeyError } from './errors.ts';
import { assertDeadLetter, kindOf, type Here } from './event-target.ts';
import { EVERY_FLEET } from './holders.ts';

/** Events by the words that a subscription asks for them with. */
export const EVENT_WORDS = {
  announced: EVENT.announced,
  rotated: EVENT.rotated,
  retired: EVENT.retired,
  'rolled-back': EVENT.rolledBack,
  revoked: EVENT.revoked,
  halt: EVENT.halt,
  resume: EVENT.resume,
  failed: EVENT.failed,
  expiring: EVENT.expiring,
  'emergency-ended': EVENT.emergency,
  'signal-held': EVENT.signal,
} as const;
export type EventWord = keyof typeof EVENT_WORDS;

/** What a subscription is for unless it says more: all that agents go by. The others are for operators. */
export const FOR_AGENTS: readonly EventWord[] = [
  'announced',
  'rotated',
  'retired',
  'rolled-back',
  'revoked',
  'halt',
  'resume',
];

/** What the names of the rules begin with that are subscriptions. */
export const RULE_PREFIX = 'subscription-';

/** Rules that EventBridge takes on one bus. */
export const MOST_RULES = 300;

/** Rules that subscriptions leave free: for Rekey's own, and for those that somebody makes by hand. */
const RESERVED_RULES = 20;

/** What somebody asks for. */
export interface SubscriptionRequest {
  /** A fleet, or `*`: every one. */
  readonly fleet: string;
  /** ARN of a queue, a topic, a bus or an API destination. */
  readonly to: string;
  readonly events?: readonly EventWord[] | undefined;
  /** ARN of a queue. */
  readonly deadLetter?: string | undefined;
}

/** A rule of the bus, as EventBridge knows it. */
export interface Rule {
  readonly name: string;
  readonly pattern: string;
  readonly description: string;
  readonly enabled: boolean;
}

/** Where a rule delivers to. */
export interface RuleTarget {
  readonly id: string;
  readonly arn: string;
  readonly role?: string;
  readonly deadLetter?: string;
}

/** The rule that a request comes to, with its one target. */
export interface PlannedRule {
  readonly id: string;
  readonly rule: Rule;
  readonly target: RuleTarget;
}

/** A subscription as it stands on the bus. */
export interface Subscription {
  readonly id: string;
  readonly fleet: string;
  /** Words where they are known, else detail-types. */
  readonly events: readonly string[];
  readonly to: string;
  readonly deadLetter?: string;
  /** `incomplete`: it was interrupted, and delivers nothing; `altered`: somebody has changed the rule by hand. */
  readonly state: 'delivering' | 'incomplete' | 'disabled' | 'altered';
  /** ARN of who asked for it last, and when. */
  readonly by?: string;
  readonly since?: Instant;
}

/** The one target of a subscription's rule. */
const TARGET_ID = 'subscriber';

/** The longest description that EventBridge takes. */
const LONGEST_DESCRIPTION = 512;

/**
 * The rule that a request comes to. The same fleet and target are always the same rule, so that a repetition completes
 * what was interrupted.
 * @throws RekeyError ERR_REQUEST naming the field.
 */
export function planRule(
  request: SubscriptionRequest,
  here: Here,
  { actor, at }: { actor: string; at: Instant },
): PlannedRule {
  const { fleet, to, events = FOR_AGENTS, deadLetter } = request;
  const kind = kindOf(to, here);
  if (fleet !== EVERY_FLEET && events.includes('emergency-ended')) {
    throw new RekeyError('ERR_REQUEST', 'the end of an emergency concerns several fleets', {
      field: 'events',
      remedy: 'leave emergency-ended out, or subscribe to every fleet',
    });
  }
  if (deadLetter !== undefined) assertDeadLetter(deadLetter, here);
  const id = createHash('sha256')
    .update(JSON.stringify([fleet, to]))
    .digest('hex')
    .slice(0, 20);
  return {
    id,
    rule: {
      name: RULE_PREFIX + id,
      pattern: patternOf(fleet, events),
      description: `${to} ${at} ${actor}`.slice(0, LONGEST_DESCRIPTION),
      enabled: true,
    },
    target: {
      id: TARGET_ID,
      arn: to,
      ...(kind === 'bus' || kind === 'webhook' ? { role: here.deliveryRole } : {}),
      deadLetter: deadLetter ?? here.deadLetters,
    },
  };
}

/** The rule of a subscription by its id. @throws RekeyError ERR_REQUEST where that is none. */
export function ruleNameOf(id: string): string {
  if (/^[\w.-]{1,51}$/.test(id)) return RULE_PREFIX + id;
  throw new RekeyError('ERR_REQUEST', `"${id}" is not the id of a subscription`, {
    field: 'id',
    remedy: '`rekey subscriptions` lists them',
  });
}

/** Matches what concerns the fleet, and what concerns every fleet. */
function patternOf(fleet: string, events: readonly EventWord[]): string {
  const types = Object.entries(EVENT_WORDS).filter(([word]) => events.some((each) => each === word));
  return JSON.stringify({
    source: [EVENT_SOURCE],
    'detail-type': types.map(([, detailType]) => detailType),
    ...(fleet === EVERY_FLEET ? {} : { detail: { fleets: [fleet, EVERY_FLEET] } }),
  });
}

/** @throws RekeyError ERR_CAPACITY where the bus has no room for another rule (hard decision 14). */
export function assertRoom(rules: number): void {
  if (rules < MOST_RULES - RESERVED_RULES) return;
  throw new RekeyError(
    'ERR_CAPACITY',
    `the bus has ${rules} rules, and EventBridge takes ${MOST_RULES}: there is no room for another subscription`,
    {
      remedy:
        'subscribe one SNS topic to every fleet (rekey subscribe --all), and let each subscriber of the topic filter by ' +
        'detail.fleets (docs/events.md, "More fleets than rules")',
    },
  );
}

/** What a request changes: `completed` is one whose rule was there without its target, or switched off. */
export type SubscriptionOutcome = 'subscribed' | 'completed' | 'changed' | 'unchanged';

/** Compares what is planned with what is on the bus. */
export function outcomeOf(
  { rule, target }: PlannedRule,
  found: Rule | undefined,
  targets: readonly RuleTarget[],
): SubscriptionOutcome {
  if (found === undefined) return 'subscribed';
  const own = targets.find(({ id }) => id === target.id);
  if (own === undefined || !found.enabled) return 'completed';
  const same =
    found.pattern === rule.pattern &&
    own.arn === target.arn &&
    own.role === target.role &&
    own.deadLetter === target.deadLetter;
  return same ? 'unchanged' : 'changed';
}

const patternForm = z.object({
  'detail-type': z.array(z.string()).min(1),
  detail: z.object({ fleets: z.tuple([z.string(), z.literal(EVERY_FLEET)]) }).optional(),
});

/** A subscription by its rule, as far as the rule is still as Rekey has made it. */
export function subscriptionOf(rule: Rule, targets: readonly RuleTarget[]): Subscription {
  const pattern = patternForm.safeParse(jsonOf(rule.pattern));
  const [to = '', since, by] = rule.description.split(' ');
  const [own, ...others] = targets.toSorted((a) => (a.id === TARGET_ID ? -1 : 1));
  const altered = !pattern.success || others.length > 0 || (own !== undefined && own.id !== TARGET_ID);
  const types = pattern.data?.['detail-type'] ?? [];
  return {
    id: rule.name.slice(RULE_PREFIX.length),
    fleet: pattern.success ? (pattern.data.detail?.fleets[0] ?? EVERY_FLEET) : '',
    events: types.map((type) => wordOf(type) ?? type),
    to: own?.arn ?? to,
    ...(own?.deadLetter === undefined ? {} : { deadLetter: own.deadLetter }),
    state: altered ? 'altered' : own === undefined ? 'incomplete' : rule.enabled ? 'delivering' : 'disabled',
    ...(by === undefined ? {} : { by }),
    ...(since === undefined ? {} : { since }),
  };
}

function wordOf(detailType: string): string | undefined {
  return Object.entries(EVENT_WORDS).find(([, each]) => each === detailType)?.[0];
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
