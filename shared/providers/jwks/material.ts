import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { parseJson } from '../http/material.ts';
import { formOf } from '../http/target.ts';
import { identityFields, type IdentityTarget } from '../identity/target.ts';
import { ALGORITHMS, type Algorithm } from './keys.ts';

/** Whose keys these are, and how long what they sign lives. Not secret: it goes into the ledger. */
export interface JwksTarget extends IdentityTarget {
  readonly issuer: string;
  readonly alg: Algorithm;
  readonly tokenLifetimeSeconds: number;
  /** Whether agents get the private key, or the right to sign with one that stays in KMS. */
  readonly held: 'exported' | 'kms';
}

export const form = formOf<JwksTarget>({
  ...identityFields(300),
  issuer: z.string().min(1).max(512),
  alg: z.enum(ALGORITHMS).default('EdDSA'),
  tokenLifetimeSeconds: z.int().min(1).max(43_200).default(900),
  held: z.enum(['exported', 'kms']).default('exported'),
});

const material = z
  .object({
    set: z.string().min(1),
    issuer: z.string().min(1),
    alg: z.enum(ALGORITHMS),
    tokenLifetimeSeconds: z.number(),
    jwk: z.looseObject({ kid: z.string().min(1), kty: z.string() }),
    /** Of a key in KMS, whose public part alone is in `jwk`. */
    keyArn: z.string().min(1).optional(),
  })
  .refine(({ jwk, keyArn }) => (privateOf(jwk) === '') !== (keyArn === undefined), { path: ['jwk', 'd'] });

/** What agents read: the private key as a JWK, and what a token that it signs has to say. */
export type JwksMaterial = Readonly<z.infer<typeof material>>;

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseMaterial(text: Redacted<string>): Redacted<JwksMaterial> {
  const fields = '{"set": …, "issuer": …, "alg": …, "tokenLifetimeSeconds": …, "jwk": …}';
  return text.map((raw) => parseJson(material, raw, 'the secret', undefined, fields));
}

/** What agents of a target get of a key that was made for it. */
export function materialOf(target: JwksTarget, made: Redacted<string>): Redacted<JwksMaterial> {
  const { name: set, issuer, alg, tokenLifetimeSeconds } = target;
  return made.map((text) => {
    const { keyArn, ...jwk } = JSON.parse(text) as Record<string, unknown>;
    return material.parse({ set, issuer, alg, tokenLifetimeSeconds, jwk, keyArn });
  });
}

/** The private part of a JWK; empty where it has none. */
export function privateOf({ d }: Readonly<Record<string, unknown>>): string {
  return typeof d === 'string' ? d : '';
}

/** Refuses a material that is not of this target and key (confused deputy). */
export function assertOurs(target: JwksTarget, secret: Redacted<JwksMaterial>, kid?: string): void {
  const { set: name, issuer, alg, jwk } = secret.reveal();
  const isOther = { set: name !== target.name, issuer: issuer !== target.issuer, alg: alg !== target.alg };
  const found = Object.entries({ ...isOther, 'jwk.kid': kid !== undefined && jwk.kid !== kid });
  const field = found.find(([, differs]) => differs)?.[0];
  if (field === undefined) return;
  throw new RekeyError('ERR_MATERIAL_MISMATCH', `the secret has another ${field} than it should`, {
    field,
    remedy: 'the secret was changed by another hand, or belongs to another credential; nothing was signed',
  });
}
