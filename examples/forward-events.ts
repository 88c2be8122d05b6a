// Forwards events of Rekey from a queue to Google Pub/Sub or to Kafka. A Lambda function of your own runs it, behind a
// queue that is subscribed (`rekey subscribe shop --to <queue>`), with ReportBatchItemFailures and a dead-letter queue.
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import type { SQSBatchResponse, SQSEvent } from 'aws-lambda';

/** An event as EventBridge puts it into a queue, as far as the forwarder looks at it. */
interface RekeyEvent {
  readonly 'detail-type': string;
  readonly detail: { readonly id?: string; readonly credentialId?: string };
}

/** How a broker takes an event over HTTP, and how it says that it has it. */
interface Broker {
  readonly contentType: string;
  readonly body: (event: RekeyEvent) => object;
  /** Whether an answer of status 2xx accepts the event. */
  readonly accepts: (answer: unknown) => boolean;
}

const BROKERS = {
  /** `https://pubsub.googleapis.com/v1/projects/<project>/topics/<topic>:publish` */
  pubsub: {
    contentType: 'application/json',
    body: (event) => ({
      messages: [
        {
          data: Buffer.from(JSON.stringify(event)).toString('base64'),
          // The id is the same at every delivery: subscribers drop what they have had.
          attributes: { id: event.detail.id ?? '', type: event['detail-type'] },
        },
      ],
    }),
    accepts: () => true,
  },
  /** `https://<REST proxy>/topics/<topic>`: answers 200 also where the broker behind it refuses a record. */
  kafka: {
    contentType: 'application/vnd.kafka.json.v2+json',
    body: (event) => ({ records: [{ key: event.detail.credentialId ?? null, value: event }] }),
    accepts: (answer) => {
      const { offsets } = (answer ?? {}) as { offsets?: { error_code?: number | null }[] };
      return (
        (offsets?.length ?? 0) > 0 && offsets?.every(({ error_code }) => (error_code ?? 0) === 0) === true
      );
    },
  },
} satisfies Record<string, Broker>;

export interface ForwardOptions {
  readonly broker: keyof typeof BROKERS;
  readonly url: string;
  /** Value of the header `Authorization`, asked for with each batch. */
  readonly authorization: () => Promise<string>;
  readonly timeoutMs?: number;
}

/** Sends each message of a batch by itself, and names those that failed: only they come again. */
export function forwarder({ broker, url, authorization, timeoutMs = 10_000 }: ForwardOptions) {
  const { contentType, body, accepts }: Broker = BROKERS[broker];

  async function send(text: string, authorized: string): Promise<void> {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': contentType, authorization: authorized },
      body: JSON.stringify(body(JSON.parse(text) as RekeyEvent)),
      // The header must not follow anybody anywhere.
      redirect: 'manual',
      signal: AbortSignal.timeout(timeoutMs),
    });
    const answer = await response.text();
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    if (!accepts(answer === '' ? undefined : JSON.parse(answer))) throw new Error('it refused the event');
  }

  return async ({ Records }: SQSEvent): Promise<SQSBatchResponse> => {
    const authorized = await authorization();
    const sent = await Promise.allSettled(Records.map(async (each) => send(each.body, authorized)));
    const failed = Records.filter((_each, index) => sent[index]?.status === 'rejected');
    if (failed.length > 0) console.warn(JSON.stringify({ message: 'not forwarded', failed: failed.length }));
    return { batchItemFailures: failed.map(({ messageId }) => ({ itemIdentifier: messageId })) };
  };
}

/** The header from a secret: of a REST proxy its `Basic …`; for Google rather a token by Workload Identity Federation. */
async function fromSecret(): Promise<string> {
  const vault = new SecretsManagerClient({});
  const SecretId = process.env['FORWARD_SECRET'];
  return (await vault.send(new GetSecretValueCommand({ SecretId }))).SecretString ?? '';
}

/** What Lambda calls. Environment: FORWARD_BROKER (`pubsub` or `kafka`), FORWARD_URL, FORWARD_SECRET. */
export const handler = forwarder({
  broker: process.env['FORWARD_BROKER'] === 'kafka' ? 'kafka' : 'pubsub',
  url: process.env['FORWARD_URL'] ?? '',
  authorization: fromSecret,
});
