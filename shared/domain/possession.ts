import {
  constants,
  createHmac,
  createPublicKey,
  timingSafeEqual,
  verify,
  type VerifyKeyObjectInput,
} from 'node:crypto';
import type { ClientHolder } from './holders.ts';
import type { Redacted } from './redacted.ts';
import type { AcknowledgementPayload } from './signed.ts';

/** What a proof of possession is about. */
export type Proven = Pick<
  AcknowledgementPayload,
  'challenge' | 'session' | 'rotation' | 'versionId' | 'fingerprint'
>;

/** A public key (RFC 7517) by which a signature of whoever holds a credential is checked. */
export type PublicKey = Readonly<Record<string, unknown>>;

/** How holders of kind `client` prove that they have what a window is about (hard decision 7). */
export type ProofKind =
  /** By a key that follows from the text of the secret. */
  | 'hmac'
  /** By a signature of the credential itself, where the secret's text is no secret. */
  | 'signature'
  /** By what is known of it, where a holder checks what others prove themselves with. */
  | 'seen';

/** What the proof of one acknowledgement is held against. */
export type Possession =
  | { readonly kind: 'hmac'; readonly key: Redacted<Uint8Array> }
  | { readonly kind: 'signature'; readonly publicKey: PublicKey }
  /** The name that the identity has among verifiers. No notice tells it. */
  | { readonly kind: 'seen'; readonly id: string };

/** The field of an acknowledgement that has the proof; the others are absent. */
export const PROOF_FIELDS = {
  hmac: 'proof',
  signature: 'signature',
  seen: 'seen',
} as const satisfies Readonly<Record<ProofKind, keyof AcknowledgementPayload>>;

/** So that what is signed to acknowledge is nothing else: neither a token, nor what is signed for another purpose. */
const SIGNED_FOR = 'rekey acknowledgement v1';

/** Which proof is asked of a holder; by another one nothing is proven. `publicKey` is that of the credential, where it has one. */
export function proofKindOf(
  holder: Pick<ClientHolder, 'verifies'> | undefined,
  { publicKey }: { readonly publicKey?: PublicKey | undefined },
): ProofKind {
  if (holder?.verifies === true) return 'seen';
  return publicKey === undefined ? 'hmac' : 'signature';
}

/** The proof that whoever made it has the key, in base64url. */
export function proofOf(key: Redacted<Uint8Array>, proven: Proven): Redacted<string> {
  const text = linesOf(proven);
  return key.map((bytes) => createHmac('sha256', bytes).update(text).digest('base64url'));
}

/** What a holder signs with the credential itself. */
export function signedText(proven: Proven): string {
  return `${SIGNED_FOR}\n${linesOf(proven)}`;
}

/** Whether an acknowledgement proves what is asked, in a time that tells nothing of it. */
export function proves(possession: Possession, said: AcknowledgementPayload): boolean {
  switch (possession.kind) {
    case 'hmac': {
      const expected = Buffer.from(proofOf(possession.key, said).reveal());
      const given = Buffer.from(said.proof ?? '');
      return expected.length === given.length && timingSafeEqual(expected, given);
    }
    case 'signature':
      return said.signature !== undefined && isSigned(possession.publicKey, said, said.signature);
    case 'seen':
      return said.seen?.includes(possession.id) === true;
  }
}

function linesOf({ challenge, session, rotation, versionId, fingerprint }: Proven): string {
  return [challenge, session, rotation, versionId, fingerprint].join('\n');
}

function isSigned(publicKey: PublicKey, proven: Proven, signature: string): boolean {
  const { alg, kty } = publicKey;
  try {
    // The key decides how it is used (RFC 7518, section 3), never whoever signs.
    const key: VerifyKeyObjectInput = {
      key: createPublicKey({ key: { ...publicKey }, format: 'jwk' }),
      dsaEncoding: 'ieee-p1363',
      ...(alg === 'PS256'
        ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
        : {}),
    };
    const digest = kty === 'OKP' ? null : 'sha256';
    return verify(digest, Buffer.from(signedText(proven)), key, Buffer.from(signature, 'base64url'));
  } catch {
    // No key of a kind that signs: nothing is proven by it.
    return false;
  }
}
