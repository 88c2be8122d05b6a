import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { GENESIS } from '../../shared/domain/audit.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { resolvePolicy } from '../../shared/domain/policy.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { planDue, realignAll } from '../../shared/engine/plan.ts';
import { MemoryAgentStore, MemorySealer } from '../support/agent-parts.ts';
import { startTable } from '../support/table.ts';

const START = Date.parse('2026-01-01T00:00:00.000Z');
const DAY_MS = 86_400_000;

let stack: LocalStack;
let aws: AwsCalls;
beforeAll(async () => {
  ({ stack, aws } = await startTable('planner-test'));
});
afterAll(async () => {
  await stack.stop();
});

/** A tenant with credentials that are all due, an hour after each other, and a machine that starts nothing for some. */
async function fleet(
  size: number,
  head: (n: number) => Partial<Credential> = () => ({}),
): Promise<{
  ids: string[];
  started: string[];
  refused: Set<string>;
  deps: EngineDeps;
  clock: { now: number };
  agents: MemoryAgentStore;
}> {
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
      {
        id,
        tenant,
        account: stack.accountId,
        region: stack.region,
        name: `name-${id}`,
        type: 'database',
        provider: 'postgresql',
        secretName: `agents/${id}`,
        target: {},
        adminSecret: 'admin',
        policy: resolvePolicy('database', {}, [], START),
        mode: 'enforce',
        holders: [],
        status: 'active',
        current: { handle: { id: 'a', generation: 1 }, versionId: id, fingerprint: 'sha256:1', issuedAt },
        live: [],
        generation: 1,
        epoch: 0,
        version: 0,
        seq: 0,
        chain: GENESIS,
        registeredAt: toInstant(START),
        updatedAt: toInstant(START),
        ...head(n),
      },
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

describe('a run of the planner over many', () => {
  test('takes as many as it may, the earliest first and paced; the next runs take the rest, each one once', async () => {
    const { ids, started, deps } = await fleet(7);
    const pauses: number[] = [];
    const budget = {
      maxStarts: 3,
      paceMs: 250,
      pause: async (ms: number) => void pauses.push(ms),
      until: Number.POSITIVE_INFINITY,
    };
    const lefts: number[] = [];
    for (let run = 0; run < 4; run++) lefts.push((await planDue(deps, budget)).left);
    expect(lefts).toEqual([4, 1, 0, 0]);
    expect(started).toEqual(ids);
    expect(pauses).toEqual(ids.map(() => 250));
  });

  test('ends in time and leaves the rest', async () => {
    const { ids, started, deps, clock } = await fleet(3);
    const pause = async (): Promise<void> => {
      clock.now += 1000;
    };
    const until = clock.now + 1500;
    expect(await planDue(deps, { maxStarts: 9, paceMs: 0, pause, until })).toMatchObject({ left: 1 });
    expect(started).toEqual(ids.slice(0, 2));
  });

  test('one that fails keeps no other from its turn, and is told with its code', async () => {
    const { ids, started, refused, deps } = await fleet(4);
    refused.add(ids[0] ?? '').add(ids[2] ?? '');
    const budget = { maxStarts: 2, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
    const answer = await planDue(deps, budget);
    expect(started).toEqual([ids[1], ids[3]]);
    expect(answer).toMatchObject({ started, left: 0 });
    expect(answer.failed).toEqual(
      [ids[0], ids[2]].map((credentialId) => ({ credentialId, code: 'ERR_INTERNAL' })),
    );
  });

  test('never breaks the stagger of an agent that changes credentials between its sessions, and says why', async () => {
    const holders = [{ kind: 'client', name: 'checkout', principal: 'arn:a' }] as const;
    const names = ['orders-db', 'stock-db'];
    const { ids, started, deps, clock, agents } = await fleet(2, (n) => ({ name: names[n] ?? '', holders }));
    const terms = {
      refresh: 'between-sessions',
      ttlSeconds: 1,
      staleLimitSeconds: 1,
      delegates: [],
    } as const;
    await agents.putPact({
      agent: 'checkout',
      credentials: names.map((credential) => ({ credential, uses: 'unreported', ...terms })),
      checkpoint: false,
      sessionLimitSeconds: 60,
      version: 1,
      actor: 'arn:a',
      registeredAt: toInstant(START),
    });
    const budget = { maxStarts: 9, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
    expect(await planDue(deps, budget)).toMatchObject({ started: [ids[0]], failed: [], left: 0 });
    const waiting = await deps.ledger.credential(ids[1] ?? '');
    expect(waiting?.plan).toMatchObject({ waitsFor: expect.stringContaining('orders-db is being rotated') });
    expect(await planDue(deps, budget)).toMatchObject({ started: [] });
    // The other one has ended: it is looked at again by itself.
    const other = await deps.ledger.credential(ids[0] ?? '');
    if (other?.current === undefined) throw new Error('the other credential is gone');
    const { activeRotation: _over, ...ended } = other;
    await deps.ledger.attach({ ...ended, current: { ...other.current, issuedAt: toInstant(clock.now) } });
    clock.now += 16 * 60_000;
    expect((await planDue(deps, budget)).started).toEqual([ids[1]]);
    expect(started).toEqual(ids);
  });

  test('rotates a master before its dependants, and never beside them', async () => {
    const { ids, deps } = await fleet(2, (n) =>
      n === 0 ? { adminSecret: 'masters/orders' } : { secretName: 'masters/orders' },
    );
    const budget = { maxStarts: 9, paceMs: 0, pause: async () => undefined, until: Number.POSITIVE_INFINITY };
    expect((await planDue(deps, budget)).started).toEqual([ids[1]]);
    const dependant = await deps.ledger.credential(ids[0] ?? '');
    expect(dependant?.plan?.waitsFor).toContain('is due, and goes first');
  });

  test('the walk goes through every page, and says so where its time is over', async () => {
    const { deps } = await fleet(105);
    expect(await realignAll(deps, Number.POSITIVE_INFINITY)).toEqual({
      looked: 105,
      moved: 0,
      complete: true,
    });
    expect(await realignAll(deps, 0)).toEqual({ looked: 0, moved: 0, complete: false });
  });

  test('never scans the table', () => {
    const operations = new Set(stack.gateway.recorder.calls().map(({ operation }) => operation));
    expect(operations).toContain('Query');
    expect(operations).not.toContain('Scan');
  });
});
