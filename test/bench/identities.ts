import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalJWKSet, createRemoteJWKSet, jwtVerify, type JWTVerifyGetKey } from 'jose';
import { createPublishedKeys, createTokenVerifier } from '../../client/src/verify.ts';
import { digestOf } from '../../shared/domain/agent-token.ts';
import type { CredentialHandle } from '../../shared/domain/credential.ts';
import type { JwksMaterial } from '../../shared/providers/jwks/material.ts';
import { jwksProvider } from '../../shared/providers/jwks/provider.ts';
import { opaqueProvider, type OpaqueMaterial } from '../../shared/providers/opaque/provider.ts';
import type { CredentialProvider, Issued, ProviderContext } from '../../shared/providers/provider.ts';
import type { X509Material } from '../../shared/providers/x509/material.ts';
import { x509Provider } from '../../shared/providers/x509/provider.ts';
import { signedWith } from '../contract/cases/jwks.ts';
import { leafWithKey } from '../contract/cases/x509.ts';
import { FakeKms } from '../fakes/kms.ts';
import { ServedDirectory } from '../support/directory.ts';
import { TlsPeer, type PeerIdentity } from '../support/tls-peer.ts';
import { families } from './families.ts';
import { count, type Figure, type Figures } from './figures.ts';

const ROTATIONS = 3;
const AGENTS = 3;
/** How long an agent keeps a value, and how long a verifier keeps what it has read: less, so that caches hide nothing. */
const TTL_MS = 1500;
const CACHE_SECONDS = 1;
/** However slow the machine is, each phase sees so many checks. */
const CHECKS_A_PHASE = 60;

const times = { cacheSeconds: CACHE_SECONDS, clockSkewSeconds: 0 };

/** How long a certificate of an agent counts. */
const LEAF_SECONDS = 60;

/** Verifiers that answer for one way of doing it. */
interface Way<M> {
  checks: number;
  failed: number;
  readonly check: (material: M) => Promise<boolean>;
}

/** An identity that agents use while it rotates. */
class Rotating<T, M> {
  readonly ways: readonly Way<M>[];
  readonly #provider: CredentialProvider<T, M>;
  readonly #target: T;
  readonly #context: () => ProviderContext;
  #generation = 0;
  #current: Issued<M> | undefined;
  #halted = false;

  constructor(
    provider: CredentialProvider<T, M>,
    target: T,
    context: () => ProviderContext,
    checks: readonly ((material: M) => Promise<boolean>)[],
  ) {
    this.#provider = provider;
    this.#target = target;
    this.#context = context;
    this.ways = checks.map((check) => ({ checks: 0, failed: 0, check }));
  }

