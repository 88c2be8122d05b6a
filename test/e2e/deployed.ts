import type { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { TTL_SECONDS } from '../../local/demo/declaration.ts';
import { startFleet, type Fleet } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import type { World } from '../../local/demo/world.ts';
import type { RotateAnswer } from '../../shared/api/messages.ts';

/** A deployed stack with a fleet, as its tests share it. */
export interface Deployed {
  readonly world: World;
  readonly vault: SecretsManagerClient;
}

/** Where nobody listens. */
export const quiet = (): void => undefined;

/** Declares one credential; how it ended and what was said. */
export async function apply(world: World, credential: object): Promise<{ status: number; said: string }> {
  const file = join(world.dir, 'one.yaml');
  await writeFile(file, stringify({ version: 1, credentials: [credential] }));
  const { status, stdout, stderr } = await rekey(['apply', '-f', file, '--json'], world.env);
  return { status, said: stdout + stderr };
}

/** Starts a rotation; its id. */
export async function rotate(world: World, name: string): Promise<string> {
  return (await rekeyJson<RotateAnswer>(['rotate', name], world.env)).rotation.id;
}

/** Two agents that write orders all the time with the login of the demo's credential. */
export function agentsAtWork({ server, stack }: World): Fleet {
  return startFleet(server, stack, {
    agents: 2,
    secret: 'agents/orders',
    ttlSeconds: TTL_SECONDS,
    query: 'INSERT INTO shop.orders DEFAULT VALUES',
    pauseMs: 20,
  });
}
