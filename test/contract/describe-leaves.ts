import { describe, expect, it } from 'vitest';
import type { Leaf } from '../../shared/domain/leaf.ts';
import type { Leaves } from '../../shared/ports/leaves.ts';

/** A certificate that is issued to an agent. */
export function leafOf(changes: Partial<Leaf> = {}): Leaf {
  return {
    serial: '4f0102030405060708090a0b0c0d0e0f',
    id: 'spiffe://agents.shop.example/agent/checkout',
    fingerprint: 'ab'.repeat(32),
    authority: 'ca-1',
    agent: 'checkout',
    caller: 'arn:aws:sts::111122223333:assumed-role/checkout/host-1',
    issuedAt: '2026-11-26T08:00:00.000Z',
    notBefore: '2026-11-26T07:55:00.000Z',
    notAfter: '2026-11-27T08:00:00.000Z',
    ...changes,
  };
}

/** What the issuing of certificates relies on, wherever they are kept. */
export function describeLeaves(name: string, make: (clock: () => number) => Leaves): void {
  describe(`issued certificates in ${name}`, () => {
    const clock = { now: Date.parse('2026-11-26T08:59:00Z') };
    const fresh = (): Leaves => make(() => clock.now);

    it('are found by their key, in their own set', async () => {
      const leaves = fresh();
      const leaf = leafOf();
      expect(await leaves.ofKey('shop', leaf.fingerprint)).toBeUndefined();
      await leaves.record('shop', leaf);
      expect(await leaves.ofKey('shop', leaf.fingerprint)).toEqual(leaf);
      expect(await leaves.ofKey('other', leaf.fingerprint)).toBeUndefined();
    });

    it('are found by their serial number, in their own set and of their own authority', async () => {
      const leaves = fresh();
      const leaf = leafOf({ authority: 'ca-2' });
      await leaves.record('shop', leaf);
      expect(await leaves.bySerial('shop', 'ca-2', leaf.serial)).toEqual(leaf);
      expect(await leaves.bySerial('shop', 'ca-3', leaf.serial)).toBeUndefined();
      expect(await leaves.bySerial('other', 'ca-2', leaf.serial)).toBeUndefined();
      expect(await leaves.bySerial('shop', 'ca-2', '41'.repeat(16))).toBeUndefined();
    });

    it('say where their issuer has them, from then on and written as often as one likes', async () => {
      const leaves = fresh();
      const leaf = leafOf();
      await leaves.record('shop', leaf);
      for (let twice = 0; twice < 2; twice++) await leaves.refer('shop', leaf, 'arn:aws:acm-pca:…');
      expect(await leaves.ofKey('shop', leaf.fingerprint)).toEqual({ ...leaf, ref: 'arn:aws:acm-pca:…' });
      // No certificate has that number.
      expect(await leaves.bySerial('shop', leaf.authority, leaf.serial)).toEqual(leaf);
    });

    it('are found by the number that their issuer has given them, from then on and written as often as one likes', async () => {
      const leaves = fresh();
      const leaf = leafOf({ ref: 'arn:aws:acm-pca:…' });
      await leaves.record('shop', leaf);
      const given = '5a'.repeat(16);
      for (let twice = 0; twice < 2; twice++) await leaves.renumber('shop', leaf, given);
      expect(await leaves.bySerial('shop', leaf.authority, given)).toEqual({ ...leaf, serial: given });
      expect(await leaves.bySerial('shop', 'ca-9', given)).toBeUndefined();
      expect(await leaves.bySerial('other', leaf.authority, given)).toBeUndefined();
      // Whoever asks for the same again goes on with what was recorded before.
      expect(await leaves.ofKey('shop', leaf.fingerprint)).toEqual(leaf);
    });

    it('are one for each key: of two at once one is recorded, and stays as it is', async () => {
      const leaves = fresh();
      const two = ['41', '42'].map((byte) => leafOf({ serial: byte.repeat(16) }));
      const outcomes = await Promise.allSettled(two.map(async (leaf) => leaves.record('shop', leaf)));
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
        reason: { code: 'ERR_CONFLICT' },
      });
      const kept = two[outcomes.findIndex(({ status }) => status === 'fulfilled')];
      expect(await leaves.ofKey('shop', leafOf().fingerprint)).toEqual(kept);
    });

    it('are counted for each authority, agent and hour, and no more than the limit', async () => {
      const leaves = fresh();
      const count = async (agent = 'checkout', authority = 'ca-1') =>
        leaves.count('shop', { authority, agent }, 2);
      await Promise.all([count(), count()]);
      await expect(count()).rejects.toMatchObject({ code: 'ERR_CAPACITY' });
      await count('search');
      // After an emergency everybody has to have another at once.
      await count('checkout', 'ca-2');
      clock.now += 60_000;
      await count();
    });
  });
}