  async issue(current?: CredentialHandle): Promise<Issued<M>> {
    const ctx = this.#context();
    const token = randomUUID();
    const more = { generation: ++this.#generation, ...(current === undefined ? {} : { current }) };
    const issued = await this.#provider.issue(this.#target, token, { ...ctx, ...more });
    await this.#provider.activate?.(this.#target, token, issued, ctx);
    return issued;
  }

  /** The first one, and agents that use it. Answers with what ends them. */
  async start(): Promise<() => Promise<void>> {
    this.#current = await this.issue();
    const ended = new AbortController();
    const work = this.ways.flatMap((way) =>
      Array.from({ length: AGENTS }, async () => this.#agent(way, ended.signal)),
    );
    return async () => {
      ended.abort();
      await Promise.all(work);
    };
  }

  /** As the engine does it: taken, promoted, kept until all have moved and what was made has expired, ended. */
  async rotate(): Promise<void> {
    const old = this.#now();
    await sleep(CACHE_SECONDS * 1000 + 50);
    this.#current = await this.issue(old.handle);
    await this.phase();
    await sleep(TTL_MS + CACHE_SECONDS * 1000);
    await this.#end(old, false);
    await this.phase();
  }

  /** As it is done without an overlap: the old one ends when the new one is there. */
  async swap(): Promise<void> {
    const old = this.#now();
    await sleep(CACHE_SECONDS * 1000 + 50);
    const next = await this.issue(old.handle);
    await this.#end(old, false);
    this.#current = next;
    await this.phase();
  }

  /** Revoked at once; agents are halted until the replacement is there. */
  async emergency(): Promise<void> {
    const old = this.#now();
    this.#halted = true;
    await sleep(TTL_MS);
    await this.#end(old, true);
    this.#current = await this.issue();
    this.#halted = false;
    await this.phase();
  }

  /** Lets every way see enough of what has changed. */
  async phase(): Promise<void> {
    const goals = this.ways.map(({ checks }) => checks + CHECKS_A_PHASE);
    while (this.ways.some(({ checks }, at) => checks < (goals[at] ?? 0))) await sleep(20);
  }

  async #end({ handle }: Issued<M>, compromised: boolean): Promise<void> {
    const options = { endSessions: compromised, compromised };
    await this.#provider.revoke(this.#target, handle, options, this.#context());
  }

  #now(): Issued<M> {
    if (this.#current === undefined) throw new Error('it was not started');
    return this.#current;
  }

  async #agent(way: Way<M>, ended: AbortSignal): Promise<void> {
    let held = this.#now();
    let readAt = performance.now();
    while (!ended.aborted) {
      if (this.#halted || performance.now() - readAt > TTL_MS) {
        while (this.#halted) await sleep(10);
        held = this.#now();
        readAt = performance.now();
      }
      const taken = await way.check(held.material.reveal());
      way.checks++;
      if (!taken) way.failed++;
      await sleep(5);
    }
  }
}

/**
 * Agents that sign or bear tokens without pause, through rotations and an emergency, at verifiers that read what is
 * published, beside those that don't, and beside an identity that is swapped.
 */
export async function identities(tell: (line: string) => void): Promise<Figures> {
  await using served = await ServedDirectory.start();
  const kinds = 'a signing key, a token and a certificate authority';
  tell(`${ROTATIONS} rotations and an emergency of ${kinds}, under ${AGENTS} agents each`);
  const [keys, tokens, handshakes] = await Promise.all([
    ofKeys(served),
    ofTokens(served),
    ofCertificates(served),
  ]);
  return { ...keys, ...tokens, ...handshakes, ...(await families(tell)) };
}

async function ofKeys(served: ServedDirectory): Promise<Figures> {
  const target = (name: string) =>
    jwksProvider.target({ name, issuer: name, tokenLifetimeSeconds: 1, ...times });
  const verifier = (issuer: string, keys: JWTVerifyGetKey) => async (material: JwksMaterial) =>
    jwtVerify(await signedWith(material), keys, { issuer }).then(
      () => true,
      () => false,
    );
  const remote = (name: string) =>
    createRemoteJWKSet(new URL(`${served.url}/jwks/${name}`), { cacheMaxAge: CACHE_SECONDS * 1000 });
  const set = 'rotated';
  const kept = { read: undefined as JWTVerifyGetKey | undefined };
  const rotated = new Rotating(jwksProvider, target(set), () => served.context(), [
    verifier(set, remote(set)),
    verifier(set, createPublishedKeys({ directory: served.url, set })),
    // Read once, when the verifier starts.
    verifier(set, async (...asked) => {
      kept.read ??= createLocalJWKSet((await (await fetch(`${served.url}/jwks/${set}`)).json()) as never);
      return kept.read(...asked);
    }),
  ]);
  const swapped = new Rotating(jwksProvider, target('swapped'), () => served.context(), [
    verifier('swapped', remote('swapped')),
  ]);
  await Promise.all([led(rotated), exchanged(swapped)]);
  const [jose, client, once] = rotated.ways;
  return {
    'identities failed verifications': figure([jose, client], 0),
    'identities peer: keys read once': figure([once]),
    'identities peer: key swapped': figure(swapped.ways),
  };
}

async function ofTokens(served: ServedDirectory): Promise<Figures> {
  const target = (name: string) =>
    opaqueProvider.target({ name, agent: 'agent', audience: 'orders', ...times });
  const verifier = (set: string) => {
    const sign = async ({ headers }: { headers: Readonly<Record<string, string>> }) =>
      Promise.resolve(headers);
    const checks = createTokenVerifier({ directory: served.url, set, audience: 'orders', sign });
    return async ({ token }: OpaqueMaterial) => (await checks.verify(token)) !== undefined;
  };
  let known: Promise<string> | undefined;
  const rotated = new Rotating(opaqueProvider, target('rotated'), () => served.context(), [
    verifier('rotated'),
    // Read once, when the service starts.
    async ({ token }) => {
      known ??= fetch(`${served.url}/tokens/rotated`).then(async (answer) => answer.text());
      return (await known).includes(digestOf(token));
    },
  ]);
  const swapped = new Rotating(opaqueProvider, target('swapped'), () => served.context(), [
    verifier('swapped'),
  ]);
  await Promise.all([led(rotated), exchanged(swapped)]);
  const [client, once] = rotated.ways;
  return {
    'identities failed token checks': figure([client], 0),
    'identities peer: digests read once': figure([once]),
    'identities peer: token swapped': figure(swapped.ways),
  };
}

/** Agents and services that prove to each other who they are, each with a certificate of the authority that signs. */
async function ofCertificates(served: ServedDirectory): Promise<Figures> {
  const kms = new FakeKms();
  const context = (): ProviderContext => {
    const own = served.context();
    return { ...own, reach: { ...own.reach, aws: kms } };
  };
  const target = (name: string) =>
    x509Provider.target({ name, trustDomain: `${name}.example`, leafSeconds: LEAF_SECONDS, ...times });
  const mutual = (set: string, cacheSeconds: number) => {
    let bundle: { readonly text: string; readonly readAt: number } | undefined;
    const leaves = new Map<string, { readonly identity: PeerIdentity; readonly madeAt: number }>();
    /** What an agent has of an authority: renewed at half of its life, kept where that fails. */
    const leafFor = async (material: X509Material): Promise<Omit<PeerIdentity, 'ca'>> => {
      const present = leaves.get(material.keyArn);
      if (present !== undefined && performance.now() - present.madeAt < LEAF_SECONDS * 500)
        return present.identity;
      const made = await leafWithKey(kms, material, LEAF_SECONDS).catch(() => present?.identity);
      const identity = { cert: '', key: '', ...made, ca: '' };
      leaves.set(material.keyArn, { identity, madeAt: performance.now() });
      return identity;
    };
    return async (material: X509Material): Promise<boolean> => {
      if (bundle === undefined || performance.now() - bundle.readAt > cacheSeconds * 1000)
        bundle = { text: await bundleOf(served, set), readAt: performance.now() };
      await using peer = await TlsPeer.start({ ...(await leafFor(material)), ca: bundle.text });
      return await peer.greet(peer).then(
        () => true,
        () => false,
      );
    };
  };
  const rotated = new Rotating(x509Provider, target('rotated'), context, [
    mutual('rotated', CACHE_SECONDS),
    // Read once, when the service starts.
    mutual('rotated', Infinity),
  ]);
  const swapped = new Rotating(x509Provider, target('swapped'), context, [mutual('swapped', CACHE_SECONDS)]);
  await Promise.all([led(rotated), exchanged(swapped)]);
  const [refreshed, once] = rotated.ways;
  return {
    'identities failed handshakes': figure([refreshed], 0),
    'identities peer: bundle read once': figure([once]),
    'identities peer: authority swapped': figure(swapped.ways),
  };
}

async function bundleOf(served: ServedDirectory, set: string): Promise<string> {
  return (await fetch(`${served.url}/bundles/${set}`)).text();
}

async function led<T, M>(rotating: Rotating<T, M>): Promise<void> {
  const end = await rotating.start();
  for (let round = 0; round < ROTATIONS; round++) await rotating.rotate();
  await rotating.emergency();
  await end();
}

async function exchanged<T, M>(rotating: Rotating<T, M>): Promise<void> {
  const end = await rotating.start();
  await rotating.phase();
  for (let round = 0; round <= ROTATIONS; round++) await rotating.swap();
  await end();
}

/** How many were refused; with `most`, at most so many may be, else some must be: a test that sees none proves nothing. */
function figure(ways: readonly (Way<never> | undefined)[], most?: number): Figure {
  const sum = (of: 'checks' | 'failed'): number => ways.reduce((total, way) => total + (way?.[of] ?? 0), 0);
  return count(sum('failed'), `refused of ${sum('checks')}`, {
    goal: most === undefined ? { is: 'more than', bound: 0 } : { is: 'at most', bound: most },
  });
}
