import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import pg from 'pg';
import { createRemoteJWKSet, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { sigV4 } from '../../client/src/sigv4.ts';
import { createCertificates, peerId, type Certificates } from '../../client/src/tls.ts';
import { createPublishedKeys, createTokenVerifier } from '../../client/src/verify.ts';
import { agentApi, sessionOf } from '../../local/demo/agent.ts';
import { connection } from '../../local/demo/database.ts';
import { directoryUrl } from '../../local/demo/directory.ts';
import type { World } from '../../local/demo/world.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { FakeTime } from '../fakes/fake-time.ts';
import { answering } from '../support/answering.ts';
import { openssl } from '../support/openssl.ts';
import type { Trust } from './handshake-load.ts';
import { introspect } from './upstreams/identities.ts';
import type { PlayedUpstream } from './upstreams/played.ts';

/** Somebody who uses a credential, or checks one. */
export interface Use {
  /** The credential, and how it is used. */
  readonly credential: string;
  readonly how: string;
  /** What it can't do without, beside the vault and what it has read. */
  readonly needs?: 'the directory';
  /** Goes by clocks that nobody moves: its upstream has one of its own. */
  readonly byRealClock?: boolean;
  /** @throws where it fails */
  readonly work: () => Promise<unknown>;
}

/** Agents and verifiers whose clocks a test moves; what they call lives by real time and is waited for. */
export class LongLived implements AsyncDisposable {
  readonly time: FakeTime;
  readonly #world: World;
  readonly #fetch: typeof globalThis.fetch;
  readonly uses: Use[] = [];
  #certificates: Certificates | undefined;
  /** When another certificate was first asked for in vain. */
  renewalFailedAt: number | undefined;

  constructor(world: World) {
    this.#world = world;
    const { fetch, answered } = answering();
    this.time = new FakeTime(answered);
    this.time.jump((Date.now() - this.time.now()) / 1000);
    // Servers whose clocks are moved as well: an answer's date is a client's clock.
    this.#fetch = async (...call) => {
      const { status, headers, body } = await fetch(...call);
      const moved = new Headers(headers);
      if (moved.has('date')) moved.set('date', new Date(this.time.now()).toUTCString());
      return new Response([204, 304].includes(status) ? null : body, { status, headers: moved });
    };
  }

  /** What agents sign with these keys, at verifiers of `jose` and of the client. */
  signs(credential: string, set: string, { sign }: PlayedUpstream, secret: string, which: string): void {
    const directory = directoryUrl(this.#world);
    const material = JSON.parse(secret) as JwksMaterial;
    const { issuer, alg } = material;
    const checks = (keys: JWTVerifyGetKey) => async () =>
      jwtVerify((await sign?.(material)) ?? '', keys, { issuer, algorithms: [alg] });
    const ours = createPublishedKeys({ directory, set, fetch: this.#fetch, time: this.time });
    const jose = createRemoteJWKSet(new URL(`${directory}/jwks/${set}`));
    this.uses.push(
      { credential, how: `${which}, verified by the client`, work: checks(ours) },
      {
        credential,
        how: `${which}, verified by jose's remote set`,
        needs: 'the directory',
        work: checks(jose),
      },
    );
  }

  /** A verifier of tokens that goes by digests, and one that asks each time. */
  bears(credential: string, set: string, secret: string, which: string): void {
    const { token } = JSON.parse(secret) as { token: string };
    const verifier = createTokenVerifier({
      directory: directoryUrl(this.#world),
      set,
      audience: 'orders',
      sign: sigV4(this.#world.stack.clientConfig),
      fetch: this.#fetch,
      time: this.time,
    });
    const digests = async (): Promise<void> => {
      if ((await verifier.verify(token)) === undefined) throw new Error('refused');
    };
    const asked = async (): Promise<void> => {
      if ((await introspect(this.#world, token))['active'] !== true) throw new Error('not active');
    };
    this.uses.push(
      { credential, how: `${which}, verified by the client`, work: digests },
      { credential, how: `${which}, introspected`, needs: 'the directory', work: asked },
    );
  }

  /** A login to a database. */
  logsIn(credential: string, read: () => Promise<string>): void {
    const work = async (): Promise<void> => {
      const { username, password } = JSON.parse(await read()) as { username: string; password: string };
      const client = new pg.Client(connection(this.#world.server, { user: username, password }));
      await client.connect();
      await client.query('SELECT 1');
      await client.end();
    };
    this.uses.push({ credential, how: 'a login', work });
  }

  /** Anything else, asked as its agents would. */
  shows(credential: string, { takes }: Pick<PlayedUpstream, 'takes'>, read: () => Promise<string>): void {
    const work = async (): Promise<void> => {
      if (!(await takes(await read()))) throw new Error('refused');
    };
    this.uses.push({ credential, how: 'a key', byRealClock: true, work });
  }

  /** An agent that has a certificate, for both ends of a handshake. */
  async certified({ credential, set, principal }: Trust): Promise<void> {
    const credentials = await sessionOf(this.#world, principal);
    this.#certificates = await createCertificates({
      api: agentApi(this.#world),
      directory: directoryUrl(this.#world),
      credential,
      set,
      instance: 'host-1',
      sign: sigV4({ credentials, region: this.#world.stack.region }),
      fetch: this.#fetch,
      time: this.time,
      on: { renewalFailed: () => (this.renewalFailedAt ??= this.time.now()) },
    });
  }

  /**
   * A handshake of Node's TLS with what the agent shows and trusts now; openssl says what it is worth by the moved clock.
   * @throws where anybody refuses
   */
  async shakesHands(): Promise<void> {
    const certificates = this.#certificates;
    if (certificates === undefined) throw new Error('nobody has a certificate');
    const { certificate, id } = certificates.current();
    const at = String(Math.floor(this.time.now() / 1000));
    const files = { 'leaf.pem': certificate, 'bundle.pem': certificates.bundle };
    const asked = ['verify', '-attime', at, '-x509_strict', '-CAfile', 'bundle.pem', 'leaf.pem'];
    const { ok, output } = openssl(asked, files);
    if (!ok) throw new Error(output);
    const server = createServer(certificates.serverOptions(), (socket: TLSSocket) => {
      socket.on('error', () => undefined);
      socket.end(peerId(socket) ?? 'nobody');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = certificates.connect(id, { host: '127.0.0.1', port });
    let text = '';
    try {
      for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
    } finally {
      socket.destroy();
      server.close();
    }
    if (text !== id) throw new Error(`it is called ${text}`);
  }

  /** When the certificate ends that is in use. */
  get certificateEnds(): number {
    return new X509Certificate(this.#certificates?.current().certificate ?? '').validToDate.getTime();
  }

  /** Credentials of which a use fails now, with how; each once. */
  async failing(of: readonly Use[] = this.uses): Promise<Map<string, string[]>> {
    const failing = new Map<string, string[]>();
    await Promise.all(
      of.map(async ({ credential, how, work }) =>
        work().catch((error: unknown) => {
          failing.set(credential, [...(failing.get(credential) ?? []), `${how}: ${String(error)}`]);
        }),
      ),
    );
    return failing;
  }

  /** Asks for no further certificate. */
  close(): void {
    this.#certificates?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
