import { X509Certificate } from 'node:crypto';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import { certificatesIn } from '../../shared/providers/x509/authority.ts';
import { pemOf } from '../../shared/x509/pem.ts';
import { openssl, opensslBytes } from '../support/openssl.ts';

/** A certificate of an agent, and the bundle that vouches for it; PEM both. */
export interface Shown {
  readonly certificate: string;
  readonly bundle: string;
}

/** What the deployed directory tells of a certificate by OCSP, asked and understood by openssl. */
export async function statusOf(
  world: World,
  set: string,
  shown: Shown,
  method: 'POST' | 'GET' = 'POST',
): Promise<string> {
  const files = { 'ca.pem': issuerOf(shown), 'leaf.pem': shown.certificate };
  const asks = ['ocsp', '-issuer', 'ca.pem', '-cert', 'leaf.pem', '-no_nonce'];
  const request = Buffer.from(opensslBytes([...asks, '-reqout', 'out'], files));
  const url = `${directoryUrl(world)}/ocsp/${set}`;
  const response =
    method === 'GET'
      ? await fetch(`${url}/${encodeURIComponent(request.toString('base64'))}`)
      : await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/ocsp-request' },
          body: request,
        });
  const answer = new Uint8Array(await response.arrayBuffer());
  const judges = [...asks, '-CAfile', 'ca.pem', '-respin', 'answer.der'];
  const { output } = openssl(judges, { ...files, 'answer.der': answer });
  if (!output.includes('Response verify OK')) throw new Error(`${response.status}: ${output}`);
  return /leaf\.pem: (\w+)/.exec(output)?.[1] ?? output;
}

/** What openssl says of a certificate by the list that it names itself. */
export async function judgedByList(shown: Shown): Promise<string> {
  const { certificate } = shown;
  const { output: text } = openssl(['x509', '-in', 'leaf.pem', '-noout', '-text'], {
    'leaf.pem': certificate,
  });
  const url = /URI:(http\S+\/crl\/\S+)/.exec(text)?.[1] ?? '';
  const response = await fetch(url);
  if (response.headers.get('content-type') !== 'application/pkix-crl') throw new Error(`${response.status}`);
  const list = new Uint8Array(await response.arrayBuffer());
  const asks = ['verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'crl.pem', 'leaf.pem'];
  const files = { 'ca.pem': issuerOf(shown), 'leaf.pem': certificate, 'crl.pem': pemOf('X509 CRL', list) };
  return openssl(asks, files).output;
}

function issuerOf({ certificate, bundle }: Shown): string {
  const leaf = new X509Certificate(certificate);
  const issuer = certificatesIn(bundle).find((each) => leaf.checkIssued(each));
  if (issuer === undefined) throw new Error('the bundle does not vouch for it');
  return issuer.toString();
}
