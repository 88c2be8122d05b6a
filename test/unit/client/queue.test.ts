import { describe, expect, it } from 'vitest';
import { queueNotices, type QueueMessage } from '../../../client/src/queue.ts';
import { sqsQueue } from '../../../client/src/sqs.ts';
import { atRest } from '../../fakes/fake-time.ts';
import { sourceCase, type SourceCase } from '../../support/client.ts';

const CREDENTIAL_ID = '8e532557-c95d-4300-8581-2fc3d882555b';

/** A queue in memory beside a source. `at` of an event: seconds since 1970, as the fake vault dates its versions. */
class QueueCase implements AsyncDisposable {
  readonly of: SourceCase;
  readonly waiting: QueueMessage[] = [];
  readonly problems: unknown[] = [];
  readonly deleted: string[] = [];
  fails = false;
  readonly #reading: AsyncDisposable;
  #sent = 0;

  /** How often what verifies was made to forget what it has read. */
  expired = 0;

  constructor(of: SourceCase) {
    this.of = of;
    this.#reading = queueNotices({
      credentials: { 'orders-db': of.source, [CREDENTIAL_ID]: of.source },
      verifiers: { 'orders-db': { expire: () => void this.expired++ } },
      receive: async (signal) => this.#receive(signal),
      delete: async ({ receipt }) => this.deleted.push(receipt),
      onProblem: (error) => this.problems.push(error),
      time: of.time,
    });
  }

  async send(detailType: string, at = 0, detail: object = {}): Promise<void> {
    const about = { credential: 'orders-db', credentialId: CREDENTIAL_ID, time: new Date(at * 1000) };
    const event = { source: 'rekey', 'detail-type': detailType, detail: { ...about, ...detail } };
    await this.put(JSON.stringify(event));
  }

  async put(body: string): Promise<void> {
    this.waiting.push({ body, receipt: `r${++this.#sent}` });
    await this.of.time.pass(1);
  }

  async #receive(signal: AbortSignal): Promise<readonly QueueMessage[]> {
    if (this.fails) throw new Error('connect ECONNREFUSED');
    // Waits for messages, as SQS does.
    if (this.waiting.length === 0)
      await new Promise<void>((resolve, reject) => {
        const cancel = this.of.time.after(500, resolve);
        signal.addEventListener('abort', () => (cancel(), reject(signal.reason as Error)));
      });
    return this.waiting.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reading[Symbol.asyncDispose]();
    await this.of.source[Symbol.asyncDispose]();
  }
}

const made = async (): Promise<QueueCase> => new QueueCase(await sourceCase({ lifetimeSeconds: 1_000 }));
const served = ({ of: { source } }: QueueCase): string => source.current().reveal();

