import * as z from 'zod';
import type { Credential } from './credential.ts';
import { entryOf, isHeld, publishedOf, type DirectorySet } from './directory.ts';
import { RekeyError } from './errors.ts';
import { trustDomain } from './spiffe.ts';

/** What verifiers are told of a certificate authority: the document of an entry of a trust bundle. */
export const authorityDocument = z.object({
  /** Its certificate, as PEM. */
  certificate: z.string().min(1),
  /** Where what it has revoked is told; leaves carry both. */
  crl: z.string().optional(),
  ocsp: z.string().optional(),
  /** The certificate of whoever tells it, as PEM. */
  responder: z.string().optional(),
});

/** That document. */
export type AuthorityDocument = z.infer<typeof authorityDocument>;

/** What the target of a certificate authority says of leaves. */
export const leafTarget = z.object({
  /** The set of the directory. */
  name: z.string().min(1),
  trustDomain,
  leafSeconds: z.int().min(1),
  clockSkewSeconds: z.int().min(0),
});

/** Whether a credential is an authority itself, and not what one has signed. */
export function isAuthority({ type, target }: Pick<Credential, 'type' | 'target'>): boolean {
  return type === 'certificate-authority' && leafTarget.safeParse(target).success;
}

/** What the target of a key that Rekey keeps says of who signs for it. */
const keptUnder = z.object({ authority: z.string(), holder: z.string() });

/** Whether Rekey keeps a key under the authority of that name: its end is told by the authority's list. */
export function isKeptUnder(
  name: string,
  { type, target }: Pick<Credential, 'type'> & Partial<Pick<Credential, 'target'>>,
): boolean {
  return type === 'certificate-authority' && keptUnder.safeParse(target).data?.authority === name;
}

/** An authority that issues now. */
export interface Issuing extends AuthorityDocument {
  /** Id of its entry. */
  readonly id: string;
  /** ARN of what signs: its key in KMS, or the authority of AWS Private CA. */
  readonly ref: string;
}

/** The certificates that verifiers trust now, as PEM one after the other. What comes next is among them. */
export function bundlePem(set: DirectorySet, now: number): string {
  return publishedOf(set, now)
    .map(({ document }) => authorityDocument.parse(document).certificate)
    .join('');
}

/**
 * The authority of that id, as long as it may issue.
 * @throws RekeyError ERR_UNAVAILABLE where there is none, or it was ended: another one takes its place
 */
export function issuingOf(set: DirectorySet | undefined, id: string | undefined): Issuing {
  const entry = id === undefined ? undefined : entryOf(set, id);
  if (entry?.ref !== undefined && isHeld(entry)) {
    return { id: entry.id, ref: entry.ref, ...authorityDocument.parse(entry.document) };
  }
  throw new RekeyError('ERR_UNAVAILABLE', 'no certificate authority issues now', {
    remedy: 'ask again: after an emergency, or at registration, one takes its place within a minute',
  });
}
