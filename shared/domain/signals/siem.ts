import * as z from 'zod';
import { assertHmac, type SharedSecrets } from './hmac.ts';
import {
  addressOf,
  assertFresh,
  digestOf,
  jsonOf,
  malformed,
  MAX_FINGERPRINTS,
  MAX_SIGNALS,
  observed,
  timeOf,
  type Delivery,
  type Signal,
} from './signal.ts';

const message = z.strictObject({
  signals: z
    .array(
      z.strictObject({
        id: z.string().min(1).max(200),
        fingerprints: z
          .array(z.string().regex(/^sha256:[0-9a-f]{64}$/))
          .min(1)
          .max(MAX_FINGERPRINTS),
        verified: z.boolean().default(false),
        url: z.string().max(500).optional(),
        observedAt: z.string().max(40).optional(),
      }),
    )
    .min(1)
    .max(MAX_SIGNALS),
});

/**
 * The signals of whatever can sign: `X-Rekey-Signature: sha256=<hex>` is the HMAC over `<X-Rekey-Timestamp>.<body>`. It sends
 * fingerprints, never values.
 */
export function siemSignals({ body, header, now }: Delivery, secrets: SharedSecrets): Signal[] {
  const timestamp = header('x-rekey-timestamp');
  const signed = Buffer.concat([Buffer.from(`${timestamp ?? ''}.`), body]);
  assertHmac(header('x-rekey-signature'), secrets, signed);
  assertFresh(timeOf(timestamp), now);
  const parsed = message.safeParse(jsonOf(body));
  if (!parsed.success) throw malformed('this is no list of signals');
  return parsed.data.signals.map(({ id, fingerprints, verified, url, observedAt }) => ({
    source: 'siem',
    id: digestOf(id),
    kind: 'leak',
    fingerprints,
    verified,
    ...addressOf(url),
    observedAt: observed(observedAt, now),
  }));
}
