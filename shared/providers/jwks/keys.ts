import {
  calculateJwkThumbprint,
  CompactSign,
  createRemoteJWKSet,
  errors,
  exportJWK,
  generateKeyPair,
  importJWK,
  jwtVerify,
  type JWK,
} from 'jose';
import { RekeyError } from '../../domain/errors.ts';
import { Redacted } from '../../domain/redacted.ts';
import { DIRECTORY_MS, unserved } from '../identity/served.ts';
import type { Made } from '../identity/steps.ts';

/** Algorithms of RFC 7518 and RFC 8037 that a signing key may have. */
export const ALGORITHMS = ['EdDSA', 'ES256', 'RS256', 'PS256'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

const PROOF_SECONDS = 60;

/** Makes a key pair: its public part for the directory, its private part for whoever is to sign. Its id is its thumbprint (RFC 7638). */
export async function makeKey(alg: Algorithm): Promise<Made> {
  const pair = await generateKeyPair(alg, { extractable: true });
  const [open, secret] = await Promise.all([exportJWK(pair.publicKey), exportJWK(pair.privateKey)]);
  const kid = await calculateJwkThumbprint(open, 'sha256');
  const about = { kid, alg, use: 'sig' };
  return {
    fresh: { id: kid, document: { ...open, ...about } },
    secret: new Redacted(JSON.stringify({ ...secret, ...about })),
  };
}

/** What a proof is about. */
export interface Proving {
  readonly issuer: string;
  readonly alg: Algorithm;
  readonly kid: string;
  /** Signs a text as a JWS has it, in base64url. */
  readonly sign: (text: string) => Promise<string>;
  /** Where verifiers find the keys. */
  readonly url: URL;
  readonly now: number;
  readonly skewSeconds: number;
}

/**
 * Signs as an agent does and verifies as a verifier does, with the keys that are published at `url`.
 * @throws RekeyError ERR_REJECTED where the signature is refused, ERR_UNAVAILABLE where the endpoint doesn't answer
 */
export async function proveKey(proving: Proving): Promise<void> {
  const { issuer, alg, url, now, skewSeconds: clockTolerance } = proving;
  const token = await signed(proving);
  const keys = createRemoteJWKSet(url, {
    timeoutDuration: DIRECTORY_MS,
    cooldownDuration: 0,
    cacheMaxAge: 0,
  });
  try {
    await jwtVerify(token, keys, { issuer, algorithms: [alg], currentDate: new Date(now), clockTolerance });
  } catch (error) {
    // Causes stay out: their messages quote what was sent.
    if (error instanceof errors.JWKSNoMatchingKey) throw rejected('verifiers are not told of this key');
    if (error instanceof errors.JWSSignatureVerificationFailed) throw rejected('its signature is refused');
    if (error instanceof errors.JWTClaimValidationFailed) throw rejected('what it signs is refused');
    throw unserved();
  }
}

/** A token as an agent makes it. */
async function signed({ issuer, alg, kid, now, sign }: Proving): Promise<string> {
  const iat = Math.floor(now / 1000);
  const parts = [
    { alg, kid, typ: 'JWT' },
    { iss: issuer, iat, exp: iat + PROOF_SECONDS },
  ];
  const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${await sign(text)}`;
}

/** Signs with a private key. @throws RekeyError ERR_REJECTED */
export async function signWithKey(jwk: JWK, alg: Algorithm, text: string): Promise<string> {
  try {
    const [, payload = ''] = text.split('.');
    const header = { alg, kid: jwk.kid ?? '', typ: 'JWT' };
    const jws = await new CompactSign(Buffer.from(payload, 'base64url'))
      .setProtectedHeader(header)
      .sign(await importJWK(jwk, alg));
    return jws.split('.')[2] ?? '';
  } catch {
    throw rejected('nothing can be signed with it');
  }
}

function rejected(why: string): RekeyError {
  return new RekeyError('ERR_REJECTED', `the signing key does not work: ${why}`, {
    remedy: 'somebody has changed the secret or ended the key; start a new rotation',
  });
}
