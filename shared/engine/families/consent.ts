import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import type { ConsentAddress, ConsentRequest } from '../../ports/authorization-server.ts';
import { familyNamed, type FamilyDeps } from './deps.ts';

/** What a person is asked for, and where. */
export interface ConsentAsked {
  readonly family: Family;
  /** Absent where nobody has to consent: the client acts for itself. */
  readonly address?: ConsentAddress;
}

/**
 * Where a person's browser is sent to consent. Changes nothing: what makes the answer ours stays with whoever asks, and the
 * code that comes back is worth something only with the client's secret.
 * @throws RekeyError ERR_NOT_FOUND, and what a look at the server's metadata may end in
 */
export async function askForConsent(
  deps: Pick<FamilyDeps, 'families' | 'server'>,
  { name, request }: { name: string; request: ConsentRequest },
): Promise<ConsentAsked> {
  const family = await familyNamed(deps, name);
  if (family.terms.grant !== 'authorization_code') return { family };
  return { family, address: await deps.server.consentAddress(family.terms, request) };
}

/**
 * What has gone wrong while a person connects, as they are told it: the coordinator tries a refresh again by itself, and never
 * what a person has asked for.
 */
export function asConnecting(error: unknown, name: string): unknown {
  if (!isRekeyError(error, 'ERR_UNAVAILABLE')) return error;
  return new RekeyError(error.code, error.message, {
    remedy: `look whether the server is up, then connect again: \`rekey connect ${name}\``,
    cause: error,
  });
}
