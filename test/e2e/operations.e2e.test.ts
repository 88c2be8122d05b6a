import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  DescribeSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { EventBridgeClient, RemoveTargetsCommand } from '@aws-sdk/client-eventbridge';
import { DuckDBInstance } from '@duckdb/node-api';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { settledArchive } from '../../local/demo/archive.ts';
import { agentRole } from '../../local/demo/agent.ts';
import { ADMIN_SECRET, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential, TTL_SECONDS } from '../../local/demo/declaration.ts';
import { readLogin, startFleet } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { follow, registerCredentials } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import type {
  AuditAnswer,
  EmergencyAnswer,
  ImpactAnswer,
  ListAnswer,
  PactShownAnswer,
  PlanAnswer,
  RotationView,
  ShowAnswer,
  SubscribeAnswer,
  SubscriptionsAnswer,
} from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { EVENT, OUTPUT } from '../../shared/names.ts';
import type { BusEvent } from '../compat/recorded.ts';
import { Instance } from '../support/agent-api.ts';
import { assumedRole, lambdaSession, readRecord } from '../support/cloudtrail.ts';
import { callAs } from './deployed-agent.ts';
import { apply, quiet, rotate } from './deployed.ts';
import { describeDoctor } from './doctor.ts';
import { describeFoundValues } from './found-values.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { bus, queue, topic, webhook, type Subscriber, type Webhook } from './subscribers.ts';
import { describeUndelivered } from './undelivered.ts';
import { reaches } from './upgrading.ts';

