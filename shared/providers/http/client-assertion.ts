import { createHash, createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import * as z from 'zod';
import { RekeyError } from '../../domain/errors.ts';
import { LoginUnknown, type Api } from './api.ts';

/** A private key with which a client says who it is; a text of JSON in its secret. */
const privateJwk = z.looseObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string().min(1),
  y: z.string().min(1),
  d: z.string().min(1),
  kid: z.string().min(1),
});

/** A new key pair, as JWKs; `kid` is its name in both. */
export function newKey(kid: string): { readonly value: string; readonly publicKey: Record<string, unknown> } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const about = { kid, alg: 'ES256', use: 'sig' };
  return {
    value: JSON.stringify({ ...privateKey.export({ format: 'jwk' }), ...about }),
    publicKey: { ...publicKey.export({ format: 'jwk' }), ...about },
  };
}

/** What tells a key from every other, whatever it is called (RFC 7638, in hex). */
export function thumbprint({ crv, kty, x, y }: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('hex');
}

/**
 * Words of a server that has let the client in, and refuses what it then asks for. One that says so to everybody is found by
 * a key that it can't know.
 */
const LET_IN: ReadonlySet<string> = new Set([
  'invalid_grant',
  'invalid_request',
  'unauthorized_client',
  'unsupported_grant_type',
]);

/** A client, and where it says who it is. */
export interface AssertingClient {
  readonly clientId: string;
  /** The token endpoint. */
  readonly baseUrl: string;
  /** Whom an assertion is for; the token endpoint where nothing is said. */
  readonly issuer?: string | undefined;
}

/**
 * Says who the client is, and asks for something that nobody has: nothing is given or spent by it.
 * @throws LoginUnknown where the key isn't taken; RekeyError ERR_REJECTED where the server says neither yes nor no
 */
export async function enterAs(api: Api, client: AssertingClient, value: string): Promise<void> {
  const { clientId, baseUrl, issuer: audience = baseUrl } = client;
  const asked = { grant_type: 'refresh_token', refresh_token: 'of-nobody' };
  const { error } = await api.call({
    method: 'POST',
    path: '',
    form: { ...asked, ...assertionOf(value, { clientId, audience, now: Date.now() }) },
    answer: z.object({ error: z.string() }),
    accepts: [400, 403],
  });
  if (LET_IN.has(error)) return;
  if (error === 'invalid_client') {
    throw new LoginUnknown('ERR_REJECTED', 'the authorization server does not take the key of the client', {
      remedy: 'the key is wrong, revoked or not registered',
    });
  }
  throw new RekeyError('ERR_REJECTED', 'the authorization server says neither yes nor no to the client', {
    field: 'target',
    remedy: 'look whether the address is that of its token endpoint, and the issuer is its own',
  });
}

/**
 * Form fields with which a client says who it is (RFC 7523, 2.2).
 * @throws RekeyError ERR_MATERIAL_MISMATCH where the value is no such key
 */
function assertionOf(
  value: string,
  { clientId, audience, now }: { readonly clientId: string; readonly audience: string; readonly now: number },
): Record<string, string> {
  const { kid, ...key } = keyIn(value);
  const iat = Math.floor(now / 1000);
  const claims = { iss: clientId, sub: clientId, aud: audience, jti: randomUUID(), iat, exp: iat + 300 };
  const content = `${encoded({ alg: 'ES256', kid, typ: 'JWT' })}.${encoded(claims)}`;
  const privateKey = createPrivateKey({ key: { ...key }, format: 'jwk' });
  const signature = sign('sha256', Buffer.from(content), { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return {
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${content}.${signature.toString('base64url')}`,
  };
}

function keyIn(value: string): z.infer<typeof privateJwk> {
  try {
    return privateJwk.parse(JSON.parse(value));
  } catch {
    // What the parsers say quotes the key.
    throw new RekeyError('ERR_MATERIAL_MISMATCH', 'the secret has no private key of this client', {
      field: 'private_key',
      remedy: 'the secret was changed by another hand, or belongs to another credential; nothing was sent',
    });
  }
}

function encoded(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}
