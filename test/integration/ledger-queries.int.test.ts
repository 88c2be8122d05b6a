import { describe, expect, test } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { advance, type Rotation } from '../../shared/domain/rotation.ts';
import { LedgerOnTable, START } from '../support/ledger-on-table.ts';

const on = new LedgerOnTable();

describe('the calendar', () => {
  const DAY_MS = 86_400_000;
  /** Active since then, so that it is due 28 days later. */
  const active = async (issuedAt: number): Promise<Credential> => {
    const before = await on.created();
    const key = { handle: { id: 'a', generation: 1 }, versionId: 'v', fingerprint: 'sha256:1' };
    return on.ledger.commit({
      before,
      after: { ...before, status: 'active', current: { ...key, issuedAt: toInstant(issuedAt) } },
      records: [on.draft('registered')],
    });
  };
  const dueAt = (time: number, limit = 100): Promise<readonly string[]> =>
    on.ledger.due(toInstant(time), limit);

  test('has a credential from the transaction on that makes it active, and gives it out once it is due', async () => {
    const credential = await active(START);
    const start = START + 28 * DAY_MS;
    expect(await on.ledger.lookAt(credential.id)).toBe(toInstant(start));
    expect([await dueAt(start - 1), await dueAt(start)]).toEqual([[], [credential.id]]);
  });

  test('gives the earliest first over all of its shards, as many as are asked for, and nobody else’s', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 40; n++) ids.push((await active(START + ((n * 7) % 40) * 1000)).id);
    const byAge = ids.toSorted((a, b) => ((ids.indexOf(a) * 7) % 40) - ((ids.indexOf(b) * 7) % 40));
    const later = START + 29 * DAY_MS;
    expect(await dueAt(later)).toEqual(byAge);
    expect(await dueAt(later, 5)).toEqual(byAge.slice(0, 5));
    const other = on.of('another');
    expect(await other.due(toInstant(later), 100)).toEqual([]);
    const shards = new Set<string>();
    for (const id of ids) {
      const { Item } = await on.aws.json<{ Item: Record<string, { S: string }> }>('dynamodb', 'GetItem', {
        TableName: 'ledger',
        Key: { pk: { S: `${on.tenant}#C#${id}` }, sk: { S: 'DUE' } },
      });
      shards.add(Item['gpk']?.S ?? '');
    }
    expect(shards.size).toBeGreaterThan(5);
  });

  test('follows every change of the head: attached, paused, rotating, current again, given back', async () => {
    let credential = await active(START);
    const late = START + 1000 * DAY_MS;
    credential = await on.ledger.attach({ ...credential, activeRotation: 'r' });
    expect(await on.ledger.lookAt(credential.id)).toBe(toInstant(START + 30 * DAY_MS));
    const { activeRotation: _over, current, ...rest } = credential;
    if (current === undefined) throw new Error('it has a current version');
    const renewed = { ...current, versionId: 'w', issuedAt: toInstant(START + DAY_MS) };
    credential = await on.ledger.attach({ ...rest, current: renewed });
    expect(await on.ledger.lookAt(credential.id)).toBe(toInstant(START + 29 * DAY_MS));
    credential = await on.ledger.attach({ ...credential, mode: 'observe' });
    expect(await on.ledger.lookAt(credential.id)).toBeUndefined();
    expect(await dueAt(late)).toEqual([]);
    credential = await on.ledger.attach({ ...credential, mode: 'enforce' });
    expect(await dueAt(late)).toEqual([credential.id]);
    await on.ledger.release(credential);
    expect(await dueAt(late)).toEqual([]);
  });

  test('is not moved by a change that is refused', async () => {
    const before = await active(START);
    await on.ledger.attach(before);
    await expect(on.ledger.attach({ ...before, mode: 'observe' })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(await on.ledger.lookAt(before.id)).toBe(toInstant(START + 28 * DAY_MS));
  });
});

