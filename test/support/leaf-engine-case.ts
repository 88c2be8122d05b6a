import { X509Certificate } from 'node:crypto';
import { parseEntry, type CredentialEntry } from '../../shared/domain/declaration.ts';
import { isHeld, type DirectoryEntry } from '../../shared/domain/directory.ts';
import { rotateLost } from '../../shared/engine/lost.ts';
import type { LeafMaterial } from '../../shared/providers/leaf/material.ts';
import { certificatesIn } from '../../shared/providers/x509/authority.ts';
import { TTL_SECONDS, type Login } from './agents.ts';
import { EngineCase } from './engine-case.ts';
import type { EngineWorld } from './engine-world.ts';
import { IdentityEngineCase } from './identity-engine-case.ts';

const DAY = 86_400;

/**
 * The life of a key that Rekey makes, under an authority that is registered beside it. Whether a certificate counts is asked of the
 * published bundle and of what is told as revoked, as of now.
 */
export class LeafEngineCase extends EngineCase {
  override readonly declaration: CredentialEntry;
  readonly authority: IdentityEngineCase;
  readonly #texts = new Map<string, LeafMaterial>();

  constructor(world: EngineWorld, number: number) {
    const kind = { kind: 'bundles', leafSeconds: 2 * DAY, policy: { interval: '30d' } } as const;
    const authority = new IdentityEngineCase(world, number + 5000, kind);
    super(world, { number, policy: {}, holders: [], beside: authority });
    this.authority = authority;
    const target = { authority: authority.name, trustDomain: `${authority.set}.example`, holder: 'lb' };
    this.declaration = parseEntry({
      name: this.name,
      type: 'certificate-authority',
      provider: 'leaf',
      secret: this.secret,
      target,
      holders: [{ kind: 'polling', name: 'fleet', ttl: `${TTL_SECONDS}s` }],
      policy: { evidenceOfUse: 'holders' },
    });
    this.change = (deps) => ({
      ...deps,
      clock: this.time.now,
      reach: { ...authority.served.context().reach, aws: authority.kms },
    });
  }

  override async register(): Promise<void> {
    await this.authority.register();
    await super.register();
  }

  override async login(
    select: { versionId?: string; stage?: 'AWSCURRENT' | 'AWSPENDING' | 'AWSPREVIOUS' } = {
      stage: 'AWSCURRENT',
    },
  ): Promise<Login> {
    const text = await this.deps.vault.read(this.secret, select);
    if (text === undefined) throw new Error('the secret has no such value');
    const material = JSON.parse(text.reveal()) as LeafMaterial;
    this.#texts.set(material.privateKey, material);
    return { user: serialOf(material), password: material.privateKey };
  }

  override async works({ password }: Login): Promise<boolean> {
    const material = this.#texts.get(password);
    if (material === undefined) throw new Error('nobody has read this value');
    const leaf = new X509Certificate(material.certificate);
    const trusted = certificatesIn(await (await fetch(material.bundle)).text());
    const now = this.time.now();
    const counts = leaf.validFromDate.getTime() <= now && now < leaf.validToDate.getTime();
    const lists = [...this.authority.served.revocations.lists.values()];
    const isListed = lists.some(({ revoked }) => revoked.some(({ serial }) => serial === serialOf(material)));
    return counts && !isListed && trusted.some((root) => leaf.verify(root.publicKey));
  }

  get entries(): readonly DirectoryEntry[] {
    const name = `leaves/spiffe://${this.authority.set}.example/agent/lb`;
    return this.authority.served.directory.sets.get(name)?.entries ?? [];
  }

  override async openSlots(): Promise<string[]> {
    return Promise.resolve(this.entries.filter(isHeld).map(({ id }) => id));
  }

  /** Beyond what must hold of every credential: no key is kept sealed that its holder has. */
  override async faults(): Promise<string[]> {
    const sealed = [...this.authority.served.directory.parts.keys()].filter((key) =>
      key.startsWith('leaves/'),
    );
    return [...(await super.faults()), ...sealed.map((key) => `${key} is still sealed`)];
  }

  /** The schedule's look for what died with its authority, as often as it takes. */
  async lookForLost(times = 1): Promise<void> {
    for (let look = 0; look < times; look++) {
      await this.time
        .work(() => this.process((deps) => rotateLost(deps, this.declaration.type)))
        .catch(() => undefined);
      await this.settle();
    }
  }

  async stop(): Promise<void> {
    await this.authority.stop();
  }
}

function serialOf({ certificate }: LeafMaterial): string {
  return new X509Certificate(certificate).serialNumber.toLowerCase();
}
