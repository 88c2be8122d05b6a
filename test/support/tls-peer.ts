import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';

/** What a peer shows and trusts; PEM all of it. */
export interface PeerIdentity {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  /** Lists of what is revoked, each by itself: with them, whoever comes has to be on none. */
  readonly crl?: string[];
}

const GREETING = 'at your service';

/** One side of mutual TLS by Node's own: a server that takes whom its bundle vouches for, and a client of others like it. */
export class TlsPeer implements AsyncDisposable {
  readonly #server: Server;
  #identity: PeerIdentity;

  private constructor(identity: PeerIdentity) {
    this.#identity = identity;
    this.#server = createServer({ ...identity, requestCert: true, rejectUnauthorized: true }, (socket) => {
      socket.on('error', () => undefined);
      socket.end(GREETING);
    });
    // Whoever is refused is told so; the server goes on.
    this.#server.on('tlsClientError', () => undefined);
  }

  static async start(identity: PeerIdentity): Promise<TlsPeer> {
    const peer = new TlsPeer(identity);
    peer.#server.listen(0, '127.0.0.1');
    await once(peer.#server, 'listening');
    return peer;
  }

  /** From now on; connections that are open stay. */
  use(identity: PeerIdentity): void {
    this.#identity = identity;
    this.#server.setSecureContext(identity);
  }

  /** A handshake of both sides, in full. Throws where either refuses the other. */
  async greet(other: TlsPeer): Promise<void> {
    const { port } = other.#server.address() as AddressInfo;
    const options = { host: '127.0.0.1', port, timeout: 20_000 };
    // Names are SPIFFE ids, of which no host is one.
    const socket = connect({ ...options, ...this.#identity, checkServerIdentity: () => undefined });
    // Whoever reads is told of the first error; a reset may follow it.
    socket.on('error', () => undefined);
    try {
      if ((await textOf(socket)) !== GREETING) throw new Error('the connection was closed');
    } finally {
      socket.destroy();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** TLS 1.3 tells a client only after its handshake that it was refused: what counts is what comes. */
async function textOf(socket: TLSSocket): Promise<string> {
  let text = '';
  socket.setEncoding('utf8');
  socket.once('timeout', () => socket.destroy(new Error('no answer')));
  for await (const chunk of socket) text += String(chunk);
  return text;
}