describe('what operators do, on the deployed stack', { timeout: 240_000 }, () => {
  let world: World;
  let vault: SecretsManagerClient;
  /** Subscribed at the beginning: what happens from then on has to reach them. */
  let subscribed: {
    readonly orders: Subscriber;
    readonly reports: Subscriber;
    readonly everything: Subscriber;
    readonly filtered: Awaited<ReturnType<typeof topic>>;
    readonly pager: Webhook;
    readonly deaf: Webhook;
  };

  const show = async (name: string): Promise<ShowAnswer> => rekeyJson(['show', name], world.env);

  beforeAll(async () => {
    await forgetRecording('operations');
    world = await startWorld(quiet);
    vault = new SecretsManagerClient(world.stack.clientConfig);
    await registerCredentials(world, quiet);
    await vault.send(new CreateSecretCommand({ Name: 'agents/taken', SecretString: 'of somebody else' }));
  }, 180_000);

  afterAll(async () => {
    await subscribed?.pager.close();
    await subscribed?.deaf.close();
    try {
      await keepRecording('operations', world);
    } finally {
      await world?.stop();
    }
  }, 60_000);

  test('registering twice changes nothing, and nothing rotates by registration', async () => {
    const before = await readLogin(vault, 'agents/orders');
    const { status, said } = await apply(
      world,
      databaseCredential(world.server, 'orders', 'orders_app', 'order-agents'),
    );
    expect([status, said]).toEqual([0, expect.stringContaining('unchanged')]);
    expect(await readLogin(vault, 'agents/orders')).toEqual(before);
    expect((await show('orders')).rotations).toEqual([]);
  });

  test.for([
    ['an unknown type', { type: 'floppy' }, ['ERR_DECLARATION', 'type']],
    [
      'a window shorter than a holder needs',
      { holders: [{ kind: 'polling', name: 'a', ttl: '1h' }] },
      ['ERR_WINDOW_TOO_SHORT', 'policy.window', '7200'],
    ],
    [
      'a policy looser than the type allows',
      { policy: { interval: '60d' } },
      ['ERR_POLICY', 'policy.interval', '30 days'],
    ],
    [
      'a target that cannot be reached',
      { target: { host: '127.0.0.1', port: 1, database: 'shop', ownerRole: 'late_app' } },
      ['ERR_UNAVAILABLE', 'target'],
    ],
    ['a secret that exists already', { secret: 'agents/taken' }, ['ERR_SECRET_EXISTS', 'secret']],
    ['a secret outside the prefix', { secret: 'payroll/bank' }, ['ERR_DECLARATION', 'secret', 'agents/']],
    ['an administrative secret that does not exist', { admin: 'demo/nothing' }, ['admin']],
  ] as const)(
    '%s is refused with field and remedy, and nothing is left behind',
    async ([, change, expected]) => {
      const good = databaseCredential(world.server, 'late', 'late_app', 'late-agents');
      const { status, said } = await apply(world, { ...good, ...change });
      expect(status).toBe(1);
      for (const part of [...expected, 'remedy']) expect(said).toContain(part);
      const { credentials } = await rekeyJson<ListAnswer>(['list'], world.env);
      expect(credentials.map((one) => one.name)).toEqual(['orders', 'reports']);
      await expect(vault.send(new DescribeSecretCommand({ SecretId: 'agents/late' }))).rejects.toThrow();
    },
  );

  test('`rekey import` sees what is registered already, and proposes nothing for what it may not look at', async () => {
    const { entries, secrets } = await rekeyJson<{
      entries: object[];
      secrets: { secret: string; verdict: string }[];
    }>(['import'], world.env);
    expect(entries).toEqual([]);
    expect(secrets).toContainEqual({ secret: 'agents/orders', verdict: 'registered' });
    expect(secrets.find(({ secret }) => secret === ADMIN_SECRET)?.verdict).toBe('left-out');
  });

  test('who reads a secret, by CloudTrail, is proposed as a holder; Rekey itself, and whom it refused, is not', async () => {
    const lambda = new LambdaClient(world.stack.clientConfig);
    const { Functions = [] } = await lambda.send(new ListFunctionsCommand({ MaxItems: 100 }));
    lambda.destroy();
    const rotator = Functions.find(({ Environment }) =>
      Object.values(Environment?.Variables ?? {}).includes('rotate-database'),
    );
    const own = assumedRole(rotator?.Role?.split(':role/')[1] ?? '', 'rotate');
    const identity = lambdaSession('orders-reader', 'orders-reader');
    const refused = readRecord('agents/orders', assumedRole('stranger', 'x'), { errorCode: 'AccessDenied' });
    const reads = [
      refused,
      readRecord('agents/orders', own),
      readRecord('payroll/bank', identity),
      readRecord('agents/orders', identity),
    ];
    for (const read of reads)
      await world.stack.gateway.cloudTrail({ ...read, eventTime: toInstant(Date.now()) });
    let readers = (await show('orders')).readers ?? [];
    for (const end = Date.now() + 60_000; readers.length === 0 && Date.now() < end; await sleep(250)) {
      readers = (await show('orders')).readers ?? [];
    }
    const principal = `arn:aws:iam::${world.stack.accountId}:role/orders-reader`;
    expect(own).toMatchObject({ arn: expect.stringContaining('/rekey-local-rotation-') });
    expect(readers).toMatchObject([
      {
        kind: 'lambda',
        principal,
        proposal: { kind: 'lambda', name: 'orders-reader', function: 'orders-reader', principal },
      },
    ]);
    expect((await rekey(['show', 'orders'], world.env)).stdout).toContain(
      '- { kind: lambda, name: orders-reader, function: orders-reader',
    );
  });

  describeDoctor(() => ({ world, vault }));

  test('a fleet is subscribed to queues, topics, buses and webhooks, and an interrupted subscription is completed', async () => {
    subscribed = {
      orders: await queue(world, 'order-events'),
      reports: await queue(world, 'report-events'),
      everything: await bus(world, 'security'),
      filtered: await topic(world, 'fleets', ['order-agents', 'report-agents']),
      pager: await webhook(world, 'pager', 'of-the-pager', [500, 500, 204]),
      deaf: await webhook(world, 'deaf', 'of-the-deaf', [500]),
    };
    const { orders, reports, everything, filtered, pager, deaf } = subscribed;
    const subscribe = async (...args: string[]): Promise<SubscribeAnswer> =>
      rekeyJson(['subscribe', ...args], world.env);
    const tried = await subscribe('order-agents', '--to', orders.arn, '--dry-run');
    expect(tried).toMatchObject({ outcome: 'subscribed', dryRun: true });
    expect(tried.needs[0]?.statement).toMatchObject({ Action: 'sqs:SendMessage', Resource: orders.arn });
    const list = async (): Promise<SubscriptionsAnswer['subscriptions']> =>
      (await rekeyJson<SubscriptionsAnswer>(['subscriptions'], world.env)).subscriptions;
    expect(await list()).toEqual([]);

    const first = await subscribe('order-agents', '--to', orders.arn);
    expect(first).toMatchObject({ outcome: 'subscribed', subscription: { state: 'delivering' } });
    await subscribe('report-agents', '--to', reports.arn);
    await subscribe('report-agents', '--to', pager.arn, '--events', 'halt,resume');
    await subscribe('report-agents', '--to', deaf.arn, '--events', 'halt');
    await subscribe('--all', '--to', everything.arn, '--events', 'retired,halt,emergency-ended');
    await subscribe('--all', '--to', filtered.arn);
    const again = await subscribe('report-agents', '--to', reports.arn);
    expect(again.outcome).toBe('unchanged');

    // An attempt that died between the rule and its target.
    const events = new EventBridgeClient(world.stack.clientConfig);
    const Rule = `subscription-${first.subscription.id}`;
    const EventBusName = world.output(OUTPUT.bus);
    await events.send(new RemoveTargetsCommand({ EventBusName, Rule, Ids: ['subscriber'] }));
    expect((await list()).find(({ to }) => to === orders.arn)?.state).toBe('incomplete');
    expect(await subscribe('order-agents', '--to', orders.arn)).toMatchObject({ outcome: 'completed' });
    const shown = await list();
    expect(shown.map(({ state }) => state)).toEqual(Array(6).fill('delivering'));
    expect(shown.find(({ to }) => to === orders.arn)).toMatchObject({
      fleet: 'order-agents',
      by: expect.stringMatching(/^arn:aws:/),
    });

    for (const [to, part] of [
      ['arn:aws:lambda:eu-central-1:111122223333:function:x', 'SQS queue'],
      [`${orders.arn}.fifo`, 'standard'],
      [orders.arn.replace(world.stack.accountId, '444455556666'), 'bus of that account'],
    ] as const) {
      const { status, stderr } = await rekey(['subscribe', 'order-agents', '--to', to, '--json'], world.env);
      expect([status, stderr]).toEqual([1, expect.stringContaining(part)]);
    }
    expect(await list()).toHaveLength(6);
  });

  test('a rollback in the window leads agents back without a failed login, and the new credential dies', async () => {
    const old = await readLogin(vault, 'agents/orders');
    const fleet = startFleet(world.server, world.stack, {
      agents: 2,
      secret: 'agents/orders',
      ttlSeconds: TTL_SECONDS,
      query: 'INSERT INTO shop.orders DEFAULT VALUES',
      pauseMs: 20,
    });
    try {
      const id = await rotate(world, 'orders');
      await reaches(world, 'orders', id, 'window');
      const failed = await readLogin(vault, 'agents/orders');
      await sleep(2500);
      await rekeyJson(['rollback', 'orders'], world.env);
      const ended = await follow(world, 'orders', id, quiet);
      expect(ended).toMatchObject({ phase: 'rolled-back', tombstoned: true });
      await fleet.stop();
      expect(fleet.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
      expect(await readLogin(vault, 'agents/orders')).toEqual(old);
      expect(await tryLogin(world.server, old)).toBe('accepted');
      expect(await tryLogin(world.server, failed)).toBe('refused');
      const described = await vault.send(new DescribeSecretCommand({ SecretId: 'agents/orders' }));
      expect(Object.values(described.VersionIdsToStages ?? {}).flat()).not.toContain('AWSPENDING');
    } finally {
      await fleet.stop();
    }
  });

  test('hard decision 4: RotateSecret by anybody gets the same lifecycle, and a second rotation meanwhile is refused with what is under way', async () => {
    await vault.send(new RotateSecretCommand({ SecretId: 'agents/orders' }));
    await sleep(500);
    let id: string | undefined;
    for (const end = Date.now() + 20_000; id === undefined && Date.now() < end; await sleep(150)) {
      id = (await show('orders')).rotations.find((one) => !one.over)?.id;
    }
    const refused = await rekey(['rotate', 'orders', '--json'], world.env);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toMatch(/ERR_(WINDOW_OPEN|ROTATION_UNDER_WAY)/);
    expect(refused.stderr).toContain(id);
    expect(refused.stderr).toContain('secretsmanager.amazonaws.com');
    expect(await follow(world, 'orders', id ?? '', quiet)).toMatchObject({
      phase: 'completed',
      trigger: { kind: 'vault' },
    });
  });

  test('an emergency in an open window preempts the rotation: only the replacement works', async () => {
    const first = await readLogin(vault, 'agents/reports');
    const id = await rotate(world, 'reports');
    await reaches(world, 'reports', id, 'window');
    const second = await readLogin(vault, 'agents/reports');
    const ended = await rekeyJson<EmergencyAnswer>(
      ['revoke', 'reports', '--incident', 'INC-7', '--reason', 'test', '--yes', '--wait'],
      world.env,
    );
    expect(ended.status).toBe('SUCCEEDED');
    const replacement = await readLogin(vault, 'agents/reports');
    expect(await tryLogin(world.server, first)).toBe('refused');
    expect(await tryLogin(world.server, second)).toBe('refused');
    expect(await tryLogin(world.server, replacement)).toBe('accepted');
    const { credential, rotations } = await show('reports');
    expect(credential.status).toBe('active');
    expect(rotations.find((one) => one.id === id)).toMatchObject({ phase: 'preempted', tombstoned: true });
    expect(await follow(world, 'reports', await rotate(world, 'reports'), quiet)).toMatchObject({
      phase: 'completed',
    });
  });

  test('hard decision 14: a fleet hears of what concerns it and of nothing else, an emergency included', async () => {
    const { orders, reports, everything, filtered, pager } = subscribed;
    const types = (events: readonly BusEvent[]): string[] => [
      ...new Set(events.map((event) => event['detail-type'])),
    ];
    const has = async (of: Subscriber, ...wanted: string[]): Promise<readonly BusEvent[]> => {
      let events = await of.received();
      const end = Date.now() + 60_000;
      for (; !wanted.every((type) => types(events).includes(type)) && Date.now() < end; await sleep(250))
        events = await of.received();
      expect(types(events)).toEqual(expect.arrayContaining(wanted));
      return events;
    };
    const planned = [EVENT.announced, EVENT.rotated, EVENT.retired];
    const urgent = [EVENT.revoked, EVENT.halt, EVENT.resume];
    const ofOrders = await has(orders, ...planned, EVENT.rolledBack);
    const ofReports = await has(reports, ...planned, ...urgent);
    const fleets = (events: readonly BusEvent[]): string[] => [
      ...new Set(events.map(({ detail }) => JSON.stringify(detail['fleets']))),
    ];
    expect(fleets(ofOrders)).toEqual(['["order-agents"]']);
    expect(fleets(ofReports)).toEqual(['["report-agents"]']);
    expect(types(ofOrders).filter((type) => urgent.some((each) => each === type))).toEqual([]);

    const paged = await has(pager, EVENT.halt, EVENT.resume);
    // In any order: its first call is refused twice, and comes again when the other may have come.
    expect(types(paged).sort()).toEqual([EVENT.halt, EVENT.resume].sort());
    expect(fleets(paged)).toEqual(['["report-agents"]']);
    expect(pager.calls[0]?.headers).toMatchObject({ 'x-api-key': 'of-the-pager' });

    const forwarded = await has(everything, EVENT.retired, EVENT.halt, EVENT.emergency);
    expect(new Set(types(forwarded))).toEqual(new Set([EVENT.retired, EVENT.halt, EVENT.emergency]));

    const [throughFilter, others] = filtered.behind;
    const ids = (events: readonly BusEvent[]): Set<unknown> =>
      new Set(events.map(({ detail }) => detail['id']));
    if (throughFilter === undefined || others === undefined) throw new Error('a topic has two subscribers');
    expect(ids(await has(throughFilter, ...planned))).toEqual(ids(await has(orders)));
    expect(ids(await has(others, ...planned, ...urgent))).toEqual(ids(await has(reports)));
  });

  describeUndelivered(() => ({ world, ...subscribed }));

  test('a subscription that was ended delivers nothing any more, and the others go on', async () => {
    const { orders, everything } = subscribed;
    const before = (await orders.received()).length;
    const others = (await everything.received()).length;
    expect((await rekey(['unsubscribe', 'order-agents'], world.env)).stdout).toContain('unsubscribed');
    expect((await rekey(['unsubscribe', 'order-agents'], world.env)).status).toBe(1);
    await follow(world, 'orders', await rotate(world, 'orders'), quiet);
    for (const end = Date.now() + 60_000; Date.now() < end; await sleep(250))
      if ((await everything.received()).length > others) break;
    expect((await everything.received()).at(-1)).toMatchObject({ 'detail-type': EVENT.retired });
    expect(await orders.received()).toHaveLength(before);
  });

  describeFoundValues(() => ({ world, vault }));

  test('`rekey rotate --dry-run` tells who is hit and when, and starts nothing', async () => {
    const before = (await show('orders')).rotations.length;
    const impact = await rekeyJson<ImpactAnswer & { allowed: boolean }>(
      ['rotate', 'orders', '--dry-run'],
      world.env,
    );
    expect(impact).toMatchObject({ allowed: true, refusals: [], affected: [{ name: 'order-agents' }] });
    expect(impact.now.map(({ milestone }) => milestone)).toContain('revocation');
    expect((await show('orders')).rotations).toHaveLength(before);
  });

  test('the auditor’s query answers over the archive as it does from the ledger', async () => {
    const answer = await rekeyJson<AuditAnswer>(['audit'], world.env);
    const records = await settledArchive(world.stack, world.output(OUTPUT.archive), answer.records);
    const archive = join(world.dir, 'archive');
    for (const record of records) {
      const { cloud, metadata } = record;
      const dt = record.time_dt.slice(0, 10);
      const file = join(
        archive,
        `tenant=${metadata.tenant_uid}/account=${cloud.account.uid}/region=${cloud.region}/dt=${dt}`,
        `${record.entity.uid}-${metadata.sequence}.json`,
      );
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, JSON.stringify(record));
    }
    const sql = await readFile(
      join(import.meta.dirname, '../../infra/queries/rotations-last-12-months.sql'),
      'utf8',
    );
    const connection = await (await DuckDBInstance.create()).connect();
    await connection.run(
      `CREATE VIEW audit_records AS SELECT * FROM read_json('${archive}/**/*.json', hive_partitioning = true, hive_types = {'dt': VARCHAR, 'account': VARCHAR})`,
    );
    const rows = (await connection.runAndReadAll(sql)).getRowObjects();
    expect(rows).toHaveLength(answer.rotations.length);
    const key = (rotation: unknown, deactivation: unknown): string =>
      `${String(rotation)} ${String(deactivation)}`;
    expect(new Set(rows.map((row) => key(row['rotation'], row['deactivation'])))).toEqual(
      new Set(answer.rotations.map((one) => key(one.rotation, one.deactivation))),
    );
    expect(answer.chain.faults).toEqual([]);
  });

  test('an agent proves over the agent API that it has moved, and only then the old credential dies', async () => {
    const principal = await agentRole(world, 'shopper');
    const good = databaseCredential(world.server, 'shop', 'shop_app', 'shopper');
    const holders = [{ kind: 'client', name: 'shopper', principal }];
    expect(await apply(world, { ...good, holders })).toMatchObject({ status: 0 });
    const [own, stranger] = await Promise.all([
      callAs(world, principal),
      agentRole(world, 'stranger').then((arn) => callAs(world, arn)),
    ]);
    const pact = {
      version: 1,
      agent: 'shopper',
      credentials: [
        { credential: 'shop', refresh: 'in-session', ttl: '2s', staleLimit: '10s', uses: 'unreported' },
      ],
      sessionLimit: '1h',
    };
    expect(await stranger.call('PUT', '/agents/shopper/pact', pact)).toMatchObject({
      status: 403,
      body: { code: 'ERR_FORBIDDEN' },
    });
    expect(await own.call('PUT', '/agents/shopper/pact', pact)).toMatchObject({ status: 200 });
    const instance = await Instance.make(own, 'host-1', 'HS256', 'shopper');
    const opened = await instance.open();
    expect(opened).toMatchObject({ status: 201, body: { notices: [{ state: 'steady' }] } });
    const [before] = opened.body['notices'] as Record<string, string>[];
    const old = await readLogin(vault, 'agents/shop');
    const id = await rotate(world, 'shop');
    await reaches(world, 'shop', id, 'window');
    // Longer than the window: without the proof nothing ends.
    await sleep(7000);
    expect(await tryLogin(world.server, old)).toBe('accepted');
    const [notice] = (await instance.say('notices')).body['notices'] as Record<string, string>[];
    expect(notice).toMatchObject({ state: 'window', rotation: id, acknowledge: true });
    const { SecretString = '' } = await vault.send(
      new GetSecretValueCommand({ SecretId: 'agents/shop', VersionId: notice?.['versionId'] }),
    );
    const about = {
      credential: 'shop',
      rotation: id,
      versionId: notice?.['versionId'] ?? '',
      fingerprint: notice?.['fingerprint'] ?? '',
    };
    expect(await instance.acknowledge(about, 'guessed')).toMatchObject({ body: { code: 'ERR_PROOF' } });
    expect(await instance.holds(about.versionId, 'shop')).toMatchObject({ status: 200 });
    const use = { credential: 'shop', versionId: about.versionId, succeeded: 1, refused: 0 };
    const at = toInstant(Date.now());
    expect(await instance.report([{ ...use, from: at, to: at }])).toMatchObject({ status: 200 });
    expect(await instance.acknowledge(about, SecretString)).toMatchObject({ status: 200 });
    const shown = await rekeyJson<PactShownAnswer>(['pacts', 'show', 'shopper'], world.env);
    expect(shown.sessions).toMatchObject([{ instance: 'host-1', state: 'running' }]);
    expect(await follow(world, 'shop', id, quiet)).toMatchObject({ phase: 'completed' });
    expect(await tryLogin(world.server, old)).toBe('refused');
    // It holds what is dead now, and says so after it has acknowledged.
    expect((await instance.holds(before?.['versionId'] ?? '', 'shop')).body['notices']).toMatchObject([
      { urgent: true },
    ]);
    expect(await instance.close()).toMatchObject({ status: 200 });
  });

  // Last: it goes on rotating every minute.
  test('P1: a credential whose due date comes is rotated by the planner unasked, and `rekey plan` tells of it before', async () => {
    const good = databaseCredential(world.server, 'brief', 'brief_app', 'brief-agents');
    const policy = { interval: '60s', window: '5s', deadline: '10s', cap: '10s', soak: '1s' };
    expect((await apply(world, { ...good, policy })).status).toBe(0);
    const old = await readLogin(vault, 'agents/brief');
    const { plan } = await rekeyJson<PlanAnswer>(['plan', '--within', '1h'], world.env);
    expect(plan.map(({ credential }) => credential)).toEqual(['brief']);
    const [entry] = plan;
    const lead = Date.parse(entry?.deadline ?? '') - Date.parse(entry?.starts ?? '');
    expect([lead, entry?.why]).toEqual([
      15_000,
      expect.stringContaining('every 1 minute: declared, tighter'),
    ]);
    let planned: RotationView | undefined;
    for (const end = Date.now() + 180_000; planned === undefined && Date.now() < end; await sleep(500)) {
      planned = (await show('brief')).rotations.findLast(({ trigger }) => trigger.kind === 'planner');
    }
    expect(planned?.trigger.actor).toBe('plan-rotations');
    expect(await follow(world, 'brief', planned?.id ?? '', quiet)).toMatchObject({ phase: 'completed' });
    expect(await tryLogin(world.server, old)).toBe('refused');
  });
});
