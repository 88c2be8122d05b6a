import { renewAt, type Validity } from './certificate.ts';
import { fromInstant, type Instant } from './clock.ts';
import { RekeyError } from './errors.ts';

/** What is known of a certificate that was issued to an agent, from before it was signed. */
export interface Leaf extends Validity {
  readonly serial: string;
  /** The SPIFFE id. */
  readonly id: string;
  /** SHA-256 of its key. */
  readonly fingerprint: string;
  /** Id of the authority that signs it. */
  readonly authority: string;
  readonly agent: string;
  /** ARN of who asked for it. */
  readonly caller: string;
  readonly issuedAt: Instant;
  /** ARN of the certificate, where AWS Private CA has issued it: under a serial number of its own. */
  readonly ref?: string;
}

/** Certificates that one agent gets of one authority in an hour: all of its instances begin anew, and again. */
export const MAX_LEAVES_AN_HOUR = 10_000;

/** How long it stays known who had a certificate, from its end. */
export const LEAVES_KEPT_SECONDS = 90 * 86_400;

/**
 * The certificate that a key has had already, where asking again for it is a repetition: same identity, same authority, and not
 * yet time to renew it.
 * @throws RekeyError ERR_CONFLICT where it is none: a key serves for one certificate
 */
export function repeated(known: Leaf, asked: Pick<Leaf, 'id' | 'agent' | 'authority'>, now: number): Leaf {
  const isSame = known.id === asked.id && known.agent === asked.agent && known.authority === asked.authority;
  const renewal = renewAt(fromInstant(known.issuedAt), known);
  if (isSame && now < fromInstant(renewal)) return known;
  throw new RekeyError('ERR_CONFLICT', 'csr: its key has had a certificate before', {
    field: 'csr',
    remedy: 'make another key: each certificate has one of its own',
  });
}
