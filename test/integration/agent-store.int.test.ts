import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import type { Item } from '../../shared/adapters/ledger-items.ts';
import { sessionId, type Acknowledgement, type Pact, type Session } from '../../shared/domain/agents.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { startTable } from '../support/table.ts';

const AGENT = 'checkout';
const START = Date.parse('2026-11-22T10:12:54.000Z');
const at = (seconds: number): string => toInstant(START + seconds * 1000);

let stack: LocalStack;
let aws: AwsCalls;
let now: number;
let tenant: string;
let agents: DynamoDbAgents;

beforeAll(async () => {
  ({ stack, aws } = await startTable('agent-test'));
});
afterAll(async () => {
  await stack.stop();
});
beforeEach(() => {
  now = START;
  stack.gateway.faults.clear();
  tenant = `t-${randomUUID()}`;
  agents = new DynamoDbAgents({ aws, table: 'ledger', tenant, clock: () => now });
});

const pact = (changes: Partial<Pact> = {}): Pact => ({
  agent: AGENT,
  credentials: [],
  checkpoint: false,
  sessionLimitSeconds: 3600,
  version: 1,
  actor: 'arn:aws:iam::111122223333:role/checkout',
  registeredAt: at(0),
  ...changes,
});
const session = (changes: Partial<Session> = {}): Session => ({
  agent: AGENT,
  id: sessionId('host-1', 'thumb', randomUUID().slice(0, 8)),
  instance: 'host-1',
  key: { kind: 'public', jwk: { kty: 'OKP', crv: 'Ed25519', x: 'x' } },
  thumbprint: 'thumb',
  openedAt: at(0),
  seenAt: at(0),
  holds: [],
  keptUntil: at(86_400),
  ...changes,
});
const acknowledgement = (of: Session, changes: Partial<Acknowledgement> = {}): Acknowledgement => ({
  credentialId: 'c-1',
  rotation: 'r-1',
  opensAt: at(0),
  agent: AGENT,
  session: of.id,
  instance: of.instance,
  versionId: 'r-1',
  fingerprint: 'sha256:2222',
  persisted: true,
  at: at(10),
  jws: 'a.b.c',
  thumbprint: of.thumbprint,
  ...changes,
});
const challenged = async (of: Session, challenge = 'nonce'): Promise<Session> => {
  await agents.openSession(of);
  await agents.challenge({ session: of.id, rotation: 'r-1', challenge, expires: at(120) });
  return of;
};
const itemsBelow = async (key: string): Promise<Item[]> => {
  const { Items = [] } = await aws.json<{ Items?: Item[] }>('dynamodb', 'Query', {
    TableName: 'ledger',
    KeyConditionExpression: 'pk = :p',
    ExpressionAttributeValues: { ':p': { S: `${tenant}#${key}` } },
  });
  return Items;
};

