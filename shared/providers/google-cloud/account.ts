import * as z from 'zod';
import type { AdminLogin } from '../http/admin-side.ts';
import type { KeyTarget } from '../http/target.ts';
import { keyFileSchema, tokenOf } from './login.ts';

/** A field of a target: the e-mail address of a service account. */
export const accountField = z.email('must be the e-mail address of a service account');

const admin = keyFileSchema.extend({ adminUrl: z.string().min(1).optional() });

/** The administrative secret: the key file of a service account, as Google gives it. */
export type AccountLogin = z.infer<typeof admin>;

/**
 * Rekey's own login at one of Google's APIs, as a service account. `adminUrl` in the secret is where that API isn't at its
 * usual address.
 */
export function asAccount(usualUrl: string) {
  return {
    admin,
    adminUrl: ({ adminUrl = usualUrl }) => adminUrl,
    adminHeaders: async (account, _target, open) => ({
      authorization: `Bearer ${await tokenOf(account, (baseUrl) => open(baseUrl, 'admin.token_uri'), 'admin')}`,
    }),
  } satisfies Omit<AdminLogin<KeyTarget, AccountLogin>, 'name'>;
}

/** The last part of a resource's name, which is its id. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('/') + 1);
}
