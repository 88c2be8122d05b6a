import * as z from 'zod';
import { RekeyError, type ErrorCode } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import type { Api, Call } from '../http/api.ts';

/** `error` has code 0 where nothing is wrong. Its message may quote a key, and is left out. */
const operationSchema = z.object({
  name: z.string().regex(/^operations\/[\w.-]+$/),
  done: z.boolean().default(false),
  error: z.object({ code: z.int().default(0) }).optional(),
});

/**
 * Between looks at something that is under way, in milliseconds: twelve seconds in all. The function of an emergency has
 * thirty, logins and calls included.
 */
export const LOOKS_MS: readonly number[] = [50, 200, 400, 800, 1500, 3000, 3000, 3000];

/** What codes of google.rpc.Code mean; all others are tried again. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  3: 'ERR_REJECTED',
  5: 'ERR_NOT_FOUND',
  6: 'ERR_CONFLICT',
  7: 'ERR_ADMIN_DENIED',
  8: 'ERR_CAPACITY',
  9: 'ERR_REJECTED',
  12: 'ERR_REJECTED',
  16: 'ERR_ADMIN_DENIED',
};

/**
 * Starts a long-running operation and waits for its end. Whoever repeats it finds what it has done.
 * @throws RekeyError as `Api.call`; ERR_UNAVAILABLE where it isn't done in time
 */
export async function operate(api: Pick<Api, 'call'>, call: Omit<Call<unknown>, 'answer'>): Promise<void> {
  let operation = await api.call({ ...call, answer: operationSchema });
  for (const waitMs of LOOKS_MS) {
    if (operation.done) break;
    await pause(waitMs);
    operation = await api.call({ method: 'GET', path: `/v2/${operation.name}`, answer: operationSchema });
  }
  const { name, done, error } = operation;
  if (!done) throw notDone(name);
  const code = error?.code ?? 0;
  if (code === 0) return;
  throw new RekeyError(CODES[code] ?? 'ERR_UNAVAILABLE', `Google has ended ${name} with code ${code}`, {
    field: 'target',
    remedy: 'look up the code among those of google.rpc.Code; nothing was removed to make room',
  });
}

/** What is under way, for now without an outcome. */
export function notDone(what: string): RekeyError {
  return new RekeyError('ERR_UNAVAILABLE', `${what} is not done at Google yet`, {
    remedy: 'it is tried again, and finds what has come of it',
  });
}
