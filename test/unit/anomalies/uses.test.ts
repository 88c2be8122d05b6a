import { describe, expect, it } from 'vitest';
import type { Pact } from '../../../shared/domain/agents.ts';
import { SLOT_SECONDS } from '../../../shared/domain/anomalies/slots.ts';
import { plusSeconds, toInstant, type Instant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { UpstreamUse } from '../../../shared/domain/upstream-use.ts';
import { judgeUses, type UsesDeps, type UsesJudged } from '../../../shared/engine/anomalies/uses.ts';
import { MemoryAgentStore } from '../../support/agent-parts.ts';
import { FakeBaselines } from '../../support/baselines.ts';
import { registeringHead } from '../../support/credential-head.ts';
import { MIDNIGHT } from '../../support/traffic.ts';
import { MemoryUpstreamUses } from '../../support/upstream-uses.ts';

const HOUR = 3600;
const DAY = 86_400;
const instant = (day: number, hour: number, minute = 0): Instant =>
  plusSeconds(toInstant(MIDNIGHT), day * DAY + hour * HOUR + minute * 60);

/** Agents that report of their uses, and the pass that judges them, at the hand of a clock. */
class Reporting {
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

describe('reports of uses', () => {
  it('teach what is usual of an agent and a credential, and an hour or a number that is not waits to be weighed', async () => {
    const usual = new Reporting();
    await usual.days(10);
    expect(usual.found).toEqual([]);
    await usual.hour(10, 20, 25);
    await usual.judge(instant(10, 21, 30));
    expect(usual.found).toEqual(['hour checkout 20']);
    const often = new Reporting();
    await often.days(10);
    await often.hour(10, 10, 500);
    await often.judge(instant(10, 11, 30));
    expect(often.found).toEqual(['volume checkout 2026-09-17']);
  });

  it('are summed up over the instances of an agent, refusals among them, and told apart by agent', async () => {
    const world = new Reporting();
    world.credentials.length = 0;
    world.add('orders', 'checkout', 'search');
    await world.days(10);
    const at = instant(10, 10, 1);
    for (let n = 0; n < 30; n++) await world.report(at, 20, { session: `s-${n}`, refused: 2 });
    await world.report(at, 20, { agent: 'search' });
    await world.judge(instant(10, 10, 45));
    expect(world.found).toEqual(['volume checkout 2026-09-17']);
    expect([...world.baselines.waiting.values()][0]?.text).toContain('660 times within an hour');
  });

  it('of an idle agent, which are zeros, cost no write but that of how far it has come', async () => {
    const world = new Reporting();
    await world.hour(0, 9, 0);
    await world.judge(instant(0, 9, 45));
    await world.judge(instant(0, 10, 0));
    expect(world.baselines.known).toEqual({});
  });

  it('are judged a quarter of an hour after their slot, which is when all of it has come', async () => {
    const world = new Reporting();
    await world.hour(0, 9, 10);
    expect(await world.judge(instant(0, 9, 29))).toMatchObject({ slots: 1 });
    expect(world.baselines.known).toEqual({});
    expect(await world.judge(instant(0, 9, 30))).toMatchObject({ slots: 1 });
    expect(world.baselines.known['agents/orders ["agent","checkout"]']).toMatchObject({
      open: [{ hour: '2026-09-07T09', count: 10 }],
    });
  });

  it('that nobody has judged for hours are caught up with, and a day later they are too old', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    for (const hour of [9, 10, 11]) await world.hour(0, hour, 25);
    expect(await world.judge(instant(0, 12, 30))).toMatchObject({ slots: 14 });
    expect(world.baselines.known['agents/orders ["agent","checkout"]']).toMatchObject({
      days: [{ day: '2026-09-07', traits: { hour: ['09', '10', '11'] } }],
    });
    expect((await world.judge(instant(5, 0, 0))).slots).toBe(95);
  });

  it('count once, wherever the process dies and however often a slot is judged', async () => {
    const calm = new Reporting(1);
    await calm.days(10);
    await calm.hour(10, 10, 500);
    await calm.judge(instant(10, 11, 30));
    const troubled = new Reporting(1);
    troubled.add('stock', 'checkout');
    calm.add('stock', 'checkout');
    let beats = 0;
    troubled.baselines.before = () => {
      if (++beats % 3 === 0) throw new RekeyError('ERR_UNAVAILABLE', 'killed');
    };
    const { judge } = troubled;
    troubled.judge = async (at) => {
      for (let attempt = 0; attempt < 500; attempt++) {
        try {
          return await judge.call(troubled, at);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_UNAVAILABLE' });
        }
      }
      throw new Error('it never comes to an end');
    };
    await troubled.days(10);
    await troubled.hour(10, 10, 500);
    await troubled.judge(instant(10, 11, 30));
    expect(troubled.baselines.known).toEqual(calm.baselines.known);
    expect(troubled.found).toEqual(calm.found);
  });

  it('of one credential are judged although those of another can not be, and then its page is done again', async () => {
    const world = new Reporting();
    world.add('stock', 'checkout');
    await world.report(instant(0, 9, 1), 10);
    await world.report(instant(0, 9, 1), 10, { of: 'stock' });
    await world.judge(instant(0, 9, 15));
    const { useLog } = world.agents;
    const broken = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    world.agents.useLog = (id, from, to) => {
      if (id === 'id-orders') throw broken;
      return useLog.call(world.agents, id, from, to);
    };
    await expect(world.judge(instant(0, 9, 30))).rejects.toBe(broken);
    expect(Object.keys(world.baselines.known)).toEqual(['agents/stock ["agent","checkout"]']);
    world.agents.useLog = useLog;
    expect(await world.judge(instant(0, 9, 30))).toMatchObject({ slots: 1, credentials: 2 });
    expect(Object.values(world.baselines.known).map(({ open }) => open[0]?.count)).toEqual([10, 10]);
  });

  it('of many credentials go on with the next page where the time of a run is over', async () => {
    const world = new Reporting(1);
    world.add('stock', 'checkout');
    await world.judge(instant(0, 9, 15));
    world.lists.length = 0;
    const clock = Date.parse(instant(0, 9, 30));
    let asked = 0;
    const deps = { ...world.deps, clock: () => clock + asked++ };
    await judgeUses(deps, clock + 4);
    await judgeUses(deps, Infinity);
    expect(world.lists).toEqual([undefined, '1']);
  });
});

describe('outside of the pact', () => {
  it('are more uses in an hour than it says, at once and without a baseline', async () => {
    const world = new Reporting();
    await world.pact('checkout', { credential: 'orders', usesPerHour: 100 });
    await world.judge(instant(0, 9, 0));
    await world.hour(0, 9, 25);
    await world.judge(instant(0, 10, 0));
    expect(world.found).toEqual([]);
    await world.hour(0, 10, 26);
    await world.judge(instant(0, 11, 30));
    expect(world.found).toEqual(['outside checkout 2026-09-07']);
    expect([...world.baselines.waiting.values()][0]?.text).toBe(
      '104 times within an hour, when its pact says 100 at most',
    );
  });

  it('are not those of another credential of the pact, nor those of a pact that says nothing', async () => {
    const world = new Reporting();
    await world.pact('checkout', { credential: 'stock', usesPerHour: 1 });
    await world.hour(0, 9, 25);
    await world.judge(instant(0, 10, 30));
    expect(world.found).toEqual([]);
  });

  it('are uses of a credential that is none of the agent’s, each told once', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9, 0));
    await world.agents.stray({ credentialId: 'id-orders', agent: 'stranger', at: instant(0, 9, 3) });
    await world.agents.stray({ credentialId: 'id-gone', agent: 'stranger', at: instant(0, 9, 3) });
    await world.judge(instant(0, 9, 30));
    await world.judge(instant(0, 9, 45));
    expect(world.found).toEqual(['outside stranger pact']);
  });
});

