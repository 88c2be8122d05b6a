import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { checkChain } from '../../shared/domain/audit.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import type { Turns } from '../../shared/ports/ledger.ts';
import { LedgerOnTable } from '../support/ledger-on-table.ts';

const on = new LedgerOnTable();

describe('create', () => {
  test('reserves name and secret and writes the first record', async () => {
    const credential = await on.created();
    expect(await on.ledger.credential(credential.id)).toEqual(credential);
    expect(await on.ledger.idByName(credential.name)).toBe(credential.id);
    expect(await on.ledger.idBySecret(credential.secretName)).toBe(credential.id);
    const arn = `arn:aws:secretsmanager:eu-central-1:111122223333:secret:${credential.secretName}-AbC123`;
    expect(await on.ledger.idBySecret(arn)).toBe(credential.id);
    const records = await on.recordsOf(credential);
    expect(records.map((record) => record.message)).toEqual(['registration-intended']);
    expect(checkChain(records, credential)).toEqual([]);
  });

  test.each(['name', 'secretName'] as const)(
    'refuses a second one of the same %s and leaves nothing',
    async (field) => {
      const first = await on.created();
      const second = on.fresh({ [field]: first[field] });
      await expect(on.ledger.create(second, on.draft('registration-intended'))).rejects.toMatchObject({
        code: 'ERR_CONFLICT',
      });
      expect(await on.ledger.credential(second.id)).toBeUndefined();
      expect(await on.recordsOf(second)).toEqual([]);
    },
  );

  test('lets one of many at once through', async () => {
    const name = 'contended';
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => on.created({ name })));
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
    expect((await on.ledger.list()).items).toHaveLength(1);
  });

  test('is given back by release; the audit trail stays', async () => {
    const credential = await on.created();
    await on.ledger.release(credential);
    expect(await on.ledger.credential(credential.id)).toBeUndefined();
    expect(await on.ledger.idByName(credential.name)).toBeUndefined();
    expect(await on.ledger.idBySecret(credential.secretName)).toBeUndefined();
    expect(await on.recordsOf(credential)).toHaveLength(1);
    expect((await on.ledger.list()).items.filter(({ id }) => id === credential.id)).toEqual([]);
    await on.created({ name: credential.name });
  });

  test('is kept by what is unregistered until it is released, with its record and whoever knows the id', async () => {
    const before = await on.created();
    const left = await on.ledger.commit({
      before,
      after: { ...before, status: 'unregistered' },
      records: [on.draft('unregister-intended')],
    });
    expect(await on.ledger.credential(before.id)).toBeUndefined();
    expect((await on.ledger.list()).items.filter(({ id }) => id === before.id)).toEqual([]);
    expect(await on.ledger.idByName(before.name)).toBe(before.id);
    await on.ledger.release(left, on.draft('unregistered'));
    const head = await on.ledger.unregistered(before.id);
    expect(await on.ledger.idByName(before.name)).toBeUndefined();
    expect(checkChain(await on.recordsOf(before), head)).toEqual([]);
    expect((await on.recordsOf(before)).map(({ message }) => message).slice(1)).toEqual([
      'unregister-intended',
      'unregistered',
    ]);
    // A second release, late, must not take the name from whoever has it by then.
    const next = await on.created({ name: before.name });
    await expect(on.ledger.release(left)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await on.ledger.idByName(before.name)).toBe(next.id);
    expect(await on.ledger.unregistered(next.id)).toBeUndefined();
  });

  test('is not given back where somebody has changed it since', async () => {
    const before = await on.created();
    await on.ledger.commit({
      before,
      after: { ...before, status: 'halted', epoch: 1 },
      records: [on.draft('emergency-intended')],
    });
    await expect(on.ledger.release(before)).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
    expect(await on.ledger.idByName(before.name)).toBe(before.id);
  });

  test("reserves the target's users too, and names who has them", async () => {
    const targetIdentity = `db.internal:5432/${randomUUID()}`;
    const first = await on.created({ targetIdentity });
    const second = on.fresh({ targetIdentity });
    await expect(on.ledger.create(second, on.draft('registration-intended'))).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'target.ownerRole',
      remedy: expect.stringContaining(first.name),
    });
    await on.ledger.release(first);
    await on.ledger.create(second, on.draft('registration-intended'));
  });
});

