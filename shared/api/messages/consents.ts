import * as z from 'zod';
import { instant, reason } from './common.ts';

/** Where a browser comes back to: on loopback (RFC 8252), or over TLS where a registration allows nothing else. */
const redirectUri = z
  .string()
  .max(2048)
  .refine((text) => mayReceive(text), 'write an address on 127.0.0.1 or [::1], or one with https');

function mayReceive(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hash !== '' || url.username !== '' || url.password !== '') return false;
  return (
    url.protocol === 'https:' || (url.protocol === 'http:' && /^(127\.0\.0\.1|\[::1\])$/.test(url.hostname))
  );
}

/** `POST /v1/families/{name}/consent-requests`: where a person's browser is sent. Nothing is changed by it. */
export const consentRequest = z.strictObject({
  redirectUri,
  /** What the browser brings back unchanged. */
  state: z.string().regex(/^[\w-]{22,128}$/, 'send at least 128 random bits in base64url'),
  /** S256 of the verifier (RFC 7636). */
  codeChallenge: z.string().regex(/^[\w-]{43}$/, 'send the SHA-256 of the verifier in base64url'),
});

export const consentRequestAnswer = z.object({
  family: z.string(),
  /** Absent where nobody has to consent: the client acts for itself. */
  url: z.string().optional(),
  /** Who must have sent the browser back (RFC 9207), where that is known. */
  issuer: z.string().optional(),
  /** True where a browser that comes back without an issuer was sent by somebody else. */
  sendsIssuer: z.boolean(),
  scopes: z.array(z.string()),
});
export type ConsentRequestAnswer = z.infer<typeof consentRequestAnswer>;

/** What a consent has given. It is secret until it is spent. */
const givenConsent = z.strictObject({
  code: z.string().min(1).max(4096),
  codeVerifier: z.string().regex(/^[\w.~-]{43,128}$/, 'send the verifier of the challenge'),
  redirectUri,
});
export type GivenConsent = z.infer<typeof givenConsent>;

/** `POST /v1/families/{name}/consents`; without a consent where the client acts for itself. */
export const consentGiven = z.strictObject({
  consent: givenConsent.optional(),
  reason: reason.optional(),
});

export const consentAnswer = z.object({
  family: z.string(),
  status: z.string(),
  /** The secret that agents read. */
  secret: z.string(),
  expiresAt: instant.optional(),
  /** What was granted. */
  scope: z.string().optional(),
  /** Scopes that were asked for and not granted. */
  missing: z.array(z.string()),
  /** False where the server gave no refresh token, so that somebody has to consent again when the access token ends. */
  refreshable: z.boolean(),
});
export type ConsentAnswer = z.infer<typeof consentAnswer>;
