import type { CredentialEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';

/**
 * Refuses a secret that this deployment's roles couldn't reach, before anything is made. What exists may also be below
 * one of `adoptPrefixes`.
 * @throws RekeyError ERR_DECLARATION at `secret`.
 */
export function assertPrefix(
  { secret, adopt }: CredentialEntry,
  prefix: string,
  adoptPrefixes: readonly string[],
): void {
  const allowed = adopt === true ? [prefix, ...adoptPrefixes] : [prefix];
  if (allowed.some((each) => secret.startsWith(each) && secret.length > each.length)) return;
  throw new RekeyError(
    'ERR_DECLARATION',
    `the name of the secret does not begin with "${allowed.join('" or "')}"`,
    {
      field: 'secret',
      remedy:
        adopt === true
          ? 'add the beginning of its name to the setting adoptPrefixes, and deploy: it bounds what the roles reach'
          : `name it ${prefix}… ; the prefix is the deployment's setting secretPrefix, which bounds what its roles reach`,
    },
  );
}
