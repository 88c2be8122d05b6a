import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Redacted } from './redacted.ts';
import type { AcknowledgementPayload } from './signed.ts';

/** What a proof of possession is about. */
export type Proven = Pick<
  AcknowledgementPayload,
  'challenge' | 'session' | 'rotation' | 'versionId' | 'fingerprint'
>;

/** The proof that whoever made it has the key, in base64url. */
export function proofOf(key: Redacted<Uint8Array>, proven: Proven): Redacted<string> {
  const { challenge, session, rotation, versionId, fingerprint } = proven;
  const text = [challenge, session, rotation, versionId, fingerprint].join('\n');
  return key.map((bytes) => createHmac('sha256', bytes).update(text).digest('base64url'));
}

/** Whether `proof` was made with the key, in a time that tells nothing of it. */
export function proves(key: Redacted<Uint8Array>, proven: Proven, proof: string): boolean {
  const expected = Buffer.from(proofOf(key, proven).reveal());
  const given = Buffer.from(proof);
  return expected.length === given.length && timingSafeEqual(expected, given);
}
