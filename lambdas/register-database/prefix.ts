import type { CredentialEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';

/**
 * Refuses a secret that this deployment's roles couldn't reach, before anything is made.
 * @throws RekeyError ERR_DECLARATION at `secret`.
 */
export function assertPrefix({ secret }: CredentialEntry, prefix: string): void {
  if (secret.startsWith(prefix) && secret.length > prefix.length) return;
  throw new RekeyError('ERR_DECLARATION', `the name of the secret does not begin with "${prefix}"`, {
    field: 'secret',
    remedy: `name it ${prefix}… ; the prefix is the deployment's setting secretPrefix, which bounds what its roles reach`,
  });
}
