import { randomBytes, X509Certificate } from 'node:crypto';
import {
  connect,
  type ConnectionOptions,
  type PeerCertificate,
  type SecureContextOptions,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { AgentApi, meaningOf } from '../agent/api.ts';
import { CredentialError, isCredentialError } from '../errors.ts';
import { millisecondsOf } from '../options.ts';
import { backoffMs, LONGEST_MS, systemTime, type Time } from '../time.ts';
import { Published } from '../verify/published.ts';
import { authorityId, bundleIn, isVouchedFor, NOBODY, type Bundle } from './bundle.ts';
import { issuedIn, type Issued } from './issued.ts';
import type { CertificatesOptions, HeldCertificate } from './options.ts';
import { serverIdentity, type Peers } from './peer.ts';
import { requestFor, type KeyRequest } from './request.ts';

/** The longest wait between two tries of a renewal. */
const MOST_BACKOFF_MS = 60_000;
/** The bundle is read no more often, whatever the directory says. */
const SHORTEST_READ_MS = 1000;
/** The longest wait between two tries to read a bundle that is known to be outdated. */
const MOST_READ_BACKOFF_MS = 10_000;
/** Over so long many instances spread that an emergency has left without a certificate, all at once. */
const REPLACED_WITHIN_MS = 5000;
/** What many instances would do at once is spread over this part of its time, before it. */
const SPREAD = 0.1;

/**
 * The certificate of this process and what it trusts, both renewed ahead of time: another key and certificate at half of the
 * life, another bundle as often as the directory says. Where a renewal fails, the present one goes on being used, to its end.
 */
export class Certificates implements AsyncDisposable {
  readonly #options: CertificatesOptions;
  readonly #time: Time;
  readonly #api: AgentApi;
  readonly #published: Published<Bundle>;
  readonly #listeners: Set<() => void> = new Set();
  /** Open connections, with who is at their other end. */
  readonly #watched: Map<TLSSocket, X509Certificate> = new Map();
  #held: Issued | undefined;
  #bundle: Bundle = NOBODY;
  #request: KeyRequest | undefined;
  #renewal: Promise<void> | undefined;
  #failures = 0;
  #readFailures = 0;
  readonly #expiredMs: number;
  /** Set from `expire()` on until the bundle was read again: at the bound it has nobody trusted. */
  #cancelDistrust: (() => void) | undefined;
  #cancelRenewal: (() => void) | undefined;
  #cancelRead: (() => void) | undefined;
  #closed = false;

  private constructor(options: CertificatesOptions) {
    this.#options = options;
    this.#time = options.time ?? systemTime;
    const { api, sign, fetch = globalThis.fetch, callTimeoutSeconds = 10 } = options;
    const timeoutMs = millisecondsOf('callTimeoutSeconds', callTimeoutSeconds);
    this.#expiredMs = millisecondsOf('expiredLimitSeconds', options.expiredLimitSeconds ?? 60);
    this.#api = new AgentApi({ api, agent: options.agent ?? '', sign, fetch, timeoutMs, time: this.#time });
    this.#published = new Published(
      'bundles',
      { ...options, fetchTimeoutSeconds: callTimeoutSeconds, missSeconds: 1 },
      async (answer) => bundleIn(await answer.text()),
      async (_url, headers) => Promise.resolve({ ...headers, accept: 'application/x-pem-file' }),
    );
  }

  /** Waits for the first certificate and bundle. @throws CredentialError as the last try has failed */
  static async create(options: CertificatesOptions): Promise<Certificates> {
    const made = new Certificates(options);
    const untilMs = made.#time.monotonic() + millisecondsOf('firstSeconds', options.firstSeconds ?? 60);
    for (let failures = 1; ; failures++) {
      try {
        made.#trust(await made.#published.current());
        await made.renewNow();
        made.#readLater();
        return made;
      } catch (error) {
        const waitMs = backoffMs(failures, MOST_BACKOFF_MS, made.#time.random());
        const isOver = made.#time.monotonic() + waitMs >= untilMs;
        if (isOver || !isMending(error)) {
          made.close();
          throw error;
        }
        await new Promise<void>((resolve) => made.#time.after(waitMs, resolve, true));
      }
    }
  }

  /** The certificate in use. @throws CredentialError ERR_STALE past its end, ERR_CLOSED */
  current(): HeldCertificate {
    return this.#current().about;
  }

  /** The bundle that is trusted, as PEM; empty where nobody is. */
  get bundle(): string {
    return this.#bundle.pem;
  }

  /** The ids of the authorities that are trusted: what a session proves of a holder with `verifies: true`. */
  async seen(): Promise<readonly string[]> {
    return Promise.resolve(this.#bundle.authorities.map(authorityId));
  }

  /** What a server of TLS begins with, for `createServer` of `tls` and `https`; `serve` keeps it up to date from then on. */
  serverOptions(): TlsOptions {
    return { ...this.#context(), requestCert: true, rejectUnauthorized: true };
  }

  /**
   * Keeps a server up to date: new connections meet the present certificate and bundle, and open ones end once nobody vouches
   * for their other end any more. Returns what ends that.
   */
  serve(server: Server): () => void {
    const watch = (socket: TLSSocket): void => this.#watch(socket);
    // New keys for tickets as well: nobody resumes a session that an older bundle has let in.
    const apply = (): void => {
      const held = this.#held ?? this.#current();
      server.setSecureContext({ ...this.#context(held), ticketKeys: randomBytes(48) });
    };
    apply();
    server.on('secureConnection', watch);
    const end = this.onChange(apply);
    return () => {
      server.off('secureConnection', watch);
      end();
    };
  }

  /** What a connection to a server is made with now: ask again for each. `peers` says which servers are meant. */
  clientOptions(peers: Peers): ConnectionOptions {
    return { ...this.#context(), rejectUnauthorized: true, checkServerIdentity: serverIdentity(peers) };
  }

  /** Connects to a server; the connection ends once nobody vouches for the server any more. */
  connect(peers: Peers, options: ConnectionOptions): TLSSocket {
    const socket = connect({ ...options, ...this.clientOptions(peers) });
    socket.once('secureConnect', () => this.#watch(socket));
    return socket;
  }

  /** Calls `listener` after each change of certificate or bundle. Returns what ends that. */
  onChange(listener: () => void): () => void {
    const own = (): void => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  /** Gets another certificate now. @throws CredentialError; the present one stays */
  async renewNow(): Promise<void> {
    this.#renewal ??= this.#renew().finally(() => (this.#renewal = undefined));
    return this.#renewal;
  }

  /**
   * Reads the bundle again at once: called where an event says that something was revoked. Where that fails, as it may with
   * everybody reading, it is tried again and again, and what was trusted before is trusted for `expiredLimitSeconds` at most.
   */
  async expire(): Promise<void> {
    if (this.#closed) return;
    this.#published.expire();
    this.#cancelDistrust ??= this.#time.after(this.#expiredMs, () => this.#trust(NOBODY));
    await this.#read();
  }

  /** Ends timers and calls. Servers and connections stay as they are. */
  close(): void {
    this.#closed = true;
    this.#cancelRenewal?.();
    this.#cancelRead?.();
    this.#cancelDistrust?.();
    this.#listeners.clear();
    this.#watched.clear();
    this.#api.abort(new CredentialError('ERR_CLOSED', 'the certificates are closed'));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #current(): Issued {
    if (this.#closed) throw new CredentialError('ERR_CLOSED', 'the certificates are closed');
    const held = this.#held;
    if (held !== undefined && this.#api.clock.now() < held.about.notAfter) return held;
    throw new CredentialError('ERR_STALE', 'the certificate has ended, and no other could be had', {
      remedy: 'look at renewalFailed: it says why',
    });
  }

  /** An empty text would stand for the authorities that Node brings; an empty list is nobody. */
  #context({ key, about }: Issued = this.#current()): SecureContextOptions {
    const { pem, authorities } = this.#bundle;
    return { key, cert: about.certificate, ca: authorities.length === 0 ? [] : pem };
  }

  async #renew(): Promise<void> {
    this.#cancelRenewal?.();
    try {
      const issued = await this.#ask();
      if (this.#closed) return;
      if (!isVouchedFor(this.#bundle, issued.read)) this.#trust(await this.#published.afterMiss());
      if (!isVouchedFor(this.#bundle, issued.read)) throw notOfThisBundle();
      this.#failures = 0;
      this.#held = issued;
      const lifeMs = Date.parse(issued.renewAt) - this.#api.clock.now();
      this.#renewIn(lifeMs * (1 - SPREAD * this.#time.random()));
      this.#changed();
      this.#options.on?.renewed?.(issued.about);
    } catch (cause) {
      const error = asError(cause);
      this.#failures++;
      const retryMs = backoffMs(this.#failures, MOST_BACKOFF_MS, this.#time.random());
      // Before the first one, who waits for it decides.
      if (this.#held !== undefined) {
        this.#renewIn(retryMs);
        this.#options.on?.renewalFailed?.({ error, retryInSeconds: retryMs / 1000 });
      }
      throw error;
    }
  }

  /** Sends the same request again where nobody knows what has become of it: then it gives the same certificate. */
  async #ask(): Promise<Issued> {
    const { credential, agent, instance, keyKind = 'P-256' } = this.#options;
    this.#request ??= requestFor(keyKind);
    const { key, csr } = this.#request;
    const about = {
      credential,
      csr,
      ...(agent === undefined ? {} : { agent }),
      ...(instance === undefined ? {} : { instance }),
    };
    try {
      const { body } = await this.#api.call('POST', '/certificates', about);
      const issued = issuedIn(body, key);
      this.#request = undefined;
      return issued;
    } catch (error) {
      if (!isCredentialError(error, 'ERR_UNAVAILABLE', 'ERR_TIMEOUT')) this.#request = undefined;
      throw error;
    }
  }

  #renewIn(ms: number): void {
    this.#cancelRenewal?.();
    if (this.#closed) return;
    const waitMs = Math.min(LONGEST_MS, Math.max(0, ms));
    this.#cancelRenewal = this.#time.after(waitMs, () => void this.renewNow().catch(() => undefined));
  }

  #readLater(): void {
    this.#cancelRead?.();
    if (this.#closed) return;
    const failures = this.#readFailures;
    const backoff = failures === 0 ? 0 : backoffMs(failures + 1, MOST_READ_BACKOFF_MS, this.#time.random());
    const waitMs = Math.max(SHORTEST_READ_MS, this.#published.cacheMs, backoff);
    this.#cancelRead = this.#time.after(waitMs, () => void this.#read());
  }

  /** Never rejects: where nothing can be read for too long, nobody is trusted. */
  async #read(): Promise<void> {
    try {
      this.#trust(await this.#published.current());
      this.#readFailures = 0;
    } catch (error) {
      this.#readFailures++;
      // What has expired is trusted up to its own bound.
      if (this.#cancelDistrust === undefined) this.#trust(NOBODY);
      this.#options.on?.bundleFailed?.(asError(error));
    }
    this.#readLater();
  }

  #trust(bundle: Bundle): void {
    if (bundle !== NOBODY) {
      this.#cancelDistrust?.();
      this.#cancelDistrust = undefined;
    }
    if (this.#closed || bundle.pem === this.#bundle.pem) return;
    this.#bundle = bundle;
    for (const [socket, peer] of this.#watched) if (!isVouchedFor(bundle, peer)) socket.destroy();
    if (this.#held === undefined) return;
    this.#changed();
    this.#options.on?.bundleChanged?.(bundle.pem);
    // In an emergency the authority of the present certificate leaves the bundle.
    const isRefused = bundle !== NOBODY && !isVouchedFor(bundle, this.#held.read);
    if (isRefused && this.#renewal === undefined) this.#renewIn(REPLACED_WITHIN_MS * this.#time.random());
  }

  #watch(socket: TLSSocket): void {
    // Not getPeerX509Certificate: on the side of a client it takes the certificate out of the connection.
    const { raw } = socket.getPeerCertificate() as Partial<PeerCertificate>;
    if (raw === undefined || this.#closed) return;
    const peer = new X509Certificate(raw);
    if (!isVouchedFor(this.#bundle, peer)) {
      socket.destroy();
      return;
    }
    this.#watched.set(socket, peer);
    socket.once('close', () => this.#watched.delete(socket));
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** Whether another try may do what this one has not. A key that has had a certificate, its answer lost, is another one then. */
function isMending(error: unknown): boolean {
  const { isPointless } = meaningOf(error);
  return (
    !isPointless && isCredentialError(error, 'ERR_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_STALE', 'ERR_REFUSED')
  );
}

function asError(error: unknown): CredentialError {
  return isCredentialError(error)
    ? error
    : new CredentialError('ERR_UNAVAILABLE', 'no certificate could be had', { cause: error });
}

function notOfThisBundle(): CredentialError {
  return new CredentialError('ERR_VALUE', 'the trust bundle does not vouch for the certificate', {
    field: 'set',
    remedy: "give the set of the certificate authority's own declaration, target.name",
  });
}
