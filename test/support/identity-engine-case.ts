import { importJWK, jwtVerify, SignJWT } from 'jose';
import type { SignRequest } from '../../client/src/agent.ts';
import { Published } from '../../client/src/verify/published.ts';
import { createPublishedKeys, createTokenVerifier, type Verifying } from '../../client/src/verify.ts';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isHeld, type DirectoryEntry, type SetKind } from '../../shared/domain/directory.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { signInKms } from '../../shared/providers/jwks/kms.ts';
import { idOf } from '../../shared/providers/x509/authority.ts';
import type { X509Material } from '../../shared/providers/x509/material.ts';
import { leafOf } from '../contract/cases/x509.ts';
import { FakeKms } from '../fakes/kms.ts';
import type { Login } from './agents.ts';
import { TTL_SECONDS } from './agents.ts';
import { ServedDirectory } from './directory.ts';
import { EngineCase } from './engine-case.ts';
import type { EngineWorld } from './engine-world.ts';
import { StrictVerifier, vouchesFor } from './strict-verifier.ts';

/** Which identity a case is about. */
export interface IdentityKind {
  readonly kind: Exclude<SetKind, 'leaves'>;
  /** Whether the keys stay in KMS. */
  readonly held?: 'kms';
  readonly policy?: object;
  /** Of certificate authorities: the life of what they sign. */
  readonly leafSeconds?: number;
}

type ClientVerifier = Verifying & { takes(text: string): Promise<boolean> };

/** How verifiers and whoever makes identities keep time in a case; the window and the interval are those of the policy. */
const CACHE_SECONDS = 60;
const SKEW_SECONDS = 300;
const TOKEN_SECONDS = 60;
/** So long that clocks may be apart while half of it is left. */
const LEAF_SECONDS = 1200;

/**
 * The life of an identity, in processes that may die: the engine, Secrets Manager and the machines are those of every case;
 * the upstream is Rekey's own directory. The fleet signs or shows tokens; verifiers cache as they are told, on the case's clock.
 */
export class IdentityEngineCase extends EngineCase {
  override readonly declaration: CredentialEntry;
  readonly kind: IdentityKind;
  readonly set: string;
  readonly kms = new FakeKms();
  /** How far the clocks of Rekey's functions are ahead of those of agents and verifiers, in milliseconds. */
  aheadMs = 0;
  #served: ServedDirectory | undefined;
  #strict: StrictVerifier | undefined;
  #client: ClientVerifier | undefined;
  readonly #texts = new Map<string, string>();
  /** What agents have of an authority, by its key. */
  readonly #leaves = new Map<string, { readonly leaf: string; readonly madeAt: number }>();

  constructor(world: EngineWorld, number: number, kind: IdentityKind) {
    super(world, { number, policy: {}, holders: [] });
    this.kind = kind;
    this.set = `set-${number}`;
    const { type, provider, of } = this.#declared();
    this.declaration = parseEntry({
      name: this.name,
      type,
      provider,
      secret: this.secret,
      target: { name: this.set, cacheSeconds: CACHE_SECONDS, clockSkewSeconds: SKEW_SECONDS, ...of },
      holders: [{ kind: 'polling', name: 'fleet', ttl: `${TTL_SECONDS}s` }],
      policy: { interval: '1d', evidenceOfUse: 'holders', ...kind.policy },
    });
    this.change = (deps) => ({
      ...deps,
      clock: () => this.time.now() + this.aheadMs,
      reach: { ...this.served.context().reach, aws: this.kms },
    });
  }

