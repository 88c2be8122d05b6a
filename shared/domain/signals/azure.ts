import * as z from 'zod';
import { digestOf, jsonOf, malformed, MAX_SIGNALS, observed, type Delivery, type Signal } from './signal.ts';

const events = z
  .array(
    z.object({
      id: z.string().min(1).max(200),
      eventType: z.string(),
      eventTime: z.string().nullish(),
      topic: z.string().max(500).nullish(),
      data: z.record(z.string(), z.unknown()),
    }),
  )
  .min(1)
  .max(MAX_SIGNALS);

/** What Event Grid has sent: signals, or the question that it asks of a new address. */
export interface FromEventGrid {
  readonly signals: readonly Signal[];
  /** Sent back, this proves that the address wants the events. */
  readonly validationCode?: string;
}

/** The events of a delivery that is known to be Event Grid's: Key Vault's `SecretNearExpiry`. */
export function eventGrid({ body, now }: Pick<Delivery, 'body' | 'now'>): FromEventGrid {
  const parsed = events.safeParse(jsonOf(body));
  if (!parsed.success) throw malformed('these are no events of Event Grid');
  const asked = parsed.data.find(
    ({ eventType }) => eventType === 'Microsoft.EventGrid.SubscriptionValidationEvent',
  );
  const code = asked?.data['validationCode'];
  if (typeof code === 'string' && code.length <= 200) return { signals: [], validationCode: code };
  return {
    signals: parsed.data
      .filter(({ eventType }) => eventType === 'Microsoft.KeyVault.SecretNearExpiry')
      .map(({ id, eventTime, topic, data }) => ({
        source: 'azure',
        id: digestOf(topic ?? '', id),
        kind: 'rotate',
        fingerprints: [],
        ...subjectOf(data),
        verified: false,
        observedAt: observed(eventTime ?? undefined, now),
      })),
  };
}

/** `vault/secret`. Names of the data have come with a space at their end. */
function subjectOf(data: Readonly<Record<string, unknown>>): { readonly subject?: string } {
  const known = new Map(Object.entries(data).map(([name, value]) => [name.trim().toLowerCase(), value]));
  const [vault, name] = [known.get('vaultname'), known.get('objectname')];
  return typeof vault === 'string' && typeof name === 'string' ? { subject: `${vault}/${name}` } : {};
}
