import * as z from 'zod';
import type { Api } from '../http/api.ts';
import { bearerOf } from '../http/login.ts';

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
