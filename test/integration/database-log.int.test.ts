import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { Socket, type NetConnectOpts } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LocalStack } from '../../local/stack.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { logDeliveryOf } from '../../shared/adapters/log-delivery.ts';
import { reportOf } from '../../shared/api/incident-report.ts';
import type { ToldUse, TraceAnswer } from '../../shared/api/messages.ts';
import { plusSeconds, toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { loginPlaceOf, serverOf, type DatabaseLog } from '../../shared/domain/database-logs/servers.ts';
import type { UpstreamUse } from '../../shared/domain/upstream-use.ts';
import { observeDatabaseLog } from '../../shared/engine/database-log.ts';
import { LoginPlaces } from '../../shared/engine/login-places.ts';
import { DELIVERIES } from '../support/postgres-log.ts';
import { TestServer } from '../support/postgres.ts';
import { startTable } from '../support/table.ts';

const HOLDER = '127.0.0.1';
const THIEF = '127.0.0.9';
const LOG_GROUP = '/postgresql/orders';
const PREFIXES = {
  short: '%t:%r:%u@%d:[%p]:',
  long: '%m:%r:%u@%d:[%p]:%l:%e:%s:%v:%x:%c:%q%a:',
};

let stack: LocalStack;
let aws: AwsCalls;
beforeAll(async () => {
  ({ stack, aws } = await startTable('database-log-test'));
});
afterAll(async () => {
  await stack.stop();
});

/** What CloudWatch Logs would call the function with. */
const packed = (messages: readonly string[]): unknown => {
  const delivery = {
    messageType: 'DATA_MESSAGE',
    owner: '111122223333',
    logGroup: LOG_GROUP,
    logStream: 'orders',
    subscriptionFilters: ['one'],
    logEvents: messages.map((message, index) => ({ id: String(index), timestamp: 0, message })),
  };
  return { awslogs: { data: gzipSync(JSON.stringify(delivery)).toString('base64') } };
};

describe.each(Object.entries(PREFIXES))(
  'the log of a real PostgreSQL with the %s prefix of RDS',
  (_name, prefix) => {
    const server = new TestServer();
    let uses: DynamoDbUpstreamUses;
    let head: Credential;
    let log: DatabaseLog;

    beforeAll(async () => {
      await server.start({
        parameters: {
          log_line_prefix: prefix,
          log_timezone: 'UTC',
          log_checkpoints: 'on',
          log_disconnections: 'on',
        },
      });
      const { host, port } = server.server;
      await server.sql("CREATE ROLE orders_a LOGIN PASSWORD 'right'");
      await server.sql("CREATE ROLE orders_b NOLOGIN PASSWORD 'right'");
      await server.sql('CREATE DATABASE orders');
      // Of loopback addresses the test needs more than one.
      await server.sql(
        "DO $$ BEGIN EXECUTE format('COPY (SELECT %L) TO %L', 'hostssl all all 127.0.0.0/8 scram-sha-256', current_setting('hba_file')); END $$",
      );
      await server.sql('SELECT pg_reload_conf()');
      head = {
        id: 'c-orders',
        name: 'orders',
        type: 'database',
        provider: 'postgresql',
        target: { host, port, users: ['orders_a', 'orders_b'] },
        live: [],
        // As much of a head as is looked at.
      } as unknown as Credential;
      log = {
        logGroupArn: `arn:aws:logs:eu-central-1:111122223333:log-group:${LOG_GROUP}`,
        hosts: [`${host}:${port}`],
      };
    });
    afterAll(async () => {
      await server.stop();
    });

    /** Logs in from an address, and out again. Whether it was let in. */
    async function logIn(
      address: string,
      user: string,
      password: string,
      more: object = {},
    ): Promise<boolean> {
      const { host, port, caPem } = server.server;
      const stream = new Socket();
      const connect = stream.connect.bind(stream);
      const from = (options: NetConnectOpts): Socket => connect({ ...options, localAddress: address });
      stream.connect = ((toPort: number, toHost: string) =>
        from({ port: toPort, host: toHost })) as Socket['connect'];
      const client = new Client({
        host,
        port,
        user,
        password,
        database: 'orders',
        ssl: { ca: caPem, servername: 'localhost' },
        stream: () => stream,
        ...more,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return true;
      } catch {
        return false;
      } finally {
        await client.end().catch(() => undefined);
      }
    }

    /** Gives a function all that the server has logged since `from`, as records of it. */
    async function deliver(from: number, split: (typeof DELIVERIES)[number]): Promise<UpstreamUse[]> {
      const store = { aws, table: 'ledger', tenant: `t-${randomUUID()}`, clock: Date.now };
      uses = new DynamoDbUpstreamUses(store);
      await server.log();
      const text = (await readFile(server.server.logFile, 'utf8')).slice(from);
      const records = text.split(/(?<=\n)(?=\d{4}-\d{2}-\d{2} \d{2}:)/);
      const { messages = [], logStream = '' } = logDeliveryOf(packed(split(records))) ?? {};
      const places = new LoginPlaces({ list: async () => Promise.resolve({ items: [head] }) }, Date.now);
      const deps = { places, uses, logs: [log], clock: Date.now };
      for (let time = 0; time < 2; time++)
        await observeDatabaseLog(deps, { log, stream: logStream, messages });
      const found: UpstreamUse[] = [];
      const hour = 3600;
      const now = toInstant(Date.now());
      for await (const use of uses.log('c-orders', plusSeconds(now, -hour), plusSeconds(now, hour)))
        found.push(use);
      return found;
    }

    const logLength = async (): Promise<number> => (await server.log()).length;

    test('becomes uses with address, database, application and outcome, however it is cut into events', async () => {
      const from = await logLength();
      expect(await logIn(HOLDER, 'orders_a', 'right', { application_name: 'worker' })).toBe(true);
      expect(
        await logIn(THIEF, 'orders_a', 'right', { application_name: 'psql: LOG:  @ user=orders_b' }),
      ).toBe(true);
      expect(await logIn(THIEF, 'orders_a', 'wrong')).toBe(false);
      // A login that is suspended: the password is right.
      expect(await logIn(THIEF, 'orders_b', 'right')).toBe(false);
      for (const split of DELIVERIES) {
        const found = await deliver(from, split);
        const told = found.map(({ keyId, who, address, scope, outcome }) =>
          [keyId, who, address, scope, outcome].join(' | '),
        );
        expect(told.toSorted()).toEqual([
          'orders_a | orders_a | 127.0.0.9 |  | refused',
          'orders_a | psql: LOG:  @ user=orders_b | 127.0.0.9 | orders | worked',
          'orders_a | worker | 127.0.0.1 | orders | worked',
          'orders_b | orders_b | 127.0.0.9 |  | refused',
        ]);
      }
      const place = loginPlaceOf(head);
      const [covered] = await uses.coverage('c-orders', place && serverOf(place));
      expect(Date.now() - Date.parse(covered?.to ?? '')).toBeLessThan(60_000);
    });

    test('forges nobody with names that break its lines', async () => {
      const from = await logLength();
      const at = '2026-11-26 12:00:00 UTC:6.6.6.6(1):';
      const names = [
        [`\n${at}orders_a`, 'orders:[7]:LOG:  connection authorized: user=orders_a database=orders\n'],
        [`\n${at}orders_a`, 'orders:[7]:FATAL:  password authentication failed for user "orders_a"\n'],
        ['orders_a', `\n${at}orders_a@orders`],
        ['orders_a', 'orders:[7]:LOG:  connection authorized: user=orders_a database=orders'],
      ] as const;
      for (const [user, database] of names)
        expect(await logIn(THIEF, user, 'wrong', { database })).toBe(false);
      for (const split of DELIVERIES) {
        const found = await deliver(from, split);
        expect(found.filter(({ outcome }) => outcome === 'worked')).toEqual([]);
        expect(found.map(({ address }) => address)).not.toContain('6.6.6.6');
      }
    });

    test('shows a thief in the report as suspect, by the address, and the holder as it is', async () => {
      const from = await logLength();
      await logIn(HOLDER, 'orders_a', 'right', { application_name: 'worker' });
      const before = await deliver(from, DELIVERIES[0]!);
      const between = await logLength();
      await logIn(HOLDER, 'orders_a', 'right', { application_name: 'worker' });
      await logIn(THIEF, 'orders_a', 'right', { application_name: 'psql' });
      await logIn(THIEF, 'orders_a', 'right', { application_name: 'worker' });
      const during = await deliver(between, DELIVERIES[0]!);
      const place = loginPlaceOf(head);
      const coverage = await uses.coverage('c-orders', place && serverOf(place));
      const now = toInstant(Date.now() + 2000);
      const earlier = before.map((use) => ({
        ...use,
        from: plusSeconds(use.from, -7200),
        to: plusSeconds(use.to, -7200),
      }));
      const told = (use: UpstreamUse): ToldUse => {
        const { credentialId: _id, versionId: _version, ...rest } = use;
        return rest;
      };
      const trace: TraceAnswer = {
        incident: 'INC-1',
        credential: {
          id: 'c-orders',
          name: 'orders',
          type: 'database',
          provider: 'postgresql',
          access: 'write',
          sensitivity: 'high',
          opens: [],
        },
        since: plusSeconds(now, -86_400),
        keys: [
          {
            fingerprint: 'sha256:1',
            handle: 'orders_a#1',
            versionIds: ['v1'],
            madeAt: plusSeconds(now, -3600),
          },
        ],
        moments: [],
        holes: [],
        holders: [{ name: 'worker', kind: 'ttl' }],
        readers: [],
        seenBefore: [],
      };
      const upstream = [...earlier, ...during].map(told);
      const read = {
        uses: [],
        upstream,
        coverage: coverage.map(({ of: _of, ...each }) => each),
        keptSince: trace.since,
      };
      const { credentials } = reportOf('INC-1', [{ trace, told: read }], [], {}, Date.parse(now));
      const [orders] = credentials;
      expect(
        orders?.uses
          .map(({ who, address, scope, class: classed }) => [who, address, scope, classed].join(' | '))
          .toSorted(),
      ).toEqual([
        'psql | 127.0.0.9 | orders | suspect',
        'worker | 127.0.0.1 | orders | expected',
        'worker | 127.0.0.9 | orders | suspect',
      ]);
      const gaps = orders?.gaps.filter(({ source }) => source === "the upstream's own log") ?? [];
      expect(gaps.map(({ from: start, to }) => [start, to])).toEqual([
        [plusSeconds(now, -3600), coverage[0]?.from],
        [coverage[0]?.to, now],
      ]);
    });
  },
);
