import * as z from 'zod';
import { fromInstant, toInstant } from '../../domain/clock.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { pause } from '../../http/exchange.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { keyProvider, type Making, type UpstreamKey } from '../http/keys.ts';
import { targetOf } from '../http/target.ts';
import { lifetimeSeconds } from '../lifetime.ts';

interface AzureAppTarget {
  readonly tenantId: string;
  readonly clientId: string;
  readonly label: string;
  /** Where apps log in: of a sovereign cloud, its own host. */
  readonly baseUrl?: string | undefined;
  /** What a token is asked for when a secret is tested; that of Microsoft Graph where nothing is said. */
  readonly scope?: string | undefined;
}

/** An app that may administer others of its tenant, and the Graph of its cloud. */
const adminSchema = z.object({
  tenantId: z.guid(),
  clientId: z.guid(),
  clientSecret: z.string().min(1),
  graphUrl: z.string().min(1).default('https://graph.microsoft.com/v1.0'),
});

const keySchema = z.object({ keyId: z.guid(), displayName: z.string().nullish() });
/** Graph tells neither how many secrets an app may have: the app as a whole has a size. */
const full = z.object({
  error: z.object({ code: z.enum(['Directory_ResourceSizeExceeded', 'Directory_QuotaExceeded']) }),
});

const LOGIN = 'https://login.microsoftonline.com';
/** Copies of the directory learn of a change one after another: how long Graph is asked until it shows one, in milliseconds. */
const WAITS_MS = [100, 300, 1000, 2000];
/** So often in a row a new secret is taken before it counts as known everywhere. */
const GOOD_CALLS = 3;

/**
 * Microsoft Entra: client secrets of an app registration, by Microsoft Graph. The administrative secret is an app as well,
 * `{"tenantId": …, "clientId": …, "clientSecret": …}`; for a sovereign cloud with `baseUrl` and `graphUrl`.
 */
export const azureAppProvider = keyProvider<AzureAppTarget, z.infer<typeof adminSchema>>({
  key: 'cloud-key/azure-app',
  name: 'Microsoft Entra',
  baseUrl: LOGIN,
  ...targetOf({
    tenantId: z.guid('must be the id of the tenant, a UUID').toLowerCase(),
    clientId: z.guid('must be the client id of the app, a UUID').toLowerCase(),
    scope: z.string().min(1).max(256).optional(),
  }),
  owner: ({ tenantId, clientId }) => `${tenantId}/${clientId}`,
  form: {
    key: 'clientSecret',
    id: 'clientSecretId',
    beside: ['tenantId', 'clientId'],
    of: ({ tenantId, clientId }) => ({ tenantId, clientId }),
  },
  admin: adminSchema,
  adminUrl: ({ graphUrl }) => graphUrl,

  async adminHeaders({ tenantId, clientId, clientSecret, graphUrl }, target, open) {
    if (tenantId.toLowerCase() !== target.tenantId) {
      throw new RekeyError(
        'ERR_DECLARATION',
        'the administrative secret is not for the tenant of this target',
        {
          field: 'target.tenantId',
          remedy: 'declare the tenant that the secret names, or an administrative app of this tenant',
        },
      );
    }
    const { access_token: token } = await open(target.baseUrl ?? LOGIN, 'target.baseUrl').call({
      method: 'POST',
      path: tokenPath(target),
      form: {
        client_id: clientId,
        client_secret: clientSecret,
        grant_type: 'client_credentials',
        scope: new URL('/.default', graphUrl).href,
      },
      answer: z.object({ access_token: z.string().min(1) }),
    });
    return { authorization: `Bearer ${token}` };
  },
  agentHeaders: (value, { clientId }) => ({
    authorization: `Basic ${Buffer.from(`${clientId}:${encodeURIComponent(value)}`).toString('base64')}`,
  }),

  list,
  find,

  async create(api, target, displayName, _admin, about) {
    const { keyId: id, secretText: value } = await api.call({
      method: 'POST',
      path: `${appPath(target)}/addPassword`,
      body: { passwordCredential: { displayName, ...lifeOf(about) } },
      answer: z.object({ keyId: z.guid(), secretText: z.string().min(1) }),
      full,
    });
    await shows(api, target, id, true);
    return { id, value };
  },

  async remove(api, target, id) {
    if ((await find(api, target, id)) === undefined) return;
    const path = `${appPath(target)}/removePassword`;
    try {
      await api.find({ method: 'POST', path, body: { keyId: id }, answer: ANYTHING });
    } catch (error) {
      // Graph takes the removal of what is gone for a mistake; somebody else may have been faster.
      if (!isRekeyError(error, 'ERR_REJECTED') || (await find(api, target, id)) !== undefined) throw error;
    }
    await shows(api, target, id, false);
  },

  /** Logs in as the app. Of a wrong secret Entra says so with 401 (AADSTS7000215), as of one that has not spread yet. */
  async test(api, target) {
    const { scope = 'https://graph.microsoft.com/.default' } = target;
    const form = { grant_type: 'client_credentials', scope };
    const answer = z.object({ access_token: z.string().min(1) });
    for (let good = 0; good < GOOD_CALLS; good++)
      await api.call({ method: 'POST', path: tokenPath(target), form, answer });
  },

  byHand: ({ tenantId, clientId }, id) =>
    [
      `# as somebody who may change the app: az login --tenant ${tenantId}`,
      `az ad app credential delete --id ${clientId} --key-id ${id}`,
      '# Tokens that were issued before live on, an hour or more; this also ends those of the app, whatever secret they came from:',
      `# az ad sp update --id ${clientId} --set accountEnabled=false`,
      `# Dead once this does not name it: az ad app credential list --id ${clientId}`,
    ].join('\n'),
});

async function list(api: Api, target: AzureAppTarget): Promise<UpstreamKey[]> {
  const { passwordCredentials } = await api.call({
    method: 'GET',
    path: `${appPath(target)}?$select=passwordCredentials`,
    answer: z.object({ passwordCredentials: z.array(keySchema) }),
  });
  return passwordCredentials.map(({ keyId: id, displayName }) => ({
    id,
    name: displayName ?? '',
    active: true,
  }));
}

async function find(api: Api, target: AzureAppTarget, id: string): Promise<UpstreamKey | undefined> {
  return (await list(api, target)).find((key) => key.id === id);
}

/** Waits a moment until Graph shows a secret, or shows it no more; whoever comes next looks himself. */
async function shows(api: Api, target: AzureAppTarget, id: string, wanted: boolean): Promise<void> {
  for (const waitMs of WAITS_MS) {
    if (((await find(api, target, id)) !== undefined) === wanted) return;
    await pause(waitMs);
  }
}

/** In place of Entra's two years. */
function lifeOf({ now, intervalSeconds }: Making): { endDateTime?: string } {
  const seconds = lifetimeSeconds(intervalSeconds);
  return seconds === undefined ? {} : { endDateTime: toInstant(fromInstant(now) + seconds * 1000) };
}

function appPath({ clientId }: AzureAppTarget): string {
  return `/applications(appId='${encodeURIComponent(clientId)}')`;
}

function tokenPath({ tenantId }: AzureAppTarget): string {
  return `/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;
}
