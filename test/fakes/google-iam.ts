import { createHash, createPublicKey, generateKeyPairSync, randomUUID, X509Certificate } from 'node:crypto';
import { nameIn, wrappedKey } from '../../shared/providers/http/certificate.ts';
import { FakeGoogleLogin, administratorAt, signedAssertion, type FakeKeyFile } from './google-login.ts';
import { bearerOf, FakeKeys, UpstreamServer, type Asked, type FakeKey, type Reply } from './upstream.ts';

const LONG_AGO = { now: new Date(0).toISOString(), endsAt: undefined };

/** The certificate of a key that Google has made. Making one takes a while: each process has one. */
let made: string | undefined;

/** Google's IAM API, as far as keys of service accounts go, and its token endpoint. */
export class FakeGoogleIam implements AsyncDisposable {
  /** The key of Rekey's own service account. */
  readonly admin: FakeKeyFile;
  readonly keys: FakeKeys = new FakeKeys(() => createHash('sha1').update(randomUUID()).digest('hex'));
  readonly server: UpstreamServer;
  /** Labels whose marks are told apart: a certificate has a digest of its label alone. */
  readonly labels: Set<string> = new Set();
  /** How many lists and looks a change of a key is behind. */
  lag = 0;
  /** It keeps the certificates that are uploaded, rather than making others. */
  keeps = true;
  readonly #login = new FakeGoogleLogin();
  readonly #certificates = new Map<string, string>();
  readonly #uploaded = new Set<string>();
  readonly #ofOthers: string;
  #stale: { readonly keys: readonly FakeKey[]; looks: number } = { keys: [], looks: 0 };

  private constructor(server: UpstreamServer, ofOthers: string) {
    this.server = server;
    this.#ofOthers = ofOthers;
    this.admin = administratorAt(`${server.url}/token`);
    this.#login.learn(this.admin);
  }

  static async start(): Promise<FakeGoogleIam> {
    const fake: { current?: FakeGoogleIam } = {};
    const server = await UpstreamServer.start((asked) => fake.current?.answer(asked) ?? { status: 500 });
    made ??= (await wrappedKey(`rekey.nobody.1.${randomUUID()}`, LONG_AGO)).certificate;
    return (fake.current = new FakeGoogleIam(server, made));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
  }

  /** The administrative secret, where this is reached at `url`. */
  secret(url: string): object {
    return { ...this.admin, adminUrl: url, token_uri: `${url}/token` };
  }

  /** A key that Google has made, as by the console, without its private half. */
  add(email: string, name: string): FakeKey {
    const key = this.keys.add(email, name, '');
    this.#certificates.set(key.id, this.#ofOthers);
    return key;
  }

