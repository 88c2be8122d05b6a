import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';
import { EventBridgeRules } from '../../shared/adapters/eventbridge-rules.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { SubscriptionRequest } from '../../shared/domain/subscription.ts';
import * as subscriptions from '../../shared/engine/subscriptions.ts';
import { ENV } from '../../shared/names.ts';
import { createLogger, errorFields, setting } from '../compose.ts';

type Event = { actor: string } & (
  | ({ action: 'subscribe'; dryRun: boolean } & SubscriptionRequest)
  | { action: 'unsubscribe'; id: string; dryRun: boolean }
  | { action: 'list'; page?: string }
);

const logger = createLogger();
const bus = setting(ENV.bus);
const deps: subscriptions.SubscriptionDeps = {
  rules: new EventBridgeRules({ aws: awsCallsFromEnvironment(process.env), bus }),
  here: {
    account: setting(ENV.account),
    region: setting('AWS_REGION'),
    bus,
    deliveryRole: setting(ENV.deliveryRole),
    deadLetters: setting(ENV.deadLetters),
  },
  clock: Date.now,
};

/** Makes, lists and ends the rules that are subscriptions. Its log says who asked for what, beside CloudTrail. */
export async function handler(event: Event): Promise<object> {
  try {
    const answer = await act(event);
    if (event.action !== 'list') logger.info('subscription asked for', { ...event, ...answer });
    return answer;
  } catch (error) {
    logger.error('subscription failed', { action: event.action, actor: event.actor, ...errorFields(error) });
    if (error instanceof RekeyError) return { error: error.toJSON() };
    throw error;
  }
}

async function act(event: Event): Promise<object> {
  switch (event.action) {
    case 'subscribe':
      return subscriptions.subscribe(deps, event);
    case 'unsubscribe':
      return subscriptions.unsubscribe(deps, event);
    case 'list':
      return subscriptions.listSubscriptions(deps, event.page);
  }
}
