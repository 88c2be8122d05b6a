import { randomUUID } from 'node:crypto';
import { FakeMistral } from '../fakes/mistral.ts';
import { FakeOpenAi } from '../fakes/openai.ts';
import { FakePinecone } from '../fakes/pinecone.ts';
import type { Asked, UpstreamServer } from '../fakes/upstream.ts';

/** An upstream that the deployed functions rotate keys of, played by its stateful fake. */
export interface PlayedUpstream extends AsyncDisposable {
  /** Type and provider, as the table of upstreams has them. */
  readonly key: string;
  readonly server: UpstreamServer;
  /** Type, provider, target and policy of a declaration's entry. */
  readonly entry: { readonly type: string; readonly provider: string; readonly target: object };
  /** The administrative secret. */
  readonly admin: object;
  /** Whether a value of the secret is taken, asked as an agent would. */
  takes(secret: string): Promise<boolean>;
  /** Whether a request is the one that makes a key. */
  isCreate(asked: Asked): boolean;
  /** How many keys of the credential live. */
  live(): number;
}

const keyIn = (secret: string): string => (JSON.parse(secret) as { apiKey: string }).apiKey;

/** Starts one of each upstream that Rekey knows. */
export async function playUpstreams(): Promise<PlayedUpstream[]> {
  return Promise.all([openai(), mistral(), pinecone()]);
}

async function openai(): Promise<PlayedUpstream> {
  const fake = await FakeOpenAi.start();
  fake.usageLagMs = 3_600_000;
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/openai',
    server: fake.server,
    entry: {
      type: 'llm-key',
      provider: 'openai',
      target: { project: 'proj_1', serviceAccount: 'sa_1', label: 'agents', baseUrl },
    },
    admin: { adminKey: fake.adminKey, baseUrl },
    takes: async (secret) =>
      (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${keyIn(secret)}` } })).ok,
    isCreate: ({ method, path }) => method === 'POST' && path.endsWith('/api_keys'),
    live: () => fake.keys.all.size,
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function mistral(): Promise<PlayedUpstream> {
  const fake = await FakeMistral.start();
  const baseUrl = `${fake.server.url}/v1`;
  return {
    key: 'llm-key/mistral',
    server: fake.server,
    entry: {
      type: 'llm-key',
      provider: 'mistral',
      target: { workspace: randomUUID(), user: randomUUID(), label: 'agents', baseUrl },
    },
    admin: { adminKey: fake.adminKey, baseUrl },
    takes: async (secret) =>
      (await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${keyIn(secret)}` } })).ok,
    isCreate: ({ method, path }) => method === 'POST' && path.endsWith('/api-keys'),
    live: () => fake.keys.all.size,
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}

async function pinecone(): Promise<PlayedUpstream> {
  const fake = await FakePinecone.start();
  const baseUrl = fake.server.url;
  return {
    key: 'vector-database-key/pinecone',
    server: fake.server,
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
    isCreate: ({ method, path }) => method === 'POST' && path.endsWith('/api-keys'),
    live: () => fake.keys.all.size,
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
  };
}
