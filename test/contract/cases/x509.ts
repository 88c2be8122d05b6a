import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { validityOf } from '../../../shared/domain/certificate.ts';
import { agentId } from '../../../shared/domain/spiffe.ts';
import type { AwsReach } from '../../../shared/http/aws.ts';
import { kmsSigner } from '../../../shared/http/kms-signer.ts';
import { certificatesIn, idOf } from '../../../shared/providers/x509/authority.ts';
import type { X509Material, X509Target } from '../../../shared/providers/x509/material.ts';
import { x509Provider } from '../../../shared/providers/x509/provider.ts';
import { authorityOf, leafCertificate, newSerial } from '../../../shared/x509/certificates.ts';
import type { FakeKms } from '../../fakes/kms.ts';
import { openssl } from '../../support/openssl.ts';
import type { IdentityCase } from '../identity-harness.ts';

/** What a leaf is made of. */
interface LeafTerms {
  readonly publicKey?: KeyObject;
  readonly seconds?: number;
  /** By whose clock, and how far others may be apart from it. */
  readonly now?: number;
  readonly skewSeconds?: number;
}

/** A leaf of an agent, signed as the function signs it that agents ask. */
export async function leafOf(
  aws: AwsReach,
  material: X509Material,
  { publicKey, seconds = 86_400, now = Date.now(), skewSeconds = 0 }: LeafTerms = {},
): Promise<string> {
  const { certificate, keyArn, trustDomain } = material;
  const validity = validityOf({ now, lifeSeconds: seconds, skewSeconds });
  return leafCertificate(kmsSigner(aws, keyArn), authorityOf(certificate), {
    id: agentId(trustDomain, 'agent-1'),
    publicKey: publicKey ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey,
    serial: newSerial(),
    ...validity,
  });
}

/** What an agent has for mutual TLS: a key of its own, and a leaf for it. */
export async function leafWithKey(
  aws: AwsReach,
  material: X509Material,
  seconds: number,
): Promise<{ readonly cert: string; readonly key: string }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const cert = await leafOf(aws, material, { publicKey, seconds });
  return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
}

/** Whether openssl takes a leaf by the published bundle. Clocks of tests run ahead; what is too old or too young is asked elsewhere. */
export async function opensslTakes(url: string, name: string, leaf: string): Promise<boolean> {
  const bundle = await (await fetch(`${url}/bundles/${name}`)).text();
  const args = ['verify', '-no_check_time', '-x509_strict', '-purpose', 'sslclient', '-CAfile', 'bundle.pem'];
  return openssl([...args, 'leaf.pem'], { 'bundle.pem': bundle, 'leaf.pem': leaf }).ok;
}

/** Certificate authorities, with openssl as the verifier. */
export function x509Case(kms: FakeKms): IdentityCase<X509Target, X509Material> {
  return {
    provider: x509Provider,
    kind: 'bundles',
    aws: kms,
    target: (name) => ({ name, trustDomain: `${name}.example` }),
    takes: async (url, { name }, material) =>
      leafOf(kms, material).then(
        async (leaf) => opensslTakes(url, name, leaf),
        () => false,
      ),
    shown: (text) => certificatesIn(text).map((certificate) => idOf(certificate.toString())),
    // Another key of the account, which signs as well.
    wrong: (material) => ({
      ...material,
      keyArn: [...kms.keys.keys()].find((arn) => arn !== material.keyArn) ?? '',
    }),
    other: (material) => ({ ...material, set: 'of-somebody-else' }),
  };
}