describe('commit', () => {
  test('changes state and writes its records in one transaction, numbered without gap', async () => {
    const before = await on.created();
    const rotation = on.rotationOf(before);
    const after = await on.ledger.commit({
      before,
      after: { ...before, status: 'active', activeRotation: rotation.id },
      rotation,
      records: [on.draft('registered'), on.draft('rotation-announced')],
    });
    expect(after).toMatchObject({ seq: 3, version: before.version + 1 });
    expect(await on.ledger.credential(before.id)).toEqual(after);
    expect(await on.ledger.rotation(before.id, rotation.id)).toEqual(rotation);
    const records = await on.recordsOf(before);
    expect(records.map((record) => record.metadata.sequence)).toEqual([1, 2, 3]);
    expect(checkChain(records, after)).toEqual([]);
    expect(await on.recordsOf(before, 3)).toEqual(records.slice(2));
  });

  test('on what somebody else has changed is refused, and writes nothing', async () => {
    const before = await on.created();
    const change = { before, after: before, records: [on.draft('registered')] as const };
    const after = await on.ledger.commit(change);
    await expect(on.ledger.commit(change)).rejects.toMatchObject({ code: 'ERR_CONFLICT', retryable: true });
    await expect(on.ledger.attach(before)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await on.ledger.credential(before.id)).toEqual(after);
    expect(await on.recordsOf(before)).toHaveLength(2);
  });

  test('takes the turn of an agent once: of two that have read the same one, the second is refused and writes nothing', async () => {
    const [one, other] = [await on.created(), await on.created()];
    const start = async (before: Credential, turns: Turns): Promise<Credential> =>
      on.ledger.commit({ before, after: before, turns, records: [on.draft('rotation-announced')] });
    const read = await on.ledger.turns(['checkout']);
    expect(await on.ledger.turns(['checkout'])).toEqual(read);
    await start(one, read);
    await expect(start(other, read)).rejects.toMatchObject({ code: 'ERR_CONFLICT', retryable: true });
    expect(await on.ledger.credential(other.id)).toEqual(other);
    expect(await on.recordsOf(other)).toHaveLength(1);
    await start(other, await on.ledger.turns(['checkout']));
    // One that takes turns at every place still fits into a transaction.
    const agents = Array.from({ length: 200 }, (_each, n) => `agent-${n}`);
    const third = await on.created();
    await start(third, await on.ledger.turns(agents));
    await expect(start(await on.created(), read)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('hard decision 3: of an older epoch is refused as preempted', async () => {
    const before = await on.created();
    await on.ledger.commit({
      before,
      after: { ...before, epoch: 1 },
      records: [on.draft('emergency-intended')],
    });
    await expect(
      on.ledger.commit({ before, after: before, records: [on.draft('registered')] }),
    ).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
    await expect(on.ledger.attach(before)).rejects.toMatchObject({ code: 'ERR_PREEMPTED' });
  });

  test('hard decision 13: from many at once: each either commits or learns that it came second; no gap, no duplicate', async () => {
    const { id } = await on.created();
    let committed = 0;
    let lost = 0;
    const writer = async (): Promise<void> => {
      while (committed < 20) {
        const before = await on.ledger.credential(id);
        if (before === undefined) throw new Error('gone');
        try {
          await on.ledger.commit({
            before,
            after: before,
            records: [on.draft('registered', { n: committed })],
          });
          committed++;
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFLICT' });
          lost++;
        }
      }
    };
    await Promise.all([writer(), writer(), writer(), writer()]);
    expect(lost).toBeGreaterThan(0);
    const head = await on.ledger.credential(id);
    if (head === undefined) throw new Error('gone');
    const records = await on.recordsOf(head);
    expect(records).toHaveLength(committed + 1);
    expect(checkChain(records, head)).toEqual([]);
  });

  test.each(['throttle', 'drop'] as const)('that is met by %s is tried again', async (kind) => {
    const before = await on.created();
    on.fault('TransactWriteItems', kind, 2);
    const after = await on.ledger.commit({ before, after: before, records: [on.draft('registered')] });
    expect(await on.ledger.credential(before.id)).toEqual(after);
    expect(checkChain(await on.recordsOf(before), after)).toEqual([]);
  });

  test('whose answer is lost is made once and still answered', async () => {
    const before = await on.created();
    on.fault('TransactWriteItems', 'lose-answer');
    const after = await on.ledger.commit({ before, after: before, records: [on.draft('registered')] });
    expect(after.seq).toBe(2);
    expect(checkChain(await on.recordsOf(before), after)).toEqual([]);
  });

  test('keeps a record byte for byte as it was hashed', async () => {
    const before = await on.created();
    const evidence = {
      text: 'Grüße \u2028 "quoted" \\ \u0000 é',
      number: 1e21,
      nested: { b: 1, a: [null, 0.1] },
    };
    const after = await on.ledger.commit({
      before,
      after: before,
      records: [on.draft('registered', evidence)],
    });
    expect(checkChain(await on.recordsOf(before), after)).toEqual([]);
    expect((await on.recordsOf(before)).at(-1)?.entity.data.evidence).toBe(JSON.stringify(evidence));
  });
});

describe('attach', () => {
  test('stores without a record, and is fenced all the same', async () => {
    const before = await on.created();
    const attached = await on.ledger.attach({ ...before, secretArn: 'arn:x' }, on.rotationOf(before));
    expect(attached).toMatchObject({ secretArn: 'arn:x', seq: before.seq, version: before.version + 1 });
    expect(await on.recordsOf(before)).toHaveLength(1);
    const after = await on.ledger.commit({
      before: attached,
      after: attached,
      records: [on.draft('registered')],
    });
    expect(checkChain(await on.recordsOf(before), after)).toEqual([]);
  });
});
