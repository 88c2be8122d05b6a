import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { validityOf } from '../../../shared/domain/certificate.ts';
import { agentId } from '../../../shared/domain/spiffe.ts';
import { privateAuthority } from '../../../shared/http/private-ca.ts';
import { certificatesIn, idOf } from '../../../shared/providers/x509/authority.ts';
import type { PrivateCaMaterial, PrivateCaTarget } from '../../../shared/providers/private-ca/material.ts';
import { privateCaProvider } from '../../../shared/providers/private-ca/provider.ts';
import { newSerial } from '../../../shared/x509/certificates.ts';
import { requestFor } from '../../../shared/x509/request.ts';
import type { FakePrivateCa } from '../../fakes/private-ca.ts';
import type { IdentityCase } from '../identity-harness.ts';
import { opensslTakes } from './x509.ts';

/** As many as six rotations take, and the one after that. */
const AUTHORITIES = 10;

/** What an agent has for mutual TLS: a key of its own, and a leaf for it that AWS Private CA has issued. */
export async function leafWithKey(
  fake: FakePrivateCa,
  { authorityArn, trustDomain }: PrivateCaMaterial,
): Promise<{ readonly cert: string; readonly key: string }> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const issuer = privateAuthority(fake.aws, authorityArn);

  const arn = await issuer.ask({
    id: agentId(trustDomain, 'agent-1'),
    csr: requestFor(privateKey),
    token: newSerial(),
    // Clocks of tests run ahead of that of TLS.
    ...validityOf({ now: Date.now(), lifeSeconds: 3600, skewSeconds: 3600 }),
  });
  const cert = await issuer.certificate(arn);
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** Authorities of AWS Private CA, with openssl as the verifier. */
export function privateCaCase(fake: () => FakePrivateCa): IdentityCase<PrivateCaTarget, PrivateCaMaterial> {
  return {
    provider: privateCaProvider,
    kind: 'bundles',
    aws: { request: async (...call) => fake().aws.request(...call) },
    target: async (name) => {
      const made = await Promise.all(Array.from({ length: AUTHORITIES }, async () => fake().add()));
      return { name, trustDomain: `${name}.example`, authorities: made.map(({ arn }) => arn) };
    },
    takes: async (url, { name }, material) =>
      leafWithKey(fake(), material).then(
        async ({ cert }) => opensslTakes(url, name, cert),
        () => false,
      ),
    shown: (text) => certificatesIn(text).map((certificate) => idOf(certificate.toString())),
    // Another authority of the account, which issues as well.
    wrong: (material) => ({
      ...material,
      authorityArn:
        [...fake().authorities.values()].find(
          ({ status, certificate }) =>
            status === 'ACTIVE' &&
            idOf(certificate) !== idOf(String(new X509Certificate(material.certificate))),
        )?.arn ?? '',
    }),
    other: (material) => ({ ...material, set: 'of-somebody-else' }),
  };
}