  #declared(): { readonly type: string; readonly provider: string; readonly of: object } {
    const domain = `${this.set}.example`;
    switch (this.kind.kind) {
      case 'jwks': {
        const { held = 'exported' } = this.kind;
        const of = { issuer: `https://${domain}`, tokenLifetimeSeconds: TOKEN_SECONDS, held };
        return { type: 'signing-key', provider: 'jwks', of };
      }
      case 'tokens':
        return { type: 'agent-token', provider: 'opaque', of: { agent: 'shop', audience: 'orders' } };
      case 'bundles': {
        const { leafSeconds = LEAF_SECONDS } = this.kind;
        const of = { trustDomain: domain, leafSeconds };
        return { type: 'certificate-authority', provider: 'x509', of };
      }
    }
  }

  get served(): ServedDirectory {
    if (this.#served === undefined) throw new Error('the directory is not served yet');
    return this.#served;
  }

  /** Another deployment on the same directory. */
  share({ served }: IdentityEngineCase): void {
    this.#served = served;
  }

  /** Everything that a verifier has read counts no more: it was told of a revocation. */
  tellVerifiers(): void {
    this.strict.expire();
  }

  /** The verifier that meets whatever was not published in time. */
  get strict(): StrictVerifier {
    if (this.#strict === undefined) throw new Error('nobody verifies yet');
    return this.#strict;
  }

  /** That of `@rekey/client/verify`. */
  get client(): ClientVerifier {
    if (this.#client === undefined) throw new Error('nobody verifies yet');
    return this.#client;
  }

  /** So long that every verifier must have read what is published now. */
  pass(seconds: number = CACHE_SECONDS + SKEW_SECONDS + 1): void {
    this.time.jumpTo(this.time.now() + seconds * 1000);
  }

  override async register(): Promise<void> {
    this.#served ??= await ServedDirectory.start();
    this.#served.clock = () => this.time.now();
    this.#startVerifiers(this.#served.url);
    await super.register();
  }

  override async login(
    select: { versionId?: string; stage?: 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS' } = {
      stage: 'AWSCURRENT',
    },
  ): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, select);
    if (text === undefined) throw new Error('the secret has no such value');
    const provider = await this.deps.providerFor(this.declaration.type, this.declaration.provider);
    const password = provider.secretPart(provider.material(text)).reveal();
    const fields = JSON.parse(text.reveal()) as {
      token?: string;
      jwk?: { kid: string };
      certificate?: string;
    };
    this.#texts.set(password, text.reveal());
    const id = fields.certificate === undefined ? undefined : idOf(fields.certificate);
    return { user: id ?? fields.jwk?.kid ?? fields.token?.split('_')[2] ?? '', password };
  }

  override async works(login: Login): Promise<boolean> {
    const text = await this.#shown(login);
    return text !== undefined && this.strict.takes(text, `https://${this.set}.example`);
  }

  /** Whether `@rekey/client/verify` takes it. */
  async clientTakes(login: Login): Promise<boolean> {
    const text = await this.#shown(login);
    return text !== undefined && (await this.client.takes(text));
  }

  /** What an agent with that value shows a verifier; undefined where nothing can be signed with it any more. */
  async #shown({ password }: Login): Promise<string | undefined> {
    const text = this.#texts.get(password);
    if (text === undefined) throw new Error('nobody has read this value');
    if (this.kind.kind === 'bundles') return this.#leafOf(JSON.parse(text) as X509Material);
    const fields = JSON.parse(text) as JwksMaterial & { token?: string };
    return fields.token ?? this.#signed(fields).catch(() => undefined);
  }

  /** The certificate of an agent: another one at half of its life; where none is to be had, the present one to its end. */
  async #leafOf(material: X509Material): Promise<string | undefined> {
    const now = this.time.now();
    const present = this.#leaves.get(material.keyArn);
    if (present !== undefined && now < present.madeAt + LEAF_SECONDS * 500) return present.leaf;
    // By the clock of whoever signs.
    const terms = { now: now + this.aheadMs, seconds: LEAF_SECONDS, skewSeconds: SKEW_SECONDS };
    const leaf = await leafOf(this.kms, material, terms).catch(() => undefined);
    if (leaf === undefined) return present?.leaf;
    this.#leaves.set(material.keyArn, { leaf, madeAt: now });
    return leaf;
  }

  get entries(): readonly DirectoryEntry[] {
    return this.served.directory.sets.get(`${this.kind.kind}/${this.set}`)?.entries ?? [];
  }

  override async openSlots(): Promise<string[]> {
    return Promise.resolve(this.entries.filter(isHeld).map(({ id }) => id));
  }

  /** Beyond what must hold of every credential: one that comes next, sealed; nothing sealed, or able to sign, in vain. */
  override async faults(): Promise<string[]> {
    const found = await super.faults();
    const next = this.entries.filter(({ state }) => state === 'next').map(({ id }) => id);
    if (next.length !== 1) found.push(`${next.length} come next`);
    const sealed = [...this.served.directory.parts.keys()].map((key) => key.split('/').at(-1) ?? '');
    if (sealed.join() !== next.join()) found.push(`sealed is ${sealed.join()}, next comes ${next.join()}`);
    for (const { ref, state } of this.entries) {
      const key = ref === undefined ? undefined : this.kms.keys.get(ref);
      if (key !== undefined && (key.state === 'Enabled') !== (state !== 'ended'))
        found.push(`the key in KMS of one that is ${state} is ${key.state}`);
    }
    return found;
  }

  async stop(): Promise<void> {
    await this.#served?.[Symbol.asyncDispose]();
    this.#served = undefined;
  }

  #startVerifiers(directory: string): void {
    this.#strict = new StrictVerifier(directory, this.kind.kind, this.set, this.time.now);
    const time = {
      now: this.time.now,
      monotonic: this.time.now,
      random: () => 0.5,
      after: (ms: number, run: () => void) => {
        const timer = setTimeout(run, ms);
        return () => clearTimeout(timer);
      },
    };
    const options = { directory, set: this.set, time };
    if (this.kind.kind === 'tokens') {
      const sign: SignRequest = async ({ headers }) => Promise.resolve(headers);
      const tokens = createTokenVerifier({ ...options, audience: 'orders', sign });
      this.#client = { ...tokens, takes: async (text) => (await tokens.verify(text)) !== undefined };
      return;
    }
    if (this.kind.kind === 'bundles') {
      const bundle = new Published(
        'bundles',
        options,
        async (answer) => answer.text(),
        async (_url, headers) => Promise.resolve(headers),
      );
      this.#client = {
        seen: async () => [await bundle.current()],
        expire: () => bundle.expire(),
        takes: async (leaf) => vouchesFor(await bundle.current(), leaf, this.time.now()),
      };
      return;
    }
    const keys = createPublishedKeys(options);
    this.#client = {
      ...keys,
      takes: async (text) =>
        jwtVerify(text, keys, { currentDate: new Date(this.time.now()) }).then(
          () => true,
          () => false,
        ),
    };
  }

  /** A token as an agent makes it, by its own clock. */
  async #signed({ issuer, alg, jwk, keyArn }: JwksMaterial): Promise<string> {
    const now = Math.floor(this.time.now() / 1000);
    const claims = { iss: issuer, iat: now, exp: now + TOKEN_SECONDS };
    if (keyArn === undefined)
      return new SignJWT(claims).setProtectedHeader({ alg, kid: jwk.kid }).sign(await importJWK(jwk, alg));
    const parts = [{ alg, kid: jwk.kid }, claims];
    const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    return `${text}.${await signInKms(this.kms, keyArn, alg, text)}`;
  }
}