describe('a pact in the table', () => {
  test('is read in its newest version, and the last thousand stay', async () => {
    await agents.putPact(pact());
    await agents.putPact(pact({ version: 2, checkpoint: true }));
    expect(await agents.pact(AGENT)).toMatchObject({ version: 2, checkpoint: true });
    expect((await itemsBelow(`PACT#${AGENT}`)).map(({ sk }) => sk)).toEqual([
      { S: 'NEWEST' },
      { S: 'V#001' },
      { S: 'V#002' },
    ]);
  });

  test('is written once by two who register the same version at once', async () => {
    const both = await Promise.allSettled([1, 2].map(async () => agents.putPact(pact())));
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    await expect(agents.putPact(pact())).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('is not written once a pact that it was checked against has changed', async () => {
    await agents.putPact(pact({ agent: 'search' }));
    await expect(agents.putPact(pact(), new Map([['search', 0]]))).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(await agents.pact(AGENT)).toBeUndefined();
    await agents.putPact(
      pact(),
      new Map([
        ['search', 1],
        ['nobody', 0],
      ]),
    );
    expect(await agents.pact(AGENT)).toBeDefined();
  });

  test('is listed by its agent, page by page', async () => {
    const names = Array.from({ length: 103 }, (_each, index) => `agent-${String(index).padStart(3, '0')}`);
    for (const agent of names) await agents.putPact(pact({ agent }));
    const first = await agents.pacts();
    const second = await agents.pacts(first.next);
    expect([...first.items, ...second.items].map(({ agent }) => agent)).toEqual(names);
    expect(second.next).toBeUndefined();
  });
});

describe('a session in the table', () => {
  test('is one for the same instance and key, until it is closed', async () => {
    const first = await agents.openSession(session({ opening: 1 }));
    const again = await agents.openSession(session({ opening: 1 }));
    expect(again.id).toBe(first.id);
    await agents.close(first, at(5));
    const next = await agents.openSession(session({ opening: 2 }));
    expect(next.id).not.toBe(first.id);
    expect(await agents.session(AGENT, first.id)).toBeUndefined();
    expect(await agents.sessions(AGENT)).toHaveLength(1);
  });

  test('is not opened again, once it has closed, by a number that has come before', async () => {
    const first = await agents.openSession(session({ opening: 1 }));
    // Its answer was lost: the next one has another number, which is kept.
    expect(await agents.openSession(session({ opening: 2 }))).toEqual({ ...first, opening: 2 });
    expect(await agents.openSession(session({ opening: 1 }))).toEqual({ ...first, opening: 2 });
    await agents.touch({ ...first, sequence: 5, seenAt: at(1) });
    await agents.close(first, at(5));
    const closed = await agents.session(AGENT, first.id);
    for (const opening of [1, 2, 5])
      await expect(agents.openSession(session({ opening }))).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
        field: 'payload.sequence',
        remedy: expect.stringContaining('above 5'),
      });
    expect(await agents.session(AGENT, first.id)).toEqual(closed);
    expect(await agents.openSession(session({ opening: 6 }))).toMatchObject({ opening: 6 });
  });

  test('is forgotten three minutes after it has closed, so that a fleet of short ones has room', async () => {
    const closed = await agents.openSession(session({ keptUntil: at(30 * 86_400) }));
    await agents.close(closed, at(5));
    now = START + 185_000;
    expect(await agents.session(AGENT, closed.id)).toMatchObject({ closedAt: at(5) });
    expect((await itemsBelow(`AGENT#${AGENT}`))[0]?.['expires']).toEqual({ N: String(START / 1000 + 185) });
    now += 1;
    expect(await agents.sessions(AGENT)).toEqual([]);
  });

  test('is one for two who open it at once', async () => {
    const both = await Promise.all([agents.openSession(session()), agents.openSession(session())]);
    expect(new Set(both.map(({ id }) => id)).size).toBe(1);
  });

  test('keeps what it last said, and once closed takes nothing more', async () => {
    const open = await agents.openSession(session());
    const holds = [{ credential: 'orders-db', versionId: 'v-1' }];
    await agents.touch({ ...open, sequence: 1, holds, seenAt: at(60), keptUntil: at(90_000) });
    expect(await agents.session(AGENT, open.id)).toEqual({
      ...open,
      sequence: 1,
      holds,
      seenAt: at(60),
      keptUntil: at(90_000),
    });
    await agents.close(open, at(61));
    await agents.close(open, at(99));
    await expect(agents.touch({ ...open, sequence: 2, seenAt: at(70) })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      field: 'session',
    });
    expect(await agents.session(AGENT, open.id)).toMatchObject({ closedAt: at(61), seenAt: at(60) });
  });

  test('keeps the newest that it has said: the same again and what is older change nothing', async () => {
    const open = await agents.openSession(session());
    const newest = { ...open, sequence: 7, seenAt: at(60) };
    expect(await agents.touch(newest)).toMatchObject({ seenAt: at(60) });
    const again = { ...newest, holds: [{ credential: 'orders-db', versionId: 'v-1' }], seenAt: at(90) };
    expect(await agents.touch(again)).toMatchObject({ holds: [], seenAt: at(60) });
    await expect(agents.touch({ ...again, sequence: 6 })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      field: 'payload.sequence',
    });
    expect(await agents.session(AGENT, open.id)).toEqual(newest);
    // As a number: not as text.
    expect(await agents.touch({ ...again, sequence: 10 })).toMatchObject({ seenAt: at(90) });
  });

  test('counts no longer than it is kept, and leaves its place to another', async () => {
    const open = await agents.openSession(session());
    now = START + 86_401_000;
    expect(await agents.session(AGENT, open.id)).toBeUndefined();
    expect(await agents.sessions(AGENT)).toEqual([]);
    const next = await agents.openSession(session({ keptUntil: at(2 * 86_400) }));
    expect(next.id).not.toBe(open.id);
    expect((await itemsBelow(`AGENT#${AGENT}`)).map(({ expires }) => expires)).toEqual([
      { N: String(START / 1000 + 2 * 86_400) },
    ]);
  });
});

