import { RekeyError } from '../../domain/errors.ts';
import { LoginRefused, LoginUnknown } from './api.ts';

/**
 * Whether an upstream refuses a login (negative authentication): only 401 says that it is dead or none, since one that may not do
 * this (403) lives (traps). Any other trouble is thrown: it is no evidence.
 */
export async function isRefused(use: () => Promise<unknown>): Promise<boolean> {
  try {
    await use();
    return false;
  } catch (error) {
    if (error instanceof LoginRefused) return error instanceof LoginUnknown;
    throw error;
  }
}

/**
 * Refuses an upstream that doesn't close the door: a key there would protect nothing, or its end could not be seen.
 * @throws RekeyError ERR_REJECTED
 */
export async function assertCloses(
  name: string,
  enter: () => Promise<unknown>,
  remedy: string,
): Promise<void> {
  if (await isRefused(enter)) return;
  throw new RekeyError('ERR_REJECTED', `${name} does not answer 401 to who has no valid key`, {
    field: 'target.baseUrl',
    remedy,
  });
}
