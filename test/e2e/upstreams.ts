import { randomUUID } from 'node:crypto';
import { DynamoDBClient, ListTablesCommand, paginateScan } from '@aws-sdk/client-dynamodb';
import {
  CreateAccessKeyCommand,
  CreateUserCommand,
  IAMClient,
  ListAccessKeysCommand,
} from '@aws-sdk/client-iam';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { World } from '../../local/demo/world.ts';
import type { LocalStack } from '../../local/stack.ts';
import type { ProviderKey } from '../../shared/domain/capabilities.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { TAG } from '../../shared/names.ts';
import { FakeAnthropic } from '../fakes/anthropic.ts';
import { FakeAzureOpenAi } from '../fakes/azure-openai.ts';
import { FakeAzure } from '../fakes/azure.ts';
import { FakeBedrock } from '../fakes/bedrock.ts';
import { FakeGoogleIam } from '../fakes/google-iam.ts';
import { FakeChroma } from '../fakes/chroma.ts';
import { FakeChromaCloud } from '../fakes/chroma-cloud.ts';
import { FakeCohere } from '../fakes/cohere.ts';
import { deleteAtConsole, type KeyConsole } from '../fakes/console-keys.ts';
import { FakeGoogle } from '../fakes/google.ts';
import { FakeMistral } from '../fakes/mistral.ts';
import { FakeOpenAi } from '../fakes/openai.ts';
import { FakePinecone } from '../fakes/pinecone.ts';
import { FakePineconeAccounts } from '../fakes/pinecone-accounts.ts';
import { FakeDeployedQdrant, FakeQdrant } from '../fakes/qdrant.ts';
import { FakeQdrantCloud } from '../fakes/qdrant-cloud.ts';
import type { Asked, UpstreamServer } from '../fakes/upstream.ts';
import { FakeRegistrations } from '../fakes/rfc7592.ts';
import { FakeWeaviate } from '../fakes/weaviate.ts';
import type { ExistingKey } from './adopted-keys.ts';
import { agentTokens, signingKeys } from './identities.ts';

/** An upstream that the deployed functions rotate keys of, played by its stateful fake. */
export interface PlayedUpstream extends AsyncDisposable {
  /** Type and provider, as the table of upstreams has them. */
  readonly key: ProviderKey;
  /** Type, provider, target and policy of a declaration's entry. */
  readonly entry: { readonly type: string; readonly provider: string; readonly target: object };
  /** The administrative secret, where one is needed. */
  readonly admin?: object;
  /** What its policy has otherwise than that of all. */
  readonly policy?: object;
  /** Another that works as well, made by a person; where a test replaces it by hand. */
  newAdmin?(): object;
  /** Of a root: the value of its secret, which exists before Rekey. */
  readonly root?: object;
  /** It tells of a use at once, and rightly takes one within a window for a straggler. */
  readonly tellsUseAtOnce?: boolean;
  /** Plays the person who ends keys at the console, by what they are told; where nobody else can. */
  endByHand?(byHand: string): Promise<void>;
  /** Whether a value of the secret is taken, asked as an agent would. */
  takes(secret: string): Promise<boolean>;
  /** Loses the answer to the next request that makes a key; the key is made. */
  loseCreation(): void;
  /** Makes a key as a person does, beside those of the credential; where such keys are adopted. */
  existing?(): Promise<ExistingKey>;
  /** How many keys of the credential live, spare ones of a pool left out. */
  live(): Promise<number>;
}

const keyIn = (secret: string): string => (JSON.parse(secret) as { apiKey: string }).apiKey;

/** How each upstream is played; what isn't says `ELSEWHERE` of scripts/upstream-run.ts. */
export const UPSTREAMS: Readonly<
  Record<
    Exclude<ProviderKey, `database/${string}` | 'root/by-hand'>,
    (world: World) => Promise<PlayedUpstream>
  >
