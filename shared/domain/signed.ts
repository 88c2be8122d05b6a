import * as z from 'zod';
import { throwAll } from './errors.ts';
import { declarationErrors } from './mistakes.ts';
import { inWords } from './wording.ts';

/**
 * What instances sign (docs/agents.md), each in a form of its own: one can't be taken for another, nor that of one session
 * for another's.
 */

/** Every one of them is a word that Rekey has given out, or a name of its own. */
const word = z.string().regex(/^[\x21-\x7e]{1,256}$/, 'use what the notice and the challenge say');
const credential = z.string().min(1).max(63).describe('Name of a credential of the pact');
/** Secrets Manager's own bounds. */
const versionId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'use the id of a version of the secret')
  .describe('Version of the secret');
const time = z.iso.datetime({ offset: true }).max(40).describe('RFC 3339');
const sequence = z.int().min(0).describe('Higher in each opening and heartbeat of the instance');
const times = z.int().min(0).max(1_000_000_000);

/** As many as are published of one credential, with room. */
const MOST_SEEN = 10;

/** What an instance signs to acknowledge: with the one of `proof`, `signature` and `seen` that the notice asks for. */
export const acknowledgementPayload = z
  .strictObject({
    session: word,
    rotation: word,
    credential,
    versionId: word,
    fingerprint: word,
    challenge: word,
    proof: z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/, 'write the 32 bytes of the HMAC in base64url, without padding')
      .optional()
      .describe('Where the notice says hmac, or nothing: HMAC under the key that follows from the value'),
    signature: z
      .string()
      .regex(/^[A-Za-z0-9_-]{64,700}$/, 'write the signature in base64url, as a JWS has it')
      .optional()
      .describe('Where the notice says signature: made with the credential itself'),
    seen: z
      .array(word)
      .max(MOST_SEEN)
      .optional()
      .describe('Where the notice says seen: the ids (kid) that a verifier has read'),
    persisted: z.boolean().describe('The value would survive a restart of the instance'),
  })
  .refine(
    ({ proof, signature, seen }) =>
      [proof, signature, seen].filter((each) => each !== undefined).length === 1,
    { path: ['proof'], message: 'send one of proof, signature and seen: that which the notice asks for' },
  );
export type AcknowledgementPayload = z.infer<typeof acknowledgementPayload>;

/**
 * What an instance signs to open a session. None is there yet that it could name: it names the agent, and is good for a
 * moment only.
 */
export const openingPayload = z.strictObject({
  agent: word,
  instance: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'use up to 128 printable characters of ASCII')
    .describe('Name of the process as its operators know it, e.g. host and process id'),
  sequence,
  at: time.describe("When it was signed, by the server's clock; RFC 3339"),
});
export type OpeningPayload = z.infer<typeof openingPayload>;

/** What an instance signs to say that it lives, and what it holds. */
export const heartbeatPayload = z.strictObject({
  session: word,
  sequence,
  holds: z
    .array(z.strictObject({ credential, versionId }))
    .max(40)
    .describe('Every version that the instance still uses'),
});
export type HeartbeatPayload = z.infer<typeof heartbeatPayload>;

/** What an instance signs to report its uses. */
export const usesPayload = z.strictObject({
  session: word,
  uses: z
    .array(
      z.strictObject({
        credential,
        versionId,
        succeeded: times.describe('Accepted by the upstream'),
        refused: times.describe('Refused by the upstream as unauthenticated'),
        from: time,
        to: time,
      }),
    )
    .min(1)
    .max(50),
});
export type UsesPayload = z.infer<typeof usesPayload>;

/** What an instance signs to close its session. */
export const closePayload = z.strictObject({ session: word, closed: z.literal(true) });
export type ClosePayload = z.infer<typeof closePayload>;

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseAcknowledgement(input: unknown): AcknowledgementPayload {
  return parsePayload(acknowledgementPayload, input);
}

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseOpening(input: unknown): OpeningPayload {
  return parsePayload(openingPayload, input);
}

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseHeartbeat(input: unknown): HeartbeatPayload {
  return parsePayload(heartbeatPayload, input);
}

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseUses(input: unknown): UsesPayload {
  return parsePayload(usesPayload, input);
}

/** @throws RekeyError ERR_REQUEST naming the field of the payload */
export function parseClose(input: unknown): ClosePayload {
  return parsePayload(closePayload, input);
}

function parsePayload<S extends z.ZodType>(schema: S, input: unknown): z.infer<S> {
  const parsed = schema.safeParse(input, { error: inWords });
  const form = 'docs/agents.md has the form of what is signed';
  if (!parsed.success) throwAll(declarationErrors(parsed.error, 'payload', form, 'ERR_REQUEST'));
  return schema.parse(input);
}
