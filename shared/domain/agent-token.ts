import { createHash, timingSafeEqual } from 'node:crypto';
import { crc32 } from 'node:zlib';
import * as z from 'zod';
import { fromInstant, type Instant } from './clock.ts';
import { publishedOf, type DirectoryEntry, type DirectorySet } from './directory.ts';
import { Redacted } from './redacted.ts';

/**
 * `rkt_<set>_<id>_<secret>_<checksum>`: a form that scanners find and tell from a random word. The set is where it is
 * looked up; the secret has 256 bits, so that its plain SHA-256 tells nothing of it, and no slow hash is needed.
 */
const FORM = /^rkt_([a-z0-9][a-z0-9-]{0,62})_([0-9a-f]{16})_([A-Za-z0-9_-]{43})_([0-9a-f]{8})$/;

/** What a token says of itself, checked against its own checksum only. */
export interface TokenParts {
  readonly set: string;
  readonly id: string;
}

/** What verifiers are told of a token. */
export const tokenDocument = z.object({
  /** SHA-256 of the token, in base64url. */
  digest: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  agent: z.string(),
  audience: z.string(),
  scopes: z.array(z.string()),
  /** Whether it lets its bearer get more rights: such tokens are treated as root credentials (C7). */
  escalation: z.boolean(),
});
export type TokenDocument = Readonly<z.infer<typeof tokenDocument>>;

/** What a live token grants. */
export interface TokenGrant extends Omit<TokenDocument, 'digest'> {
  readonly id: string;
  readonly set: string;
  readonly notAfter?: Instant;
}

/** The token of a set, of its id and 32 random bytes. */
export function tokenOf(set: string, id: string, secret: Uint8Array): Redacted<string> {
  const body = `rkt_${set}_${id}_${Buffer.from(secret).toString('base64url')}`;
  return new Redacted(`${body}_${checksumOf(body)}`);
}

/** The parts of a token; undefined where it has not the form of one, or was cut or mistyped. */
export function partsOf(token: string): TokenParts | undefined {
  const [, set, id] = FORM.exec(token) ?? [];
  if (set === undefined || id === undefined) return undefined;
  const at = token.lastIndexOf('_');
  return checksumOf(token.slice(0, at)) === token.slice(at + 1) ? { set, id } : undefined;
}

/** What a token is known by. */
export function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** What the token grants now by the set that it names; undefined where it is refused. The comparison tells nothing of the digest. */
export function grantOf(set: DirectorySet | undefined, token: string, now: number): TokenGrant | undefined {
  const id = partsOf(token)?.id;
  const entry = publishedTokens(set, now).find((each) => each.id === id);
  const told = entry && tokenDocument.safeParse(entry.document).data;
  if (entry === undefined || told === undefined || set === undefined) return undefined;
  const { digest, ...grant } = told;
  if (!timingSafeEqual(Buffer.from(digest), Buffer.from(digestOf(token)))) return undefined;
  const { notAfter } = entry;
  return { id: entry.id, set: set.name, ...grant, ...(notAfter === undefined ? {} : { notAfter }) };
}

/** Tokens that are accepted now. */
export function publishedTokens(set: DirectorySet | undefined, now: number): DirectoryEntry[] {
  return set === undefined ? [] : publishedOf(set, now);
}

/** A grant as RFC 7662 has it. */
export function introspectionOf({
  id,
  set,
  agent,
  audience,
  scopes,
  escalation,
  notAfter,
}: TokenGrant): object {
  return {
    active: true,
    token_type: 'Bearer',
    jti: id,
    sub: agent,
    client_id: agent,
    aud: audience,
    scope: scopes.join(' '),
    escalation,
    set,
    ...(notAfter === undefined ? {} : { exp: Math.floor(fromInstant(notAfter) / 1000) }),
  };
}

function checksumOf(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
