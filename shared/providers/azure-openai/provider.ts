import * as z from 'zod';
import { shellWord } from '../../domain/shell.ts';
import {
  resourceFields,
  resourceManager,
  resourcePath,
  tag,
  tagsOf,
  type ResourceLogin,
  type ResourceTarget,
} from '../azure/resource.ts';
import { ANYTHING, type Api } from '../http/api.ts';
import { keyProvider } from '../http/keys.ts';
import { ownBaseUrl, targetOf } from '../http/target.ts';
import { exclusive, slotKeys } from '../slot-keys/keys.ts';
import { placeIn, type Place } from '../slot-keys/slot.ts';

interface AzureTarget extends ResourceTarget {
  /** Where agents use the account. */
  readonly baseUrl: string;
  readonly account: string;
  readonly exclusive: true;
}

const NAME = 'Azure OpenAI';
const KEYS_API = 'api-version=2024-10-01';
const keysSchema = z.object({ key1: z.string().min(1), key2: z.string().min(1) });

/**
 * Azure OpenAI: the two keys of an account, by Azure Resource Manager; tags of the account say what each holds. The
 * administrative secret is an app of Entra with the account's address,
 * `{"tenantId": …, "clientId": …, "clientSecret": …, "baseUrl": …}`.
 */
export const azureOpenaiProvider = keyProvider<AzureTarget, ResourceLogin>({
  key: 'llm-key/azure-openai',
  name: NAME,
  ...targetOf({
    baseUrl: ownBaseUrl,
    ...resourceFields,
    account: z
      .string()
      .regex(/^[A-Za-z0-9][\w.-]{1,63}$/, 'must be the name of the account')
      .toLowerCase(),
    exclusive,
  }),
  owner: ({ subscription, resourceGroup, account }) => `${subscription}/${resourceGroup}/${account}`,
  ...resourceManager,
  agentHeaders: (value) => ({ 'api-key': value }),

  ...slotKeys<AzureTarget>({
    name: NAME,
    field: 'account',

    async read(api, target) {
      const path = `${pathOf(target)}/listKeys?${KEYS_API}`;
      const keys = await api.call({ method: 'POST', path, answer: keysSchema });
      return placesIn(keys, await tagsOf(api, pathOf(target)));
    },

    async note(api, target, place, notes) {
      const tags = Object.entries(notes).map(([kind, text]) => [tagName(place, kind), text]);
      await tag(api, pathOf(target), Object.fromEntries(tags));
    },

    async regenerate(api: Api, target, keyName) {
      const path = `${pathOf(target)}/regenerateKey?${KEYS_API}`;
      const keys = await api.call({ method: 'POST', path, body: { keyName }, answer: keysSchema });
      return keyName === 'Key1' ? keys.key1 : keys.key2;
    },
  }),

  goodCalls: 3,
  /** Lists models, which is free. */
  async test(api) {
    const answer = z.object({ data: z.array(ANYTHING) });
    await api.call({ method: 'GET', path: '/openai/models?api-version=2024-10-21', answer });
  },

  byHand: ({ subscription, resourceGroup, account }, id) =>
    [
      `# ${id}: as somebody who may regenerate keys of the account. Whoever holds this one is cut off at once:`,
      `az cognitiveservices account keys regenerate --subscription ${subscription} -g ${shellWord(resourceGroup)} -n ${shellWord(account)} --key-name ${placeIn(id)}`,
    ].join('\n'),
});

/** What keys and tags of an account say together. */
export function placesIn(
  { key1, key2 }: z.infer<typeof keysSchema>,
  tags: Readonly<Record<string, string>>,
): [Place, Place] {
  const placeOf = (name: string, value: string): Place => {
    const [made, ended] = ['made', 'ended'].map((kind) => tags[tagName(name, kind)]);
    return { name, value, notes: { made, ended } };
  };
  return [placeOf('Key2', key2), placeOf('Key1', key1)];
}

function pathOf(target: AzureTarget): string {
  return resourcePath(target, 'Microsoft.CognitiveServices/accounts', target.account);
}

function tagName(place: string, kind: string): string {
  return `rekey-${place.toLowerCase()}-${kind}`;
}
