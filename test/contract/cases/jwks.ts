import { createRemoteJWKSet, importJWK, jwtVerify, SignJWT } from 'jose';
import type { JwksMaterial, JwksTarget } from '../../../shared/providers/jwks/material.ts';
import { jwksProvider } from '../../../shared/providers/jwks/provider.ts';
import type { IdentityCase } from '../identity-harness.ts';

/** A token as an agent signs it. */
export async function signedWith({ issuer, alg, jwk }: JwksMaterial, lifeSeconds = 60): Promise<string> {
  return new SignJWT({ sub: 'agent-1' })
    .setProtectedHeader({ alg, kid: jwk.kid })
    .setIssuer(issuer)
    .setIssuedAt()
    .setExpirationTime(`${lifeSeconds}s`)
    .sign(await importJWK(jwk, alg));
}

/** Whether a verifier takes what the key signs, by the published set. */
export async function verifies(url: string, name: string, material: JwksMaterial): Promise<boolean> {
  return taken(url, name, material, await signedWith(material));
}

/** Whether a verifier takes a token of that issuer and algorithm, by the published set. */
export async function taken(
  url: string,
  name: string,
  { issuer, alg }: JwksMaterial,
  token: string,
): Promise<boolean> {
  const keys = createRemoteJWKSet(new URL(`${url}/jwks/${name}`));
  return jwtVerify(token, keys, { issuer, algorithms: [alg] }).then(
    () => true,
    () => false,
  );
}

/** Signing keys, with `jose` as the verifier. */
export function jwksCase(alg: JwksTarget['alg'] = 'EdDSA'): IdentityCase<JwksTarget, JwksMaterial> {
  return {
    provider: jwksProvider,
    kind: 'jwks',
    target: (name) => ({ name, issuer: `https://${name}.example`, alg }),
    takes: async (url, { name }, material) => verifies(url, name, material),
    wrong: (material) => {
      const d = String(material.jwk['d']);
      const changed = `${d.slice(0, 10)}${d[10] === 'A' ? 'B' : 'A'}${d.slice(11)}`;
      return { ...material, jwk: { ...material.jwk, d: changed } };
    },
    other: (material) => ({ ...material, issuer: 'https://somebody-else.example' }),
  };
}
