import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import * as z from 'zod';
import { toInstant, type Instant } from '../../domain/clock.ts';
import { agentName } from '../../domain/pact.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { agentId, instanceName, trustDomain } from '../../domain/spiffe.ts';
import { formOf } from '../http/target.ts';
import { parseJson } from '../http/material.ts';
import { leafSeconds } from '../x509/leaves.ts';
import { mismatch } from '../x509/material.ts';

/** Whose certificate it is, and who signs it. Not secret: it goes into the ledger. */
export interface LeafTarget {
  /** Name of the credential that is the certificate authority. */
  readonly authority: string;
  readonly trustDomain: string;
  /** Its name in the SPIFFE id, as those of agents. */
  readonly holder: string;
  readonly instance?: string;
  readonly leafSeconds: number;
}

/** The form of its targets. */
export const form = formOf<LeafTarget>({
  authority: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be the name of a credential'),
  trustDomain,
  holder: agentName,
  instance: instanceName.optional(),
  leafSeconds,
});

const text = z.string().min(1);
const material = z.object({ id: text, certificate: text, privateKey: text, chain: text, bundle: text });

/** What the holder reads; PEM but for its SPIFFE id, and the address at which what it trusts is published. */
export type LeafMaterial = Readonly<z.infer<typeof material>>;

/** @throws RekeyError ERR_MATERIAL_MISMATCH naming the field, never quoting it */
export function parseMaterial(secret: Redacted<string>): Redacted<LeafMaterial> {
  const fields = '{"id": …, "certificate": …, "privateKey": …, "chain": …, "bundle": …}';
  return secret.map((raw) => parseJson(material, raw, 'the secret', undefined, fields));
}

/** The SPIFFE id of a target: no two credentials share one. */
export function idOf({ trustDomain: domain, holder, instance }: LeafTarget): string {
  return agentId(domain, holder, instance);
}

/** The certificate of a material, which is of this target, and by `id` its serial number (confused deputy). */
export function ownCertificate(
  target: LeafTarget,
  secret: Redacted<LeafMaterial>,
  id?: string,
): X509Certificate {
  const { id: spiffeId, certificate } = secret.reveal();
  const own = readable(certificate);
  if (spiffeId !== idOf(target) || own.subjectAltName !== `URI:${spiffeId}`) throw mismatch('id');
  if (id !== undefined && serialOf(own) !== id) throw mismatch('certificate');
  return own;
}

/** Whether the private key is that of the certificate. */
export function isKeyOf(own: X509Certificate, secret: Redacted<LeafMaterial>): boolean {
  try {
    return own.publicKey.equals(createPublicKey(createPrivateKey(secret.reveal().privateKey)));
  } catch {
    return false;
  }
}

/** When its certificate ends. */
export function endingOf(secret: Redacted<LeafMaterial>): Instant {
  return toInstant(readable(secret.reveal().certificate).validToDate.getTime());
}

/** By its serial number a certificate is told from others, here and on lists. */
export function serialOf({ serialNumber }: X509Certificate): string {
  return serialNumber.toLowerCase();
}

function readable(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw mismatch('certificate');
  }
}
