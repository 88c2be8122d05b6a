import { setTimeout as sleep } from 'node:timers/promises';
import { DeleteMessageCommand, ReceiveMessageCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { ProbeCall } from './probe.ts';

/** The calls that the probe tells of, in the order in which it was called. */
export class ProbeCalls {
  readonly #sqs: SQSClient;
  readonly #queue: string;
  readonly #seen: ProbeCall[] = [];
  #reading: Promise<void> | undefined;

  constructor(sqs: SQSClient, queue: string) {
    this.#sqs = sqs;
    this.#queue = queue;
  }

  /** The calls about a secret, or about one token of it. */
  async of(secret: string, token?: string): Promise<readonly ProbeCall[]> {
    await (this.#reading ??= this.#read().finally(() => (this.#reading = undefined)));
    return this.#seen.filter(
      (call) => call.secret === secret && (token === undefined || call.token === token),
    );
  }

  /** The calls once they are as wanted; undefined where they are not in time. */
  async until(
    secret: string,
    token: string | undefined,
    wanted: (calls: readonly ProbeCall[]) => boolean,
    { seconds, signal }: { readonly seconds: number; readonly signal: AbortSignal },
  ): Promise<readonly ProbeCall[] | undefined> {
    for (const end = Date.now() + seconds * 1000; ; await sleep(250, undefined, { signal })) {
      const calls = await this.of(secret, token);
      if (wanted(calls)) return calls;
      if (Date.now() > end) return undefined;
    }
  }

  /** Takes what lies in the queue; several scenarios share one reader. */
  async #read(): Promise<void> {
    for (;;) {
      const { Messages = [] } = await this.#sqs.send(
        new ReceiveMessageCommand({ QueueUrl: this.#queue, MaxNumberOfMessages: 10 }),
      );
      if (Messages.length === 0) return;
      for (const { Body = '', ReceiptHandle } of Messages) {
        this.#seen.push(JSON.parse(Body) as ProbeCall);
        await this.#sqs.send(new DeleteMessageCommand({ QueueUrl: this.#queue, ReceiptHandle }));
      }
    }
  }
}
