import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import {
  checkChain,
  GENESIS,
  type AuditAction,
  type AuditDraft,
  type AuditRecord,
} from '../../shared/domain/audit.ts';
import type { Claim } from '../../shared/domain/claim.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential, Key } from '../../shared/domain/credential.ts';
import { resolvePolicy } from '../../shared/domain/policy.ts';
import { advance, type Rotation } from '../../shared/domain/rotation.ts';
import type { Turns } from '../../shared/ports/ledger.ts';
import { startTable } from '../support/table.ts';

const START = Date.parse('2026-11-22T10:00:00.000Z');

let stack: LocalStack;
let aws: AwsCalls;
let ledger: DynamoDbLedger;
let tenant: string;
let now = START;

beforeAll(async () => {
  ({ stack, aws } = await startTable('ledger-test'));
});
afterAll(async () => {
  await stack.stop();
});
beforeEach(() => {
  stack.gateway.faults.clear();
  now = START;
  tenant = `tenant-${randomUUID()}`;
  ledger = new DynamoDbLedger({ aws, table: 'ledger', tenant, clock: () => now });
});

const draft = (action: AuditAction, evidence?: object): AuditDraft => ({
  action,
  time: toInstant(now),
  trigger: { kind: 'operator', actor: 'arn:operator' },
  ...(evidence === undefined ? {} : { evidence }),
});

function fresh(changes: Partial<Credential> = {}): Credential {
  const id = randomUUID();
  return {
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
    status: 'registering',
    live: [],
    generation: 1,
    epoch: 0,
    version: 0,
    seq: 0,
    chain: GENESIS,
    registeredAt: toInstant(START),
    updatedAt: toInstant(START),
    ...changes,
  };
}

const created = (changes: Partial<Credential> = {}): Promise<Credential> =>
  ledger.create(fresh(changes), draft('registration-intended'));

const rotationOf = (credential: Credential, changes: Partial<Rotation> = {}): Rotation => ({
  id: randomUUID(),
  credentialId: credential.id,
  phase: 'announced',
  trigger: { kind: 'operator', actor: 'arn:operator' },
  epoch: 0,
  tombstoned: false,
  wakeUps: 0,
  loser: 'old',
  repairs: 0,
  checkAt: toInstant(now + 900_000),
  startedAt: toInstant(now),
  updatedAt: toInstant(now),
  ...changes,
});

async function recordsOf(credential: Credential, from?: number): Promise<AuditRecord[]> {
  const records: AuditRecord[] = [];
  for await (const record of ledger.records(credential.id, from)) records.push(record);
  return records;
}

/** Refuses the nth call of an operation, or loses its answer. */
function fault(operation: string, kind: 'throttle' | 'lose-answer' | 'drop', times = 1): void {
  stack.gateway.faults.add({ match: { service: 'dynamodb', operation }, times, action: { kind } });
}

