import type { SubscriptionRequest } from '../../shared/domain/subscription.ts';
import {
  listSubscriptions,
  subscribe,
  unsubscribe,
  type SubscriptionDeps,
} from '../../shared/engine/subscriptions.ts';

/** What `control-api` asks for, in the name of `actor`. */
export type Request =
  | ({ action: 'subscribe'; actor: string; dryRun: boolean } & SubscriptionRequest)
  | { action: 'unsubscribe'; actor: string; id: string; dryRun: boolean }
  | { action: 'list'; page?: string };

/** Answers a request. @throws RekeyError where it is refused. */
export function answer(deps: SubscriptionDeps, request: Request): Promise<object> {
  switch (request.action) {
    case 'subscribe':
      return subscribe(deps, request);
    case 'unsubscribe':
      return unsubscribe(deps, request);
    case 'list':
      return listSubscriptions(deps, request.page);
  }
}
