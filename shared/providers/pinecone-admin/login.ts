import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import { bearerOf } from '../http/login.ts';
import { ownBaseUrl } from '../http/target.ts';

/** A service account of Pinecone, and where its token is fetched: its secret is sent nowhere else than this says itself. */
export const serviceAccount = z.object({
  clientId: z.string().min(1),
  clientSecret: z.string().min(1),
  loginUrl: z.string().min(1).optional(),
});

/** Where Pinecone's own tokens come from. */
export const LOGIN = 'https://login.pinecone.io';

/** A version of Pinecone's API, as a target names it. */
export const apiVersion = z
  .string()
  .regex(/^\d{4}-\d{2}$/, 'must be a version of the API, e.g. 2026-04')
  .optional();

/** The header that every call needs. */
export function versionHeader(version = '2026-04'): Record<string, string> {
  return { 'x-pinecone-api-version': version };
}

/** Headers of calls as a service account, whose token `login` gives. @throws RekeyError as `Api.call` */
export async function headersOf(
  login: Api,
  { clientId, clientSecret }: z.infer<typeof serviceAccount>,
  version: string | undefined,
): Promise<Record<string, string>> {
  const headers = versionHeader(version);
  const body = { client_id: clientId, client_secret: clientSecret, audience: 'https://api.pinecone.io/' };
  return { ...headers, ...(await bearerOf(login, { path: '/oauth/token', headers, body })) };
}

/** Fields of a target that names its login, beside the version of the API. */
export const loginFields = { loginUrl: ownBaseUrl.optional(), apiVersion };

/** Where a target says that tokens come from. */
export interface LoginPlace {
  readonly loginUrl?: string | undefined;
  readonly apiVersion?: string | undefined;
}

/** The same at the address that a target names. @throws RekeyError as `Api.call` */
export async function headersAt(
  open: (url: string, field: string) => Api,
  account: z.infer<typeof serviceAccount>,
  { loginUrl = LOGIN, apiVersion: version }: LoginPlace,
): Promise<Record<string, string>> {
  return headersOf(open(loginUrl, 'target.loginUrl'), account, version);
}

/**
 * Refuses an administrative secret whose tokens come from elsewhere than its target says, before anything is sent there.
 * @throws RekeyError ERR_DECLARATION
 */
export function assertLogin(admin: LoginPlace, { loginUrl = LOGIN }: LoginPlace): void {
  if ((admin.loginUrl ?? LOGIN) === loginUrl) return;
  throw new RekeyError('ERR_DECLARATION', 'the administrative secret has its tokens from elsewhere', {
    field: 'target.loginUrl',
    remedy: 'declare the address that the secret names as its loginUrl; nothing was sent there',
  });
}
