import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Claim } from '../../shared/domain/claim.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Key } from '../../shared/domain/credential.ts';
import { LedgerOnTable } from '../support/ledger-on-table.ts';

const on = new LedgerOnTable();

describe('keys by their fingerprint', () => {
  const key = (fingerprint: string, generation: number): Key => ({
    handle: { id: 'user_a', generation },
    versionId: randomUUID(),
    fingerprint,
    issuedAt: toInstant(on.now),
  });

  test('are found from the commit that brings them on, whatever becomes of the credential', async () => {
    const [first, second] = [key('sha256:1', 1), key('sha256:2', 2)];
    const one = await on.created({ current: first });
    const moved = await on.ledger.commit({
      before: one,
      after: { ...one, current: second },
      keys: [second],
      records: [on.draft('registered')],
    });
    await on.ledger.release(moved);
    expect(await on.ledger.byFingerprint('sha256:1')).toEqual([{ ...first, credentialId: one.id }]);
    expect(await on.ledger.byFingerprint('sha256:2')).toEqual([{ ...second, credentialId: one.id }]);
    expect([await on.ledger.knows(one.id, 'sha256:2'), await on.ledger.knows(one.id, 'sha256:3')]).toEqual([
      true,
      false,
    ]);
  });

  test('are not written by a commit that somebody else has outrun', async () => {
    const one = await on.created();
    await on.ledger.attach(one);
    const late = {
      before: one,
      after: one,
      keys: [key('sha256:4', 1)],
      records: [on.draft('registered')] as const,
    };
    await expect(on.ledger.commit(late)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await on.ledger.byFingerprint('sha256:4')).toEqual([]);
  });

  test('of several credentials with one value are all found; of one with the same value again, the newest', async () => {
    const shared = key('sha256:5', 0);
    const [one, other] = [await on.created({ current: shared }), await on.created({ current: shared })];
    const adopted = { ...shared, handle: { id: 'user_a', generation: 1 } };
    await on.ledger.attach(one, undefined, [adopted]);
    const found = await on.ledger.byFingerprint('sha256:5');
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
    at: toInstant(on.now),
  });

  test('stand for whoever was first, and are the same at every repetition', async () => {
    const first = claim();
    expect(await on.ledger.claim(first)).toEqual(first);
    expect(await on.ledger.claim({ ...first, at: toInstant(on.now + 1000) })).toEqual(first);
    expect(await on.ledger.claim(claim('two'))).toEqual(first);
    expect(await on.ledger.claimOf(first.fingerprint)).toEqual(first);
  });

  test('go to one of many who ask at once', async () => {
    const asking = Array.from({ length: 12 }, (_, index) => claim(`credential-${index}`));
    const standing = await Promise.all(asking.map((each) => on.ledger.claim(each)));
    expect(new Set(standing.map(({ credentialId }) => credentialId)).size).toBe(1);
  });

  test('survive a lost answer: the repetition finds its own', async () => {
    const first = claim();
    on.stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'PutItem' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    const asked = await on.ledger.claim(first).catch(() => undefined);
    expect(asked ?? (await on.ledger.claim(first))).toEqual(first);
  });

  test('are given back by their holder alone, and then to be had again', async () => {
    const first = claim();
    await on.ledger.claim(first);
    await on.ledger.unclaim(claim('two', first.token));
    await on.ledger.unclaim(claim('one'));
    expect(await on.ledger.claimOf(first.fingerprint)).toEqual(first);
    for (let twice = 0; twice < 2; twice++) await on.ledger.unclaim(first);
    expect(await on.ledger.claimOf(first.fingerprint)).toBeUndefined();
    const next = claim('two');
    expect(await on.ledger.claim(next)).toEqual(next);
    await on.ledger.unclaim(first);
    expect(await on.ledger.claimOf(first.fingerprint)).toEqual(next);
  });
});
