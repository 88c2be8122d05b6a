import * as z from 'zod';
import { isRekeyError } from '../../domain/errors.ts';
import { appFields, asApp, LOGIN, tenantField, tokenPath } from '../azure/login.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { trueSoon } from '../http/listing.ts';
import { bearerOf } from '../http/login.ts';
import { targetOf, type KeyTarget } from '../http/target.ts';
import { endsAfterInterval } from '../lifetime.ts';

interface AzureAppTarget extends KeyTarget {
  readonly tenantId: string;
  readonly clientId: string;
  /** What a token is asked for when a secret is tested; that of Microsoft Graph where nothing is said. */
  readonly scope?: string | undefined;
}

/** An app that may administer others of its tenant, and the Graph of its cloud. */
const adminSchema = z.object({
  ...appFields,
  graphUrl: z.string().min(1).default('https://graph.microsoft.com/v1.0'),
});

const keySchema = z.object({
  keyId: z.guid(),
  displayName: z.string().nullish(),
  hint: z.string().nullish(),
});
/** Graph tells neither how many secrets an app may have: the app as a whole has a size. */
const full = z.object({
  error: z.object({ code: z.enum(['Directory_ResourceSizeExceeded', 'Directory_QuotaExceeded']) }),
});

/** Copies of the directory learn of a change one after another: how long Graph is asked until it shows one, in milliseconds. */
const WAITS_MS = [100, 300, 1000, 2000];

/**
 * Microsoft Entra: client secrets of an app registration, by Microsoft Graph. The administrative secret is an app as well,
 * `{"tenantId": …, "clientId": …, "clientSecret": …}`; for a sovereign cloud with `baseUrl` and `graphUrl`.
 */
export const azureAppProvider = keyProvider<AzureAppTarget, z.infer<typeof adminSchema>>({
  key: 'cloud-key/azure-app',
  name: 'Microsoft Entra',
  baseUrl: LOGIN,
  ...targetOf({
    tenantId: tenantField,
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

  adminHeaders: async (app, target, open) =>
    asApp(open(target.baseUrl ?? LOGIN, 'target.baseUrl'), app, target, app.graphUrl),
  agentHeaders: (value, { clientId }) => ({
    authorization: `Basic ${Buffer.from(`${clientId}:${encodeURIComponent(value)}`).toString('base64')}`,
  }),

  list,

  /** Entra would end it after two years otherwise, whatever the interval. */
  endsAt: endsAfterInterval,

  async create(api, target, displayName, _admin, { endsAt: endDateTime }) {
    const { keyId: id, secretText: value } = await api.call({
      method: 'POST',
      path: `${appPath(target)}/addPassword`,
      body: { passwordCredential: { displayName, endDateTime } },
      answer: z.object({ keyId: z.guid(), secretText: z.string().min(1) }),
      full,
    });
    await shows(api, target, id, true);
    return { id, value };
  },

  adoption: {},

  async remove(api, target, id) {
    if (!(await has(api, target, id))) return;
    const path = `${appPath(target)}/removePassword`;
    try {
      await api.find({ method: 'POST', path, body: { keyId: id }, answer: ANYTHING });
    } catch (error) {
      // Graph takes the removal of what is gone for a mistake; somebody else may have been faster.
      if (!isRekeyError(error, 'ERR_REJECTED') || (await has(api, target, id))) throw error;
    }
    await shows(api, target, id, false);
  },

  /** Logs in as the app. Of a wrong secret Entra says so with 401 (AADSTS7000215), as of one that has not spread yet. */
  async test(api, target) {
    const { scope = 'https://graph.microsoft.com/.default' } = target;
    await bearerOf(api, { path: tokenPath(target.tenantId), form: { scope } });
  },
  goodCalls: 3,

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
  return passwordCredentials.map(({ keyId: id, displayName, hint }) => {
    return { id, name: displayName ?? '', active: true, ...(hint ? { hint: `${hint}...` } : {}) };
  });
}

async function has(api: Api, target: AzureAppTarget, id: string): Promise<boolean> {
  return (await list(api, target)).some((key) => key.id === id);
}

/** Waits a moment until Graph shows a secret, or shows it no more; whoever comes next looks himself. */
async function shows(api: Api, target: AzureAppTarget, id: string, wanted: boolean): Promise<void> {
  await trueSoon(WAITS_MS, async () => (await has(api, target, id)) === wanted);
}

function appPath({ clientId }: AzureAppTarget): string {
  return `/applications(appId='${encodeURIComponent(clientId)}')`;
}
