import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type TLSSocket } from 'node:tls';
import { agentApi, sessionOf } from '../../local/demo/agent.ts';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import { sigV4 } from '../../client/src/sigv4.ts';
import { createCertificates, peerId, type Certificates } from '../../client/src/tls.ts';
import type { Shown } from './certificate-status.ts';
import { outcomeOf, type Checked } from './identity-load.ts';

/** Whose certificates these are. */
export interface Trust {
  /** Name of the certificate authority, as it is declared. */
  readonly credential: string;
  /** Its set of the directory. */
  readonly set: string;
  /** The role that its agents run as. */
  readonly principal: string;
}

/** An agent at both ends: what it has by the client, and a server with it. */
interface Agent {
  readonly certificates: Certificates;
  readonly server: Server;
  /** Who has vouched for it last: its certificate may end before there is another one. */
  authority: string;
}

/**
 * Agents that greet each other by mutual TLS, each with certificates that the deployed agent API issues for keys of its own. The
 * client renews them and the bundle by itself; nobody here looks at a rotation.
 */
export class HandshakeLoad implements AsyncDisposable {
  readonly #agents: readonly Agent[];

  private constructor(agents: readonly Agent[]) {
    this.#agents = agents;
  }

  static async start(
    world: World,
    { credential, set, principal }: Trust,
    count: number,
  ): Promise<HandshakeLoad> {
    const credentials = await sessionOf(world, principal);
    const agents = Array.from({ length: count }, async (_, number): Promise<Agent> => {
      const certificates = await createCertificates({
        api: agentApi(world),
        directory: directoryUrl(world),
        credential,
        set,
        instance: `host-${number}`,
        sign: sigV4({ credentials, region: world.stack.region }),
      });
      const server = createServer(certificates.serverOptions(), greet);
      certificates.serve(server);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      return { certificates, server, authority: certificates.current().authority };
    });
    return new HandshakeLoad(await Promise.all(agents));
  }

  /** Agent `number` greets the next one, which has to call it by its name. */
  async check(number: number): Promise<Checked> {
    const own = this.#agents[number % this.#agents.length] ?? never();
    const other = this.#agents[(number + 1) % this.#agents.length] ?? never();
    const met = async (): Promise<void> => {
      for (const each of [own, other]) each.authority = each.certificates.current().authority;
      const { id } = other.certificates.current();
      await greeted(own.certificates.connect(id, placeOf(other)), own.certificates.current().id);
    };
    const done = met();
    const shown = [own, other].map(({ authority }) => authority);
    return { ...(await outcomeOf(done)), shown };
  }

  /** Somebody who has taken certificate and key of the first agent, and shows them to the second one. */
  thief(): () => Promise<Checked> {
    const [own = never(), other = never()] = this.#agents;
    const { authority, id } = own.certificates.current();
    const stolen = own.certificates.clientOptions(other.certificates.current().id);
    return async () => {
      const met = greeted(connect({ ...placeOf(other), ...stolen }), id);
      return { ...(await outcomeOf(met)), shown: [authority] };
    };
  }

  /** Ids of the authorities whose certificates agents have now. */
  get authorities(): readonly string[] {
    return [...new Set(this.#agents.map(({ certificates }) => certificates.current().authority))];
  }

  /** What an agent shows now, and what it trusts. */
  shown(number = 0): Shown {
    const { certificates } = this.#agents[number] ?? never();
    return { certificate: certificates.current().certificate, bundle: certificates.bundle };
  }

  /** What agents do who were told to resume: nobody trusts, or shows, what was revoked. */
  async resume(): Promise<void> {
    await Promise.all(
      this.#agents.map(async ({ certificates }) => {
        await certificates.expire();
        // One may have been asked for before there was another authority.
        await certificates.renewNow().catch(async () => certificates.renewNow());
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { certificates, server } of this.#agents) {
      certificates.close();
      server.close();
      await once(server, 'close');
    }
  }
}

function never(): never {
  throw new Error('nobody');
}

function greet(socket: TLSSocket): void {
  socket.on('error', () => undefined);
  socket.end(peerId(socket) ?? 'nobody');
}

function placeOf({ server }: Agent): { host: string; port: number; timeout: number } {
  const { port } = server.address() as AddressInfo;
  return { host: '127.0.0.1', port, timeout: 20_000 };
}

/** A handshake of both sides, in full: TLS 1.3 tells a client only after its own part whether it was refused. */
async function greeted(socket: TLSSocket, as: string): Promise<void> {
  socket.once('timeout', () => socket.destroy(new Error('no answer')));
  // Whoever reads is told of the first error; a reset may follow it.
  socket.on('error', () => undefined);
  let text = '';
  try {
    for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  } finally {
    socket.destroy();
  }
  if (text !== as) throw new Error(`it is called ${text === '' ? 'nothing' : text}`);
}
