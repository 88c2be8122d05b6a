import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Api } from '../http/api.ts';

/** An app that may administer a resource of its tenant, and the addresses of its cloud. */
export const adminSchema = z.object({
  tenantId: z.guid().toLowerCase(),
  clientId: z.guid(),
  clientSecret: z.string().min(1),
  loginUrl: z.string().min(1).default('https://login.microsoftonline.com'),
  adminUrl: z.string().min(1).default('https://management.azure.com'),
});

/** Headers of calls of Azure Resource Manager. `open` gives an API without a login. @throws RekeyError as `Api.call` */
export async function adminHeaders(
  { tenantId, clientId, clientSecret, loginUrl, adminUrl }: z.infer<typeof adminSchema>,
  target: { readonly tenantId: string },
  open: (baseUrl: string, field: string) => Api,
): Promise<Record<string, string>> {
  if (tenantId !== target.tenantId) {
    throw new RekeyError(
      'ERR_DECLARATION',
      'the administrative secret is not for the tenant of this target',
      {
        field: 'target.tenantId',
        remedy: 'declare the tenant that the secret names, or an administrative app of this tenant',
      },
    );
  }
  const { access_token: token } = await open(loginUrl, 'admin.loginUrl').call({
    method: 'POST',
    path: `/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`,
    form: {
      client_id: clientId,
      client_secret: clientSecret,
      grant_type: 'client_credentials',
      scope: new URL('/.default', adminUrl).href,
    },
    answer: z.object({ access_token: z.string().min(1) }),
  });
  return { authorization: `Bearer ${token}` };
}
