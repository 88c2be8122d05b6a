import { beforeEach, describe, expect, test } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { DatabaseLog } from '../../../shared/domain/database-logs/servers.ts';
import { observeDatabaseLog } from '../../../shared/engine/database-log.ts';
import { LoginPlaces } from '../../../shared/engine/login-places.ts';
import { letIn, record, turnedAway } from '../../support/postgres-log.ts';
import { MemoryUpstreamUses } from '../../support/upstream-uses.ts';

const GROUP = 'arn:aws:logs:eu-central-1:111122223333:log-group:/aws/rds/instance';
const LOG: DatabaseLog = { logGroupArn: `${GROUP}/orders/postgresql`, hosts: [] };
const OTHER: DatabaseLog = { logGroupArn: `${GROUP}/billing/postgresql`, hosts: [] };
const RDS = 'c9akciq32.eu-central-1.rds.amazonaws.com';
const START = Date.parse('2026-11-26T12:00:00.000Z');
const at = (seconds: number): string => toInstant(START + seconds * 1000);

const client = {
  user: 'orders_a',
  database: 'orders',
  address: '10.0.0.7',
  port: 4711,
  pid: 12_345,
  application: 'worker',
};
/** What is looked at of a head. */
const head = (id: string, host: string): Credential =>
  ({
    id,
    name: id,
    type: 'database',
    provider: 'postgresql',
    target: { host, port: 5432, users: ['orders_a', 'orders_b'] },
    live: [],
  }) as unknown as Credential;

let heads: Credential[];
let lists: number;
let now: number;
let uses: MemoryUpstreamUses;
let places: LoginPlaces;
beforeEach(() => {
  heads = [head('orders', `orders.${RDS}`)];
  [lists, now] = [0, START + 3_600_000];
  uses = new MemoryUpstreamUses();
  const list = async () => {
    lists += 1;
    return Promise.resolve({ items: heads });
  };
  places = new LoginPlaces({ list }, () => now);
});

const observe = async (messages: readonly string[], log = LOG) =>
  observeDatabaseLog(
    { places, uses, logs: [LOG, OTHER], clock: () => now },
    { log, stream: 'orders.0', messages },
  );

describe('a delivery of a log', () => {
  test('becomes a use with login, application, address, database and outcome, known to the second', async () => {
    const answer = await observe([...letIn(at(0), client), ...turnedAway(at(5), { ...client, port: 4712 })]);
    const use = {
      credentialId: 'orders',
      source: 'database-log',
      keyId: 'orders_a',
      address: '10.0.0.7',
      scope: 'orders',
    };
    const { scope: _scope, ...refused } = use;
    expect(uses.uses).toEqual([
      { ...use, who: 'worker', outcome: 'worked', from: at(0), to: at(0.999) },
      { ...refused, who: 'orders_a', outcome: 'refused', from: at(5), to: at(5.999) },
    ]);
    expect(answer).toEqual({
      lines: 5,
      logins: 2,
      written: 2,
      strangers: 0,
      dropped: { forgeable: 1 },
      undecided: [],
    });
  });

  test('is one use for however many databases somebody without a password names, and has none of them', async () => {
    const tries = Array.from({ length: 50 }, (_, index) =>
      turnedAway(at(index), { ...client, port: 5000 + index, database: `hunter2-${index}` }),
    );
    await observe(tries.flat());
    expect(uses.uses).toHaveLength(1);
    expect(JSON.stringify(uses.uses)).not.toContain('hunter2');
  });

  test('has the name of its database in one line of what every terminal shows as it is', async () => {
    await observe(letIn(at(0), { ...client, database: 'x\u001B[2K\u202Eorders' }));
    expect(uses.uses.map(({ scope }) => scope)).toEqual(['x?[2K?orders']);
  });

  test('is the same when it comes twice, and in whichever order deliveries come', async () => {
    const batches = [0, 20, 40, 70].map((second) => letIn(at(second), { ...client, port: 5000 + second }));
    for (const batch of batches) await observe(batch);
    const inOrder = uses.uses;
    uses = new MemoryUpstreamUses();
    for (const batch of [...batches.toReversed(), ...batches]) await observe(batch);
    expect(uses.uses.toSorted((a, b) => (a.from < b.from ? -1 : 1))).toEqual(inOrder);
    expect(inOrder.map(({ from, to }) => [from, to])).toEqual([
      [at(0), at(40.999)],
      [at(70), at(70.999)],
    ]);
  });

  test('keeps nothing of what was asked of the database, nor names of strangers', async () => {
    const asked = record(
      at(1),
      'orders_a@orders',
      client,
      "LOG:  statement: ALTER ROLE x PASSWORD 'hunter2-secret'",
    );
    const mistyped = turnedAway(at(2), { ...client, user: 'hunter2-secret' });
    const answer = await observe([...letIn(at(0), client), asked, ...mistyped]);
    expect(JSON.stringify([answer, uses.uses, uses.covered])).not.toContain('hunter2');
    expect(answer.strangers).toBe(1);
  });

  test('is of the server that the log is of, where two have the same logins', async () => {
    heads.push(head('billing', `billing.${RDS}`));
    await observe(letIn(at(0), client), OTHER);
    expect(uses.uses.map(({ credentialId }) => credentialId)).toEqual(['billing']);
  });

  test('names credentials that it can not tell apart, and keeps no use of either', async () => {
    heads = [head('one', 'db-1.example.com'), head('two', 'db-2.example.com')];
    const answer = await observe(letIn(at(0), client));
    expect(answer.undecided).toEqual(['one', 'two']);
    expect(uses.uses).toEqual([]);
    expect(uses.covered).toEqual([]);
  });
});

