import * as z from 'zod';
import { digestOf, jsonOf, malformed, observed, type Delivery, type Signal } from './signal.ts';

const push = z.object({
  message: z.object({
    messageId: z.string().min(1).max(200),
    publishTime: z.string().nullish(),
    attributes: z
      .looseObject({ eventType: z.string().optional(), secretId: z.string().max(500).optional() })
      .optional(),
  }),
  subscription: z.string().min(1).max(500),
});

/**
 * The signals of a push of Pub/Sub whose token is known to be Google's: Secret Manager's `SECRET_ROTATE`. Its other events
 * (`TOPIC_CONFIGURED`, versions that come and go) ask for nothing.
 */
export function gcpSignals({ body, now }: Pick<Delivery, 'body' | 'now'>): Signal[] {
  const parsed = push.safeParse(jsonOf(body));
  if (!parsed.success) throw malformed('this is no push of Pub/Sub');
  const { message, subscription } = parsed.data;
  const { eventType, secretId } = message.attributes ?? {};
  if (eventType !== 'SECRET_ROTATE' || secretId === undefined) return [];
  return [
    {
      source: 'gcp',
      id: digestOf(subscription, message.messageId),
      kind: 'rotate',
      fingerprints: [],
      subject: secretId,
      verified: false,
      observedAt: observed(message.publishTime ?? undefined, now),
    },
  ];
}
