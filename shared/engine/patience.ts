import { isRekeyError } from '../domain/errors.ts';

/** How long an emergency waits for the ledger where something else must not wait for it (ms). */
export const LEDGER_PATIENCE_MS = 500;

/** A rotation under way commits too: the emergency reads again until it is first, whatever the others do. */
export async function retrying<T>(run: () => Promise<T>, isWanted = (): boolean => true): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= 20 || !isWanted() || !isRekeyError(error, 'ERR_CONFLICT', 'ERR_PREEMPTED')) throw error;
    }
  }
}

/** What `work` gives if it is done within its time. Its failure is not ours: the next state records what is missing. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  return Promise.race([work.catch(() => undefined), after(ms).then(() => undefined)]);
}

/** Resolves once the time is up. */
export function after(ms: number): Promise<'late'> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms, 'late').unref();
  });
}