describe('create', () => {
  test('reserves name and secret and writes the first record', async () => {
    const credential = await created();
    expect(await ledger.credential(credential.id)).toEqual(credential);
    expect(await ledger.idByName(credential.name)).toBe(credential.id);
    expect(await ledger.idBySecret(credential.secretName)).toBe(credential.id);
    const arn = `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${credential.secretName}-AbC123`;
    expect(await ledger.idBySecret(arn)).toBe(credential.id);
    const records = await recordsOf(credential);
    expect(records.map((record) => record.message)).toEqual(['registration-intended']);
    expect(checkChain(records, credential)).toEqual([]);
  });

  test.each(['name', 'secretName'] as const)(
    'refuses a second one of the same %s and leaves nothing',
    async (field) => {
      const first = await created();
      const second = fresh({ [field]: first[field] });
      await expect(ledger.create(second, draft('registration-intended'))).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
      });
      expect(await ledger.credential(second.id)).toBeUndefined();
      expect(await recordsOf(second)).toEqual([]);
    },
  );

  test('lets one of many at once through', async () => {
    const name = 'contended';
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => created({ name })));
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
    expect((await ledger.list()).items).toHaveLength(1);
  });

  test('is given back by release; the audit trail stays', async () => {
    const credential = await created();
    await ledger.release(credential);
    expect(await ledger.credential(credential.id)).toBeUndefined();
    expect(await ledger.idByName(credential.name)).toBeUndefined();
    expect(await ledger.idBySecret(credential.secretName)).toBeUndefined();
    expect(await recordsOf(credential)).toHaveLength(1);
    expect((await ledger.list()).items.filter(({ id }) => id === credential.id)).toEqual([]);
    await created({ name: credential.name });
  });

  test('is kept by what is unregistered until it is released, with its record and whoever knows the id', async () => {
    const before = await created();
    const left = await ledger.commit({
      before,
      after: { ...before, status: 'unregistered' },
      records: [draft('unregister-intended')],
    });
    expect(await ledger.credential(before.id)).toBeUndefined();
    expect((await ledger.list()).items.filter(({ id }) => id === before.id)).toEqual([]);
    expect(await ledger.idByName(before.name)).toBe(before.id);
    await ledger.release(left, draft('unregistered'));
    const head = await ledger.unregistered(before.id);
    expect(await ledger.idByName(before.name)).toBeUndefined();
    expect(checkChain(await recordsOf(before), head)).toEqual([]);
    expect((await recordsOf(before)).map(({ message }) => message).slice(1)).toEqual([
      'unregister-intended',
      'unregistered',
    ]);
    // A second release, late, must not take the name from whoever has it by then.
    const next = await created({ name: before.name });
    await expect(ledger.release(left)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await ledger.idByName(before.name)).toBe(next.id);
    expect(await ledger.unregistered(next.id)).toBeUndefined();
  });

  test('is not given back where somebody has changed it since', async () => {
    const before = await created();
    await ledger.commit({
      before,
      after: { ...before, status: 'halted', epoch: 1 },
      records: [draft('emergency-intended')],
    });
    await expect(ledger.release(before)).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
    expect(await ledger.idByName(before.name)).toBe(before.id);
  });

  test("reserves the target's users too, and names who has them", async () => {
    const targetIdentity = `db.internal:5432/${randomUUID()}`;
    const first = await created({ targetIdentity });
    const second = fresh({ targetIdentity });
    await expect(ledger.create(second, draft('registration-intended'))).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'target.ownerRole',
      remedy: expect.stringContaining(first.name),
    });
    await ledger.release(first);
    await ledger.create(second, draft('registration-intended'));
  });
});

