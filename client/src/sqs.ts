import { DeleteMessageCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { QueueOptions } from './queue.ts';

/**
 * A queue of Amazon SQS for `queueNotices`. The caller needs `sqs:ReceiveMessage` and `sqs:DeleteMessage`. Each process
 * needs a queue of its own: what one has taken, no other sees.
 */
export function sqsQueue(
  client: Pick<SQSClient, 'send'>,
  queueUrl: string,
): Pick<QueueOptions, 'receive' | 'delete'> {
  return {
    receive: async (signal) => {
      const command = new ReceiveMessageCommand({
        QueueUrl: queueUrl,
        MaxNumberOfMessages: 10,
        WaitTimeSeconds: 20,
      });
      const { Messages = [] } = await client.send(command, { abortSignal: signal });
      return Messages.map(({ Body = '', ReceiptHandle = '' }) => ({ body: Body, receipt: ReceiptHandle }));
    },
    delete: async ({ receipt }) =>
      client.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle: receipt })),
  };
}
