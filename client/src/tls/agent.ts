import { Agent, type AgentOptions } from 'node:https';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions } from 'node:tls';
import type { Certificates } from './certificates.ts';
import type { Peers } from './peer.ts';

/**
 * Connections of `https` under the present certificate. When it changes, idle ones of the one before are closed, and busy ones
 * once their answer is there: kept, they would be in use when the other end no longer trusts what they have shown.
 */
class CertificateAgent extends Agent {
  readonly #certificates: Certificates;
  readonly #peers: Peers;
  readonly #end: () => void;
  #present: WeakSet<Duplex> = new WeakSet();

  constructor(certificates: Certificates, peers: Peers, options: AgentOptions) {
    super({ keepAlive: true, ...options });
    this.#certificates = certificates;
    this.#peers = peers;
    this.#end = certificates.onChange(() => {
      this.#present = new WeakSet();
      for (const idle of Object.values(this.freeSockets).flat()) idle?.destroy();
    });
  }

  override createConnection(options: ConnectionOptions): Duplex {
    const connection = this.#certificates.connect(this.#peers, options);
    this.#present.add(connection);
    return connection;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    // Node's own says whether, though its types don't.
    return this.#present.has(socket) && (super.keepSocketAlive(socket) as unknown as boolean);
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
