import { describe, expect, it } from 'vitest';
import { emptyList, MAX_REVOKED, type RevocationList } from '../../shared/domain/revocations.ts';
import type { Revocations } from '../../shared/ports/revocations.ts';

/** What the signing of lists relies on, wherever they are kept. */
export function describeRevocations(name: string, make: () => Revocations): void {
  describe(`lists of revoked certificates in ${name}`, () => {
    const full: RevocationList = {
      ...emptyList('shop', 'ca-1'),
      revoked: Array.from({ length: MAX_REVOKED }, (_, index) => ({
        serial: index.toString(16).padStart(32, '4'),
        revokedAt: '2026-11-26T08:00:00.000Z',
        notAfter: '2026-11-27T08:00:00.000Z',
      })),
      changedIn: 1,
      signed: {
        number: 1,
        der: 'A'.repeat(60_000),
        thisUpdate: '2026-11-26T08:00:00.000Z',
        nextUpdate: '2026-11-27T10:00:00.000Z',
      },
    };

    it('are kept whole, as long as they may be, in their own set and of their own authority', async () => {
      const revocations = make();
      expect(await revocations.read('shop', 'ca-1')).toBeUndefined();
      const written = await revocations.write(full);
      expect(written).toEqual({ ...full, version: 1 });
      expect(await revocations.read('shop', 'ca-1')).toEqual(written);
      expect(await revocations.read('shop', 'ca-2')).toBeUndefined();
      expect(await revocations.read('other', 'ca-1')).toBeUndefined();
    });

    it('are written by one of two at once; the other has to read again', async () => {
      const revocations = make();
      const first = emptyList('shop', 'ca-1');
      for (const list of [first, { ...first, version: 1 }]) {
        const outcomes = await Promise.allSettled([revocations.write(list), revocations.write(list)]);
        expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
        expect(outcomes.find(({ status }) => status === 'rejected')).toMatchObject({
          reason: { code: 'ERR_CONFLICT' },
        });
      }
      expect(await revocations.read('shop', 'ca-1')).toMatchObject({ version: 2 });
    });
  });
}
