import * as z from 'zod';
import { incident, instant, reason } from './common.ts';

/** The serial number of a certificate as tools write it, in the form of the records: hexadecimal, small letters, whole bytes. */
export const serialNumber = z
  .string()
  .transform((text) => text.replaceAll(':', '').toLowerCase())
  .pipe(z.string().regex(/^(?:[0-9a-f]{2}){1,20}$/, 'write the serial number in hexadecimal'));

/** `POST /v1/credentials/{name}/certificates/{serial}/revoke` */
export const certificateRevocation = z.strictObject({
  incident,
  reason,
  dryRun: z.boolean().default(false),
});

export const certificateRevoked = z.object({
  dryRun: z.boolean(),
  /** False where it was revoked before. */
  changed: z.boolean(),
  serial: z.string(),
  /** Id of the authority that signed it. */
  authority: z.string(),
  /** Its SPIFFE id. */
  id: z.string(),
  agent: z.string(),
  /** Absent where it isn't revoked. */
  revokedAt: instant.optional(),
  notAfter: instant,
  /** False where Rekey's own list that says so is not there yet: it comes within minutes. */
  listed: z.boolean(),
  /** Of an authority of AWS Private CA: by what AWS tells it, in its own time. */
  tellsBy: z
    .array(z.enum(['crl', 'ocsp']))
    .readonly()
    .optional(),
});
export type CertificateRevoked = z.infer<typeof certificateRevoked>;
