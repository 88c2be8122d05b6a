import { randomUUID } from 'node:crypto';
import { GENESIS } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { resolvePolicy } from '../../shared/domain/policy.ts';

/** The head of a database login under the defaults of its type, as it is when its registration begins at `now`. */
export function registeringHead(
  {
    account,
    region,
    tenant,
    now,
  }: Pick<Credential, 'account' | 'region' | 'tenant'> & { readonly now: number },
  changes: Partial<Credential> = {},
): Credential {
  const id = randomUUID();
  return {
    id,
    tenant,
    account,
    region,
    name: `name-${id}`,
    type: 'database',
    provider: 'postgresql',
    secretName: `agents/${id}`,
    target: {},
    adminSecret: 'admin',
    policy: resolvePolicy('database', {}, [], now),
    mode: 'enforce',
    holders: [],
    status: 'registering',
    live: [],
    generation: 1,
    epoch: 0,
    version: 0,
    seq: 0,
    chain: GENESIS,
    registeredAt: toInstant(now),
    updatedAt: toInstant(now),
    ...changes,
  };
}
