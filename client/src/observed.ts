import type { FailureTest } from './authentication.ts';
import type { Credential } from './credential.ts';
import type { Use } from './listeners.ts';

/** What is done with a credential. */
export type Work<T> = (credential: Credential) => T | Promise<T>;

/** `work` that tells of each use. What fails for another reason says nothing of the credential. */
export function observed<T>(work: Work<T>, isFailure: FailureTest, tell: (use: Use) => void): Work<T> {
  return async (credential) => {
    const { versionId } = credential;
    try {
      const result = await work(credential);
      tell({ versionId, refused: false });
      return result;
    } catch (error) {
      if (isFailure(error)) tell({ versionId, refused: true });
      throw error;
    }
  };
}
