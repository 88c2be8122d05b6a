import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';
import { bearerOf } from '../http/login.ts';

/** The address at which apps log in, but for those of a sovereign cloud. */
export const LOGIN = 'https://login.microsoftonline.com';

/** A field of a target: the id of a tenant. */
export const tenantField = z.guid('must be the id of the tenant, a UUID').toLowerCase();

/** What counts of an administrative secret that is an app of Entra. */
export const appFields = {
  tenantId: z.guid().toLowerCase(),
  clientId: z.guid(),
  clientSecret: z.string().min(1),
};

/** An app of Entra with its secret. */
export type App = z.infer<z.ZodObject<typeof appFields>>;

/** Path of a tenant's tokens. */
export function tokenPath(tenant: string): string {
  return `/${encodeURIComponent(tenant)}/oauth2/v2.0/token`;
}

/**
 * The header with a token of the app for the API at `audience`; `login` is an API where apps log in.
 * @throws RekeyError as `Api.call`; ERR_DECLARATION where the app is of another tenant than the target
 */
export async function asApp(
  login: Api,
  app: App,
  target: { readonly tenantId: string },
  audience: string,
): Promise<{ authorization: string }> {
  if (app.tenantId !== target.tenantId) {
    throw new RekeyError('ERR_DECLARATION', 'the administrative secret is for another tenant', {
      field: 'target.tenantId',
      remedy: 'declare the tenant that the secret names, or an administrative app of this tenant',
    });
  }
  const scope = new URL('/.default', audience).href;
  const form = { client_id: app.clientId, client_secret: app.clientSecret, scope };
  return bearerOf(login, { path: tokenPath(app.tenantId), form });
}
