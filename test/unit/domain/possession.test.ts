import { createHmac, generateKeyPairSync, hkdfSync, sign, type JsonWebKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { acknowledgementKey } from '../../../shared/domain/acknowledgement-key.ts';
import {
  proofKindOf,
  proofOf,
  proves,
  signedText,
  type PublicKey,
} from '../../../shared/domain/possession.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';

const VALUE = '{"username":"orders_b","password":"s3cret ✓"}';
const about = {
  credential: 'orders-db',
  persisted: true,
  challenge: 'nonce',
  session: 'session',
  rotation: 'c22be5c8-0000-4000-8000-000000000000',
  versionId: 'c22be5c8-0000-4000-8000-000000000000',
  fingerprint: 'sha256:abc',
};
const key = (value = VALUE, rotation = about.rotation) => acknowledgementKey(new Redacted(value), rotation);
/** Whether an HMAC proves that its maker has a value. */
const holds = (of: ReturnType<typeof key>, said: typeof about, proof: string) =>
  proves({ kind: 'hmac', key: of }, { ...said, proof });

describe('the proof of possession', () => {
  it('is what docs/agents.md says, for whoever writes it in another language', () => {
    const derived = hkdfSync('sha256', VALUE, about.rotation, 'rekey acknowledgement v1', 32);
    const text = `nonce\nsession\n${about.rotation}\n${about.versionId}\nsha256:abc`;
    const expected = createHmac('sha256', Buffer.from(derived)).update(text).digest('base64url');
    expect(proofOf(key(), about).reveal()).toBe(expected);
    expect(holds(key(), about, expected)).toBe(true);
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
      expect([field, holds(key(), { ...about, [field]: 'other' }, proof)]).toEqual([field, false]);
    expect(holds(key('{"password":"other"}'), about, proof)).toBe(false);
    expect(holds(key(VALUE, 'another rotation'), about, proof)).toBe(false);
  });

  it('holds for no text that was not made with the key', () => {
    const proof = proofOf(key(), about).reveal();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(holds(key(), about, text)).toBe(text === proof);
      }),
    );
    expect(holds(key(), about, '')).toBe(false);
  });
});

/** Key pairs of every algorithm that a signing key may have, and how Node signs with them. */
const PAIRS = [
  ['EdDSA', () => generateKeyPairSync('ed25519'), null, {}],
  [
    'ES256',
    () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'sha256',
    { dsaEncoding: 'ieee-p1363' },
  ],
  ['RS256', () => generateKeyPairSync('rsa', { modulusLength: 2048 }), 'sha256', {}],
  [
    'PS256',
    () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    'sha256',
    { padding: 6, saltLength: 32 },
  ],
] as const;

describe('the proof by a signature', () => {
  it.each(PAIRS)('%s: holds for its own key and for what it is about', (alg, pair, digest, how) => {
    const { publicKey, privateKey } = pair();
    const jwk: JsonWebKey = publicKey.export({ format: 'jwk' });
    const possession = { kind: 'signature' as const, publicKey: { ...jwk, alg } as PublicKey };
    const signed = sign(digest, Buffer.from(signedText(about)), { key: privateKey, ...how });
    const signature = signed.toString('base64url');
    expect(proves(possession, { ...about, signature })).toBe(true);
    for (const field of ['challenge', 'session', 'rotation', 'versionId', 'fingerprint'] as const)
      expect(proves(possession, { ...about, signature, [field]: 'other' })).toBe(false);
    const other: JsonWebKey = pair().publicKey.export({ format: 'jwk' });
    expect(proves({ ...possession, publicKey: { ...other, alg } }, { ...about, signature })).toBe(false);
    expect(proves({ ...possession, publicKey: { kty: 'none' } }, { ...about, signature })).toBe(false);
  });

  it('signs a text that is no token: it has line breaks, and says what it is for', () => {
    expect(signedText(about)).toBe(
      `rekey acknowledgement v1\nnonce\nsession\n${about.rotation}\n${about.versionId}\nsha256:abc`,
    );
  });
});

describe('the proof of a verifier', () => {
  it('is the id of the new one among those that it has read', () => {
    const possession = { kind: 'seen' as const, id: 'kid-2' };
    expect(proves(possession, { ...about, seen: ['kid-1', 'kid-2', 'kid-3'] })).toBe(true);
    for (const seen of [[], ['kid-1'], ['kid-2 ']])
      expect(proves(possession, { ...about, seen })).toBe(false);
  });
});

describe('which proof is asked', () => {
  it('follows from declaration and credential; none stands in for another', () => {
    const publicKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }) as PublicKey;
    expect(proofKindOf(undefined, {})).toBe('hmac');
    expect(proofKindOf({}, { publicKey })).toBe('signature');
    expect(proofKindOf({ verifies: true }, { publicKey })).toBe('seen');
    const proof = proofOf(key(), about).reveal();
    const said = { ...about, proof };
    expect(proves({ kind: 'signature', publicKey }, said)).toBe(false);
    expect(proves({ kind: 'seen', id: 'kid' }, said)).toBe(false);
    expect(proves({ kind: 'hmac', key: key() }, { ...about, signature: proof, seen: [proof] })).toBe(false);
  });
});