  /** The same with its private half. */
  addWhole(email: string): { readonly id: string; readonly value: string } {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const { id } = this.add(email, 'made by hand');
    this.#learn(id, email, publicKey.export({ type: 'spki', format: 'pem' }).toString());
    return { id, value: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  }

  /** A public key as a person uploads it. */
  upload(email: string, certificate: string): FakeKey {
    const name = [...this.labels].map((label) => nameIn(certificate, label)).find((each) => each !== '');
    const key = this.keys.add(email, name ?? 'uploaded by hand', '');
    this.#certificates.set(key.id, this.keeps ? certificate : this.#ofOthers);
    this.#uploaded.add(key.id);
    this.#learn(key.id, email, certificate);
    return key;
  }

  /** The certificate of a key, which everybody may read. */
  certificateOf(id: string): X509Certificate {
    return new X509Certificate(this.#certificates.get(id) ?? '');
  }

  /** Whether the account gets a token with a private key, asked as an agent would. */
  async takes(email: string, privateKey: string): Promise<boolean> {
    const uri = `${this.server.url}/token`;
    const id = this.#login.idOf(email, privateKey);
    const body = new URLSearchParams(signedAssertion(email, privateKey, id, uri));
    return (await fetch(uri, { method: 'POST', body })).ok;
  }

  #learn(id: string, email: string, pem: string): void {
    this.#login.learn({ private_key_id: id, client_email: email, private_key: pem });
  }

  private answer(asked: Asked): Reply {
    const { path, method } = asked;
    if (path === '/token') return this.#login.answer(asked, (id) => this.isGood(id));
    if (!this.#login.tokens.has(bearerOf(asked) ?? '')) return refusal(401, 'UNAUTHENTICATED');
    const [, email = '', rest = ''] =
      /^\/v1\/projects\/[^/]+\/serviceAccounts\/([^/]+)\/keys(.*)$/.exec(decodeURIComponent(path)) ?? [];
    const [, id = '', act = ''] = /^\/([0-9a-f]+)(?::(\w+))?$/.exec(rest) ?? [];
    if (email === '') return refusal(404, 'NOT_FOUND');
    if (method === 'GET' && rest === '') return this.list(email);
    if (method === 'POST' && rest === ':upload') return this.take(email, asked.body);
    const key = this.shown(email).find((each) => each.id === id);
    if (key === undefined) return refusal(404, 'NOT_FOUND');
    if (method === 'GET') return { status: 200, body: this.written(key, true) };
    const live = this.keys.all.get(id);
    if (live === undefined) return refusal(404, 'NOT_FOUND');
    this.change();
    if (method === 'DELETE') this.keys.all.delete(id);
    else if (act === 'disable' || act === 'enable')
      this.keys.all.set(id, { ...live, active: act === 'enable' });
    else return refusal(400, 'INVALID_ARGUMENT');
    return { status: 200, body: {} };
  }

  private isGood(id: string): boolean {
    if (id === this.admin.private_key_id) return true;
    const key = this.keys.all.get(id);
    return key !== undefined && this.keys.use(key.value);
  }

  private take(email: string, body: unknown): Reply {
    const { publicKeyData = '' } = (body ?? {}) as { publicKeyData?: string };
    const pem = Buffer.from(publicKeyData, 'base64').toString();
    if (!isRsaCertificate(pem)) return refusal(400, 'INVALID_ARGUMENT');
    if (!this.keys.hasRoom(email)) return refusal(429, 'RESOURCE_EXHAUSTED');
    this.change();
    return { status: 200, body: this.written(this.upload(email, pem), false) };
  }

  private list(email: string): Reply {
    return { status: 200, body: { keys: this.shown(email).map((key) => this.written(key, false)) } };
  }

  private written({ id, owner, active, createdAt }: FakeKey, whole: boolean): object {
    const certificate = this.#certificates.get(id) ?? '';
    const isUploaded = this.#uploaded.has(id);
    const { validFrom, validTo } = new X509Certificate(certificate);
    const time = (text: string): string => new Date(text).toISOString().replace('.000Z', 'Z');
    return {
      name: `projects/shop/serviceAccounts/${owner}/keys/${id}`,
      keyAlgorithm: 'KEY_ALG_RSA_2048',
      keyOrigin: isUploaded ? 'USER_PROVIDED' : 'GOOGLE_PROVIDED',
      keyType: 'USER_MANAGED',
      validAfterTime: isUploaded ? time(validFrom) : new Date(createdAt).toISOString(),
      validBeforeTime: time(validTo),
      ...(active ? {} : { disabled: true }),
      ...(whole ? { publicKeyData: Buffer.from(certificate).toString('base64') } : {}),
    };
  }

  private shown(email: string): readonly FakeKey[] {
    const stale =
      this.#stale.looks-- > 0 ? this.#stale.keys.filter(({ owner }) => owner === email) : undefined;
    return stale ?? this.keys.of(email);
  }

  private change(): void {
    this.#stale = { keys: [...this.keys.all.values()], looks: this.lag };
  }
}

function isRsaCertificate(pem: string): boolean {
  try {
    return createPublicKey(pem).asymmetricKeyType === 'rsa' && pem.startsWith('-----BEGIN CERTIFICATE-----');
  } catch {
    return false;
  }
}

function refusal(code: number, status: string): Reply {
  // Upstreams quote what they were sent; nothing of it may come out at the other end.
  return {
    status: code,
    body: { error: { code, message: 'not for sk-quoted-by-the-upstream', status, details: [] } },
  };
}