describe('the time that a log has told of', () => {
  test('is from its first line to its last one, whatever they say, for each server', async () => {
    const line = (second: number) =>
      record(
        at(second),
        '@',
        { ...client, pid: 1 },
        `LOG:  checkpoint complete: wrote 4 buffers (0.0%); ${'x'.repeat(40)}`,
      );
    await observe([line(0), ...letIn(at(30), client), line(300)]);
    expect(uses.covered.map(({ of }) => of)).toEqual(Array(4).fill(`server:orders.${RDS}:5432`));
    expect(uses.covered.map(({ from, to }) => [from, to])).toEqual([
      [at(0), at(1)],
      [at(30), at(31)],
      [at(30), at(31)],
      [at(300), at(301)],
    ]);
  });

  test('is not what a line says that comes from the future, or could be made up', async () => {
    const answer = await observe([
      ...letIn(at(2 * 3600), client),
      `2026-11-26 11:00:00 UTC:6.6.6.6(1):a@o:[7]:LOG:  checkpoint complete: wrote\n`,
    ]);
    expect(uses.covered).toEqual([]);
    expect(answer.dropped).toEqual({ malformed: 2, forgeable: 1 });
  });

  test('is not what a refusal says that names could have made up', async () => {
    await observe([
      '2026-11-26 11:00:00 UTC:6.6.6.6(1):a@b:[7]:FATAL:  role "a" is not permitted to log in\n',
    ]);
    expect(uses.covered).toEqual([]);
  });

  test('is none where two credentials at the server have the login, whose uses are kept for neither', async () => {
    const target = { host: `orders.${RDS}`, port: 5432, users: ['other_a'] };
    heads.push(head('twin', `orders.${RDS}`), { ...head('other', ''), target });
    expect((await observe(letIn(at(0), client))).undecided).toEqual(['orders', 'twin']);
    expect(uses.uses).toEqual([]);
    expect(new Set(uses.covered.map(({ of }) => of))).toEqual(new Set(['other']));
  });

  test('is told of only after the uses in it are kept', async () => {
    uses.keep = async () => Promise.reject(new Error('the ledger does not answer'));
    await expect(observe(letIn(at(0), client))).rejects.toThrow();
    expect(uses.covered).toEqual([]);
  });
});

describe('heads', () => {
  test('are read once a minute, and sooner for a login that nobody knew', async () => {
    await observe(letIn(at(0), client));
    now += 30_000;
    await observe(letIn(at(30), client));
    expect(lists).toBe(1);
    heads.push({
      ...head('new', `orders.${RDS}`),
      target: { host: `orders.${RDS}`, port: 5432, users: ['new_a'] },
    });
    await observe(letIn(at(31), { ...client, user: 'new_a' }));
    expect(uses.uses.map(({ credentialId }) => credentialId)).toContain('new');
    await observe(letIn(at(32), { ...client, user: 'nobody' }));
    expect(lists).toBe(2);
    now += 61_000;
    await observe(letIn(at(90), client));
    expect(lists).toBe(3);
  });
});
