import * as z from 'zod';
import type { Redacted } from '../../domain/redacted.ts';
import { trustDomain } from '../../domain/spiffe.ts';
import { parseJson } from '../http/material.ts';
import { formOf } from '../http/target.ts';
import { identityFields, type IdentityTarget } from '../identity/target.ts';
import { leafSeconds } from '../x509/leaves.ts';

const ARN = /^arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority\/[0-9a-f-]{36}$/;

/** Whom the authorities vouch for, how long, and which ones take turns. Not secret: it goes into the ledger. */
export interface PrivateCaTarget extends IdentityTarget {
  /** What all SPIFFE ids begin with. */
  readonly trustDomain: string;
  /** The longest life of what they sign. */
  readonly leafSeconds: number;
  /** ARNs of authorities that a person has made, in the order in which they are taken. */
  readonly authorities: readonly string[];
}

/** The form of its targets. A leaf lives two days and is renewed daily (C5). One authority signs, and the next is published. */
export const form = formOf<PrivateCaTarget>({
  ...identityFields(300),
  trustDomain,
  leafSeconds,
  authorities: z
    .array(z.string().regex(ARN, 'must be the ARN of a certificate authority of AWS Private CA'))
    .min(2, 'must have two at least: one that signs, and the next')
    .max(50)
    .refine((arns) => new Set(arns).size === arns.length, 'must name each authority once'),
});

const material = z.object({
  set: z.string().min(1),
  trustDomain: z.string().min(1),
  certificate: z.string().min(1),
  authorityArn: z.string().min(1),
});

/** What the vault keeps: which authority signs now. Its key is nowhere but in AWS Private CA. */
export type PrivateCaMaterial = Readonly<z.infer<typeof material>>;

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseMaterial(text: Redacted<string>): Redacted<PrivateCaMaterial> {
  const fields = '{"set": …, "trustDomain": …, "certificate": …, "authorityArn": …}';
  return text.map((raw) => parseJson(material, raw, 'the secret', undefined, fields));
}

/** What the vault keeps of an authority that was taken for a target. */
export function materialOf(target: PrivateCaTarget, taken: Redacted<string>): Redacted<PrivateCaMaterial> {
  const { name: set, trustDomain: domain } = target;
  const own = z.object({ certificate: z.string(), authorityArn: z.string() });
  return taken.map((text) => ({ set, trustDomain: domain, ...own.parse(JSON.parse(text)) }));
}
