import * as z from 'zod';
import { digestOf, malformed, observed, type Signal } from './signal.ts';

const COMPROMISE = 'https://schemas.openid.net/secevent/risc/event-type/credential-compromise';

const subject = z.object({
  iss: z.string().optional(),
  sub: z.string().optional(),
  id: z.string().optional(),
  email: z.string().optional(),
  uri: z.string().optional(),
});

const token = z.object({
  jti: z.string().min(1).max(500),
  iss: z.string(),
  sub_id: subject.optional(),
  events: z.record(
    z.string(),
    z.looseObject({ subject: subject.optional(), event_timestamp: z.number().optional() }),
  ),
});

/**
 * The signals of a security event token (RFC 8417) that is known to come from its transmitter: `credential-compromise` of
 * RISC, of a subject that the settings map. It proves no value, so that it never revokes.
 */
export function riscSignals(claims: unknown, now: number): Signal[] {
  const parsed = token.safeParse(claims);
  if (!parsed.success) throw malformed('this is no security event token');
  const { jti, iss, events, sub_id } = parsed.data;
  const event = events[COMPROMISE];
  if (event === undefined) return [];
  const { sub, id, email, uri } = sub_id ?? event.subject ?? {};
  const name = sub ?? id ?? email ?? uri;
  return [
    {
      source: 'risc',
      id: digestOf(iss, jti),
      kind: 'anomaly',
      fingerprints: [],
      ...(name === undefined ? {} : { subject: name }),
      verified: false,
      observedAt: observed(
        event.event_timestamp === undefined ? undefined : String(Math.trunc(event.event_timestamp)),
        now,
      ),
    },
  ];
}
