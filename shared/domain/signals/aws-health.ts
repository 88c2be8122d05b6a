import * as z from 'zod';
import { digestOf, malformed, observed, type Signal } from './signal.ts';

/** What the types of events begin with by which AWS tells of keys that others have (`AWS_RISK_CREDENTIALS_EXPOSED`). */
export const AT_RISK = 'AWS_RISK_CREDENTIALS_';

/** AWS sends so many entities in one event at most; what is more comes in further ones. */
const MAX_ENTITIES = 100;

const event = z.object({
  source: z.literal('aws.health'),
  time: z.string().max(40).nullish(),
  detail: z.object({
    eventArn: z.string().min(1).max(1600),
    eventTypeCode: z.string().startsWith(AT_RISK).max(200),
    affectedEntities: z.array(z.object({ entityValue: z.string().max(256) })).max(MAX_ENTITIES),
  }),
});

/**
 * The signals of an event of AWS Health: AWS has found access keys in public (`…_EXPOSED`), knows that they are abused
 * (`…_COMPROMISED`), or suspects either. It comes by EventBridge, where nobody but AWS sends as `aws.health`. The backup that comes of
 * another region, and what AWS adds to an event later, are the same signal.
 */
export function awsHealthSignals(input: unknown, now: number): Signal[] {
  const parsed = event.safeParse(input);
  if (!parsed.success) throw malformed('this is no event of AWS Health about credentials');
  const { time, detail } = parsed.data;
  const { eventArn, eventTypeCode, affectedEntities } = detail;
  const keys = affectedEntities.map(({ entityValue }) => entityValue).filter((each) => KEY_ID.test(each));
  return [...new Set(keys)].map((handle) => ({
    source: 'aws-health',
    id: digestOf(eventArn, eventTypeCode, handle),
    kind: 'leak',
    fingerprints: [],
    handle,
    verified: FOUND.test(eventTypeCode),
    observedAt: observed(time ?? undefined, now),
  }));
}

/** An access key of IAM by its id. */
const KEY_ID = /^A[A-Z0-9]{15,127}$/;

const FOUND = /_(EXPOSED|COMPROMISED)$/;
