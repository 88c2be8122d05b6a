import { describe, expect, test } from 'vitest';
import { DynamoDbBaselines } from '../../shared/adapters/dynamodb-baselines.ts';
import { DynamoDbSignals } from '../../shared/adapters/dynamodb-signals.ts';
import { NOTHING_KNOWN } from '../../shared/domain/anomalies/baseline.ts';
import { suspicionOf, TOLD_SECONDS, type Suspicion } from '../../shared/domain/anomalies/suspicion.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential, Key } from '../../shared/domain/credential.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import { SIGNAL_SOURCES } from '../../shared/domain/signals/signal.ts';
import { LedgerOnTable, START } from '../support/ledger-on-table.ts';
import { SignalWorld } from '../support/signal-world.ts';

const table = new LedgerOnTable();
const store = (): DynamoDbSignals =>
  new DynamoDbSignals({ aws: table.aws, table: 'ledger', tenant: table.tenant, clock: () => table.now });

const HELD: HeldSignal = {
  id: 'e3f1d4f0-3a52-8c43-ab3e-0f6f7f6f0a02',
  source: 'siem',
  reporter: 'signal:siem',
  why: 'it would revoke 4 credentials, more than 3',
  heldAt: toInstant(START),
  glassAt: toInstant(START + 1800_000),
  credentials: [],
  status: 'held',
  approvals: [],
  version: 1,
};

