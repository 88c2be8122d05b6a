import { randomUUID } from 'node:crypto';
import { CreateUserCommand, IAMClient } from '@aws-sdk/client-iam';
import type { World } from '../../../local/demo/world.ts';
import { TAG } from '../../../shared/names.ts';
import { FakeAnthropic } from '../../fakes/anthropic.ts';
import { FakeAzureOpenAi } from '../../fakes/azure-openai.ts';
import { FakeBedrock } from '../../fakes/bedrock.ts';
import { FakeCohere } from '../../fakes/cohere.ts';
import { FakeGoogle } from '../../fakes/google.ts';
import { FakeMistral } from '../../fakes/mistral.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';
import { entryOf, keyIn, loseAnswer, played, posts, takenAt, type PlayedUpstream } from './played.ts';
import { byConsole } from './pools.ts';

/** Keys of LLM providers. */
export const LLM_KEYS = {
  'llm-key/openai': openai,
  'llm-key/anthropic': anthropic,
  'llm-key/cohere': cohere,
  'llm-key/mistral': mistral,
  'llm-key/google': google,
  'llm-key/bedrock': bedrock,
  'llm-key/azure-openai': azureOpenai,
} as const;

async function openai(): Promise<PlayedUpstream> {
  const fake = await FakeOpenAi.start();
  fake.usageLagMs = 3_600_000;
  const baseUrl = `${fake.server.url}/v1`;
  return played({
    key: 'llm-key/openai',
    fake,
    target: { project: 'proj_1', serviceAccount: 'sa_1', label: 'agents', baseUrl },
    admin: { adminKey: fake.adminKey, baseUrl },
    newAdmin: () => ({ adminKey: fake.admins.add('organization', 'by hand', 'sk-admin-').value, baseUrl }),
    takes: takenAt(`${baseUrl}/models`),
    existing: async () => {
      const { value } = fake.keys.add('proj_1/sa_2', 'made by hand', 'sk-svcacct-');
      const target = { project: 'proj_1', serviceAccount: 'sa_2', label: 'adopted', baseUrl };
      return Promise.resolve({ secret: { apiKey: value, note: 'by hand' }, target });
    },
    creates: posts('/api_keys'),
  });
}

/** Its keys come from a pool: one is taken by giving it a name. */
async function anthropic(): Promise<PlayedUpstream> {
  const fake = await FakeAnthropic.start();
  const baseUrl = `${fake.server.url}/v1`;
  fake.fill('wrkspc_1', 8);
  return played({
    key: 'llm-key/anthropic',
    fake,
    target: { workspace: 'wrkspc_1', label: 'agents', baseUrl },
    admin: { ...fake.admin(), baseUrl },
    takes: takenAt(`${baseUrl}/models`, (key) => ({ 'x-api-key': key, 'anthropic-version': '2023-06-01' })),
    existing: async () => {
      const { value } = fake.mint('wrkspc_1');
      const target = { workspace: 'wrkspc_1', label: 'adopted', baseUrl };
      return Promise.resolve({ secret: { apiKey: value }, target });
    },
    creates: ({ method, body }) => method === 'POST' && Object.hasOwn(Object(body), 'name'),
    live: () =>
      [...fake.keys.all.values()].filter((key) => key.active && key.name.startsWith('rekey.')).length,
  });
}

/** Only a person makes and ends its keys; what is taken is known to the ledger alone. */
async function cohere({ stack }: World): Promise<PlayedUpstream> {
  const fake = await FakeCohere.start();
  fake.console.fill('org-1', 10);
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/cohere',
    entry: entryOf('llm-key/cohere', { organization: 'org-1', label: 'agents', baseUrl }),
    admin: { pool: fake.console.pool, baseUrl },
    takes: takenAt(`${baseUrl}/check-api-key`, undefined, 'POST'),
    ...byConsole(stack, fake, 'rotate-llm-key'),
  };
}

async function mistral(): Promise<PlayedUpstream> {
  const fake = await FakeMistral.start();
  const baseUrl = `${fake.server.url}/v1`;
  return played({
    key: 'llm-key/mistral',
    fake,
    target: { workspace: randomUUID(), user: randomUUID(), label: 'agents', baseUrl },
    admin: { adminKey: fake.adminKey, baseUrl },
    takes: takenAt(`${baseUrl}/models`),
    existing: async () => {
      const workspace = randomUUID();
      const { value } = fake.keys.add(workspace, 'made by hand', '');
      const target = { workspace, user: randomUUID(), label: 'adopted', baseUrl };
      return Promise.resolve({ secret: { apiKey: value }, target });
    },
    creates: posts('/api-keys'),
  });
}

/** Its keys come and go by long-running operations. */
async function google(): Promise<PlayedUpstream> {
  const fake = await FakeGoogle.start();
  fake.operationMs = 500;
  const { url: baseUrl } = fake.server;
  const serviceAccount = 'agents@shop.iam.gserviceaccount.com';
  return played({
    key: 'llm-key/google',
    fake,
    target: { project: 'shop', serviceAccount, label: 'agents', baseUrl },
    admin: { ...fake.secret(baseUrl), baseUrl },
    takes: takenAt(`${baseUrl}/v1beta/models`, (key) => ({ 'x-goog-api-key': key })),
    creates: posts('/keys'),
    live: () => [...fake.keys.all.values()].filter(({ active }) => active).length,
  });
}

/** Credentials of one service, which the gateway plays for the emulator's IAM; and Bedrock, for those whose key that knows. */
async function bedrock({ stack }: World): Promise<PlayedUpstream> {
  const { serviceCredentials } = stack.gateway;
  const fake = await FakeBedrock.start((value) => serviceCredentials.takes(value));
  const iam = new IAMClient(stack.clientConfig);
  const user = 'shop-models';
  await iam.send(new CreateUserCommand({ UserName: user, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
  return {
    key: 'llm-key/bedrock',
    entry: entryOf('llm-key/bedrock', { user, region: stack.region, baseUrl: fake.server.url }),
    takes: async (secret) => fake.takes(keyIn(secret)),
    loseCreation: () => loseAnswer(stack, { service: 'iam', operation: 'CreateServiceSpecificCredential' }),
    live: async () => Promise.resolve(serviceCredentials.countOf(user)),
    [Symbol.asyncDispose]: async () => {
      iam.destroy();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** Its keys have two places, which take turns; tags of the account say what they hold. */
async function azureOpenai(): Promise<PlayedUpstream> {
  const fake = await FakeAzureOpenAi.start();
  const baseUrl = fake.server.url;
  return played({
    key: 'llm-key/azure-openai',
    fake,
    target: {
      tenantId: fake.tenantId,
      subscription: randomUUID(),
      resourceGroup: 'agents',
      account: 'shop',
      exclusive: true,
      label: 'agents',
      baseUrl,
    },
    admin: { ...fake.admin(baseUrl), baseUrl },
    takes: async (secret) => fake.takes(keyIn(secret)),
    creates: posts('/regenerateKey'),
  });
}
