import { generateKeyPairSync, randomUUID } from 'node:crypto';
import type { CredentialHandle } from '../../../shared/domain/credential.ts';
import { publishedOf } from '../../../shared/domain/directory.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { signList } from '../../../shared/engine/certificates/lists.ts';
import { kmsSigner } from '../../../shared/http/kms-signer.ts';
import type { LeafMaterial, LeafTarget } from '../../../shared/providers/leaf/material.ts';
import { leafProvider } from '../../../shared/providers/leaf/provider.ts';
import type { ProviderContext, Registered } from '../../../shared/providers/provider.ts';
import { x509Provider } from '../../../shared/providers/x509/provider.ts';
import { FakeKms } from '../../fakes/kms.ts';
import { ServedDirectory } from '../../support/directory.ts';
import { openssl } from '../../support/openssl.ts';
import type { ProviderHarness } from '../provider-life.ts';

const START = Date.parse('2026-11-26T00:00:00.000Z');
const MINUTE_MS = 60_000;

/** A directory with authorities that are registered, of which keys are certified. */
export class LeafWorld implements AsyncDisposable {
  readonly kms = new FakeKms();
  readonly served: ServedDirectory;
  readonly authorities = new Map<string, Authority>();
  now = START;

  private constructor(served: ServedDirectory) {
    this.served = served;
    served.clock = () => this.now;
  }

  static async start(): Promise<LeafWorld> {
    return new LeafWorld(await ServedDirectory.start());
  }

  /** An authority that signs; credential and set have one name. */
  async authority(name: string, target: object = {}): Promise<Authority> {
    const made = new Authority(this, name, target);
    this.authorities.set(name, made);
    await made.rotate();
    return made;
  }

  context(): ProviderContext {
    const ctx = this.served.context(() => this.now);
    return {
      ...ctx,
      reach: { ...ctx.reach, aws: this.kms },
      registered: async (name) => Promise.resolve(this.authorities.get(name)?.registered),
    };
  }

  /** What `revoke-certificates` does every five minutes: lists of all that verifiers trust. */
  async signLists(name: string): Promise<void> {
    const { directory, revocations } = this.served;
    const set = await directory.read({ kind: 'bundles', name });
    const signer = (arn: string) => kmsSigner(this.kms, arn);
    const clock = () => this.now;
    for (const entry of set === undefined ? [] : publishedOf(set, this.now))
      await signList({ revocations, signer, clock }, set!, entry);
  }

  /** Whether openssl takes the certificate as of now, by the bundle that the secret names and its authority's list. */
  async takes({ certificate, bundle }: LeafMaterial): Promise<boolean> {
    await this.signLists(bundle.split('/').at(-1) ?? '');
    const [roots, lists] = await Promise.all(
      [bundle, bundle.replace('/bundles/', '/crl/')].map(async (url) => (await fetch(url)).text()),
    );
    const now = String(Math.floor(this.now / 1000));
    const asked = ['verify', '-attime', now, '-x509_strict', '-purpose', 'sslserver', '-crl_check'];
    const files = { 'bundle.pem': roots ?? '', 'lists.pem': lists ?? '', 'leaf.pem': certificate };
    return openssl([...asked, '-CAfile', 'bundle.pem', '-CRLfile', 'lists.pem', 'leaf.pem'], files).ok;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.served[Symbol.asyncDispose]();
  }
}

/** An authority whose rotations a test leads. */
export class Authority {
  readonly name: string;
  readonly target: ReturnType<typeof x509Provider.target>;
  readonly handles: CredentialHandle[] = [];
  status: Registered['status'] = 'active';
  holders: Registered['holders'] = [];
  provider = 'x509';
  readonly #world: LeafWorld;

  constructor(world: LeafWorld, name: string, target: object) {
    this.#world = world;
    this.name = name;
    this.target = x509Provider.target({ name, trustDomain: 'shop.example', ...target });
  }

  /** Another one signs from now on; the one before is trusted on, unless it was revoked. */
  async rotate(isEmergency = false): Promise<CredentialHandle> {
    const current = isEmergency ? undefined : this.handles.at(-1);
    const ctx = this.#world.context();
    const token = randomUUID();
    const generation = this.handles.length + 1;
    const own = { ...ctx, generation, ...(current === undefined ? {} : { current }) };
    const issued = await x509Provider.issue(this.target, token, own);
    await x509Provider.activate?.(this.target, token, issued, ctx);
    this.handles.push(issued.handle);
    return issued.handle;
  }

  async revoke(handle: CredentialHandle): Promise<void> {
    await x509Provider.revoke(this.target, handle, { endSessions: true }, this.#world.context());
  }

  get registered(): Registered {
    const { target, holders, status, provider } = this;
    const handle = this.handles.at(-1);
    const current = handle && { handle, versionId: '1', fingerprint: '', issuedAt: '' };
    return { type: 'certificate-authority', provider, status, target, holders, ...(current && { current }) };
  }
}

/** Keys that Rekey makes, with openssl as the verifier. */
export function leafHarness(): ProviderHarness<LeafTarget, LeafMaterial> & { world(): LeafWorld } {
  let world: LeafWorld;
  let count = 0;
  const otherKey = (): string =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ type: 'pkcs8', format: 'pem' })
      .toString();
  return {
    provider: leafProvider,
    stateless: true,
    world: () => world,
    start: async () => {
      world = await LeafWorld.start();
      await world.authority('shop-ca');
    },
    stop: async () => world[Symbol.asyncDispose](),
    freshTarget: async () =>
      Promise.resolve(
        leafProvider.target({ authority: 'shop-ca', trustDomain: 'shop.example', holder: `lb-${++count}` }),
      ),
    elsewhere: (target) => leafProvider.target({ ...target, holder: 'elsewhere' }),
    context: () => ({
      ...world.context(),
      admin: async () => Promise.resolve(new Redacted('there is no administrative login')),
      // Each look is a little later.
      clock: () => (world.now += MINUTE_MS),
    }),
    open: async (_target, material) => {
      if (!(await world.takes(material.reveal()))) throw new Error('verifiers refuse it');
      return {
        works: async () => world.takes(material.reveal()),
        close: async () => Promise.resolve(),
      };
    },
    withWrongSecret: (material) => material.map((each) => ({ ...each, privateKey: otherKey() })),
    withOtherUser: (material) =>
      material.map((each) => ({ ...each, id: 'spiffe://shop.example/agent/other' })),
    addForeignCredential: async (target) => {
      const other = leafProvider.target({ ...target, holder: `${target.holder}-of-others` });
      await leafProvider.issue(other, randomUUID(), { ...world.context(), generation: 1 });
    },
  };
}