describe('queries', () => {
  test('list has every credential of the tenant, page by page, and nobody else’s', async () => {
    const names: string[] = [];
    for (let n = 0; n < 105; n++)
      names.push((await on.created({ name: `n${String(n).padStart(3, '0')}` })).name);
    const other = on.of('other');
    await other.create({ ...on.fresh(), tenant: 'other' }, on.draft('registration-intended'));
    const first = await on.ledger.list();
    const second = await on.ledger.list(first.next);
    expect([...first.items, ...second.items].map((credential) => credential.name)).toEqual(names);
    expect(second.next).toBeUndefined();
    expect(second.items.length).toBeGreaterThan(0);
    await expect(on.ledger.list('not-a-page')).rejects.toMatchObject({ code: 'ERR_REQUEST', field: 'page' });
    // Whatever is taken for a token, the table takes as a key.
    const anywhere = Buffer.from(JSON.stringify(['nobody', 'n0500'])).toString('base64url');
    expect((await on.ledger.list(anywhere)).items.map(({ name }) => name)).toEqual(
      names.filter((name) => name > 'n0500'),
    );
  });

  test('unfinished has what is due and not over, by the time at which it is to be looked at', async () => {
    const commit = async (rotation: (credential: Credential) => Rotation): Promise<Rotation> => {
      const before = await on.created();
      const made = rotation(before);
      await on.ledger.commit({
        before,
        after: before,
        rotation: made,
        records: [on.draft('rotation-announced')],
      });
      return made;
    };
    const late = await commit((credential) =>
      on.rotationOf(credential, { checkAt: toInstant(on.now + 200) }),
    );
    const due = await commit((credential) => on.rotationOf(credential, { checkAt: toInstant(on.now + 100) }));
    await commit((credential) => on.rotationOf(credential, { checkAt: toInstant(on.now + 10_000) }));
    await commit((credential) =>
      on.rotationOf(credential, { phase: 'completed', checkAt: toInstant(on.now) }),
    );
    const found = await on.ledger.unfinished(toInstant(on.now + 1000));
    expect(found.map(({ rotationId }) => rotationId)).toEqual([due.id, late.id]);
  });

  test('rotations are newest first, the one under way before those that are over', async () => {
    let credential = await on.created();
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) {
      on.now += 1000;
      const rotation = on.rotationOf(credential, { phase: n === 2 ? 'announced' : 'completed' });
      ids.unshift(rotation.id);
      credential = await on.ledger.commit({
        before: credential,
        after: n === 2 ? { ...credential, activeRotation: rotation.id } : credential,
        rotation,
        records: [on.draft('rotation-announced')],
      });
    }
    expect((await on.ledger.rotations(credential.id, 10)).map((rotation) => rotation.id)).toEqual(ids);
    expect((await on.ledger.rotations(credential.id, 2)).map((rotation) => rotation.id)).toEqual(
      ids.slice(0, 2),
    );
    const [active] = await on.ledger.rotations(credential.id, 1);
    if (active === undefined) throw new Error('no rotation');
    const { activeRotation: _over, ...rest } = credential;
    await on.ledger.commit({
      before: credential,
      after: rest,
      rotation: advance(active, 'preempted'),
      records: [on.draft('emergency-intended')],
    });
    expect((await on.ledger.rotations(credential.id, 10)).map((rotation) => rotation.id)).toEqual(ids);
    expect(await on.ledger.unfinished(toInstant(on.now + 10_000_000))).toEqual([]);
  });

  test('records of a month come by time over all credentials, across its borders', async () => {
    on.now = Date.parse('2026-11-30T23:59:59.999Z');
    const one = await on.created();
    on.now = Date.parse('2026-12-01T00:00:00.000Z');
    await on.created();
    await on.ledger.commit({ before: one, after: one, records: [on.draft('registered')] });
    const months: string[][] = [];
    for (const month of ['2026-11', '2026-12', '2027-01']) {
      const found: string[] = [];
      for await (const record of on.ledger.recordsOfMonth(month)) found.push(record.message);
      months.push(found);
    }
    expect(months.map((found) => found.toSorted())).toEqual([
      ['registration-intended'],
      ['registered', 'registration-intended'],
      [],
    ]);
  });
});
