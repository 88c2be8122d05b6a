import { RekeyError } from '../../domain/errors.ts';
import { LoginRefused } from './api.ts';

/**
 * Whether an upstream refuses a login (negative authentication): its own 401 or 403 alone says so. Any other trouble is no
 * evidence, and is thrown.
 */
export async function isRefused(use: () => Promise<unknown>): Promise<boolean> {
  try {
    await use();
    return false;
  } catch (error) {
    if (error instanceof LoginRefused) return true;
    throw error;
  }
}

/**
 * Refuses an upstream that lets in whom it should not: no key there would protect anything, and none could be revoked.
 * @throws RekeyError ERR_REJECTED
 */
export async function assertCloses(
  name: string,
  enter: () => Promise<unknown>,
  remedy: string,
): Promise<void> {
  if (await isRefused(enter)) return;
  throw new RekeyError('ERR_REJECTED', `${name} lets in who has no valid key: a key would protect nothing`, {
    field: 'target.baseUrl',
    remedy,
  });
}
