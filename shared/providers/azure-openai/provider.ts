import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { ANYTHING } from '../http/api.ts';
import { keyProvider, type UpstreamKey } from '../http/keys.ts';
import { bearerOf } from '../http/login.ts';
import { markIn, type Mark } from '../http/mark.ts';
import { ownBaseUrl, targetOf, type KeyTarget } from '../http/target.ts';
import { holds, idOf, isSuccessor, nameIn, regenerate, slotsOf, type Slot } from './slots.ts';

interface AzureTarget extends KeyTarget {
  /** Where agents use the account. */
  readonly baseUrl: string;
  readonly tenantId: string;
  readonly subscription: string;
  readonly resourceGroup: string;
  readonly account: string;
  /** Both keys of the account are Rekey's: it regenerates also one that it hasn't made. */
  readonly exclusive: true;
}

/** An app that may administer the account, and the addresses of its cloud. */
const adminSchema = z.object({
  tenantId: z.guid().toLowerCase(),
  clientId: z.guid(),
  clientSecret: z.string().min(1),
  loginUrl: z.string().min(1).default('https://login.microsoftonline.com'),
  adminUrl: z.string().min(1).default('https://management.azure.com'),
});

/**
 * Azure OpenAI: the two keys of an account, by Azure Resource Manager. They have no names and can only be regenerated, which
 * kills the old value at once: so the slots take turns, and tags of the account say what each holds. The administrative secret
 * is an app of Entra with the account's address, `{"tenantId": …, "clientId": …, "clientSecret": …, "baseUrl": …}`.
 */
export const azureOpenaiProvider = keyProvider<AzureTarget, z.infer<typeof adminSchema>>({
  key: 'llm-key/azure-openai',
  name: 'Azure OpenAI',
  ...targetOf({
    baseUrl: ownBaseUrl,
    tenantId: z.guid('must be the id of the tenant, a UUID').toLowerCase(),
    subscription: z.guid('must be the id of the subscription, a UUID').toLowerCase(),
    resourceGroup: z
      .string()
      .regex(/^[\w.()-]{1,89}[\w()-]$/, 'must be the name of a resource group')
      .toLowerCase(),
    account: z
      .string()
      .regex(/^[A-Za-z0-9][\w.-]{1,63}$/, 'must be the name of the account')
      .toLowerCase(),
    exclusive: z.literal(true, 'must be true: both keys of the account get other values, whoever uses them'),
  }),
  owner: ({ subscription, resourceGroup, account }) => `${subscription}/${resourceGroup}/${account}`,
  admin: adminSchema,
  adminUrl: ({ adminUrl }) => adminUrl,

  async adminHeaders({ tenantId, clientId, clientSecret, loginUrl, adminUrl }, target, open) {
    if (tenantId !== target.tenantId) {
      throw new RekeyError('ERR_DECLARATION', 'the administrative secret is for another tenant', {
        field: 'target.tenantId',
        remedy: 'declare the tenant that the secret names, or an administrative app of this tenant',
      });
    }
    const scope = new URL('/.default', adminUrl).href;
    const form = { client_id: clientId, client_secret: clientSecret, scope };
    const path = `/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`;
    return bearerOf(open(loginUrl, 'admin.loginUrl'), { path, form });
  },
  agentHeaders: (value) => ({ 'api-key': value }),

  /** What is nobody's isn't shown: its value was thrown away. */
  async list(api, target) {
    return (await slotsOf(api, pathOf(target))).filter(({ live }) => live).map(shown);
  },

  async find(api, target, id) {
    const slot = (await slotsOf(api, pathOf(target))).find((each) => holds(each, id));
    return slot === undefined ? undefined : { id, name: nameIn(slot), active: true };
  },

  async create(api, target, name, _admin, { current }) {
    const slots = (await slotsOf(api, pathOf(target))).filter((slot) => !isUsed(slot, target, current));
    const slot = slots.find(({ tag }) => tag !== undefined) ?? slots[0];
    if (slot === undefined) throw noSlot(target);
    const mark = markIn(name) as Mark;
    const value = await regenerate(api, pathOf(target), slot, { state: 'made', ...mark });
    return { id: idOf({ ...slot, value }, mark.generation), value };
  },

  /** The answer to a regeneration was lost, and Azure shows its value again. */
  async reveal(api, target, { id }) {
    const slot = (await slotsOf(api, pathOf(target))).find((each) => holds(each, id));
    return slot?.tag?.state === 'made' ? slot.value : undefined;
  },

  /** Nobody gets the new value. */
  async remove(api, target, id) {
    const { label } = target;
    const slots = await slotsOf(api, pathOf(target));
    const slot = slots.find((each) => holds(each, id) || isSuccessor(each, id, label));
    if (slot === undefined) return;
    const mark = slot.tag?.mark ?? { label, generation: 0, token: '' };
    await regenerate(api, pathOf(target), slot, { state: 'ended', ...mark });
  },

  adoption: {},

  goodCalls: 3,
  /** Lists models, which is free. */
  async test(api) {
    const answer = z.object({ data: z.array(ANYTHING) });
    await api.call({ method: 'GET', path: '/openai/models?api-version=2024-10-21', answer });
  },

  byHand: ({ subscription, resourceGroup, account }, id) =>
    [
      `# ${id}: as somebody who may regenerate keys of the account. Whoever holds this one is cut off at once:`,
      `az cognitiveservices account keys regenerate --subscription ${subscription} -g ${resourceGroup} -n ${account} --key-name ${id.slice(0, 4)}`,
    ].join('\n'),
});

function shown(slot: Slot): UpstreamKey {
  const { value } = slot;
  return {
    id: idOf(slot),
    name: nameIn(slot),
    active: true,
    hint: `${value.slice(0, 8)}...${value.slice(-4)}`,
  };
}

/** A stranger's key may be taken, since the account is Rekey's; never one of another credential, or that agents use. */
function isUsed({ name, tag, live }: Slot, { label }: AzureTarget, current = ''): boolean {
  if (current.startsWith(`${name}-`)) return true;
  return tag !== undefined && (live || tag.mark.label !== label);
}

function noSlot({ account }: AzureTarget): RekeyError {
  return new RekeyError('ERR_CAPACITY', `both keys of ${account} at Azure OpenAI are in use`, {
    field: 'target.account',
    remedy:
      'the former one has to be retired first: rekey show tells why it still lives; one account serves one credential',
  });
}

function pathOf({ subscription, resourceGroup, account }: AzureTarget): string {
  const group = `/subscriptions/${encodeURIComponent(subscription)}/resourceGroups/${encodeURIComponent(resourceGroup)}`;
  return `${group}/providers/Microsoft.CognitiveServices/accounts/${encodeURIComponent(account)}`;
}
