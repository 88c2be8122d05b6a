import type { CredentialSource } from './credential-source.ts';
import { millisecondsOf } from './options.ts';
import { backoffMs, systemTime, within, type Time } from './time.ts';
import { CredentialError } from './errors.ts';
import type { Verifying } from './verify/published.ts';
import { factOf, type Fact } from './queue/event.ts';
import { Hinted } from './queue/hinted.ts';

/** A message of a queue that events of Rekey's bus are put on. */
export interface QueueMessage {
  /** The event as EventBridge delivers it, in JSON. */
  readonly body: string;
  /** What `delete` needs to know it by. */
  readonly receipt: string;
}

/** How a queue is read, and who is told. */
export interface QueueOptions {
  /** Waits for messages, some seconds at most; none is an answer too. `sqsQueue` of `@rekey/client/sqs` has both. */
  readonly receive: (signal: AbortSignal) => Promise<readonly QueueMessage[]>;
  readonly delete: (message: QueueMessage) => Promise<unknown>;
  /**
   * The sources, by name or by id of their credentials. Orders of an emergency carry the id (`rekey show NAME`); a source may
   * stand under both.
   */
  readonly credentials: Readonly<Record<string, CredentialSource>>;
  /** What checks credentials of others, by name or by id in the same way: it forgets what it has read where something was revoked. */
  readonly verifiers?: Readonly<Record<string, Pick<Verifying, 'expire'>>>;
  /** So often the vault is read whatever the queue says; 60. */
  readonly pollSeconds?: number;
  /** Hears of what went wrong; it is tried again. */
  readonly onProblem?: (error: unknown) => unknown;
  /** Clocks and timers, for tests. */
  readonly time?: Time;
}

/** How long one call of `receive` may take: SQS waits 20 seconds at most. */
const RECEIVE_MS = 30_000;
const LONGEST_PAUSE_MS = 60_000;
const EAGER_MS = 200;

/** A hook that fails where it hears of failures has nobody left to tell. */
async function tell(onProblem: QueueOptions['onProblem'], error: unknown): Promise<void> {
  try {
    await onProblem?.(error);
  } catch {
    // See above.
  }
}

/**
 * Heeds events of rotations and emergencies that come over a queue. They are hints: what counts is what the vault has, so
 * late ones, lost ones and repeated ones do no harm. Disposing of it stops it.
 */
export function queueNotices(options: QueueOptions): AsyncDisposable {
  const { time = systemTime, credentials, verifiers = {}, onProblem } = options;
  const pollMs = millisecondsOf('pollSeconds', options.pollSeconds ?? 60);
  const stopping = new AbortController();
  // One for each source, under however many names it stands.
  const bySource = new Map(Object.values(credentials).map((source) => [source, new Hinted(source)]));
  const problem = (error: unknown): void => {
    if (!stopping.signal.aborted) void tell(onProblem, error);
  };

  const heed = async ({ names, ...fact }: Fact): Promise<void> => {
    if (fact.kind === 'revoked' || fact.kind === 'halt') for (const name of names) verifiers[name]?.expire();
    const source = names.map((name) => credentials[name]).find((found) => found !== undefined);
    if (source !== undefined) await bySource.get(source)?.heed(fact);
  };

  const handle = async (message: QueueMessage): Promise<void> => {
    const fact = factOf(message.body);
    if (fact !== undefined) await heed(fact);
    // Deleted when it was heeded: one that comes again does no harm.
    await options.delete(message);
  };

  const receive = async (): Promise<void> => {
    const late = (): Error => new CredentialError('ERR_TIMEOUT', 'the queue has not answered');
    const controller = new AbortController();
    const stop = (): void => controller.abort(stopping.signal.reason as Error);
    stopping.signal.addEventListener('abort', stop, { once: true });
    try {
      const messages = await within(time, { ms: RECEIVE_MS, controller, late }, options.receive);
      // All at once: an order to stop waits for nobody's look at the vault.
      await Promise.all(messages.map(async (message) => handle(message).catch(problem)));
    } finally {
      stopping.signal.removeEventListener('abort', stop);
    }
  };

  const pause = async (ms: number): Promise<void> => {
    const { signal } = stopping;
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = time.after(ms, end);
      signal.addEventListener('abort', end);
    });
  };

  const listen = async (): Promise<void> => {
    for (let failures = 0; !stopping.signal.aborted;) {
      try {
        await receive();
        failures = 0;
        // A queue that answers at once, and nothing, is not asked in a storm.
        await pause(EAGER_MS);
      } catch (error) {
        problem(error);
        failures++;
        await pause(backoffMs(failures, LONGEST_PAUSE_MS, time.random()));
      }
    }
  };

  const poll = async (): Promise<void> => {
    for (;;) {
      await pause(pollMs * (0.9 + time.random() / 10));
      if (stopping.signal.aborted) return;
      await Promise.all([...bySource.values()].map(async (hinted) => hinted.poll().catch(problem)));
    }
  };

  const lives = [listen(), poll()];
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort(new CredentialError('ERR_CLOSED', 'the queue is no longer read'));
      for (const hinted of bySource.values()) hinted.stop();
      await Promise.all(lives);
    },
  };
}
