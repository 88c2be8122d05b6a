import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { sigV4 } from '../../../client/src/sigv4.ts';
import type { World } from '../../../local/demo/world.ts';
import { isHeld, type DirectorySet, type SetKind } from '../../../shared/domain/directory.ts';
import { OUTPUT, TABLE } from '../../../shared/names.ts';
import type { JwksMaterial } from '../../../shared/providers/jwks/material.ts';
import { verifies } from '../../contract/cases/jwks.ts';
import { entryOf, loseAnswer, type PlayedUpstream } from './played.ts';

/** What agents identify themselves with. */
export const IDENTITIES = {
  'signing-key/jwks': signingKeys,
  'agent-token/opaque': agentTokens,
} as const;

/** Where verifiers find the directory of the deployed stack. */
export function directoryUrl(world: World): string {
  const apiId = /([a-z0-9]+)\.execute-api/.exec(world.output(OUTPUT.directoryUrl))?.[1] ?? '';
  return world.stack.apiUrl(apiId);
}

/** Asks whether a token is active, as RFC 7662 has it, signed as IAM wants it. */
export async function introspect(world: World, token: string): Promise<Record<string, unknown>> {
  const url = new URL(`${directoryUrl(world)}/introspect`);
  const body = new URLSearchParams({ token }).toString();
  const sign = sigV4(world.stack.clientConfig);
  const headers = await sign({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body,
  });
  const response = await fetch(url, { method: 'POST', headers, body });
  if (!response.ok) throw new Error(`introspection answers ${response.status}`);
  return (await response.json()) as Record<string, unknown>;
}

/** Keys with which agents sign; `jose` is the verifier. */
async function signingKeys(world: World): Promise<PlayedUpstream> {
  return identity(world, {
    key: 'signing-key/jwks',
    kind: 'jwks',
    target: { name: 'shop-agents', issuer: 'https://agents.shop.example', tokenLifetimeSeconds: 1 },
    takes: async (secret) => verifies(directoryUrl(world), 'shop-agents', JSON.parse(secret) as JwksMaterial),
  });
}

/** Bearer tokens; whoever asks is known by IAM. */
async function agentTokens(world: World): Promise<PlayedUpstream> {
  return identity(world, {
    key: 'agent-token/opaque',
    kind: 'tokens',
    target: { name: 'shop-agent', agent: 'shop', audience: 'orders', scopes: ['orders:read'] },
    takes: async (secret) =>
      (await introspect(world, (JSON.parse(secret) as { token: string }).token))['active'] === true,
  });
}

async function identity(
  world: World,
  {
    key,
    kind,
    target,
    takes,
  }: Pick<PlayedUpstream, 'key' | 'takes'> & {
    readonly kind: SetKind;
    readonly target: Readonly<Record<string, unknown>> & { readonly name: string };
  },
): Promise<PlayedUpstream> {
  const dynamodb = new DynamoDBClient(world.stack.clientConfig);
  return Promise.resolve({
    key,
    entry: entryOf(key, { ...target, cacheSeconds: 1, clockSkewSeconds: 0 }),
    policy: { interval: '1d', soak: '2s' },
    takes,
    loseCreation: () =>
      loseAnswer(world.stack, {
        service: 'dynamodb',
        operation: 'TransactWriteItems',
        resource: world.output(OUTPUT.directory),
      }),
    live: async () => {
      const { Item } = await dynamodb.send(
        new GetItemCommand({
          TableName: world.output(OUTPUT.directory),
          Key: { [TABLE.pk]: { S: `default#SET#${kind}#${target.name}` }, [TABLE.sk]: { S: 'SET' } },
        }),
      );
      const { entries } = JSON.parse(Item?.['doc']?.S ?? '{"entries":[]}') as DirectorySet;
      return entries.filter(isHeld).length;
    },
    [Symbol.asyncDispose]: async () => Promise.resolve(dynamodb.destroy()),
  });
}
