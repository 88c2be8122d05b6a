import * as z from 'zod';
import type { SetKind, SetRef, VerifierTimes } from '../../domain/directory.ts';

/** What the targets of all identities have. Not secret: it goes into the ledger. */
export interface IdentityTarget {
  /** The name under which verifiers find the set. */
  readonly name: string;
  readonly cacheSeconds: number;
  readonly clockSkewSeconds: number;
}

/** Fields of every identity's target. `cacheSeconds` is how long verifiers may keep what they have read. */
export const identityFields = (cacheSeconds: number) => ({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'must be small letters, digits and hyphens, at most 63'),
  cacheSeconds: z.int().min(1).max(3600).default(cacheSeconds),
  clockSkewSeconds: z.int().min(0).max(900).default(300),
});

/** The set of a target. */
export function setOf(kind: SetKind, { name }: IdentityTarget): SetRef {
  return { kind, name };
}

/** How the verifiers of a target keep time. */
export function timesOf({ cacheSeconds, clockSkewSeconds }: IdentityTarget): VerifierTimes {
  return { cacheSeconds, skewSeconds: clockSkewSeconds };
}
