import type { World } from '../../local/demo/world.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import type { X509Material } from '../../shared/providers/x509/material.ts';
import { leafWithKey } from '../contract/cases/x509.ts';
import { TlsPeer, type PeerIdentity } from '../support/tls-peer.ts';
import { outcomeOf, type Outcome } from './identity-load.ts';
import { directoryUrl } from './upstreams/identities.ts';

/** What an agent has. */
interface Agent {
  readonly peer: TlsPeer;
  identity: PeerIdentity;
  keyArn: string;
  leafAt: number;
  bundleAt: number;
}

/**
 * Agents that greet each other by mutual TLS: each is a server and a client with a leaf of its own, which it renews at half of
 * its life and where another authority signs, and with a bundle that it reads again as the directory says.
 */
export class HandshakeLoad implements AsyncDisposable {
  readonly #aws: AwsCalls;
  readonly #url: string;
  readonly #leafSeconds: number;
  readonly #cacheMs: number;
  readonly #agents = new Map<number, Agent>();

  constructor(world: World, set: string, times: { readonly leafSeconds: number; readonly cacheMs: number }) {
    const { region, endpoint, clientConfig } = world.stack;
    this.#aws = new AwsCalls({ region, endpoint, credentials: clientConfig.credentials, caller: 'e2e' });
    this.#url = `${directoryUrl(world)}/bundles/${set}`;
    this.#leafSeconds = times.leafSeconds;
    this.#cacheMs = times.cacheMs;
  }

  /** Agent `number` greets the next one, as what it has read from its secret makes it. */
  check(secret: string, number: number): Promise<Outcome> {
    return outcomeOf(
      (async () => {
        const own = await this.#refreshed(number, JSON.parse(secret) as X509Material);
        const others = [...this.#agents.keys()].filter((each) => each !== number);
        const other = this.#agents.get(others.find((each) => each > number) ?? others[0] ?? number);
        await own.peer.greet((other ?? own).peer);
      })(),
    );
  }

  /** What agents do who were told to resume: nobody serves with what was revoked. */
  async renew(secret: string): Promise<void> {
    const material = JSON.parse(secret) as X509Material;
    await Promise.all([...this.#agents.keys()].map(async (number) => this.#refreshed(number, material)));
  }

  async #refreshed(number: number, material: X509Material): Promise<Agent> {
    const now = performance.now();
    const agent = this.#agents.get(number) ?? (await this.#started(material));
    this.#agents.set(number, agent);
    let { identity } = agent;
    if (agent.keyArn !== material.keyArn || now - agent.leafAt > this.#leafSeconds * 500) {
      identity = { ...identity, ...(await leafWithKey(this.#aws, material, this.#leafSeconds)) };
      Object.assign(agent, { keyArn: material.keyArn, leafAt: now });
    }
    if (now - agent.bundleAt > this.#cacheMs) {
      identity = { ...identity, ca: await this.#bundle() };
      agent.bundleAt = now;
    }
    if (identity !== agent.identity) {
      agent.identity = identity;
      agent.peer.use(identity);
    }
    return agent;
  }

  async #started(material: X509Material): Promise<Agent> {
    const at = performance.now();
    const leaf = await leafWithKey(this.#aws, material, this.#leafSeconds);
    const identity = { ...leaf, ca: await this.#bundle() };
    const peer = await TlsPeer.start(identity);
    return { peer, identity, keyArn: material.keyArn, leafAt: at, bundleAt: at };
  }

  async #bundle(): Promise<string> {
    const response = await fetch(this.#url);
    if (!response.ok) throw new Error(`the bundle is answered with ${response.status}`);
    return response.text();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { peer } of this.#agents.values()) await peer[Symbol.asyncDispose]();
  }
}