> = {
  'llm-key/openai': openai,
  'llm-key/anthropic': anthropic,
  'llm-key/cohere': cohere,
  'llm-key/mistral': mistral,
  'llm-key/google': google,
  'llm-key/bedrock': bedrock,
  'llm-key/azure-openai': azureOpenai,
  'vector-database-key/pinecone': pinecone,
  'vector-database-key/weaviate': weaviate,
  'vector-database-key/qdrant-cloud': qdrantCloud,
  'vector-database-key/qdrant': qdrant,
  'vector-database-key/qdrant-static': qdrantStatic,
  'vector-database-key/chroma': chroma,
  'vector-database-key/chroma-cloud': chromaCloud,
  'cloud-key/aws-iam': accessKeys,
  'cloud-key/azure-app': azureApp,
  'cloud-key/gcp-service-account': serviceAccount,
  'signing-key/jwks': signingKeys,
  'agent-token/opaque': agentTokens,
  'oauth-client/rfc7592': oauthClient,
  'root/openai-admin': openaiAdmin,
  'root/pinecone-service-account': pineconeAccount,
};

/** Starts one of each upstream that Rekey knows. */
export async function playUpstreams(world: World): Promise<PlayedUpstream[]> {
  return Promise.all(Object.values(UPSTREAMS).map(async (play) => play(world)));
}

/** A request that makes a key, by how its path ends. */
function posts(end: string): (asked: Asked) => boolean {
  return ({ method, path }) => method === 'POST' && path.endsWith(end);
}

