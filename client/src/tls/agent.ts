import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Certificates } from './certificates.ts';
import type { Peers } from './peer.ts';

/** Connections of `https` under the present certificate. Idle ones of the one before are closed when it changes. */
class CertificateAgent extends Agent {
  readonly #certificates: Certificates;
  readonly #peers: Peers;
  readonly #end: () => void;

  constructor(certificates: Certificates, peers: Peers, options: AgentOptions) {
    super({ keepAlive: true, ...options });
    this.#certificates = certificates;
    this.#peers = peers;
    this.#end = certificates.onChange(() => {
      for (const idle of Object.values(this.freeSockets).flat()) idle?.destroy();
    });
  }

  override createConnection(options: ConnectionOptions): Duplex {
    return this.#certificates.connect(this.#peers, options);
  }

  override destroy(): void {
    this.#end();
    super.destroy();
  }
}

/** An agent for `https.request` whose connections show the present certificate and take only the servers that are meant. */
export function certificateAgent(
  certificates: Certificates,
  peers: Peers,
  options: AgentOptions = {},
): Agent {
  return new CertificateAgent(certificates, peers, options);
}
