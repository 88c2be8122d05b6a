import { createHmac, hkdfSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acknowledgementKey } from '../../../shared/domain/acknowledgement-key.ts';
import { proofOf, proves } from '../../../shared/domain/possession.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';

const VALUE = '{"username":"orders_b","password":"s3cret ✓"}';
const about = {
  challenge: 'nonce',
  session: 'session',
  rotation: 'c22be5c8-0000-4000-8000-000000000000',
  versionId: 'c22be5c8-0000-4000-8000-000000000000',
  fingerprint: 'sha256:abc',
};
const key = (value = VALUE, rotation = about.rotation) => acknowledgementKey(new Redacted(value), rotation);

describe('the proof of possession', () => {
  it('is what docs/agents.md says, for whoever writes it in another language', () => {
    const derived = hkdfSync('sha256', VALUE, about.rotation, 'rekey acknowledgement v1', 32);
    const text = `nonce\nsession\n${about.rotation}\n${about.versionId}\nsha256:abc`;
    const expected = createHmac('sha256', Buffer.from(derived)).update(text).digest('base64url');
    expect(proofOf(key(), about).reveal()).toBe(expected);
    expect(proves(key(), about, expected)).toBe(true);
  });

  it('has an example in docs/agents.md that comes out as it says', () => {
    const page = readFileSync(new URL('../../../docs/agents.md', import.meta.url), 'utf8');
    const example = (name: string): string =>
      new RegExp(`^    ${name} {2,}(\\S.*)$`, 'm').exec(page)?.[1] ?? '';
    const proven = {
      challenge: example('challenge'),
      session: example('session'),
      rotation: example('rotation'),
      versionId: example('versionId'),
      fingerprint: example('fingerprint'),
    };
    const derived = key(example('SecretString'), proven.rotation);
    expect(Buffer.from(derived.reveal()).toString('hex')).toBe(example('key \\(hex\\)'));
    expect(proofOf(derived, proven).reveal()).toBe(example('proof'));
  });

  it('holds for its own value, rotation, challenge, session, version and fingerprint only', () => {
    const proof = proofOf(key(), about).reveal();
    for (const field of ['challenge', 'session', 'rotation', 'versionId', 'fingerprint'] as const)
      expect([field, proves(key(), { ...about, [field]: 'other' }, proof)]).toEqual([field, false]);
    expect(proves(key('{"password":"other"}'), about, proof)).toBe(false);
    expect(proves(key(VALUE, 'another rotation'), about, proof)).toBe(false);
  });

  it('holds for no text that was not made with the key', () => {
    const proof = proofOf(key(), about).reveal();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(proves(key(), about, text)).toBe(text === proof);
      }),
    );
    expect(proves(key(), about, '')).toBe(false);
  });
});
