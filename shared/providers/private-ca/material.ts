import * as z from 'zod';
import { trustDomain } from '../../domain/spiffe.ts';
import { formOf } from '../http/target.ts';
import { identityFields, type IdentityTarget } from '../identity/target.ts';
import { leafSeconds } from '../x509/leaves.ts';
import { authorityMaterial } from '../x509/material.ts';

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

/** The form of what the vault keeps. */
export const material = authorityMaterial.extend({ authorityArn: z.string().min(1) });

/** What the vault keeps: which authority signs now. Its key is nowhere but in AWS Private CA. */
export type PrivateCaMaterial = Readonly<z.infer<typeof material>>;
