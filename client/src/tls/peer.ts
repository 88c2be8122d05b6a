import type { PeerCertificate, TLSSocket } from 'node:tls';

/** Which peers are meant: one SPIFFE id, or a test of it. */
export type Peers = string | ((id: string) => boolean);

const SPIFFE = /^URI:(spiffe:\/\/[a-z0-9._-]+\/[A-Za-z0-9._/-]+)$/;

/** The SPIFFE id of whoever is at the other end; undefined where it has shown no certificate that is trusted. */
export function peerId(socket: TLSSocket): string | undefined {
  return socket.authorized ? idIn(socket.getPeerCertificate().subjectaltname) : undefined;
}

/** The one SPIFFE id among the names of a certificate (X509-SVID, section 2); undefined where there is none, or another one beside it. */
export function idIn(names: string | undefined = ''): string | undefined {
  // Node quotes what could be taken for another name.
  if (names.includes('"')) return undefined;
  const [uri, ...others] = names.split(', ').filter((name) => name.startsWith('URI:'));
  return others.length === 0 ? SPIFFE.exec(uri ?? '')?.[1] : undefined;
}

/** Takes a server for what its certificate says it is, wherever it was reached. For `tls.connect`, in place of the check of its host. */
export function serverIdentity(
  peers: Peers,
): (host: string, certificate: PeerCertificate) => Error | undefined {
  return (_host, { subjectaltname }) => {
    const id = idIn(subjectaltname);
    if (id !== undefined && (typeof peers === 'string' ? peers === id : peers(id))) return undefined;
    const error = new Error(
      `the server is ${id ?? 'nobody of this trust domain'}, which is not whom to talk to`,
    );
    return Object.assign(error, { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  };
}
