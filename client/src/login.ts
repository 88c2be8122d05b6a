import type { Credential } from './credential.ts';

/** User and password change together. */
export interface Login {
  readonly user: string;
  readonly password: string;
}

/**
 * The login in a value with `username` and `password`, as Rekey and RDS write it. Also fit as option `validate`.
 * @throws CredentialError ERR_VALUE where one of them is missing
 */
export function loginOf(credential: Credential): Login {
  return { user: credential.field('username'), password: credential.field('password') };
}
