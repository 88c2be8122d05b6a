import { MemoryAgentStore } from './agent-parts.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { validityOf } from '../../shared/domain/certificate.ts';
import type { DirectoryEntry, DirectorySet } from '../../shared/domain/directory.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Leaf } from '../../shared/domain/leaf.ts';
import type { IssuingDeps } from '../../shared/engine/certificates/issue.ts';
import type { Leaves } from '../../shared/ports/leaves.ts';
import type { PrivateAuthority } from '../../shared/ports/private-authority.ts';
import { answer } from '../../lambdas/issue-certificates/route.ts';
import { authorityOf, caCertificate, newSerial } from '../../shared/x509/certificates.ts';
import { bodyOf, credentialOf, eventOf, FakeLedger, ID } from '../unit/api/fakes.ts';
import { CALLER, holder, type Answered } from './agent-api.ts';
import { MemoryDirectory, MemoryRevocations } from './directory.ts';
import { localSigner, type LocalSigner } from './signer.ts';

export const TRUST_DOMAIN = 'agents.shop.example';
export const SET = 'shop';

/** Issued certificates in memory, held to the same contract as those in DynamoDB. */
export class MemoryLeaves implements Leaves {
  readonly byKey = new Map<string, Leaf>();
  readonly counts = new Map<string, number>();
  readonly #clock: () => number;

  constructor(clock: () => number = Date.now) {
    this.#clock = clock;
  }

  async ofKey(set: string, fingerprint: string): Promise<Leaf | undefined> {
    return Promise.resolve(this.byKey.get(`${set}#${fingerprint}`));
  }

  async bySerial(set: string, authority: string, serial: string): Promise<Leaf | undefined> {
    const found = [...this.byKey].find(
      ([place, leaf]) =>
        place.startsWith(`${set}#`) && leaf.authority === authority && leaf.serial === serial,
    );
    return Promise.resolve(found?.[1]);
  }

  async count(
    set: string,
    { authority, agent }: Pick<Leaf, 'authority' | 'agent'>,
    limit: number,
  ): Promise<void> {
    const place = `${set}#${authority}#${agent}#${toInstant(this.#clock()).slice(0, 13)}`;
    const counted = this.counts.get(place) ?? 0;
    if (counted >= limit) throw new RekeyError('ERR_CAPACITY', 'too many certificates in this hour');
    this.counts.set(place, counted + 1);
    return Promise.resolve();
  }

  async record(set: string, leaf: Leaf): Promise<void> {
    const place = `${set}#${leaf.fingerprint}`;
    if (this.byKey.has(place)) throw new RekeyError('ERR_CONFLICT', 'the key has had a certificate already');
    this.byKey.set(place, leaf);
    return Promise.resolve();
  }

  async refer(set: string, leaf: Leaf, ref: string): Promise<void> {
    this.byKey.set(`${set}#${leaf.fingerprint}`, { ...leaf, ref });
    return Promise.resolve();
  }
}

/** A certificate authority of the bundle, with its key. */
export interface LocalAuthority {
  readonly id: string;
  readonly pem: string;
  readonly keyArn: string;
  readonly signer: LocalSigner;
}

/** The route that issues certificates over a ledger, a bundle and keys of its own. */
export class IssuingWorld {
  readonly ledger = new FakeLedger();
  readonly directory = new MemoryDirectory();
  readonly leaves: Leaves;
  readonly revocations = new MemoryRevocations();
  readonly signers = new Map<string, LocalSigner>();
  readonly privateAuthorities = new Map<string, PrivateAuthority>();
  readonly agents = new MemoryAgentStore();
  now = Date.now();
  /** How long a certificate lives. */
  leafSeconds = 86_400;
  /** How verifiers keep time. */
  times = { cacheSeconds: 300, skewSeconds: 300 };
  readonly deps: IssuingDeps;

  constructor(leaves?: (clock: () => number) => Leaves) {
    const clock = (): number => this.now;
    this.leaves = leaves?.(clock) ?? new MemoryLeaves(clock);
    this.deps = {
      ledger: this.ledger,
      directory: this.directory,
      leaves: this.leaves,
      agents: this.agents,
      clock,
      privateAuthority: (arn) => this.privateAuthorities.get(arn),
      signer: (keyArn) => {
        const signer = this.signers.get(keyArn);
        if (signer === undefined) throw new Error(`no key ${keyArn}`);
        return signer;
      },
    };
  }

  /** A world whose first authority issues, and whose next is published. */
  static async start(leaves?: (clock: () => number) => Leaves): Promise<IssuingWorld> {
    const world = new IssuingWorld(leaves);
    await world.issueFrom(await world.authority(), [await world.authority()]);
    return world;
  }

  async authority(lifeSeconds = 30 * 86_400): Promise<LocalAuthority> {
    const signer = localSigner();
    const validity = validityOf({ now: this.now, lifeSeconds, skewSeconds: this.times.skewSeconds });
    const pem = await caCertificate(signer, { trustDomain: TRUST_DOMAIN, serial: newSerial(), ...validity });
    const id = Buffer.from(authorityOf(pem).keyId).toString('hex');
    const keyArn = `arn:aws:kms:eu-central-1:111122223333:key/${id}`;
    this.signers.set(keyArn, signer);
    return { id, pem, keyArn, signer };
  }

  /** What a rotation leaves: this one issues, the others stand beside it in these states. */
  async issueFrom(
    current: LocalAuthority,
    next: readonly LocalAuthority[] = [],
    others: readonly (readonly [LocalAuthority, DirectoryEntry['state']])[] = [],
  ): Promise<void> {
    const at = toInstant(this.now);
    const all = [[current, 'live'] as const, ...next.map((each) => [each, 'next'] as const), ...others];
    const ref = { kind: 'bundles', name: SET } as const;
    const before = await this.directory.read(ref);
    const set: DirectorySet = {
      ...ref,
      version: before?.version ?? 0,
      generation: 1,
      times: this.times,
      entries: all.map(([{ id, pem, keyArn }, state]) => ({
        id,
        state,
        document: {
          certificate: pem,
          crl: `https://directory.example/crl/${SET}/${id}`,
          ocsp: `https://directory.example/ocsp/${id}`,
        },
        ref: keyArn,
        publishedAt: at,
      })),
    };
    await this.directory.write(set);
    this.ledger.add(
      credentialOf({
        name: 'shop-ca',
        type: 'certificate-authority',
        provider: 'x509',
        target: {
          name: SET,
          trustDomain: TRUST_DOMAIN,
          leafSeconds: this.leafSeconds,
          cacheSeconds: this.times.cacheSeconds,
          clockSkewSeconds: this.times.skewSeconds,
        },
        holders: [holder()],
        current: {
          handle: { id: current.id, generation: 1 },
          versionId: ID,
          fingerprint: 'sha256:1',
          issuedAt: at,
        },
      }),
    );
  }

  async ask(body: object, caller: string | null = CALLER): Promise<Answered> {
    const event = eventOf('POST', '/certificates', { caller, body });
    const { response } = await answer(event, this.deps);
    return {
      status: response.statusCode ?? 0,
      body: response.body === undefined ? {} : bodyOf(response),
      headers: response.headers ?? {},
    };
  }
}