describe('an acknowledgement in the table', () => {
  test('spends its challenge, and the same again is success', async () => {
    const open = await challenged(session());
    const first = acknowledgement(open);
    await agents.acknowledge(first, 'nonce', at(10));
    await agents.acknowledge(first, 'nonce', at(11));
    expect(await agents.acknowledgements(first)).toEqual([first]);
    await expect(
      agents.acknowledge(acknowledgement(open, { jws: 'd.e.f' }), 'nonce', at(12)),
    ).rejects.toMatchObject({ code: 'ERR_CHALLENGE' });
    expect(await agents.acknowledgements(first)).toEqual([first]);
  });

  test('is kept once for two at once, and a challenge serves one of them only', async () => {
    const open = await challenged(session());
    const two = ['a.b.c', 'd.e.f'].map(async (jws) =>
      agents.acknowledge(acknowledgement(open, { jws }), 'nonce', at(10)),
    );
    const ends = await Promise.allSettled(two);
    expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(await agents.acknowledgements(acknowledgement(open))).toHaveLength(1);
  });

  test('is refused for a challenge that is unknown, expired, replaced, or of another session or rotation', async () => {
    const open = await challenged(session());
    const other = await challenged(
      session({ id: sessionId('host-2', 'thumb', 'n'), instance: 'host-2' }),
      'its own',
    );
    const tries: [Acknowledgement, string, number][] = [
      [acknowledgement(open), 'made up', 10],
      [acknowledgement(open), 'nonce', 120],
      [acknowledgement(open), 'its own', 10],
      [acknowledgement(other), 'nonce', 10],
      [acknowledgement(open, { rotation: 'r-2' }), 'nonce', 10],
    ];
    for (const [each, challenge, seconds] of tries)
      await expect(agents.acknowledge(each, challenge, at(seconds))).rejects.toMatchObject({
        code: 'ERR_CHALLENGE',
      });
    await agents.challenge({ session: open.id, rotation: 'r-1', challenge: 'newer', expires: at(120) });
    await expect(agents.acknowledge(acknowledgement(open), 'nonce', at(10))).rejects.toMatchObject({
      code: 'ERR_CHALLENGE',
    });
    expect(await agents.acknowledgements(acknowledgement(open))).toEqual([]);
  });

  test('is marked as contradicted for good by the first contradiction, and replaced by a fresh one', async () => {
    const open = await challenged(session());
    await agents.acknowledge(acknowledgement(open), 'nonce', at(10));
    await agents.contradict(acknowledgement(open), at(20));
    await agents.contradict(acknowledgement(open), at(30));
    expect(await agents.acknowledgement(acknowledgement(open))).toMatchObject({ contradictedAt: at(20) });
    await challenged(open, 'fresh');
    const fresh = acknowledgement(open, { jws: 'g.h.i', at: at(40) });
    await agents.acknowledge(fresh, 'fresh', at(40));
    // Whoever has seen the one before, and was slow.
    await agents.contradict(acknowledgement(open), at(41));
    expect(await agents.acknowledgements(fresh)).toEqual([fresh]);
  });

  test('belongs to one window: the way back of a rollback has its own', async () => {
    const open = await challenged(session());
    await agents.acknowledge(acknowledgement(open), 'nonce', at(10));
    expect(await agents.acknowledgements({ rotation: 'r-1', opensAt: at(600) })).toEqual([]);
  });
});

describe('reports of uses', () => {
  const use = (changes: object = {}) => ({
    credentialId: 'c-1',
    agent: AGENT,
    session: 's-1',
    versionId: 'r-1',
    succeeded: 3,
    refused: 1,
    from: at(0),
    to: at(2),
    ...changes,
  });

  test('add up in their minute, and the same again counts once', async () => {
    await agents.report(use());
    await agents.report(use());
    await agents.report(use({ from: at(2), to: at(4) }));
    await agents.report(use({ session: 's-2' }));
    const found = await agents.uses('c-1', at(0), at(60));
    expect(found.toSorted((a, b) => (a.session < b.session ? -1 : 1))).toEqual([
      use({ succeeded: 6, refused: 2, to: at(4) }),
      use({ session: 's-2' }),
    ]);
  });

  test('of a credential that is none of the agent’s are kept apart, once an hour, by when they came first', async () => {
    const stray = { credentialId: 'c-1', agent: AGENT, at: at(0) };
    await agents.stray(stray);
    await agents.stray({ ...stray, at: at(60) });
    await agents.stray({ ...stray, agent: 'search', at: at(60) });
    expect(await agents.strays(at(0), at(60))).toEqual([stray]);
    expect(await agents.strays(at(60), at(120))).toEqual([{ ...stray, agent: 'search', at: at(60) }]);
    expect(await agents.uses('c-1', at(0), at(600))).toEqual([]);
  });

  test('are found by their minute and credential only, and are forgotten after five weeks', async () => {
    await agents.report(use());
    await agents.report(use({ from: at(180), to: at(182) }));
    await agents.report(use({ credentialId: 'c-2' }));
    expect(await agents.uses('c-1', at(60), at(240))).toEqual([use({ from: at(180), to: at(182) })]);
    expect((await itemsBelow('USE#c-1'))[0]?.['expires']).toEqual({
      N: String(START / 1000 + 2 + 35 * 86_400),
    });
  });
});

describe('a sealed key', () => {
  const context = { purpose: 'acknowledgement', of: 'c-1', id: 'r-1' } as const;

  test('opens for what it was sealed for and for nothing else', async () => {
    const { KeyMetadata } = await aws.json<{ KeyMetadata: { KeyId: string } }>('kms', 'CreateKey', {});
    const sealer = new KmsSealer({ aws, key: KeyMetadata.KeyId });
    const sealed = await sealer.seal(new Redacted(Buffer.from('thirty-two random bytes of a key')), context);
    expect(sealed).not.toContain('random');
    expect(Buffer.from((await sealer.unseal(sealed, context)).reveal()).toString()).toBe(
      'thirty-two random bytes of a key',
    );
    for (const other of [
      { ...context, purpose: 'instance' as const },
      { ...context, of: 'c-2' },
      { ...context, id: 'r-2' },
    ])
      await expect(sealer.unseal(sealed, other)).rejects.toMatchObject({ code: 'ERR_PROOF' });
  });
});
