import * as z from 'zod';
import { EVENT_WORDS, type EventWord } from '../../domain/subscription.ts';
import { instant } from './common.ts';

/** `POST /v1/subscriptions` */
export const subscribeRequest = z.strictObject({
  /** `*` stands for every fleet. */
  fleet: z.string().min(1).max(128),
  to: z.string().min(1).max(2048),
  events: z
    .array(z.enum(Object.keys(EVENT_WORDS) as [EventWord, ...EventWord[]]))
    .min(1)
    .optional(),
  deadLetter: z.string().min(1).max(2048).optional(),
  dryRun: z.boolean().default(false),
});

export const subscriptionView = z.object({
  id: z.string(),
  /** `*`: every fleet. Empty where the rule was altered beyond recognition. */
  fleet: z.string(),
  /** Words of `subscribe --events`, or detail-types that have none. */
  events: z.array(z.string()),
  to: z.string(),
  deadLetter: z.string().optional(),
  /** `delivering`, `incomplete`, `disabled` or `altered`. */
  state: z.string(),
  /** ARN of who asked for it last. */
  by: z.string().optional(),
  since: instant.optional(),
});
export type SubscriptionView = z.infer<typeof subscriptionView>;

export const subscribeAnswer = z.object({
  /** `subscribed`, `completed`, `changed` or `unchanged`. */
  outcome: z.string(),
  dryRun: z.boolean(),
  subscription: subscriptionView,
  /** What the owners of the target and of the dead-letter queue have to do, so that events arrive. */
  needs: z.array(
    z.object({ of: z.string(), text: z.string(), statement: z.record(z.string(), z.unknown()).optional() }),
  ),
});
export type SubscribeAnswer = z.infer<typeof subscribeAnswer>;

/** `GET /v1/subscriptions` */
export const subscriptionsAnswer = z.object({
  subscriptions: z.array(subscriptionView),
  /** The `page` of the next request; absent at the end. */
  next: z.string().optional(),
});
export type SubscriptionsAnswer = z.infer<typeof subscriptionsAnswer>;

/** `POST /v1/subscriptions/{id}/end` */
export const endSubscriptionRequest = z.strictObject({ dryRun: z.boolean().default(false) });

export const endSubscriptionAnswer = z.object({
  /** `unsubscribed`, or `unchanged` where there is none. */
  outcome: z.string(),
  dryRun: z.boolean(),
  id: z.string(),
  subscription: subscriptionView.optional(),
});
export type EndSubscriptionAnswer = z.infer<typeof endSubscriptionAnswer>;
