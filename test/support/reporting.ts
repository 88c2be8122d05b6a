import type { Pact } from '../../shared/domain/agents.ts';
import { SLOT_SECONDS } from '../../shared/domain/anomalies/slots.ts';
import { plusSeconds, toInstant, type Instant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { judgeUses, type UsesDeps, type UsesJudged } from '../../shared/engine/anomalies/uses.ts';
import { MemoryAgentStore } from './agent-parts.ts';
import { FakeBaselines } from './baselines.ts';
import { registeringHead } from './credential-head.ts';
import { MIDNIGHT } from './traffic.ts';
import { MemoryUpstreamUses } from './upstream-uses.ts';

const HOUR = 3600;
const DAY = 86_400;
/** A time of a day, counted from the first. */
export const instant = (day: number, hour: number, minute = 0): Instant =>
  plusSeconds(toInstant(MIDNIGHT), day * DAY + hour * HOUR + minute * 60);

/** Agents that report of their uses, and the pass that judges them, at the hand of a clock. */
export class Reporting {
  now = MIDNIGHT;
  readonly agents = new MemoryAgentStore(() => this.now);
  readonly baselines = new FakeBaselines();
  readonly credentials: Credential[] = [];
  readonly told = new MemoryUpstreamUses();
  readonly lists: (string | undefined)[] = [];
  readonly #pageSize: number;

  constructor(pageSize = 100) {
    this.#pageSize = pageSize;
    this.add('orders', 'checkout');
  }

  add(name: string, ...agents: string[]): Credential {
    const home = { account: '1', region: 'r', tenant: 't', now: this.now };
    const holders = agents.map(
      (agent) => ({ kind: 'client', name: agent, principal: `arn:${agent}` }) as const,
    );
    const head = registeringHead(home, { id: `id-${name}`, name, secretName: `agents/${name}`, holders });
    this.credentials.push(head);
    return head;
  }

  async pact(agent: string, about: object): Promise<void> {
    const version = ((await this.agents.pact(agent))?.version ?? 0) + 1;
    // As much of a pact as is looked at.
    await this.agents.putPact({ agent, credentials: [about], version } as unknown as Pact);
  }

  async report(
    at: Instant,
    succeeded: number,
    { agent = 'checkout', of = 'orders', session = 's', refused = 0 } = {},
  ): Promise<void> {
    const about = { agent, session, versionId: 'v1', credentialId: `id-${of}` };
    await this.agents.report({ ...about, from: at, to: plusSeconds(at, 59), succeeded, refused });
  }

  /** An hour with as many uses in each quarter. */
  async hour(day: number, hour: number, perQuarter: number, by = {}): Promise<void> {
    for (const minute of [1, 16, 31, 46]) await this.report(instant(day, hour, minute), perQuarter, by);
  }

  judge(at: Instant = toInstant(this.now), until?: number): Promise<UsesJudged> {
    this.now = Date.parse(at);
    return judgeUses(this.deps, until);
  }

  /** Days in which it works from nine to twelve, judged each quarter of an hour. */
  async days(days: number, perQuarter = 25): Promise<void> {
    for (let day = 0; day < days; day++) {
      for (const hour of [9, 10, 11]) await this.hour(day, hour, perQuarter);
      for (let at = instant(day, 9, 30); at < instant(day, 12, 31); at = plusSeconds(at, SLOT_SECONDS))
        await this.judge(at);
    }
  }

  get found(): string[] {
    return [...this.baselines.waiting.values()].map(
      ({ rule, reader, what }) => `${rule} ${reader.principal} ${what}`,
    );
  }

  readonly deps: UsesDeps = {
    agents: this.agents,
    baselines: this.baselines,
    upstreamUses: this.told,
    clock: () => this.now,
    ledger: {
      list: (page) => {
        this.lists.push(page);
        const from = Number(page ?? 0);
        const items = this.credentials.slice(from, from + this.#pageSize);
        const next = from + this.#pageSize;
        return Promise.resolve({ items, ...(next < this.credentials.length ? { next: String(next) } : {}) });
      },
      credential: (id) => Promise.resolve(this.credentials.find((each) => each.id === id)),
    },
  };
}
