import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { chained, GENESIS, type AuditRecord } from '../../../shared/domain/audit.ts';
import { plusSeconds, toInstant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import {
  collectUsage,
  untold,
  type Collected,
  type UsageDeps,
} from '../../../shared/engine/collect-usage.ts';
import { openaiProvider } from '../../../shared/providers/openai/provider.ts';
import { FakeOpenAi } from '../../fakes/openai.ts';
import { registeringHead } from '../../support/credential-head.ts';
import { Calls, guarded, Process } from '../../support/faulty.ts';
import { MemoryUpstreamUses } from '../../support/upstream-uses.ts';

const HOUR = 3_600_000;
const MINUTE = 60_000;
const HOME = { tenant: 't', account: '111122223333', region: 'eu-central-1' };

let fake: FakeOpenAi;
let store: MemoryUpstreamUses;
let heads: Credential[];
let records: Map<string, readonly AuditRecord[]>;
let now: number;

beforeEach(async () => {
  fake = await FakeOpenAi.start();
  store = new MemoryUpstreamUses();
  heads = [];
  records = new Map();
  now = Math.floor(Date.now() / MINUTE) * MINUTE;
});
afterEach(async () => fake[Symbol.asyncDispose]());

/** A registered key of OpenAI, a day old. */
function registered(name: string, changes: Partial<Credential> = {}): Credential {
  const head = registeringHead(
    { ...HOME, now: now - 24 * HOUR },
    {
      name,
      type: 'llm-key',
      provider: 'openai',
      status: 'active',
      adminSecret: 'admin/openai',
      target: openaiProvider.target({
        project: 'proj_1',
        serviceAccount: 'sa_1',
        label: name,
        baseUrl: `${fake.server.url}/v1`,
      }),
      live: [{ id: `key_${name}`, generation: 1 }],
      ...changes,
    },
  );
  heads.push(head);
  return head;
}

function deps(changes: Partial<UsageDeps> = {}): UsageDeps {
  const refuse = (): never => {
    throw new Error('collecting has no part in this');
  };
  const ledger = {
    list: async (page?: string) => {
      const at = Number(page ?? 0);
      const next = at + 2 < heads.length ? { next: String(at + 2) } : {};
      return Promise.resolve({ items: heads.slice(at, at + 2), ...next });
    },
    async *records(id: string, fromSeq = 1) {
      await Promise.resolve();
      yield* (records.get(id) ?? []).filter(({ metadata }) => metadata.sequence >= fromSeq);
    },
  };
  const others = new Proxy({}, { get: refuse });
  return {
    ledger: ledger as unknown as UsageDeps['ledger'],
    upstreamUses: store,
    readers: others as UsageDeps['readers'],
    agents: others as UsageDeps['agents'],
    sealer: { seal: refuse },
    vault: others as UsageDeps['vault'],
    workflow: others as UsageDeps['workflow'],
    providerFor: async () => Promise.resolve(openaiProvider),
    readAdmin: async () =>
      Promise.resolve(
        new Redacted(JSON.stringify({ adminKey: fake.adminKey, baseUrl: `${fake.server.url}/v1` })),
      ),
    reach: { privateHosts: ['127.0.0.1'], timeoutMs: 500 },
    clock: () => now,
    newId: refuse,
    timing: { stuckAfterSeconds: 900 },
    random: () => 0,
    ...changes,
  };
}

const denied: UsageDeps['readAdmin'] = async () =>
  Promise.reject(new RekeyError('ERR_ADMIN_DENIED', 'not for Rekey'));
const refused = async (): Promise<never> => Promise.reject(new Error('this keeps nothing'));
const collect = async (changes: Partial<UsageDeps> = {}) =>
  collectUsage(deps(changes), 'llm-key', Number.POSITIVE_INFINITY);
const told = (): string[] =>
  store.uses.map(({ keyId, scope, from, to, succeeded }) => `${keyId} ${scope} ${from} ${to} ${succeeded}`);
const coveredUntil = (id: string): string | undefined =>
  store.covered
    .filter(({ of }) => of === id)
    .map(({ to }) => to)
    .toSorted()
    .at(-1);

describe('what upstreams have counted', () => {
  it('is kept as uses of the key by model and minute, and the time up to which nothing grows as told', async () => {
    const { id } = registered('a');
    const at = now - 3 * HOUR;
    fake.usage.count('key_a', 'large', 3, at + 5000);
    fake.usage.count('key_stranger', 'large', 9, at);
    expect(await collect()).toEqual([{ credential: 'a', uses: 1, untoldSince: toInstant(now) }]);
    expect(store.uses).toEqual([
      {
        credentialId: id,
        source: 'provider-usage',
        keyId: 'key_a',
        who: 'proj_1/sa_1',
        scope: 'large',
        from: toInstant(at),
        to: toInstant(at + MINUTE - 1),
        succeeded: 3,
      },
    ]);
    const [first] = store.covered.filter(({ of }) => of === id);
    expect(first?.from).toBe(toInstant(now - 24 * HOUR));
    expect(coveredUntil(id)).toBe(toInstant(now - HOUR));
  });

  it('is asked again as long as it may grow, and the larger count stays', async () => {
    registered('a');
    const at = now - 30 * MINUTE;
    fake.usage.count('key_a', 'large', 3, at);
    await collect();
    fake.usage.count('key_a', 'large', 4, at);
    now += 20 * MINUTE;
    await collect();
    expect(told()).toEqual([`key_a large ${toInstant(at)} ${toInstant(at + MINUTE - 1)} 7`]);
  });

  it('is asked from where it was told last, without a hole after an outage', async () => {
    const { id } = registered('a');
    await collect();
    const first = coveredUntil(id) ?? '';
    fake.usage.count('key_a', 'large', 1, Date.parse(first) + MINUTE);
    store.covered.length = 0;
    store.covered.push({ source: 'provider-usage', of: id, from: '2026-01-01T00:00:00.000Z', to: first });
    now += 20 * HOUR;
    expect((await collect())[0]?.uses).toBe(1);
    const parts = store.covered.slice(1);
    expect(parts[0]?.from).toBe(first);
    for (const [index, { from }] of parts.slice(1).entries()) expect(from).toBe(parts[index]?.to);
  });

  it('is asked for keys that have died since, as the records name them', async () => {
    const head = registered('a', { live: [] });
    const draft = {
      trigger: { kind: 'operator', actor: 'arn:o' },
      time: plusSeconds(toInstant(now), -7200),
    } as const;
    const killed = { handles: [{ handle: 'key_spare#3', deactivation: { confirmed: true } }] };
    const made = chained({ ...head, seq: 0, chain: GENESIS, holders: [] }, [
      { ...draft, action: 'registered', newHandle: 'key_old#1', newFingerprint: 'sha256:1' },
      {
        ...draft,
        action: 'emergency-revoked',
        oldHandle: 'key_newer#2',
        oldFingerprint: 'sha256:2',
        evidence: { revocation: { revokedAt: draft.time, generation: 3, ...killed } },
      },
    ]);
    records.set(head.id, made.records);
    for (const key of ['key_old', 'key_newer', 'key_spare'])
      fake.usage.count(key, 'large', 1, now - 3 * HOUR);
    await collect();
    expect(new Set(store.uses.map(({ keyId }) => keyId))).toEqual(
      new Set(['key_newer', 'key_old', 'key_spare']),
    );
  });

  it('is asked of nobody whose upstream tells nothing, or for whom no login is declared', async () => {
    registered('mistral', { provider: 'mistral' });
    registered('none', { adminSecret: undefined as unknown as string });
    registered('young', { status: 'registering' });
    registered('cloud', { type: 'cloud-key', provider: 'aws-iam' });
    registered('asked');
    expect((await collect()).map(({ credential }) => credential)).toEqual(['asked']);
  });
});

describe('whoever collects', () => {
  it('may die at any line: the next run comes to the same as one that never died', async () => {
    registered('a');
    registered('b');
    for (const key of ['key_a', 'key_b'])
      for (let hour = 2; hour < 20; hour += 3) fake.usage.count(key, 'large', hour, now - hour * HOUR);
    const unhurt = new Calls();
    unhurt.arm();
    // Without HTTP in between: this runs dozens of times.
    const meter: typeof openaiProvider.meter = async (_target, keyIds, { from, to }) => {
      const found = fake.usage.told(keyIds, Date.parse(from), Date.parse(to));
      const uses = found.map(({ keyId, model: scope, minute, requests }) => {
        return { keyId, from: toInstant(minute), to: toInstant(minute + MINUTE), requests, scope };
      });
      const counted = toInstant(now - HOUR);
      const covers = from < counted ? [{ from, to: to < counted ? to : counted }] : [];
      return Promise.resolve({ who: 'proj_1', uses, covers });
    };
    const providerFor = async () => Promise.resolve({ ...openaiProvider, meter });
    const guard = (calls: Calls): Partial<UsageDeps> => ({
      providerFor,
      upstreamUses: guarded(store, 'uses', ['keep', 'cover'], calls, new Process()),
    });
    await collect(guard(unhurt));
    const [whole, covered] = [told().toSorted(), heads.map(({ id }) => coveredUntil(id))];
    expect(unhurt.labels.length).toBeGreaterThan(10);
    for (const mode of ['before', 'after', 'lost'] as const) {
      for (const at of unhurt.labels.keys()) {
        store = new MemoryUpstreamUses();
        const calls = new Calls();
        calls.arm({ at: at + 1, mode });
        await collect(guard(calls));
        expect(calls.struck).toBe(true);
        // What counts as told has been kept.
        const claimed = heads.map(({ id }) => coveredUntil(id) ?? '');
        for (const line of whole) {
          const [key = '', , from = ''] = line.split(' ');
          if (from < (claimed[heads.findIndex(({ name }) => key === `key_${name}`)] ?? ''))
            expect(told()).toContain(line);
        }
        await collect({ providerFor });
        expect([told().toSorted(), heads.map(({ id }) => coveredUntil(id))]).toEqual([whole, covered]);
      }
    }
  });

  it('comes to the same twice, and beside another', async () => {
    registered('a');
    fake.usage.count('key_a', 'large', 3, now - 2 * HOUR);
    await Promise.all([collect(), collect()]);
    const once = told();
    expect(once).toHaveLength(1);
    expect((await collect())[0]?.uses).toBe(0);
    expect(told()).toEqual(once);
  });

  it('goes on with other logins where one is refused, and leaves that one alone after three', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) registered(name, { adminSecret: 'admin/broken' });
    registered('fine');
    fake.usage.count('key_fine', 'large', 1, now - 2 * HOUR);
    let reads = 0;
    const readAdmin = async (secret: string) => {
      if (secret !== 'admin/broken') return deps().readAdmin(secret);
      reads++;
      return Promise.reject(new RekeyError('ERR_ADMIN_DENIED', 'not for Rekey'));
    };
    const answers = await collect({ readAdmin });
    expect(answers.map(({ stopped }) => stopped)).toEqual([
      ...Array.from({ length: 3 }, () => 'ERR_ADMIN_DENIED'),
      'later',
      'later',
      undefined,
    ]);
    expect([reads, store.uses.length]).toEqual([1, 1]);
  });

  it('goes on with the others of a login where one credential fails, and tells of it by its code', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) registered(name);
    for (const name of ['a', 'b', 'c', 'd', 'e']) fake.usage.count(`key_${name}`, 'large', 1, now - 2 * HOUR);
    const fails = (): void => {
      fake.server.fail({ kind: 'reply', status: 500, body: {} }, ({ query }) =>
        query.getAll('api_key_ids').includes('key_b'),
      );
    };
    fails();
    const answers = await collect();
    expect(answers.map(({ stopped }) => stopped)).toEqual([
      undefined,
      'ERR_UNAVAILABLE',
      undefined,
      undefined,
      undefined,
    ]);
    expect(store.uses.map(({ keyId }) => keyId)).not.toContain('key_b');
    await collect();
    expect(store.uses.map(({ keyId }) => keyId)).toContain('key_b');
  });

  it('leaves a login alone after three failures on end, although it has answered before', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f', 'g']) registered(name);
    let calls = 0;
    const providerFor: UsageDeps['providerFor'] = async () => {
      const limited = new RekeyError('ERR_UNAVAILABLE', 'too many requests');
      return ++calls === 1 ? Promise.resolve(openaiProvider) : Promise.reject(limited);
    };
    const answers = await collect({ providerFor });
    expect(answers.map(({ stopped }) => stopped)).toEqual([
      undefined,
      ...Array.from({ length: 3 }, () => 'ERR_UNAVAILABLE'),
      ...Array.from({ length: 3 }, () => 'later'),
    ]);
    expect(calls).toBe(4);
  });

  it('begins with another one each time, and stops when the time is up', async () => {
    for (const name of ['a', 'b', 'c']) registered(name);
    const draws = [0.9, 0.1, 0.5];
    const answers = await collect({ random: () => draws.shift() ?? 0 });
    expect(answers.map(({ credential }) => credential)).toEqual(['b', 'c', 'a']);
    const late = await collectUsage(deps(), 'llm-key', now);
    expect(new Set(late.map(({ stopped }) => stopped))).toEqual(new Set(['later']));
  });

  it('says of one that was refused or put off since when it is owed: what was told last, or the first attempt', async () => {
    const { id } = registered('told');
    registered('new');
    await store.cover('provider-usage', id, [
      { from: toInstant(now - 9 * HOUR), to: toInstant(now - 3 * HOUR) },
    ]);
    const owed = { told: toInstant(now - 3 * HOUR), new: toInstant(now) };
    const since = (answers: readonly Collected[]) =>
      Object.fromEntries(answers.map(({ credential, untoldSince }) => [credential, untoldSince]));
    expect(since(await collectUsage(deps(), 'llm-key', now))).toEqual(owed);
    now += HOUR;
    expect(since(await collect({ readAdmin: denied }))).toEqual(owed);
  });

  it.each([
    ['put off', async () => collectUsage(deps(), 'llm-key', now)],
    ['refused', async () => collect({ readAdmin: denied })],
  ])(
    'calls nobody in its first run for keys of long ago that are %s, but after a day of that',
    async (_how, run) => {
      const names = ['a', 'b', 'c', 'd', 'e'];
      for (const name of names) registered(name, { registeredAt: toInstant(now - 90 * 24 * HOUR) });
      const late = async (): Promise<string[]> =>
        untold(await run(), now).map(({ credential }) => credential);
      expect(await late()).toEqual([]);
      now += 24 * HOUR;
      expect(await late()).toEqual([]);
      now += HOUR;
      expect(await late()).toEqual(names);
      // The time of the mark is none that is told.
      expect(heads.map(({ id }) => coveredUntil(id))).toEqual(names.map(() => undefined));
      heads.length = 1;
      fake.usage.count('key_a', 'large', 1, now - 3 * 24 * HOUR);
      expect(untold(await collect(), now)).toEqual([]);
      expect(store.uses.map(({ keyId }) => keyId)).toEqual(['key_a']);
    },
  );

  it('calls nobody either while the days before the first run are told piece by piece, but after a day of that', async () => {
    const { id } = registered('a', { registeredAt: toInstant(now - 90 * 24 * HOUR) });
    const pieces = async (): Promise<Collected[]> => {
      let spans = 0;
      const meter: typeof openaiProvider.meter = async (_target, _keyIds, span) =>
        ++spans > 1
          ? Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'too many requests'))
          : Promise.resolve({ who: 'proj_1', uses: [], covers: [span] });
      return collect({ providerFor: async () => Promise.resolve({ ...openaiProvider, meter }) });
    };
    expect(untold(await pieces(), now)).toEqual([]);
    expect(coveredUntil(id)).toBe(toInstant(now - 162 * HOUR));
    expect(untold(await collectUsage(deps(), 'llm-key', now), now)).toEqual([]);
    now += 25 * HOUR;
    expect(untold(await pieces(), now)).toHaveLength(1);
  });

  it('counts from the last answer where an upstream tells the last use, which covers no time', async () => {
    registered('cloud', {
      type: 'cloud-key',
      provider: 'aws-iam',
      registeredAt: toInstant(now - 90 * 24 * HOUR),
    });
    const answers: NonNullable<typeof openaiProvider.meter> = async () =>
      Promise.resolve({ who: 'deployer', uses: [], covers: [] });
    const fails: typeof answers = async () =>
      Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'it throttles'));
    const late = async (meter: typeof answers): Promise<number> => {
      const providerFor = async () => Promise.resolve({ ...openaiProvider, meter });
      const come = await collectUsage(deps({ providerFor }), 'cloud-key', Number.POSITIVE_INFINITY);
      return untold(come, now).length;
    };
    for (const meter of [answers, answers, fails, answers]) {
      expect(await late(meter)).toBe(0);
      now += 24 * HOUR;
    }
    expect(await late(fails)).toBe(0);
    now += HOUR;
    expect(await late(fails)).toBe(1);
  });

  it('asks a ledger that is silent about one that is put off about none of the others', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) registered(name);
    let looks = 0;
    const coverage = async () => {
      looks++;
      return Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is silent'));
    };
    const silent = { upstreamUses: { keep: refused, cover: refused, coverage } };
    expect(await collectUsage(deps(silent), 'llm-key', now)).toEqual(
      heads.map(({ name }) => ({ credential: name, uses: 0, stopped: 'later' })),
    );
    expect(looks).toBe(2);
    // Three fail at it, and the first one after them.
    expect((await collect(silent)).map(({ untoldSince }) => untoldSince)).toEqual(heads.map(() => undefined));
    expect(looks).toBe(2 + 4 * 2);
  });

  it('looks for no longer than a minute after the time is up, and still tells of each', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) registered(name);
    const until = now;
    const slow = {
      upstreamUses: {
        keep: refused,
        cover: refused,
        coverage: async (of: string) => {
          now += 12_500;
          return Promise.resolve([
            { source: 'provider-usage' as const, of, from: toInstant(until - HOUR), to: toInstant(until) },
          ]);
        },
      },
    };
    const answers = await collectUsage(deps(slow), 'llm-key', until);
    const since = toInstant(until);
    expect(answers.map(({ untoldSince }) => untoldSince)).toEqual([
      since,
      since,
      since,
      undefined,
      undefined,
    ]);
    expect(answers.map(({ stopped }) => stopped)).toEqual(heads.map(() => 'later'));
  });

  it('calls a person where nothing is told for a day, and not before', () => {
    const at = (hours: number) => toInstant(now - hours * HOUR);
    const one = { credential: 'a', uses: 0 };
    const answers = [
      { ...one, untoldSince: at(30) },
      { ...one, untoldSince: at(3), stopped: 'ERR_UNAVAILABLE' },
      { ...one, stopped: 'later' },
      { ...one, stopped: 'ERR_ADMIN_DENIED' },
    ];
    expect(untold(answers, now)).toEqual([]);
    const late = [
      { ...one, untoldSince: at(25), stopped: 'ERR_UNAVAILABLE' },
      { ...one, untoldSince: at(25), stopped: 'later' },
    ];
    expect(untold([...answers, ...late], now)).toEqual(late);
  });
});
