import * as z from 'zod';
import type { Redacted } from '../redacted.ts';
import { assertHmac, type SharedSecrets } from './hmac.ts';
import {
  addressOf,
  digestOf,
  fingerprintsOf,
  forged,
  jsonOf,
  malformed,
  observed,
  REMEMBERED_SECONDS,
  timeOf,
  type Delivery,
  type Signal,
} from './signal.ts';

/** What GitHub tells of an alert that is news; others (resolved, assigned, …) end something or say nothing new. */
const NEWS: ReadonlySet<string> = new Set(['created', 'reopened', 'publicly_leaked', 'validated']);

const part = z.string().regex(/^(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}$/);

const webhook = z.object({
  action: z.string(),
  alert: z.object({
    number: z.int().min(1),
    html_url: z.string().nullish(),
    created_at: z.string().nullish(),
    updated_at: z.string().nullish(),
  }),
  repository: z.object({ name: part, owner: z.object({ login: part }) }),
});

/**
 * The signals of a webhook `secret_scanning_alert` of repositories, which names an alert and has no value. Its id follows
 * from the body: the header X-GitHub-Delivery isn't signed, and a redelivery has the same body.
 */
export function githubSignals(delivery: Delivery, secrets: SharedSecrets): Signal[] {
  const { body, header, now } = delivery;
  assertHmac(header('x-hub-signature-256'), secrets, body);
  const json = jsonOf(body);
  // A ping, or another event that somebody has ticked.
  if (typeof json !== 'object' || json === null || !('alert' in json)) return [];
  const parsed = webhook.safeParse(json);
  if (!parsed.success) throw malformed('this is no secret_scanning_alert');
  const { action, alert, repository } = parsed.data;
  if (!NEWS.has(action)) return [];
  const at = alert.updated_at ?? alert.created_at ?? undefined;
  // Nothing else of it tells when it was sent: what is older than what is remembered may be a replay.
  if (now - (timeOf(at) ?? 0) > REMEMBERED_SECONDS * 1000) throw forged();
  return [
    {
      source: 'github',
      id: digestOf(body),
      kind: 'leak',
      fingerprints: [],
      alert: { owner: repository.owner.login, repo: repository.name, number: alert.number },
      verified: false,
      ...addressOf(alert.html_url),
      observedAt: observed(at, now),
    },
  ];
}

/** An alert as GitHub's API has it, with its value. */
export const githubAlert = z.object({
  state: z.string(),
  secret: z.string().optional(),
  validity: z.string().nullish(),
  publicly_leaked: z.boolean().nullish(),
  html_url: z.string().nullish(),
});
export type GithubAlert = Omit<z.infer<typeof githubAlert>, 'secret'> & {
  readonly secret?: Redacted<string> | undefined;
};

/**
 * A signal with what its alert tells. Whether somebody has closed the alert counts for nothing: whoever may write to the repository
 * may do that, and no word of theirs ends a value. Whether it lives is asked of the ledger.
 */
export function withAlert(signal: Signal, alert: GithubAlert): Signal {
  return {
    ...signal,
    fingerprints: alert.secret === undefined ? [] : fingerprintsOf(alert.secret),
    verified: alert.validity === 'active' || alert.publicly_leaked === true,
  };
}
