import { randomUUID } from 'node:crypto';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { registeringHead } from './credential-head.ts';
import { MemoryAgentStore, MemorySealer } from './agent-parts.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;

/** A stack with the ledger's table (`startTable`). */
interface Table {
  readonly stack: LocalStack;
  readonly aws: AwsCalls;
}

/** Credentials of one tenant that are all due, and what a planner works with. */
export interface DueFleet {
  readonly ids: string[];
  /** Ids whose lifecycle was started, in order. */
  readonly started: string[];
  /** Ids whose lifecycle doesn't start. */
  readonly refused: Set<string>;
  readonly deps: EngineDeps;
  readonly clock: { now: number };
  readonly agents: MemoryAgentStore;
}

/** A tenant with credentials that are all due, an hour after each other, and a machine that starts nothing for some. */
export async function dueFleet(
  { stack, aws }: Table,
  size: number,
  head: (n: number) => Partial<Credential> = () => ({}),
): Promise<DueFleet> {
  const tenant = `tenant-${randomUUID()}`;
  const clock = { now: START };
  const ledger = new DynamoDbLedger({ aws, table: 'ledger', tenant, clock: () => clock.now });
  const ids: string[] = [];
  const started: string[] = [];
  const refused = new Set<string>();
  for (let n = 0; n < size; n++) {
    const id = randomUUID();
    const issuedAt = toInstant(START + n * 3_600_000);
    await ledger.create(
      registeringHead(
        { account: stack.accountId, region: stack.region, tenant, now: START },
        {
          id,
          status: 'active',
          current: { handle: { id: 'a', generation: 1 }, versionId: id, fingerprint: 'sha256:1', issuedAt },
          ...head(n),
        },
      ),
      { action: 'registered', time: toInstant(START), trigger: { kind: 'operator', actor: 'arn:o' } },
    );
    ids.push(id);
  }
  clock.now = START + 29 * DAY_MS;
  const never = (): never => {
    throw new Error('the planner has no part in this');
  };
  const agents = new MemoryAgentStore();
  return {
    agents,
    ids,
    started,
    refused,
    clock,
    deps: {
      ledger,
      readers: { saw: never, of: never },
      agents,
      sealer: new MemorySealer(),
      vault: new SecretsManagerVault(aws),
      workflow: {
        startLifecycle: async ({ credentialId }) => {
          if (refused.has(credentialId)) throw new Error('throttled for good');
          started.push(credentialId);
        },
        answer: never,
        startEmergency: never,
        emergency: never,
        startSuspension: never,
      },
      providerFor: never,
      readAdmin: never,
      clock: () => clock.now,
      newId: randomUUID,
      reach: { privateHosts: [] },
      timing: { stuckAfterSeconds: 900 },
    },
  };
}

/** The pact of an agent that can change these credentials between its sessions only. */
export async function staggers(
  { agents }: Pick<DueFleet, 'agents'>,
  agent: string,
  credentials: readonly string[],
  delegates: string[] = [],
): Promise<void> {
  const terms = { refresh: 'between-sessions', ttlSeconds: 1, staleLimitSeconds: 1, delegates } as const;
  await agents.putPact({
    agent,
    credentials: credentials.map((credential) => ({ credential, uses: 'unreported', ...terms })),
    checkpoint: false,
    sessionLimitSeconds: 60,
    version: 1,
    actor: 'arn:a',
    registeredAt: toInstant(START),
  });
}
