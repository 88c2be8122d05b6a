import { X509Certificate } from 'node:crypto';
import type { World } from '../../local/demo/world.ts';
import { certificatesIn } from '../../shared/providers/x509/authority.ts';
import { openssl, opensslBytes } from '../support/openssl.ts';
import { directoryUrl } from './upstreams/identities.ts';

/** A certificate of an agent, and the bundle that vouches for it; PEM both. */
export interface Shown {
  readonly certificate: string;
  readonly bundle: string;
}

/** What the deployed directory tells of a certificate by OCSP, asked and understood by openssl. */
export async function statusOf(world: World, set: string, { certificate, bundle }: Shown): Promise<string> {
  const leaf = new X509Certificate(certificate);
  const issuer = certificatesIn(bundle).find((each) => leaf.checkIssued(each));
  if (issuer === undefined) throw new Error('the bundle does not vouch for it');
  const files = { 'ca.pem': issuer.toString(), 'leaf.pem': certificate };
  const asks = ['ocsp', '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce'];
  const response = await fetch(`${directoryUrl(world)}/ocsp/${set}`, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: Buffer.from(opensslBytes([...asks, '-reqout', 'out'], files)),
  });
  const answer = new Uint8Array(await response.arrayBuffer());
  const judges = [...asks, '-CAfile', 'ca.pem', '-respin', 'answer.der'];
  const { output } = openssl(judges, { ...files, 'answer.der': answer });
  if (!output.includes('Response verify OK')) throw new Error(`${response.status}: ${output}`);
  return /leaf\.pem: (\w+)/.exec(output)?.[1] ?? output;
}