describe('what is kept of signals', () => {
  test('a signal that was marked is known by its source and id, with what it has led to', async () => {
    const taken = { at: toInstant(START), round: 1, fingerprints: ['sha256:1'] };
    expect(await store().taken('siem', '1')).toBeUndefined();
    await store().mark('siem', '1', { ...taken, round: 0 });
    await store().mark('siem', '1', taken);
    expect(await store().taken('siem', '1')).toEqual(taken);
    expect(await store().taken('github', '1')).toBeUndefined();
    // As versions kept it that knew no rounds.
    const key = { pk: { S: `${table.tenant}#SIGNAL#siem#old` }, sk: { S: 'SEEN' } };
    await table.aws.json('dynamodb', 'PutItem', { TableName: 'ledger', Item: key });
    expect(await store().taken('siem', 'old')).toEqual({ round: 0, fingerprints: [] });
  });

  test('what says nothing of its time is remembered for good, and everything else for 90 days', async () => {
    const taken = { at: toInstant(START), round: 0, fingerprints: [] };
    await store().mark('siem', '1', taken);
    await store().mark('github-partner', '1', taken, true);
    const endOf = async (source: string): Promise<number | undefined> => {
      const Key = { pk: { S: `${table.tenant}#SIGNAL#${source}#1` }, sk: { S: 'SEEN' } };
      const { Item } = await table.aws.json<{ Item?: Record<string, { N?: string }> }>(
        'dynamodb',
        'GetItem',
        {
          TableName: 'ledger',
          Key,
        },
      );
      return Item?.['expires']?.N === undefined ? undefined : Number(Item['expires'].N);
    };
    expect(await endOf('siem')).toBeGreaterThan(START / 1000 + 90 * 24 * 3600);
    expect(await endOf('github-partner')).toBeUndefined();
  });

  test('no more is taken of a budget than there is, however many ask at once', async () => {
    const asked = await Promise.all(Array.from({ length: 20 }, () => store().take('siem', 7)));
    expect(asked.filter(Boolean)).toHaveLength(7);
    expect(await store().take('github', 7, 8)).toBe(false);
    expect(await store().take('github', 7, 7)).toBe(true);
    // Under a name it is taken once, and stays taken where nothing is left.
    const named = await Promise.all(Array.from({ length: 9 }, () => store().take('named', 3, 2, 'n-1')));
    expect(named.every(Boolean)).toBe(true);
    expect(await store().take('named', 3, 2, 'n-2')).toBe(false);
    expect(await store().take('named', 3, 1, 'n-3')).toBe(true);
    expect(await store().take('named', 3, 2, 'n-1')).toBe(true);
    // By whole minutes: 60 of them have to be over. What a name has taken stays taken meanwhile.
    table.now += 60 * 60_000;
    expect([await store().take('siem', 7), await store().take('named', 3, 2, 'n-2')]).toEqual([false, false]);
    expect(await store().take('named', 3, 2, 'n-1')).toBe(true);
    table.now += 60_000;
    expect(await store().take('siem', 7)).toBe(true);
  });

  test('no sixty minutes have more than the budget, wherever they begin', async () => {
    const times: number[] = [];
    let refused = 0;
    // From the last minutes of an hour on, every 59 seconds for three hours.
    for (table.now = START + 50 * 60_000; table.now < START + 230 * 60_000; table.now += 59_000) {
      if (await store().take('siem', 10)) times.push(table.now);
      else refused++;
    }
    for (const from of times)
      expect(times.filter((at) => at >= from && at < from + 3600_000).length).toBeLessThanOrEqual(10);
    expect(refused).toBeGreaterThan(50);
    // Nor is less taken than there is: ten in each 61 minutes.
    expect(times.length).toBeGreaterThanOrEqual(28);
  });

  test('at the edge of an hour, what a slower clock takes is counted in the next one', async () => {
    const edge = START + 3600_000;
    const at = (now: number): DynamoDbSignals =>
      new DynamoDbSignals({ aws: table.aws, table: 'ledger', tenant: table.tenant, clock: () => now });
    const asked = await Promise.all(
      Array.from({ length: 30 }, (_none, n) => at(edge + (n % 2 === 0 ? -1 : 1)).take('siem', 10)),
    );
    expect(asked.filter(Boolean)).toHaveLength(10);
    expect(await at(edge - 1).take('siem', 10)).toBe(false);
    expect(await at(edge - 1).take('fresh', 10)).toBe(true);
    expect(await at(edge + 1).take('fresh', 10)).toBe(true);
    expect(await at(edge - 1).take('fresh', 10, 8)).toBe(true);
    expect(await at(edge + 1).take('fresh', 10)).toBe(false);
  });

  test('what a version has taken by clock hours counts to the end of the next one', async () => {
    const key = {
      pk: { S: `${table.tenant}#SIGNAL#siem` },
      sk: { S: `HOUR#${toInstant(START).slice(0, 13)}` },
    };
    const Item = { ...key, taken: { N: '8' } };
    await table.aws.json('dynamodb', 'PutItem', { TableName: 'ledger', Item });
    table.now = START + 3600_000 + 59 * 60_000;
    expect([await store().take('siem', 10, 3), await store().take('siem', 10, 2)]).toEqual([false, true]);
  });

  test('what is held is committed with its record, listed while it waits, and decided on by the first one only', async () => {
    const before = await table.created();
    const commit = (from: typeof before, held: HeldSignal) =>
      table.ledger.commit({ before: from, after: from, held, records: [table.draft('signal-held')] });
    const head = await commit(before, HELD);
    expect(await store().allHeld()).toEqual([HELD]);
    const denied: HeldSignal = { ...HELD, status: 'denied', version: 2 };
    const after = await commit(head, denied);
    await expect(commit(after, { ...HELD, status: 'approved', version: 2 })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
    expect(await store().held(HELD.id)).toEqual(denied);
    expect(await store().allHeld()).toEqual([]);
    expect((await table.recordsOf(after)).map(({ message }) => message)).toEqual([
      'registration-intended',
      'signal-held',
      'signal-held',
    ]);
  });
});

describe('a flood that is validly signed', () => {
  const MINUTE = 60_000;
  const POLICY = { perHour: 8, maxCredentials: 3, suspendHeld: 4 };
  /** In which minute how many come at once: less than the budget, around the end of an hour, and once what was first has left it. */
  const WAVES = [
    [50, 5],
    [59.999, 12],
    [60.001, 12],
    [109.9, 12],
    [111, 12],
    [119.999, 12],
    [121, 12],
    [172, 12],
  ] as const;
  const NAMES = ['orders', 'db-1', 'db-2', 'db-3', 'db-4'];
  const valueOf = (name: string): string => `a-value-of-${name}-that-works-0123456789`;

  async function active(name: string): Promise<Credential> {
    const before = await table.created({ name, status: 'active' });
    const current: Key = {
      handle: { id: `user-${name}`, generation: 1 },
      versionId: 'v1',
      fingerprint: fingerprint(new Redacted(valueOf(name))),
      issuedAt: toInstant(START),
    };
    const after = { ...before, current, live: [current.handle] };
    return table.ledger.commit({ before, after, keys: [current], records: [table.draft('registered')] });
  }

  /** What was changed so far, as the trails, the machines and the rotations have it. */
  async function changes({ emergencies, suspensions, rotations }: SignalWorld, heads: readonly Credential[]) {
    const records = (await Promise.all(heads.map((head) => table.recordsOf(head, head.seq + 1)))).flat();
    const told = records.map(({ metadata }) => metadata.correlation_uid);
    const begun = [...emergencies.map(({ id }) => id), ...suspensions.keys()];
    return {
      changed: new Set([...told, ...begun, ...rotations]).size,
      revoked: emergencies.flatMap(({ credentials }) => credentials).length,
      suspended: [...suspensions.values()].flatMap(({ values }) => values).length,
    };
  }

  test.each(SIGNAL_SOURCES)(
    'of %s has no 60 minutes with more changes than its budgets, however many come at once',
    async (source) => {
      const one = await SignalWorld.start(POLICY, { signals: store(), ledger: table.ledger });
      const heads = await Promise.all(NAMES.map(active));
      const grown: { at: number; taken: number; changed: number; revoked: number; suspended: number }[] = [];
      let sent = 1;
      for (const [minute, count] of WAVES) {
        one.now = table.now = START + minute * MINUTE;
        const wave = Array.from({ length: count }, async () => {
          const name = NAMES[sent % NAMES.length] ?? '';
          return one.signed(source, valueOf(name), sent++);
        });
        const deliveries = await Promise.all(wave);
        const before = await changes(one, heads);
        const answers = await Promise.all(deliveries.map((each) => one.send(each)));
        const after = await changes(one, heads);
        const statuses = answers.map(({ response }) => response.statusCode);
        expect(statuses.filter((status) => status !== 202 && status !== 429)).toEqual([]);
        grown.push({
          at: table.now,
          taken: statuses.filter((status) => status === 202).length,
          changed: after.changed - before.changed,
          revoked: after.revoked - before.revoked,
          suspended: after.suspended - before.suspended,
        });
      }
      const most = (what: 'taken' | 'changed' | 'revoked' | 'suspended'): number => {
        const within = grown.map(({ at: from }) =>
          grown.filter(({ at }) => at >= from && at < from + 60 * MINUTE),
        );
        return Math.max(...within.map((some) => some.reduce((sum, each) => sum + each[what], 0)));
      };
      // Nor is less done than there is. From GitGuardian, which shows no value, nothing follows but a look.
      const { perHour, maxCredentials, suspendHeld } = POLICY;
      const isProven = ['github', 'github-partner', 'siem'].includes(source);
      expect([most('taken'), most('changed'), most('revoked'), most('suspended')]).toEqual([
        perHour,
        source === 'gitguardian' ? 0 : perHour,
        isProven ? maxCredentials : 0,
        isProven ? suspendHeld : 0,
      ]);
      expect(grown.map(({ taken }) => taken)).toEqual([5, 3, 0, 0, 5, 0, 3, 5]);
    },
  );
});

describe('what is usual', () => {
  const baselines = (): DynamoDbBaselines =>
    new DynamoDbBaselines({ aws: table.aws, table: 'ledger', tenant: table.tenant, clock: () => table.now });
  const SECRET = 'agents/orders';
  const found = (what: string): Suspicion =>
    suspicionOf(SECRET, { kind: 'role', principal: 'arn:role' }, toInstant(table.now), {
      rule: 'network',
      what,
      text: `from ${what}`,
    });

  test('is kept for the secret and each reader, by the first of two who change it at once', async () => {
    const known = { days: [{ day: '2026-11-22', busiest: 3, traits: { hour: ['10'] } }], open: [] };
    expect(await baselines().read(SECRET, 'one')).toEqual({ baseline: NOTHING_KNOWN, version: 0 });
    const writes = [1, 2, 3].map(() => baselines().keep(SECRET, 'one', { baseline: known, version: 0 }));
    expect((await Promise.all(writes)).filter(Boolean)).toHaveLength(1);
    expect(await baselines().read(SECRET, 'one')).toEqual({ baseline: known, version: 1 });
    expect(await baselines().read(SECRET)).toEqual({ baseline: NOTHING_KNOWN, version: 0 });
    expect(await baselines().keep(SECRET, 'one', { baseline: NOTHING_KNOWN, version: 1 })).toBe(true);
  });

  test('and what is not waits until it is weighed, and is told anew after a week', async () => {
    await baselines().suspect(found('10.0.0.0/24'));
    table.now += 1000;
    await baselines().suspect(found('10.0.0.0/24'));
    await baselines().suspect(found('10.0.1.0/24'));
    const waiting = await baselines().suspicions(10);
    expect(waiting.map(({ what, at }) => [what, at])).toEqual([
      ['10.0.0.0/24', toInstant(START)],
      ['10.0.1.0/24', toInstant(START + 1000)],
    ]);
    expect(await baselines().suspicions(1)).toHaveLength(1);
    for (const each of waiting) await baselines().weighed(each);
    await baselines().suspect(found('10.0.0.0/24'));
    expect(await baselines().suspicions(10)).toEqual([]);
    table.now += (TOLD_SECONDS + 60) * 1000;
    await baselines().suspect(found('10.0.0.0/24'));
    expect(await baselines().suspicions(10)).toHaveLength(1);
  });

  test('how far reports of uses were judged is kept, the newest alone', async () => {
    expect(await baselines().progress()).toBeUndefined();
    await baselines().proceed({ slot: toInstant(START), page: 'two' });
    await baselines().proceed({ slot: toInstant(START + 900_000) });
    expect(await baselines().progress()).toEqual({ slot: toInstant(START + 900_000) });
  });

  test('a signal that is taken with its record is taken once, or neither is there', async () => {
    const before = await table.created();
    const taken = { source: 'anomaly', id: 'one', suspicions: ['s-1', 's-2'] };
    const commit = (from: typeof before) =>
      table.ledger.commit({ before: from, after: from, taken, records: [table.draft('anomaly-seen')] });
    const after = await commit(before);
    expect(await store().taken('anomaly', 'one')).toMatchObject({ round: 0 });
    expect(await store().told(before.id)).toEqual({
      signal: 'one',
      at: toInstant(START),
      suspicions: ['s-1', 's-2'],
    });
    expect(await store().told('another')).toBeUndefined();
    await expect(commit(after)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect((await table.recordsOf(after)).map(({ message }) => message)).toEqual([
      'registration-intended',
      'anomaly-seen',
    ]);
  });
});
