import { setTimeout as sleep } from 'node:timers/promises';
import {
  CreateSecretCommand,
  RotateSecretCommand,
  SecretsManagerClient,
  DescribeSecretCommand,
} from '@aws-sdk/client-secrets-manager';
import { LambdaClient, ListFunctionsCommand } from '@aws-sdk/client-lambda';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ADMIN_SECRET, tryLogin } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import { follow, registerCredentials } from '../../local/demo/scenario.ts';
import { startWorld, type World } from '../../local/demo/world.ts';
import { LocalSources } from '../../local/signals.ts';
import type {
  EmergencyAnswer,
  ImpactAnswer,
  ListAnswer,
  PlanAnswer,
  RotationView,
  ShowAnswer,
} from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { assumedRole, lambdaSession, readRecord } from '../support/cloudtrail.ts';
import { describeAuditorsQuery } from './auditors-query.ts';
import { agentsAtWork, apply, quiet, rotate } from './deployed.ts';
import { describeDoctor } from './doctor.ts';
import { describeFoundValues } from './found-values.ts';
import { forgetRecording, keepRecording } from '../support/iam/recording.ts';
import { describeIncidentReport } from './incident-report.ts';
import { testLeaving } from './leaving.ts';
import { describeNotices } from './notices.ts';
import { describeProofOverApi } from './proof-over-api.ts';
import { CAPS, describeSignals, MAPPED } from './signals.ts';
import { describeSubscribing } from './subscriptions.ts';
import { reaches } from './upgrading.ts';

describe('what operators do, on the deployed stack', { timeout: 240_000 }, () => {
  let world: World;
  let vault: SecretsManagerClient;
  let sources: LocalSources;

  const show = async (name: string): Promise<ShowAnswer> => rekeyJson(['show', name], world.env);

  beforeAll(async () => {
    await forgetRecording('operations');
    world = await startWorld(quiet, async (stack) => {
      sources = await LocalSources.start(stack, CAPS, MAPPED);
      return sources.settings;
    });
    vault = new SecretsManagerClient(world.stack.clientConfig);
    await registerCredentials(world, quiet);
    await vault.send(new CreateSecretCommand({ Name: 'agents/taken', SecretString: 'of somebody else' }));
  }, 300_000);

  afterAll(async () => {
    try {
      await keepRecording('operations', world);
    } finally {
      await world?.stop();
      await sources?.[Symbol.asyncDispose]();
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

  const describeDeliveries = describeSubscribing(() => ({ world }));

  test('a rollback in the window leads agents back without a failed login, and the new credential dies', async () => {
    const old = await readLogin(vault, 'agents/orders');
    const fleet = agentsAtWork(world);
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

  describeIncidentReport('INC-7', () => ({ world }));
  describeDeliveries();
  describeFoundValues(() => ({ world, vault }));
  describeSignals(() => ({ world, vault, sources }));
  describeNotices(() => ({ world, vault }));

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

  describeAuditorsQuery(() => ({ world }));
  describeProofOverApi(() => ({ world, vault }));

  testLeaving(() => ({ world, vault }));

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
