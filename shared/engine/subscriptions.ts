import { toInstant, type Clock } from '../domain/clock.ts';
import { isRekeyError } from '../domain/errors.ts';
import { needsOf, type Here, type Need } from '../domain/event-target.ts';
import {
  assertRoom,
  outcomeOf,
  planRule,
  ruleNameOf,
  subscriptionOf,
  type Subscription,
  type SubscriptionOutcome,
  type SubscriptionRequest,
} from '../domain/subscription.ts';
import type { Rules } from '../ports/rules.ts';

/** What managing subscriptions needs. There is no ledger: the rule on the bus is the subscription. */
export interface SubscriptionDeps {
  readonly rules: Rules;
  readonly here: Here;
  readonly clock: Clock;
}

/** What became of a request to subscribe. */
export interface Subscribed {
  readonly outcome: SubscriptionOutcome;
  readonly subscription: Subscription;
  readonly needs: readonly Need[];
}

/** What became of a request to end a subscription; without one there was none. */
export interface Unsubscribed {
  readonly outcome: 'unsubscribed' | 'unchanged';
  readonly subscription?: Subscription;
}

/** A page of the subscriptions. */
export interface SubscriptionPage {
  readonly subscriptions: readonly Subscription[];
  readonly next?: string;
}

/** Targets are asked for rule by rule. */
const LOOKS_AT_ONCE = 10;

/**
 * Makes the rule, then its target: a rule without one delivers nothing, is listed as incomplete, and the same request
 * completes it. A target that EventBridge refuses takes the new rule with it.
 */
export async function subscribe(
  { rules, here, clock }: SubscriptionDeps,
  request: SubscriptionRequest & { readonly actor: string; readonly dryRun: boolean },
): Promise<Subscribed> {
  const planned = planRule(request, here, { actor: request.actor, at: toInstant(clock()) });
  const { rule, target } = planned;
  const found = await rules.find(rule.name);
  const outcome = outcomeOf(planned, found, found === undefined ? [] : await rules.targets(rule.name));
  if (outcome === 'subscribed') assertRoom(await rules.count());
  if (!request.dryRun && outcome !== 'unchanged') {
    await rules.put(rule);
    try {
      await rules.putTarget(rule.name, target);
    } catch (error) {
      if (found === undefined && isRekeyError(error, 'ERR_REQUEST')) await rules.remove(rule.name);
      throw error;
    }
  }
  const now = outcome === 'unchanged' ? (found ?? rule) : rule;
  return { outcome, subscription: subscriptionOf(now, [target]), needs: needsOf(planned, here) };
}

/** Ends a subscription by its id; one that is gone already is success. */
export async function unsubscribe(
  { rules }: Pick<SubscriptionDeps, 'rules'>,
  { id, dryRun }: { readonly id: string; readonly dryRun: boolean },
): Promise<Unsubscribed> {
  const name = ruleNameOf(id);
  const rule = await rules.find(name);
  if (rule === undefined) return { outcome: 'unchanged' };
  const subscription = subscriptionOf(rule, await rules.targets(name));
  if (!dryRun) await rules.remove(name);
  return { outcome: 'unsubscribed', subscription };
}

/** The subscriptions as they stand on the bus. */
export async function listSubscriptions(
  { rules }: Pick<SubscriptionDeps, 'rules'>,
  page?: string,
): Promise<SubscriptionPage> {
  const { rules: listed, next } = await rules.list(page);
  const subscriptions: Subscription[] = [];
  for (let from = 0; from < listed.length; from += LOOKS_AT_ONCE) {
    const some = listed.slice(from, from + LOOKS_AT_ONCE);
    subscriptions.push(
      ...(await Promise.all(some.map(async (rule) => subscriptionOf(rule, await rules.targets(rule.name))))),
    );
  }
  return { subscriptions, ...(next === undefined ? {} : { next }) };
}
