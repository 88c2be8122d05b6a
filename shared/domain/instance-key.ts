import * as z from 'zod';

const bytes32 = z.string().regex(/^[A-Za-z0-9_-]{43}$/, 'write 32 bytes in base64url, without padding');

/** What libraries write beside a key; nothing here follows from it, since the key decides its algorithm. */
const beside = {
  kid: z.string().max(256).optional(),
  use: z.literal('sig').optional(),
  key_ops: z.array(z.string().max(32)).max(8).optional(),
  ext: z.boolean().optional(),
};

/** The key of an instance (RFC 7517). A private member is an unknown field here, so that such a key is refused. */
export const instanceJwk = z.union(
  [
    z.strictObject({
      kty: z.literal('OKP'),
      crv: z.literal('Ed25519'),
      x: bytes32,
      alg: z.enum(['EdDSA', 'Ed25519']).optional(),
      ...beside,
    }),
    z.strictObject({
      kty: z.literal('EC'),
      crv: z.literal('P-256'),
      x: bytes32,
      y: bytes32,
      alg: z.literal('ES256').optional(),
      ...beside,
    }),
    z.strictObject({ kty: z.literal('oct'), k: bytes32, alg: z.literal('HS256').optional(), ...beside }),
  ],
  {
    error: 'send an Ed25519 or P-256 public key, or an oct key of 32 bytes, as a JWK without private members',
  },
);

/** A key in its necessary members only (RFC 7638, section 3.2). */
export type InstanceJwk =
  | { readonly kty: 'OKP'; readonly crv: 'Ed25519'; readonly x: string }
  | { readonly kty: 'EC'; readonly crv: 'P-256'; readonly x: string; readonly y: string }
  | { readonly kty: 'oct'; readonly k: string };

/** The key without what stands beside it. */
export function bareKey(jwk: z.infer<typeof instanceJwk>): InstanceJwk {
  switch (jwk.kty) {
    case 'OKP':
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x };
    case 'EC':
      return { kty: jwk.kty, crv: jwk.crv, x: jwk.x, y: jwk.y };
    case 'oct':
      return { kty: jwk.kty, k: jwk.k };
  }
}
