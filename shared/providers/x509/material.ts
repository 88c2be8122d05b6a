import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import type { Redacted } from '../../domain/redacted.ts';
import { trustDomain } from '../../domain/spiffe.ts';
import { parseJson } from '../http/material.ts';
import { formOf } from '../http/target.ts';
import { identityFields, type IdentityTarget } from '../identity/target.ts';
import { leafSeconds } from './leaves.ts';

const DAY = 86_400;

/** Whom an authority vouches for, and for how long. Not secret: it goes into the ledger. */
export interface X509Target extends IdentityTarget {
  /** What all its SPIFFE ids begin with. */
  readonly trustDomain: string;
  /** The longest life of what it signs. */
  readonly leafSeconds: number;
  /** The life of its own certificate: as the next one, signing, and while what it has signed lives. */
  readonly caSeconds: number;
}

/** The form of its targets. A leaf lives two days and is renewed daily (C5), so that agents bear a whole day without anybody who issues. */
export const form = formOf<X509Target>({
  ...identityFields(300),
  trustDomain,
  leafSeconds,
  caSeconds: z
    .int()
    .min(7 * DAY)
    .max(365 * DAY)
    .default(100 * DAY),
});

/** What the vault keeps of an authority, of whatever kind, beside where its key is. */
export const authorityMaterial = z.object({
  set: z.string().min(1),
  trustDomain: z.string().min(1),
  certificate: z.string().min(1),
});

/** Reads what the vault keeps, which says in `ref` where the key is; refusals name the field, and never quote it. */
export function materialParser<M>(schema: z.ZodType<M>, ref: string) {
  const fields = `{"set": …, "trustDomain": …, "certificate": …, "${ref}": …}`;
  /** @throws RekeyError ERR_MATERIAL_MISMATCH */
  return (text: Redacted<string>): Redacted<M> =>
    text.map((raw) => parseJson(schema, raw, 'the secret', undefined, fields));
}

/** What the vault keeps of an authority that was made for a target, or taken. */
export function materialOf<M>(
  schema: z.ZodType<M>,
  { name: set, trustDomain: domain }: Pick<X509Target, 'name' | 'trustDomain'>,
  made: Redacted<string>,
): Redacted<M> {
  return made.map((text) => schema.parse({ ...(JSON.parse(text) as object), set, trustDomain: domain }));
}

/** The form of what the vault keeps where the key is in KMS. */
export const material = authorityMaterial.extend({ keyArn: z.string().min(1) });

/** What the vault keeps: which authority signs now, and where its key is. The key itself is nowhere but in KMS. */
export type X509Material = Readonly<z.infer<typeof material>>;

/** Refuses a material that is not of this target (confused deputy). */
export function assertOurs(
  target: Pick<X509Target, 'name' | 'trustDomain'>,
  secret: Redacted<Pick<X509Material, 'set' | 'trustDomain'>>,
): void {
  const { set, trustDomain: domain } = secret.reveal();
  if (set !== target.name) throw mismatch('set');
  if (domain !== target.trustDomain) throw mismatch('trustDomain');
}

/** The secret says something else than it should. */
export function mismatch(field: string): RekeyError {
  return new RekeyError('ERR_MATERIAL_MISMATCH', `the secret has another ${field} than it should`, {
    field,
    remedy: 'the secret was changed by another hand, or belongs to another credential; nothing was signed',
  });
}
