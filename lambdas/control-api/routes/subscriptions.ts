import {
  endSubscriptionRequest,
  listQuery,
  subscribeRequest,
  type EndSubscriptionAnswer,
  type SubscribeAnswer,
  type SubscriptionsAnswer,
  type SubscriptionView,
} from '../../../shared/api/messages.ts';
import type { Subscription } from '../../../shared/domain/subscription.ts';
import { parse, type Call } from '../../http/request.ts';
import type { ControlServices, Done } from '../route.ts';

export async function subscriptions(
  { query }: Call,
  services: ControlServices,
): Promise<Done<SubscriptionsAnswer>> {
  const { page } = parse(listQuery, query);
  const { subscriptions: listed, next } = await services.subscriptions(page);
  return {
    status: 200,
    body: { subscriptions: listed.map(viewOf), ...(next === undefined ? {} : { next }) },
  };
}

export async function subscribe(call: Call, services: ControlServices): Promise<Done<SubscribeAnswer>> {
  const request = parse(subscribeRequest, call.body());
  const { outcome, subscription, needs } = await services.subscribe({ ...request, actor: call.actor });
  return {
    status: outcome === 'subscribed' && !request.dryRun ? 201 : 200,
    body: {
      outcome,
      dryRun: request.dryRun,
      subscription: viewOf(subscription),
      needs: needs.map(({ of, text, statement }) => ({
        of,
        text,
        ...(statement === undefined ? {} : { statement: { ...statement } }),
      })),
    },
  };
}

export async function endSubscription(
  call: Call,
  services: ControlServices,
): Promise<Done<EndSubscriptionAnswer>> {
  const { dryRun } = parse(endSubscriptionRequest, call.body());
  const [id = ''] = call.params;
  const { outcome, subscription } = await services.unsubscribe({ id, dryRun, actor: call.actor });
  return {
    status: 200,
    body: {
      outcome,
      dryRun,
      id,
      ...(subscription === undefined ? {} : { subscription: viewOf(subscription) }),
    },
  };
}

function viewOf({ events, ...subscription }: Subscription): SubscriptionView {
  return { ...subscription, events: [...events] };
}