async function openai(): Promise<PlayedUpstream> {
  const fake = await FakeOpenAi.start();
  fake.usageLagMs = 3_600_000;
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/openai',
    entry: {
      type: 'llm-key',
      provider: 'openai',
      target: { project: 'proj_1', serviceAccount: 'sa_1', label: 'agents', baseUrl },
    },
    admin: { adminKey: fake.adminKey, baseUrl },
    newAdmin: () => ({ adminKey: fake.admins.add('organization', 'by hand', 'sk-admin-').value, baseUrl }),
    takes: async (secret) =>
      (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${keyIn(secret)}` } })).ok,
    existing: async () => {
      const { value } = fake.keys.add('proj_1/sa_2', 'made by hand', 'sk-svcacct-');
      const target = { project: 'proj_1', serviceAccount: 'sa_2', label: 'adopted', baseUrl };
      return Promise.resolve({ secret: { apiKey: value, note: 'by hand' }, target });
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/api_keys')),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** An admin key that another one administers, so that an emergency can replace it. */
async function openaiAdmin(): Promise<PlayedUpstream> {
  const fake = await FakeOpenAi.start();
  fake.usageLagMs = 3_600_000;
  const baseUrl = `${fake.server.url}/v1`;
  const { value: keeper } = fake.admins.add('organization', 'keeper', 'sk-admin-');
  return {
    key: 'root/openai-admin',
    entry: { type: 'root', provider: 'openai-admin', target: { label: 'agents', baseUrl } },
    admin: { adminKey: keeper, baseUrl },
    root: { adminKey: fake.adminKey, baseUrl },
    takes: async (secret) => {
      const { adminKey } = JSON.parse(secret) as { adminKey: string };
      const headers = { authorization: `Bearer ${adminKey}` };
      return (await fetch(`${baseUrl}/organization/admin_api_keys?limit=1`, { headers })).ok;
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/admin_api_keys')),
    // All but the keeper.
    live: async () => Promise.resolve(fake.admins.all.size - 1),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** A service account that may administer one project, under another that owns the organization. */
async function pineconeAccount(): Promise<PlayedUpstream> {
  const fake = await FakePineconeAccounts.start();
  const place = { baseUrl: fake.server.url, loginUrl: fake.server.url };
  const roles = [`ProjectOwner@${randomUUID()}`];
  return {
    key: 'root/pinecone-service-account',
    entry: {
      type: 'root',
      provider: 'pinecone-service-account',
      target: { label: 'agents', roles, ...place },
    },
    admin: { ...fake.secret(fake.owner), ...place },
    root: { ...fake.secret(fake.add('of a person', roles)), ...place },
    takes: async (secret) => fake.takes((JSON.parse(secret) as { clientSecret: string }).clientSecret),
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/service-accounts')),
    // All but the owner.
    live: async () => Promise.resolve(fake.keys.all.size - 1),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function mistral(): Promise<PlayedUpstream> {
  const fake = await FakeMistral.start();
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/mistral',
    entry: {
      type: 'llm-key',
      provider: 'mistral',
      target: { workspace: randomUUID(), user: randomUUID(), label: 'agents', baseUrl },
    },
    admin: { adminKey: fake.adminKey, baseUrl },
    takes: async (secret) =>
      (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${keyIn(secret)}` } })).ok,
    existing: async () => {
      const workspace = randomUUID();
      const { value } = fake.keys.add(workspace, 'made by hand', '');
      const target = { workspace, user: randomUUID(), label: 'adopted', baseUrl };
      return Promise.resolve({ secret: { apiKey: value }, target });
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/api-keys')),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys come and go by long-running operations. */
async function google(): Promise<PlayedUpstream> {
  const fake = await FakeGoogle.start();
  fake.operationMs = 500;
  const { url: baseUrl } = fake.server;
  return {
    key: 'llm-key/google',
    entry: {
      type: 'llm-key',
      provider: 'google',
      target: {
        project: 'shop',
        serviceAccount: 'agents@shop.iam.gserviceaccount.com',
        label: 'agents',
        baseUrl,
      },
    },
    admin: { ...fake.secret(baseUrl), baseUrl },
    takes: async (secret) => {
      const headers = { 'x-goog-api-key': keyIn(secret) };
      return (await fetch(`${baseUrl}/v1beta/models`, { headers })).ok;
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/keys')),
    live: async () => Promise.resolve([...fake.keys.all.values()].filter(({ active }) => active).length),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function pinecone(): Promise<PlayedUpstream> {
  const fake = await FakePinecone.start();
  const baseUrl = fake.server.url;
  return {
    key: 'vector-database-key/pinecone',
    entry: {
      type: 'vector-database-key',
      provider: 'pinecone',
      target: {
        project: randomUUID(),
        label: 'agents',
        roles: ['ControlPlaneViewer', 'DataPlaneEditor'],
        baseUrl,
      },
    },
    admin: { clientId: fake.clientId, clientSecret: fake.clientSecret, loginUrl: fake.login.url, baseUrl },
    takes: async (secret) => {
      const headers = { 'api-key': keyIn(secret), 'x-pinecone-api-version': '2026-04' };
      return (await fetch(`${baseUrl}/indexes`, { headers })).ok;
    },
    existing: async () => {
      const [project, roles] = [randomUUID(), ['DataPlaneEditor', 'ControlPlaneViewer']];
      const { id, value } = fake.add(project, 'made by hand', roles);
      return Promise.resolve({
        secret: { apiKey: value },
        target: { project, roles, label: 'adopted', keyId: id, baseUrl },
      });
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/api-keys')),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function weaviate(): Promise<PlayedUpstream> {
  const fake = await FakeWeaviate.start();
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'vector-database-key/weaviate',
    entry: {
      type: 'vector-database-key',
      provider: 'weaviate',
      target: { label: 'agents', roles: ['searcher', 'indexer'], baseUrl },
    },
    admin: { adminKey: fake.adminKey, baseUrl },
    tellsUseAtOnce: true,
    takes: async (secret) => {
      const headers = { authorization: `Bearer ${keyIn(secret)}` };
      return (await fetch(`${baseUrl}/users/own-info`, { headers })).ok;
    },
    loseCreation: () =>
      fake.server.fail(
        { kind: 'lost' },
        ({ method, path }) => method === 'POST' && /\/users\/db\/[^/]+$/.test(path),
      ),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function qdrantCloud(): Promise<PlayedUpstream> {
  const fake = await FakeQdrantCloud.start();
  const baseUrl = fake.server.url;
  const rules = [{ collection: 'documents', access: 'read-write' }];
  return {
    key: 'vector-database-key/qdrant-cloud',
    entry: {
      type: 'vector-database-key',
      provider: 'qdrant-cloud',
      target: { account: randomUUID(), cluster: randomUUID(), label: 'agents', rules, baseUrl },
    },
    admin: { managementKey: fake.managementKey, adminUrl: fake.server.url, baseUrl },
    takes: async (secret) =>
      (await fetch(`${baseUrl}/collections`, { headers: { 'api-key': keyIn(secret) } })).ok,
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/database-api-keys')),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys are tokens that Rekey signs itself: what is lost is the answer to the making of a point. */
async function qdrant(): Promise<PlayedUpstream> {
  const apiKey = randomUUID();
  const fake = await FakeQdrant.start({ apiKey });
  const baseUrl = fake.server.url;
  const rules = [{ collection: 'documents', access: 'read-write' }];
  return {
    key: 'vector-database-key/qdrant',
    entry: { type: 'vector-database-key', provider: 'qdrant', target: { label: 'agents', rules, baseUrl } },
    admin: { apiKey, baseUrl },
    takes: async (secret) => {
      const headers = { 'api-key': keyIn(secret) };
      return (await fetch(`${baseUrl}/collections/documents/exists`, { headers })).ok;
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, ({ method }) => method === 'PUT'),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys count once it was started again, which takes its time. */
async function qdrantStatic(): Promise<PlayedUpstream> {
  const fake = await FakeDeployedQdrant.start();
  const { hook } = fake;
  const { url: baseUrl } = fake.server;
  Object.assign(hook, { places: 2, restartMs: 700 });
  return {
    key: 'vector-database-key/qdrant-static',
    entry: {
      type: 'vector-database-key',
      provider: 'qdrant-static',
      target: { label: 'agents', access: 'manage', baseUrl },
    },
    admin: { ...hook.admin(baseUrl), baseUrl },
    takes: async (secret) =>
      (await fetch(`${baseUrl}/collections`, { headers: { 'api-key': keyIn(secret) } })).ok,
    loseCreation: () => fake.server.fail({ kind: 'lost' }, ({ method }) => method === 'PUT'),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** The list of tokens of its proxy is deployed, which takes its time. */
async function chroma(): Promise<PlayedUpstream> {
  const fake = await FakeChroma.start();
  const { url: baseUrl } = fake.server;
  fake.hook.restartMs = 700;
  const place = { tenant: 'default_tenant', database: 'default_database' };
  const path = `/api/v2/tenants/${place.tenant}/databases/${place.database}/collections`;
  return {
    key: 'vector-database-key/chroma',
    entry: {
      type: 'vector-database-key',
      provider: 'chroma',
      target: { label: 'agents', access: 'read-write', ...place, baseUrl },
    },
    admin: { ...fake.hook.admin(baseUrl), baseUrl },
    takes: async (secret) => {
      const headers = { authorization: `Bearer ${keyIn(secret)}` };
      return (await fetch(`${baseUrl}${path}`, { headers })).ok;
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, ({ method }) => method === 'PUT'),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys come from a pool: one is taken by giving it a name. */
async function anthropic(): Promise<PlayedUpstream> {
  const fake = await FakeAnthropic.start();
  const baseUrl = `${fake.server.url}/v1`;
  fake.fill('wrkspc_1', 8);
  return {
    key: 'llm-key/anthropic',
    entry: {
      type: 'llm-key',
      provider: 'anthropic',
      target: { workspace: 'wrkspc_1', label: 'agents', baseUrl },
    },
    admin: { ...fake.admin(), baseUrl },
    takes: async (secret) => {
      const headers = { 'x-api-key': keyIn(secret), 'anthropic-version': '2023-06-01' };
      return (await fetch(`${baseUrl}/models`, { headers })).ok;
    },
    existing: async () => {
      const { value } = fake.mint('wrkspc_1');
      return Promise.resolve({
        secret: { apiKey: value },
        target: { workspace: 'wrkspc_1', label: 'adopted', baseUrl },
      });
    },
    loseCreation: () =>
      fake.server.fail(
        { kind: 'lost' },
        ({ method, body }) => method === 'POST' && Object.hasOwn(Object(body), 'name'),
      ),
    live: async () =>
      Promise.resolve(
        [...fake.keys.all.values()].filter((key) => key.active && key.name.startsWith('rekey.')).length,
      ),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Only a person makes and ends its keys; what is taken is known to the ledger alone. */
async function cohere({ stack }: World): Promise<PlayedUpstream> {
  const fake = await FakeCohere.start();
  fake.console.fill('org-1', 10);
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/cohere',
    entry: {
      type: 'llm-key',
      provider: 'cohere',
      target: { organization: 'org-1', label: 'agents', baseUrl },
    },
    admin: { pool: fake.console.pool, baseUrl },
    takes: async (secret) => {
      const headers = { authorization: `Bearer ${keyIn(secret)}` };
      return (await fetch(`${baseUrl}/check-api-key`, { method: 'POST', headers })).ok;
    },
    ...byConsole(stack, fake, 'rotate-llm-key'),
  };
}

async function chromaCloud({ stack }: World): Promise<PlayedUpstream> {
  const fake = await FakeChromaCloud.start();
  fake.console.fill('tenant-1', 10);
  const baseUrl = fake.server.url;
  return {
    key: 'vector-database-key/chroma-cloud',
    entry: {
      type: 'vector-database-key',
      provider: 'chroma-cloud',
      target: { tenant: 'tenant-1', label: 'agents', databases: ['documents'], baseUrl },
    },
    admin: { pool: fake.console.pool, baseUrl },
    takes: async (secret) => {
      const headers = { 'x-chroma-token': keyIn(secret) };
      return (await fetch(`${baseUrl}/api/v2/auth/identity`, { headers })).ok;
    },
    ...byConsole(stack, fake, 'rotate-vector-database-key'),
  };
}

/** What upstreams with nothing but a console have in common: a key is taken by a write to the ledger. */
function byConsole(
  stack: LocalStack,
  fake: AsyncDisposable & { readonly server: UpstreamServer; readonly console: KeyConsole },
  rotator: string,
): Pick<PlayedUpstream, 'endByHand' | 'loseCreation' | 'live'> & AsyncDisposable {
  return {
    endByHand: async (byHand) => deleteAtConsole(fake.server.url, byHand),
    loseCreation: () => {
      stack.gateway.faults.add({
        match: { service: 'dynamodb', operation: 'PutItem', function: rotator },
        times: 1,
        action: { kind: 'lose-answer' },
      });
    },
    live: async () => {
      const claimed = await claimedPrints(stack);
      const values = [...fake.console.keys.all.values()].map(({ value }) => value);
      return values.filter((value) => claimed.has(fingerprint(new Redacted(value)))).length;
    },
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Fingerprints of the keys that were taken from any pool. */
async function claimedPrints(stack: LocalStack): Promise<Set<string>> {
  const dynamo = new DynamoDBClient(stack.clientConfig);
  try {
    const { TableNames = [] } = await dynamo.send(new ListTablesCommand({}));
    const prints = new Set<string>();
    for (const TableName of TableNames) {
      for await (const { Items = [] } of paginateScan({ client: dynamo }, { TableName })) {
        for (const { pk } of Items) {
          const [, print] = /#POOL#(.+)$/.exec(pk?.S ?? '') ?? [];
          if (print !== undefined) prints.add(print);
        }
      }
    }
    return prints;
  } finally {
    dynamo.destroy();
  }
}

/** Its secret holds what stands beside the value as well. */
async function azureApp(): Promise<PlayedUpstream> {
  const fake = await FakeAzure.start();
  const baseUrl = fake.server.url;
  const clientId = randomUUID();
  return {
    key: 'cloud-key/azure-app',
    entry: {
      type: 'cloud-key',
      provider: 'azure-app',
      target: { tenantId: fake.tenantId, clientId, label: 'agents', baseUrl },
    },
    admin: { ...fake.admin(), baseUrl },
    takes: async (secret) => {
      const app = JSON.parse(secret) as Record<'clientId' | 'clientSecret', string>;
      return fake.takes(app.clientId, app.clientSecret);
    },
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/addPassword')),
    live: async () => Promise.resolve(fake.keys.of(clientId).length),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys are made here, and their public halves registered. */
async function oauthClient(): Promise<PlayedUpstream> {
  const fake = await FakeRegistrations.start();
  const baseUrl = fake.server.url;
  const clientId = 'tools-fleet';
  return {
    key: 'oauth-client/rfc7592',
    entry: {
      type: 'oauth-client',
      provider: 'rfc7592',
      target: { clientId, label: 'agents', baseUrl },
    },
    admin: { ...fake.admin(baseUrl, clientId), baseUrl },
    takes: async (secret) =>
      fake.takes(clientId, (JSON.parse(secret) as { private_key: string }).private_key),
    loseCreation: () => fake.server.fail({ kind: 'lost' }, ({ method }) => method === 'PUT'),
    live: async () =>
      Promise.resolve(fake.keys.of(clientId).filter(({ name }) => name.startsWith('rekey.')).length),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys have two places, which take turns; tags of the account say what they hold. */
async function azureOpenai(): Promise<PlayedUpstream> {
  const fake = await FakeAzureOpenAi.start();
  const baseUrl = fake.server.url;
  return {
    key: 'llm-key/azure-openai',
    entry: {
      type: 'llm-key',
      provider: 'azure-openai',
      target: {
        tenantId: fake.tenantId,
        subscription: randomUUID(),
        resourceGroup: 'agents',
        account: 'shop',
        exclusive: true,
        label: 'agents',
        baseUrl,
      },
    },
    admin: { ...fake.admin(baseUrl), baseUrl },
    takes: async (secret) => fake.takes(keyIn(secret)),
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts('/regenerateKey')),
    live: async () => Promise.resolve(fake.keys.all.size),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Its keys are made here, and uploaded in certificates. */
async function serviceAccount(): Promise<PlayedUpstream> {
  const fake = await FakeGoogleIam.start();
  fake.labels.add('agents');
  fake.lag = 2;
  const baseUrl = fake.server.url;
  const email = 'agents@shop.iam.gserviceaccount.com';
  return {
    key: 'cloud-key/gcp-service-account',
    entry: {
      type: 'cloud-key',
      provider: 'gcp-service-account',
      target: { project: 'shop', serviceAccount: email, label: 'agents', baseUrl },
    },
    admin: { ...fake.secret(baseUrl), baseUrl },
    takes: async (secret) => fake.takes(email, (JSON.parse(secret) as { private_key: string }).private_key),
    loseCreation: () => fake.server.fail({ kind: 'lost' }, posts(':upload')),
    live: async () => Promise.resolve(fake.keys.of(email).length),
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

/** Credentials of one service, which the gateway plays for the emulator's IAM; and Bedrock, for those whose key that knows. */
async function bedrock({ stack }: { readonly stack: LocalStack }): Promise<PlayedUpstream> {
  const { serviceCredentials, faults } = stack.gateway;
  const fake = await FakeBedrock.start((value) => serviceCredentials.takes(value));
  const iam = new IAMClient(stack.clientConfig);
  const user = 'shop-models';
  await iam.send(new CreateUserCommand({ UserName: user, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
  return {
    key: 'llm-key/bedrock',
    entry: {
      type: 'llm-key',
      provider: 'bedrock',
      target: { user, region: stack.region, baseUrl: fake.server.url },
    },
    takes: async (secret) => fake.takes(keyIn(secret)),
    loseCreation: () => {
      faults.add({
        match: { service: 'iam', operation: 'CreateServiceSpecificCredential' },
        times: 1,
        action: { kind: 'lose-answer' },
      });
    },
    live: async () => Promise.resolve(serviceCredentials.countOf(user)),
    [Symbol.asyncDispose]: async () => {
      iam.destroy();
      await fake[Symbol.asyncDispose]();
    },
  };
}

/** The emulator's own IAM and STS. */
async function accessKeys({ stack }: { readonly stack: LocalStack }): Promise<PlayedUpstream> {
  const iam = new IAMClient(stack.clientConfig);
  const UserName = 'shop-uploader';
  await iam.send(new CreateUserCommand({ UserName, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
  return {
    key: 'cloud-key/aws-iam',
    entry: { type: 'cloud-key', provider: 'aws-iam', target: { user: UserName } },
    tellsUseAtOnce: true,
    takes: async (secret) => {
      const { accessKeyId, secretAccessKey } = JSON.parse(secret) as Record<
        'accessKeyId' | 'secretAccessKey',
        string
      >;
      const sts = new STSClient({ ...stack.clientConfig, credentials: { accessKeyId, secretAccessKey } });
      try {
        await sts.send(new GetCallerIdentityCommand({}));
        return true;
      } catch {
        return false;
      } finally {
        sts.destroy();
      }
    },
    existing: async () => {
      const user = 'shop-uploader-by-hand';
      await iam.send(new CreateUserCommand({ UserName: user, Tags: [{ Key: TAG.stage, Value: 'local' }] }));
      const { AccessKey: key } = await iam.send(new CreateAccessKeyCommand({ UserName: user }));
      const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey } = key ?? {};
      return { secret: { accessKeyId, secretAccessKey }, target: { user } };
    },
    loseCreation: () => {
      stack.gateway.faults.add({
        match: { service: 'iam', operation: 'CreateAccessKey' },
        times: 1,
        action: { kind: 'lose-answer' },
      });
    },
    live: async () => {
      const { AccessKeyMetadata = [] } = await iam.send(new ListAccessKeysCommand({ UserName }));
      return AccessKeyMetadata.length;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(iam.destroy()),
  };
}
