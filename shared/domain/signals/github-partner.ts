import { createPublicKey, verify } from 'node:crypto';
import * as z from 'zod';
import { Redacted } from '../redacted.ts';
import {
  addressOf,
  digestOf,
  fingerprintsOf,
  forged,
  jsonOf,
  malformed,
  observed,
  type Delivery,
  type Signal,
} from './signal.ts';

/**
 * GitHub sends whatever one push has, and sends nothing again: who puts made-up tokens beside a real one must not have all of
 * them refused. The budget of the source bounds what is done.
 */
const MAX_TOKENS = 500;

const feed = z.array(
  z.object({ token: z.string().min(1).max(65_536), type: z.string(), url: z.string().nullish() }),
);

/** The key that a delivery names. @throws RekeyError ERR_FORBIDDEN where it names none */
export function partnerKeyId({ header }: Delivery): string {
  const id = header('github-public-key-identifier');
  if (id === undefined || !/^[0-9a-f]{40,128}$/.test(id)) throw forged();
  return id;
}

/**
 * The signals of GitHub's feed for partners: values that were found in public, each of them a leak without further proof.
 * `publicKey` is the one that the delivery names, as GitHub publishes it; undefined where it publishes none of that name.
 */
export function partnerSignals({ body, header, now }: Delivery, publicKey: string | undefined): Signal[] {
  if (publicKey === undefined || !isSigned(body, header('github-public-key-signature'), publicKey))
    throw forged();
  const parsed = feed.safeParse(jsonOf(body));
  if (!parsed.success) throw malformed('this is no list of tokens');
  const of = digestOf(body);
  return parsed.data.slice(0, MAX_TOKENS).map(({ token, url }, index) => ({
    source: 'github-partner',
    id: digestOf(of, String(index)),
    kind: 'leak',
    fingerprints: fingerprintsOf(new Redacted(token)),
    verified: true,
    ...addressOf(url),
    observedAt: observed(undefined, now),
    undated: true,
  }));
}

/** Whether the bytes are signed: ECDSA P-256 over SHA-256, the signature as DER in base64. */
export function isSigned(body: Uint8Array, signature: string | undefined, publicKey: string): boolean {
  if (signature === undefined || !/^[A-Za-z0-9+/]{80,120}={0,2}$/.test(signature)) return false;
  try {
    return verify('sha256', body, createPublicKey(publicKey), Buffer.from(signature, 'base64'));
  } catch {
    // No key, or no signature: neither proves anything.
    return false;
  }
}
