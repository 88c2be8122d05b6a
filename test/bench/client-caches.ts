import { SecretsProvider } from '@aws-lambda-powertools/parameters/secrets';
import {
  GetSecretValueCommand,
  SecretsManagerClient,
  type SecretsManagerClientConfig,
} from '@aws-sdk/client-secrets-manager';
import middy from '@middy/core';
import secretsManager from '@middy/secrets-manager';
import type { Context } from 'aws-lambda';
import { LRUCache } from 'lru-cache';
import { createCredentialSource } from '../../client/src/create.ts';
import type { CredentialSource } from '../../client/src/credential-source.ts';
import { secretsManagerVault } from '../../client/src/secrets-manager.ts';

/** The name of the one secret of these benchmarks. */
export const SECRET = 'agents/bench';

/** A way to keep a secret in memory. `get` may be called before there is a value. */
export interface Cache {
  readonly get: () => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** How long a cache keeps a value, and how long ours serves an old one. */
export interface Keeping {
  readonly ttlSeconds: number;
  readonly staleLimitSeconds: number;
}

type Open = (config: SecretsManagerClientConfig, keeping: Keeping) => Cache;

const noClose = async (): Promise<void> => undefined;

/** Each with the options that suit it best. */
export const CACHES: Readonly<Record<'rekey' | 'powertools' | 'middy' | 'lru-cache', Open>> = {
  rekey: (config, { ttlSeconds, staleLimitSeconds }) => {
    const vault = secretsManagerVault(new SecretsManagerClient(config));
    const options = { secretId: SECRET, vault, lifetimeSeconds: ttlSeconds, staleLimitSeconds };
    let source: CredentialSource | undefined;
    const opening = createCredentialSource(options).then((opened) => (source = opened));
    return {
      get: () => source?.get() ?? opening.then((opened) => opened.get()),
      close: async () => (await opening)[Symbol.asyncDispose](),
    };
  },
  powertools: (config, { ttlSeconds }) => {
    const provider = new SecretsProvider({ awsSdkV3Client: new SecretsManagerClient(config) });
    return { get: async () => provider.get(SECRET, { maxAge: ttlSeconds }), close: noClose };
  },
  middy: (config, { ttlSeconds }) => {
    const options = { awsClientOptions: config, fetchData: { value: SECRET }, setToContext: true };
    const cache = {
      cacheKey: `bench ${Math.random()}`,
      cacheExpiry: ttlSeconds * 1000,
      disablePrefetch: true,
    };
    const handler = middy()
      .use(secretsManager({ ...options, ...cache }))
      .handler(async (_event: unknown, context: Context & { value?: unknown }) => context.value);
    return { get: async () => handler({}, {} as Context), close: noClose };
  },
  'lru-cache': (config, { ttlSeconds }) => {
    const client = new SecretsManagerClient(config);
    const cache = new LRUCache<string, string>({
      max: 100,
      ttl: ttlSeconds * 1000,
      allowStale: true,
      allowStaleOnFetchRejection: true,
      noDeleteOnFetchRejection: true,
      fetchMethod: async (id) => {
        const { SecretString } = await client.send(new GetSecretValueCommand({ SecretId: id }));
        return SecretString;
      },
    });
    return { get: async () => cache.fetch(SECRET), close: noClose };
  },
};

/** The peers of ours. */
export const PEERS = ['powertools', 'middy', 'lru-cache'] as const;