describe('a queue of events', () => {
  it.each(['Credential Rotated', 'Credential Rotation Rolled Back', 'Credential Revoked'])(
    '%s: the vault is read at once',
    async (detailType) => {
      await using queue = await made();
      await queue.of.time.pass(5);
      queue.of.vault.put('two', 'AWSCURRENT');
      await queue.send(detailType);
      expect(served(queue)).toBe('two');
      expect(queue.deleted).toEqual(['r1']);
    },
  );

  it('reads nothing for what concerns nobody here, and for what is no event', async () => {
    await using queue = await made();
    const { calls } = queue.of.vault;
    await queue.send('Credential Retired');
    await queue.send('Credential Rotated', 0, { credential: 'payroll', credentialId: 'other' });
    for (const body of ['', 'null', '[]', '{"source":"rekey"}', '<html>']) await queue.put(body);
    await queue.put(JSON.stringify({ source: 'else', 'detail-type': 'Credential Rotated', detail: {} }));
    expect(queue.of.vault.calls).toBe(calls);
    expect(queue.deleted).toHaveLength(8);
    expect(queue.problems).toEqual([]);
  });

  it.each([
    ['Credential Revoked', 1],
    ['Agents Halt', 1],
    ['Credential Rotated', 0],
    ['Credential Rotation Rolled Back', 0],
    ['Agents Resume', 0],
  ])('%s: what verifies forgets what it has read, %i times', async (detailType, times) => {
    await using queue = await made();
    await queue.send(detailType, 10);
    expect([queue.expired, queue.problems]).toEqual([times, []]);
    await queue.send(detailType, 10, { credential: 'payroll', credentialId: 'other' });
    expect(queue.expired).toBe(times);
  });

  it('halts, and resumes with what the vault has then', async () => {
    await using queue = await made();
    await queue.send('Agents Halt', 10, { credential: undefined, reason: 'INC-1' });
    expect(() => served(queue)).toThrow(expect.objectContaining({ code: 'ERR_HALTED' }));
    queue.of.vault.put('two', 'AWSCURRENT');
    await queue.send('Agents Resume', 20, { credential: undefined });
    expect(served(queue)).toBe('two');
    // Once more, and late.
    await queue.send('Agents Halt', 10);
    await queue.send('Agents Resume', 20);
    expect(served(queue)).toBe('two');
  });

  it('does not halt where the order to go on has come first', async () => {
    await using queue = await made();
    await queue.send('Agents Resume', 20);
    await queue.send('Agents Halt', 10);
    expect(served(queue)).toBe('one');
  });

  it('does not halt for an order from before the value that is served', async () => {
    await using queue = await made();
    for (let each = 0; each < 30; each++) queue.of.vault.put('between');
    queue.of.vault.put('new', 'AWSCURRENT');
    await queue.of.source.refreshNow();
    const halts: unknown[] = [];
    queue.of.source.on('halted', (halt) => halts.push(halt));
    await queue.send('Agents Halt', 10);
    expect([served(queue), halts]).toEqual(['new', []]);
  });

  it('goes on where the order to do so was lost and the vault has a newer value', async () => {
    await using queue = await made();
    await queue.send('Agents Halt', 10);
    for (let each = 0; each < 30; each++) queue.of.vault.put('between');
    queue.of.vault.put('new', 'AWSCURRENT');
    await queue.of.time.pass(61);
    expect(served(queue)).toBe('new');
  });

  it('finds a rotation within a minute where no event comes, also while the queue is out', async () => {
    await using queue = await made();
    queue.fails = true;
    queue.of.vault.put('two', 'AWSCURRENT');
    await queue.of.time.pass(61);
    expect(served(queue)).toBe('two');
    // Tries are spaced.
    expect(queue.problems.length).toBeLessThan(10);
    queue.fails = false;
    await queue.of.time.pass(61);
    queue.of.vault.put('three', 'AWSCURRENT');
    await queue.send('Credential Rotated');
    expect(served(queue)).toBe('three');
  });

  it('keeps what could not be heeded, and hears an order beside it', async () => {
    await using queue = await made();
    queue.of.vault.fault = 'fails';
    queue.waiting.push({ body: 'nothing', receipt: 'first' });
    await queue.send('Credential Rotated');
    expect(queue.deleted).toEqual(['first']);
    await queue.send('Agents Halt', 10);
    expect(queue.of.source.acceptsNewTasks).toBe(false);
    expect(queue.problems).toMatchObject([{ code: 'ERR_UNAVAILABLE' }]);
  });

  it('stops when it is disposed of', async () => {
    const queue = await made();
    await queue[Symbol.asyncDispose]();
    await atRest();
    expect(queue.of.time.timers).toBe(0);
    expect(queue.problems).toEqual([]);
  });
});

describe('a queue of SQS', () => {
  it('is asked for ten messages with a long wait, and for the end of each', async () => {
    const sent: object[] = [];
    const client = {
      send: async (command: { readonly input: object }) => {
        sent.push(command.input);
        return { Messages: [{ Body: '{}', ReceiptHandle: 'r' }] };
      },
    };
    const queue = sqsQueue(client as never, 'https://sqs.example/q');
    const messages = await queue.receive(new AbortController().signal);
    expect(messages).toEqual([{ body: '{}', receipt: 'r' }]);
    for (const message of messages) await queue.delete(message);
    expect(sent).toEqual([
      { QueueUrl: 'https://sqs.example/q', MaxNumberOfMessages: 10, WaitTimeSeconds: 20 },
      { QueueUrl: 'https://sqs.example/q', ReceiptHandle: 'r' },
    ]);
  });
});