describe('what upstreams tell of uses', () => {
  const login = (at: Instant, changes: Partial<UpstreamUse> = {}): UpstreamUse => ({
    credentialId: 'id-orders',
    source: 'database-log',
    keyId: 'orders_a',
    who: 'shop (orders_a)',
    address: '10.0.0.7',
    scope: 'orders',
    outcome: 'worked',
    from: at,
    to: at,
    ...changes,
  });

  /** Ten days in which a shop logs in from nine to twelve, into whichever of its two users is current. */
  async function shop(changes: Partial<Credential> = {}, days = 10): Promise<Reporting> {
    const world = new Reporting();
    world.credentials.length = 0;
    world.add('orders');
    Object.assign(world.credentials[0] ?? {}, changes);
    for (let day = 0; day < days; day++) {
      const keyId = day < 6 ? 'orders_a' : 'orders_b';
      for (const hour of [9, 10, 11]) {
        for (const minute of [1, 20, 40])
          world.told.uses.push(login(instant(day, hour, minute), { keyId, who: `shop (${keyId})` }));
      }
      for (let at = instant(day, 9, 30); at < instant(day, 13, 31); at = plusSeconds(at, SLOT_SECONDS))
        await world.judge(at);
    }
    return world;
  }
  const after = async (world: Reporting, ...uses: UpstreamUse[]): Promise<string[]> => {
    const before = new Set(world.found);
    world.told.uses.push(...uses);
    await world.judge(instant(10, 23));
    return world.found.filter((each) => !before.has(each));
  };

  it('is usual whichever login is current, and unusual by hour, network, database and application', async () => {
    const other = { address: '198.51.100.9', scope: 'payroll', who: 'psql (orders_b)', keyId: 'orders_b' };
    const world = await shop();
    expect(await after(world, login(instant(10, 10)))).toEqual([]);
    expect(await after(await shop(), login(instant(10, 20), other))).toEqual([
      expect.stringContaining('reader psql (orders_b)'),
      'hour psql (orders_b) 20',
      'network psql (orders_b) 198.51.100.0/24',
      'resource psql (orders_b) payroll',
    ]);
  });

  it('counts each minute of a kind once where nothing is counted, however often it comes', async () => {
    const world = await shop();
    const often = Array.from({ length: 40 }, (_, n) => login(instant(10, 10, n)));
    expect(await after(world, ...often, ...often)).toEqual(['volume shop (orders_a) 2026-09-17']);
    const few = Array.from({ length: 4 }, (_, n) => login(instant(10, 10, n)));
    expect(await after(await shop(), ...Array.from({ length: 20 }, () => few).flat())).toEqual([]);
  });

  it('is outside of what the declaration opens at once, without a baseline', async () => {
    const declared = { type: 'database', target: { database: 'orders' } };
    const world = await shop(declared, 1);
    world.told.uses.push(login(instant(0, 13, 5), { scope: 'payroll' }));
    await world.judge(instant(0, 23));
    expect(world.found.filter((each) => each.startsWith('outside'))).toEqual([
      'outside shop (orders_a) payroll',
    ]);
  });

  it('of reads of its secret was judged as they came, and is not judged anew', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9));
    const { keyId: _none, ...read } = login(instant(0, 9, 5), { source: 'cloudtrail' });
    world.told.uses.push(read);
    await world.judge(instant(0, 12));
    expect(world.baselines.known).toEqual({});
  });

  it('that counts over a longer time says nothing of the hour, and is judged once its upstream has had its time', async () => {
    const world = new Reporting();
    await world.judge(instant(0, 9));
    const counted = { source: 'provider-usage', who: 'proj_1', succeeded: 500, refused: 20 } as const;
    world.told.uses.push(login(instant(0, 9), { ...counted, to: instant(0, 21) }));
    await world.judge(instant(0, 11, 15));
    expect(world.baselines.known).toEqual({});
    await world.judge(instant(0, 11, 30));
    expect(world.baselines.known['agents/orders ["upstream","provider-usage"]']).toMatchObject({
      open: [{ hour: '2026-09-07T09', count: 520 }],
      days: [{ traits: { network: ['10.0.0.0/24'] } }],
    });
    expect(JSON.stringify(world.baselines.known)).not.toContain('"hour":["');
  });
});
