import * as z from 'zod';
import { assertHmac, type SharedSecrets } from './hmac.ts';
import {
  addressOf,
  assertFresh,
  digestOf,
  jsonOf,
  malformed,
  observed,
  timeOf,
  type Delivery,
  type Signal,
} from './signal.ts';

/** What GitGuardian tells of an incident that is news. */
const NEWS = /^(incident_)?(triggered|reopened|regression|validity_changed|new_occurrence)$/;

const webhook = z.object({
  action: z.string(),
  incident: z.object({
    validity: z.string().nullish(),
    gitguardian_url: z.string().nullish(),
    date: z.string().nullish(),
  }),
});

/**
 * The signals of GitGuardian's custom webhook. It has no value and no SHA-256 of one, so that nothing can be matched: what
 * is news is for a person to look at. The key of its HMAC is timestamp and token together.
 */
export function gitguardianSignals({ body, header, now }: Delivery, secrets: SharedSecrets): Signal[] {
  const timestamp = header('timestamp');
  assertHmac(header('gitguardian-signature'), secrets, body, (token) => `${timestamp ?? ''}${token}`);
  assertFresh(timeOf(timestamp), now);
  const json = jsonOf(body);
  if (typeof json !== 'object' || json === null || !('incident' in json)) return [];
  const parsed = webhook.safeParse(json);
  if (!parsed.success) throw malformed('this is no incident of GitGuardian');
  const { action, incident } = parsed.data;
  if (!NEWS.test(action)) return [];
  return [
    {
      source: 'gitguardian',
      id: digestOf(body),
      kind: 'leak',
      fingerprints: [],
      verified: incident.validity === 'valid',
      ...addressOf(incident.gitguardian_url),
      observedAt: observed(incident.date ?? undefined, now),
    },
  ];
}
