import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import {
  emptyList,
  isDue,
  listNow,
  MAX_REVOKED,
  nextList,
  withRevoked,
  type Revocation,
  type RevocationList,
} from '../../../shared/domain/revocations.ts';

const NOW = Date.parse('2026-11-26T12:00:00Z');
const HOUR_MS = 3_600_000;
const empty = emptyList('shop', 'ca');
const revocation = (serial: string, ends = NOW + HOUR_MS): Revocation => ({
  serial,
  revokedAt: toInstant(NOW),
  notAfter: toInstant(ends),
});

/** The list as the store has it after a write. */
const stored = (list: RevocationList): RevocationList => ({ ...list, version: list.version + 1 });

/** As it is once it was signed. */
function signed(list: RevocationList, now = NOW): RevocationList {
  const { revoked, ...about } = nextList(list, now, 300);
  return stored({ ...list, revoked, signed: { ...about, der: '' } });
}

describe('the list of what is revoked', () => {
  it('is signed hourly, and counts for a day beyond that', () => {
    expect(isDue(empty, NOW)).toBe(true);
    const list = signed(empty);
    expect([0, 1, 1.001].map((hours) => isDue(list, NOW + hours * HOUR_MS))).toEqual([false, false, true]);
    const last = NOW + HOUR_MS;
    expect(listNow(list, last + 24 * HOUR_MS)).toEqual(list.signed);
    expect(listNow(list, last + 25 * HOUR_MS)).toBeUndefined();
  });

  it('is signed at once where something was revoked, under a higher number', () => {
    const before = signed(signed(empty));
    const list = stored(withRevoked(before, revocation('41')));
    expect(isDue(list, NOW)).toBe(true);
    const after = signed(list);
    expect(isDue(after, NOW)).toBe(false);
    expect(after.signed?.number).toBeGreaterThan(before.signed?.number ?? 0);
    expect(after.revoked.map(({ serial }) => serial)).toEqual(['41']);
  });

  it('has a certificate once, however often it is revoked', () => {
    const list = stored(withRevoked(empty, revocation('41')));
    expect(withRevoked(list, { ...revocation('41'), revokedAt: toInstant(NOW + 1) })).toBe(list);
  });

  it('drops a certificate some time after its end, and not with its end', () => {
    const list = stored(
      withRevoked(withRevoked(empty, revocation('41')), revocation('42', NOW + 9 * HOUR_MS)),
    );
    const at = (hours: number) =>
      nextList(list, NOW + hours * HOUR_MS, 300).revoked.map(({ serial }) => serial);
    expect([at(3.9), at(4)]).toEqual([['41', '42'], ['42']]);
  });

  it('has an end: where so many are revoked, the authority is to be', () => {
    const revoked = Array.from({ length: MAX_REVOKED }, (_, index) => revocation(String(index)));
    const full = { ...empty, revoked };
    expect(() => withRevoked(full, revocation('more'))).toThrowError(
      expect.objectContaining({ code: 'ERR_CAPACITY', remedy: expect.stringContaining('rekey revoke') }),
    );
    expect(withRevoked(full, revocation('7'))).toBe(full);
    // Those that have ended for long stand in nobody's way, whether a list is signed or AWS has its own.
    const past = {
      ...empty,
      revoked: revoked.map((each) => ({ ...each, notAfter: toInstant(NOW - 3 * HOUR_MS) })),
    };
    expect(withRevoked(past, revocation('more')).revoked.map(({ serial }) => serial)).toEqual(['more']);
  });
});
