import { gunzipSync } from 'node:zlib';
import * as z from 'zod';
import { RekeyError } from '../domain/errors.ts';

/** What a subscription of CloudWatch Logs gives at once: lines of one stream, in their order. */
export interface LogDelivery {
  readonly account: string;
  readonly logGroup: string;
  readonly logStream: string;
  readonly messages: readonly string[];
}

/** Far beyond what CloudWatch Logs puts into one event. */
const MAX_BYTES = 64 * 1024 * 1024;

const envelope = z.object({ awslogs: z.object({ data: z.string() }) });
const delivered = z.object({
  messageType: z.string(),
  owner: z.string(),
  logGroup: z.string(),
  logStream: z.string(),
  logEvents: z.array(z.object({ message: z.string() })),
});

/**
 * Unpacks an event of CloudWatch Logs; undefined for the message with which it tries out whether it is let in.
 * @throws RekeyError ERR_REQUEST where it is none
 */
export function logDeliveryOf(event: unknown): LogDelivery | undefined {
  const { messageType, owner: account, logGroup, logStream, logEvents } = unpacked(event);
  if (messageType !== 'DATA_MESSAGE') return undefined;
  return { account, logGroup, logStream, messages: logEvents.map(({ message }) => message) };
}

function unpacked(event: unknown): z.infer<typeof delivered> {
  try {
    const packed = Buffer.from(envelope.parse(event).awslogs.data, 'base64');
    return delivered.parse(JSON.parse(gunzipSync(packed, { maxOutputLength: MAX_BYTES }).toString('utf8')));
  } catch {
    // Not as the cause: it may quote lines.
    throw new RekeyError('ERR_REQUEST', 'this is no delivery of CloudWatch Logs', {
      field: 'awslogs.data',
      remedy: 'only subscriptions of the setting uses.databaseLogs may call this function',
    });
  }
}