describe('commit', () => {
  test('changes state and writes its records in one transaction, numbered without gap', async () => {
    const before = await created();
    const rotation = rotationOf(before);
    const after = await ledger.commit({
      before,
      after: { ...before, status: 'active', activeRotation: rotation.id },
      rotation,
      records: [draft('registered'), draft('rotation-announced')],
    });
    expect(after).toMatchObject({ seq: 3, version: before.version + 1 });
    expect(await ledger.credential(before.id)).toEqual(after);
    expect(await ledger.rotation(before.id, rotation.id)).toEqual(rotation);
    const records = await recordsOf(before);
    expect(records.map((record) => record.metadata.sequence)).toEqual([1, 2, 3]);
    expect(checkChain(records, after)).toEqual([]);
    expect(await recordsOf(before, 3)).toEqual(records.slice(2));
  });

  test('on what somebody else has changed is refused, and writes nothing', async () => {
    const before = await created();
    const change = { before, after: before, records: [draft('registered')] as const };
    const after = await ledger.commit(change);
    await expect(ledger.commit(change)).rejects.toMatchObject({ code: 'ERR_CONFLICT', retryable: true });
    await expect(ledger.attach(before)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await ledger.credential(before.id)).toEqual(after);
    expect(await recordsOf(before)).toHaveLength(2);
  });

  test('takes the turn of an agent once: of two that have read the same one, the second is refused and writes nothing', async () => {
    const [one, other] = [await created(), await created()];
    const start = async (before: Credential, turns: Turns): Promise<Credential> =>
      ledger.commit({ before, after: before, turns, records: [draft('rotation-announced')] });
    const read = await ledger.turns(['checkout']);
    expect(await ledger.turns(['checkout'])).toEqual(read);
    await start(one, read);
    await expect(start(other, read)).rejects.toMatchObject({ code: 'ERR_CONFLICT', retryable: true });
    expect(await ledger.credential(other.id)).toEqual(other);
    expect(await recordsOf(other)).toHaveLength(1);
    await start(other, await ledger.turns(['checkout']));
    // One that takes turns at every place still fits into a transaction.
    const agents = Array.from({ length: 200 }, (_each, n) => `agent-${n}`);
    const third = await created();
    await start(third, await ledger.turns(agents));
    await expect(start(await created(), read)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('hard decision 3: of an older epoch is refused as preempted', async () => {
    const before = await created();
    await ledger.commit({ before, after: { ...before, epoch: 1 }, records: [draft('emergency-intended')] });
    await expect(
      ledger.commit({ before, after: before, records: [draft('registered')] }),
    ).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
    await expect(ledger.attach(before)).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
  });

  test('hard decision 13: from many at once: each either commits or learns that it came second; no gap, no duplicate', async () => {
    const { id } = await created();
    let committed = 0;
    let lost = 0;
    const writer = async (): Promise<void> => {
      while (committed < 20) {
        const before = await ledger.credential(id);
        if (before === undefined) throw new Error('gone');
        try {
          await ledger.commit({ before, after: before, records: [draft('registered', { n: committed })] });
          committed++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFLICT' });
          lost++;
        }
      }
    };
    await Promise.all([writer(), writer(), writer(), writer()]);
    expect(lost).toBeGreaterThan(0);
    const head = await ledger.credential(id);
    if (head === undefined) throw new Error('gone');
    const records = await recordsOf(head);
    expect(records).toHaveLength(committed + 1);
    expect(checkChain(records, head)).toEqual([]);
  });

  test.each(['throttle', 'drop'] as const)('that is met by %s is tried again', async (kind) => {
    const before = await created();
    fault('TransactWriteItems', kind, 2);
    const after = await ledger.commit({ before, after: before, records: [draft('registered')] });
    expect(await ledger.credential(before.id)).toEqual(after);
    expect(checkChain(await recordsOf(before), after)).toEqual([]);
  });

  test('whose answer is lost is made once and still answered', async () => {
    const before = await created();
    fault('TransactWriteItems', 'lose-answer');
    const after = await ledger.commit({ before, after: before, records: [draft('registered')] });
    expect(after.seq).toBe(2);
    expect(checkChain(await recordsOf(before), after)).toEqual([]);
  });

  test('keeps a record byte for byte as it was hashed', async () => {
    const before = await created();
    const evidence = {
      text: 'Grüße \u2028 "quoted" \\ \u0000 é',
      number: 1e21,
      nested: { b: 1, a: [null, 0.1] },
    };
    const after = await ledger.commit({ before, after: before, records: [draft('registered', evidence)] });
    expect(checkChain(await recordsOf(before), after)).toEqual([]);
    expect((await recordsOf(before)).at(-1)?.entity.data.evidence).toBe(JSON.stringify(evidence));
  });
});

describe('attach', () => {
  test('stores without a record, and is fenced all the same', async () => {
    const before = await created();
    const attached = await ledger.attach({ ...before, secretArn: 'arn:x' }, rotationOf(before));
    expect(attached).toMatchObject({ secretArn: 'arn:x', seq: before.seq, version: before.version + 1 });
    expect(await recordsOf(before)).toHaveLength(1);
    const after = await ledger.commit({ before: attached, after: attached, records: [draft('registered')] });
    expect(checkChain(await recordsOf(before), after)).toEqual([]);
  });
});

describe('the calendar', () => {
  const DAY_MS = 86_400_000;
  /** Active since then, so that it is due 28 days later. */
  const active = async (issuedAt: number): Promise<Credential> => {
    const before = await created();
    const key = { handle: { id: 'a', generation: 1 }, versionId: 'v', fingerprint: 'sha256:1' };
    return ledger.commit({
      before,
      after: { ...before, status: 'active', current: { ...key, issuedAt: toInstant(issuedAt) } },
      records: [draft('registered')],
    });
  };
  const dueAt = (time: number, limit = 100): Promise<readonly string[]> => ledger.due(toInstant(time), limit);

  test('has a credential from the transaction on that makes it active, and gives it out once it is due', async () => {
    const credential = await active(START);
    const start = START + 28 * DAY_MS;
    expect(await ledger.lookAt(credential.id)).toBe(toInstant(start));
    expect([await dueAt(start - 1), await dueAt(start)]).toEqual([[], [credential.id]]);
  });

  test('gives the earliest first over all of its shards, as many as are asked for, and nobody else’s', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 40; n++) ids.push((await active(START + ((n * 7) % 40) * 1000)).id);
    const byAge = ids.toSorted((a, b) => ((ids.indexOf(a) * 7) % 40) - ((ids.indexOf(b) * 7) % 40));
    const later = START + 29 * DAY_MS;
    expect(await dueAt(later)).toEqual(byAge);
    expect(await dueAt(later, 5)).toEqual(byAge.slice(0, 5));
    const other = new DynamoDbLedger({ aws, table: 'ledger', tenant: 'another', clock: () => now });
    expect(await other.due(toInstant(later), 100)).toEqual([]);
    const shards = new Set<string>();
    for (const id of ids) {
      const { Item } = await aws.json<{ Item: Record<string, { S: string }> }>('dynamodb', 'GetItem', {
        TableName: 'ledger',
        Key: { pk: { S: `${tenant}#C#${id}` }, sk: { S: 'DUE' } },
      });
      shards.add(Item['gpk']?.S ?? '');
    }
    expect(shards.size).toBeGreaterThan(5);
  });

  test('follows every change of the head: attached, paused, rotating, current again, given back', async () => {
    let credential = await active(START);
    const late = START + 1000 * DAY_MS;
    credential = await ledger.attach({ ...credential, activeRotation: 'r' });
    expect(await ledger.lookAt(credential.id)).toBe(toInstant(START + 30 * DAY_MS));
    const { activeRotation: _over, current, ...rest } = credential;
    if (current === undefined) throw new Error('it has a current version');
    const renewed = { ...current, versionId: 'w', issuedAt: toInstant(START + DAY_MS) };
    credential = await ledger.attach({ ...rest, current: renewed });
    expect(await ledger.lookAt(credential.id)).toBe(toInstant(START + 29 * DAY_MS));
    credential = await ledger.attach({ ...credential, mode: 'observe' });
    expect(await ledger.lookAt(credential.id)).toBeUndefined();
    expect(await dueAt(late)).toEqual([]);
    credential = await ledger.attach({ ...credential, mode: 'enforce' });
    expect(await dueAt(late)).toEqual([credential.id]);
    await ledger.release(credential);
    expect(await dueAt(late)).toEqual([]);
  });

  test('is not moved by a change that is refused', async () => {
    const before = await active(START);
    await ledger.attach(before);
    await expect(ledger.attach({ ...before, mode: 'observe' })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(await ledger.lookAt(before.id)).toBe(toInstant(START + 28 * DAY_MS));
  });
});

describe('queries', () => {
  test('list has every credential of the tenant, page by page, and nobody else’s', async () => {
    const names: string[] = [];
    for (let n = 0; n < 105; n++)
      names.push((await created({ name: `n${String(n).padStart(3, '0')}` })).name);
    const other = new DynamoDbLedger({ aws, table: 'ledger', tenant: 'other', clock: () => now });
    await other.create({ ...fresh(), tenant: 'other' }, draft('registration-intended'));
    const first = await ledger.list();
    const second = await ledger.list(first.next);
    expect([...first.items, ...second.items].map((credential) => credential.name)).toEqual(names);
    expect(second.next).toBeUndefined();
    expect(second.items.length).toBeGreaterThan(0);
    await expect(ledger.list('not-a-page')).rejects.toMatchObject({ code: 'ERR_REQUEST', field: 'page' });
    // Whatever is taken for a token, the table takes as a key.
    const anywhere = Buffer.from(JSON.stringify(['nobody', 'n0500'])).toString('base64url');
    expect((await ledger.list(anywhere)).items.map(({ name }) => name)).toEqual(
      names.filter((name) => name > 'n0500'),
    );
  });

  test('unfinished has what is due and not over, by the time at which it is to be looked at', async () => {
    const commit = async (rotation: (credential: Credential) => Rotation): Promise<Rotation> => {
      const before = await created();
      const made = rotation(before);
      await ledger.commit({ before, after: before, rotation: made, records: [draft('rotation-announced')] });
      return made;
    };
    const late = await commit((credential) => rotationOf(credential, { checkAt: toInstant(now + 200) }));
    const due = await commit((credential) => rotationOf(credential, { checkAt: toInstant(now + 100) }));
    await commit((credential) => rotationOf(credential, { checkAt: toInstant(now + 10_000) }));
    await commit((credential) => rotationOf(credential, { phase: 'completed', checkAt: toInstant(now) }));
    const found = await ledger.unfinished(toInstant(now + 1000));
    expect(found.map(({ rotationId }) => rotationId)).toEqual([due.id, late.id]);
  });

  test('rotations are newest first, the one under way before those that are over', async () => {
    let credential = await created();
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      now += 1000;
      const rotation = rotationOf(credential, { phase: n === 2 ? 'announced' : 'completed' });
      ids.unshift(rotation.id);
      credential = await ledger.commit({
        before: credential,
        after: n === 2 ? { ...credential, activeRotation: rotation.id } : credential,
        rotation,
        records: [draft('rotation-announced')],
      });
    }
    expect((await ledger.rotations(credential.id, 10)).map((rotation) => rotation.id)).toEqual(ids);
    expect((await ledger.rotations(credential.id, 2)).map((rotation) => rotation.id)).toEqual(
      ids.slice(0, 2),
    );
    const [active] = await ledger.rotations(credential.id, 1);
    if (active === undefined) throw new Error('no rotation');
    const { activeRotation: _over, ...rest } = credential;
    await ledger.commit({
      before: credential,
      after: rest,
      rotation: advance(active, 'preempted'),
      records: [draft('emergency-intended')],
    });
    expect((await ledger.rotations(credential.id, 10)).map((rotation) => rotation.id)).toEqual(ids);
    expect(await ledger.unfinished(toInstant(now + 10_000_000))).toEqual([]);
  });

  test('records of a month come by time over all credentials, across its borders', async () => {
    now = Date.parse('2026-11-30T23:59:59.999Z');
    const one = await created();
    now = Date.parse('2026-12-01T00:00:00.000Z');
    await created();
    await ledger.commit({ before: one, after: one, records: [draft('registered')] });
    const months: string[][] = [];
    for (const month of ['2026-11', '2026-12', '2027-01']) {
      const found: string[] = [];
      for await (const record of ledger.recordsOfMonth(month)) found.push(record.message);
      months.push(found);
    }
    expect(months.map((found) => found.toSorted())).toEqual([
      ['registration-intended'],
      ['registered', 'registration-intended'],
      [],
    ]);
  });
});

describe('keys by their fingerprint', () => {
  const key = (fingerprint: string, generation: number): Key => ({
    handle: { id: 'user_a', generation },
    versionId: randomUUID(),
    fingerprint,
    issuedAt: toInstant(now),
  });

  test('are found from the commit that brings them on, whatever becomes of the credential', async () => {
    const [first, second] = [key('sha256:1', 1), key('sha256:2', 2)];
    const one = await created({ current: first });
    const moved = await ledger.commit({
      before: one,
      after: { ...one, current: second },
      keys: [second],
      records: [draft('registered')],
    });
    await ledger.release(moved);
    expect(await ledger.byFingerprint('sha256:1')).toEqual([{ ...first, credentialId: one.id }]);
    expect(await ledger.byFingerprint('sha256:2')).toEqual([{ ...second, credentialId: one.id }]);
    expect([await ledger.knows(one.id, 'sha256:2'), await ledger.knows(one.id, 'sha256:3')]).toEqual([
      true,
      false,
    ]);
  });

  test('are not written by a commit that somebody else has outrun', async () => {
    const one = await created();
    await ledger.attach(one);
    const late = {
      before: one,
      after: one,
      keys: [key('sha256:4', 1)],
      records: [draft('registered')] as const,
    };
    await expect(ledger.commit(late)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await ledger.byFingerprint('sha256:4')).toEqual([]);
  });

  test('of several credentials with one value are all found; of one with the same value again, the newest', async () => {
    const shared = key('sha256:5', 0);
    const [one, other] = [await created({ current: shared }), await created({ current: shared })];
    const adopted = { ...shared, handle: { id: 'user_a', generation: 1 } };
    await ledger.attach(one, undefined, [adopted]);
    const found = await ledger.byFingerprint('sha256:5');
    expect(new Map(found.map(({ credentialId, handle }) => [credentialId, handle.generation]))).toEqual(
      new Map([
        [one.id, 1],
        [other.id, 0],
      ]),
    );
  });
});

describe('claims on keys that a person has made', () => {
  const claim = (credentialId = 'one', token: string = randomUUID()): Claim => ({
    fingerprint: `sha256:${'0a'.repeat(32)}`,
    credentialId,
    token,
    generation: 1,
    at: toInstant(now),
  });

  test('stand for whoever was first, and are the same at every repetition', async () => {
    const first = claim();
    expect(await ledger.claim(first)).toEqual(first);
    expect(await ledger.claim({ ...first, at: toInstant(now + 1000) })).toEqual(first);
    expect(await ledger.claim(claim('two'))).toEqual(first);
    expect(await ledger.claimOf(first.fingerprint)).toEqual(first);
  });

  test('go to one of many who ask at once', async () => {
    const asking = Array.from({ length: 12 }, (_, index) => claim(`credential-${index}`));
    const standing = await Promise.all(asking.map((each) => ledger.claim(each)));
    expect(new Set(standing.map(({ credentialId }) => credentialId)).size).toBe(1);
  });

  test('survive a lost answer: the repetition finds its own', async () => {
    const first = claim();
    stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'PutItem' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    const asked = await ledger.claim(first).catch(() => undefined);
    expect(asked ?? (await ledger.claim(first))).toEqual(first);
  });

  test('are given back by their holder alone, and then to be had again', async () => {
    const first = claim();
    await ledger.claim(first);
    await ledger.unclaim(claim('two', first.token));
    await ledger.unclaim(claim('one'));
    expect(await ledger.claimOf(first.fingerprint)).toEqual(first);
    for (let twice = 0; twice < 2; twice++) await ledger.unclaim(first);
    expect(await ledger.claimOf(first.fingerprint)).toBeUndefined();
    const next = claim('two');
    expect(await ledger.claim(next)).toEqual(next);
    await ledger.unclaim(first);
    expect(await ledger.claimOf(first.fingerprint)).toEqual(next);
  });
});
