import type { Credential } from './credential.ts';
import { CredentialError } from './errors.ts';

/**
 * The access token in a secret as Rekey writes it for a family of OAuth tokens: `{"access_token": …, "token_type": "Bearer", …}`.
 * @throws CredentialError ERR_CONSENT where there is none until a person consents
 */
export function accessTokenIn(credential: Credential): string {
  if (credential.json()['error'] === 'consent_needed') {
    throw new CredentialError('ERR_CONSENT', 'there is no access token until a person consents', {
      remedy: 'tell your operator: `rekey connect` with the name of the family',
    });
  }
  return credential.field('access_token');
}

/** When that access token ends, in milliseconds since 1970; for the option `expiresAt` of a source. */
export function accessTokenExpiry(credential: Credential): number | undefined {
  const at = credential.json()['expires_at'];
  const ms = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  return Number.isNaN(ms) ? undefined : ms;
}
