import { describe, expect, it } from 'vitest';
import {
  parseAcknowledgement,
  parseClose,
  parseHeartbeat,
  parseOpening,
  parseUses,
} from '../../../shared/domain/signed.ts';

const acknowledgement = {
  session: 's',
  rotation: 'r',
  credential: 'orders-db',
  versionId: 'v',
  fingerprint: 'sha256:abc',
  challenge: 'nonce',
  proof: 'a'.repeat(43),
  persisted: true,
};
const use = {
  credential: 'orders-db',
  versionId: 'v',
  succeeded: 1,
  refused: 0,
  from: '2026-11-22T11:59:00Z',
  to: '2026-11-22T13:59:30+02:00',
};
/** What names the session that it is about. */
const IN_SESSION = [
  ['an acknowledgement', parseAcknowledgement, acknowledgement],
  [
    'a heartbeat',
    parseHeartbeat,
    { session: 's', sequence: 1, holds: [{ credential: 'a', versionId: 'v' }] },
  ],
  ['a report of uses', parseUses, { session: 's', uses: [use] }],
  ['the end of a session', parseClose, { session: 's', closed: true }],
] as const;
const FORMS = [
  ...IN_SESSION,
  [
    'the opening of a session',
    parseOpening,
    { agent: 'checkout', instance: 'host-1:7', sequence: 1, at: '2026-11-22T11:59:00.123Z' },
  ],
] as const;

describe('what is signed', () => {
  it.each(FORMS)('is %s, and nothing else is taken for it', (what, parse, payload) => {
    expect(parse(payload)).toEqual(payload);
    const others = FORMS.filter(([name]) => name !== what).map(([, , other]) => other);
    for (const other of [...others, { ...payload, admin: true }, undefined, 'x', []])
      expect(() => parse(other)).toThrow(expect.objectContaining({ code: 'ERR_REQUEST' }));
  });

  it.each(IN_SESSION)('is %s of a session that is named in plain characters', (_what, parse, payload) => {
    for (const session of ['a\nb', '\ud800', 'ü', '', undefined])
      expect(() => parse({ ...payload, session })).toThrow(
        expect.objectContaining({ code: 'ERR_REQUEST', field: 'payload.session' }),
      );
  });

  it('names the field that is wrong, in words', () => {
    for (const sequence of [-1, 1.5, 2 ** 53, '1', undefined])
      expect(() => parseHeartbeat({ session: 's', sequence, holds: [] })).toThrow(
        expect.objectContaining({ field: 'payload.sequence' }),
      );
    expect(() => parseHeartbeat({ session: 's', holds: [] })).toThrow(/is missing; write a number/);
    expect(() => parseUses({ session: 's', uses: [use, { ...use, refused: -1 }] })).toThrow(
      expect.objectContaining({ field: 'payload.uses[1].refused' }),
    );
    expect(() => parseClose({ session: 's', closed: false })).toThrow(
      expect.objectContaining({ field: 'payload.closed' }),
    );
  });
});
