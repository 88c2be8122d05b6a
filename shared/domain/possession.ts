import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { throwAll } from './errors.ts';
import { declarationErrors } from './mistakes.ts';
import type { Redacted } from './redacted.ts';

/** Every one of them is a word that Rekey has given out, or a name of its own. */
const word = z.string().regex(/^[\x21-\x7e]{1,256}$/, 'use what the notice and the challenge say');

const acknowledgementPayload = z.strictObject({
  session: word,
  rotation: word,
  credential: z.string().min(1).max(63),
  versionId: word,
  fingerprint: word,
  challenge: word,
  proof: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, 'write the 32 bytes of the HMAC in base64url, without padding'),
  persisted: z.boolean(),
});

const closePayload = z.strictObject({ session: word, closed: z.literal(true) });

/** What an instance signs to acknowledge (docs/agents.md). */
export type AcknowledgementPayload = z.infer<typeof acknowledgementPayload>;

/** What an instance signs to close its session. It can't be taken for an acknowledgement, nor the other way round. */
export type ClosePayload = z.infer<typeof closePayload>;

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseAcknowledgement(input: unknown): AcknowledgementPayload {
  return parsePayload(acknowledgementPayload, input);
}

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseClose(input: unknown): ClosePayload {
  return parsePayload(closePayload, input);
}

function parsePayload<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
  const parsed = schema.safeParse(input);
  const form = 'docs/agents.md has the form of what is signed';
  if (!parsed.success) throwAll(declarationErrors(parsed.error, 'payload', form, 'ERR_REQUEST'));
  return schema.parse(input);
}

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
