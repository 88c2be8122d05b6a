import { Certificates } from './tls/certificates.ts';
import type { CertificatesOptions } from './tls/options.ts';

export { certificateAgent } from './tls/agent.ts';
export type { Certificates } from './tls/certificates.ts';
export type { CertificateEvents, CertificatesOptions, HeldCertificate } from './tls/options.ts';
export { peerId, type Peers } from './tls/peer.ts';
export type { KeyKind } from './tls/request.ts';

/**
 * The certificate of this process, for both ends of mutual TLS: its key is made here and goes nowhere.
 * @throws CredentialError where none is to be had in `firstSeconds`, at once where another try is pointless
 */
export async function createCertificates(options: CertificatesOptions): Promise<Certificates> {
  return Certificates.create(options);
}
