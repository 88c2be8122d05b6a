import { isRekeyError, type RekeyError } from '../../shared/domain/errors.ts';

/** The error with which Rekey refuses; fails where the action is accepted, or where something else is thrown. */
export async function refusalOf(action: () => unknown): Promise<RekeyError> {
  try {
    await action();
  } catch (error) {
    if (isRekeyError(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}
