import { familyChecks } from '../../domain/diagnose-families.ts';
import { bad, ok, refusal, type Check } from '../../domain/diagnosis.ts';
import { isRekeyError } from '../../domain/errors.ts';
import type { Family } from '../../domain/families.ts';
import { clientHostsOf, clientSecretOf } from '../../domain/family-secret.ts';
import { familyNamed, type FamilyDeps } from './deps.ts';
import { storedBy } from './store.ts';

/** A family as the function sees it that refreshes it: nothing is asked of the server, and no token is spent. */
export async function diagnoseFamily(deps: FamilyDeps, name: string): Promise<Check[]> {
  const family = await familyNamed(deps, name);
  return [
    ...familyChecks(family, deps.clock()),
    await check('client secret', () => clientSecret(deps, family)),
    await check('refresh token', () => refreshToken(deps, family)),
  ];
}

async function check(name: string, look: () => Promise<Check>): Promise<Check> {
  try {
    return await look();
  } catch (error) {
    if (isRekeyError(error)) return refusal('secret', name, error.toJSON());
    return bad('fail', 'secret', name, 'it could not be read', 'the log of refresh-families has why');
  }
}

async function clientSecret(deps: FamilyDeps, { terms: { client } }: Family): Promise<Check> {
  const about = 'client secret';
  if (client.secret === undefined) return ok('secret', about, 'the client has none');
  const text = await deps.readClientSecret(client.secret, 'AWSCURRENT');
  if (text === undefined) {
    return bad('fail', 'secret', about, `${client.secret} has no value`, 'put {"client_secret": …} into it');
  }
  clientSecretOf(text, client.secret);
  const hosts = clientHostsOf(text, client.secret);
  const where = hosts === undefined ? 'for any host: give it `allowedHosts`' : 'for the hosts that it names';
  return ok('secret', about, `in ${client.secret}, ${where}`);
}

async function refreshToken(deps: FamilyDeps, family: Family): Promise<Check> {
  const { tokens, refreshSecretName } = family;
  const about = 'refresh token';
  if (tokens === undefined) return ok('secret', about, 'none is kept');
  const stored = await storedBy(deps, family, tokens.versionId);
  return stored === undefined
    ? bad(
        'fail',
        'secret',
        about,
        `${refreshSecretName} has lost it`,
        `consent again: rekey connect ${family.name}`,
      )
    : ok('secret', about, 'kept where the coordinator alone reads it');
}
