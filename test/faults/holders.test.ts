import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { confirmHolder } from '../../shared/engine/confirm.ts';
import { checkHolders } from '../../shared/engine/holders.ts';
import { isOver } from '../../shared/domain/rotation.ts';
import type { FakeService, FakeWorkloads } from '../fakes/workloads.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { dryRun, everyFault, MODES, type Scenario } from '../support/explore.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const WEB = { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'web' };
const ORDERS = { kind: 'lambda', name: 'orders', function: 'orders:live' };
const SHORT = { window: '15m', deadline: '30m', cap: '2h' };

interface Case {
  readonly one: EngineCase;
  readonly workloads: FakeWorkloads;
  readonly service: FakeService;
}

/** A credential that a fleet polls and an ECS service gets at the start of its tasks. */
async function withService(policy: object = SHORT): Promise<Case> {
  const one = world.newCase(policy, [WEB]);
  const workloads = await one.workloads();
  const service = workloads.addService('main', 'web');
  await one.register();
  return { one, workloads, service };
}

async function evidence(one: EngineCase, action: string): Promise<string> {
  const records = await one.records();
  return records.find((record) => record.message === action)?.entity.data.evidence ?? '';
}

describe('a holder of kind ecs-restart', () => {
  test('is redeployed once the window is open, and proven when no older task runs', async () => {
    const { one, service } = await withService();
    one.agents.start();
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(service.redeployments).toHaveLength(1);
    const opened = (await one.rotation(token)).window?.opensAt ?? '';
    expect(service.redeployments[0]).toBeGreaterThanOrEqual(Date.parse(opened));
    const actions = await one.actions();
    expect(actions.indexOf('redeployment-intended')).toBeGreaterThan(actions.indexOf('window-opened'));
    const proof = await evidence(one, 'suspension-intended');
    expect(proof).toContain('"olderTasks":0');
    expect(proof).toContain('"deployment":"COMPLETED"');
    expect(await one.faults()).toEqual([]);
  });

  test('whose old task doesn’t leave keeps the window open, also past the deadline; then it closes', async () => {
    const { one, service } = await withService();
    service.stubborn = true;
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain(
      'main/web still runs tasks from before the window',
    );
    expect(await one.openSlots()).toHaveLength(2);
    service.tasks = service.tasks.filter(({ createdAt }) => createdAt > one.time.now() - 3_000_000);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(service.redeployments).toHaveLength(1);
  });

  test('is counted as old while it drains, though ECS wishes it stopped', async () => {
    const { one, service } = await withService();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    for (const task of service.tasks.slice(0, 1)) task.endsAt = one.time.now() + 20_000;
    await one.process(async (deps) =>
      checkHolders(deps, { credentialId: await one.id(), rotationId: token }),
    );
    const [seen] = (await one.rotation(token)).holderEvidence ?? [];
    expect(seen).toMatchObject({ kind: 'ecs-restart', olderTasks: 2 });
    await one.settle();
  });

  test('whose deployment fails is not redeployed again; the window is held for a person', async () => {
    const { one, service } = await withService();
    service.broken = true;
    const token = await one.rotate();
    expect(service.redeployments).toHaveLength(1);
    expect(await one.rotation(token)).toMatchObject({ phase: 'window', stuck: true });
    expect(await one.openSlots()).toHaveLength(2);
  });

  test('is left alone where its team has deployed it since, and where it runs nothing', async () => {
    for (const setUp of [
      async ({ one, workloads, service }: Case) => {
        one.calls.between = async (label) => {
          const window = (await one.activeRotation())?.window;
          if (label === 'workflow.answer' && window !== undefined && service.deployments.length === 1) {
            workloads.deploy(service);
          }
        };
      },
      async ({ service }: Case) => {
        service.tasks = [];
        service.desired = 0;
      },
    ]) {
      const all = await withService();
      await setUp(all);
      const token = await all.one.rotate();
      expect((await all.one.rotation(token)).phase).toBe('completed');
      expect(all.service.redeployments).toEqual([]);
    }
  });

  test('is redeployed again for the way back of a rollback', async () => {
    const { one, service } = await withService();
    const token = await one.requestRotation();
    await one.until(
      (rotation) => rotation.phase === 'window' && rotation.holderEvidence !== undefined,
      token,
    );
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(service.redeployments).toHaveLength(2);
    expect(await one.faults()).toEqual([]);
  });

  test('ECS being down breaks no rotation: the proof is missing, and the window waits for it', async () => {
    const { one, workloads } = await withService();
    workloads.down = true;
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain('has not been seen since the window opened');
    expect(await one.openSlots()).toHaveLength(2);
    workloads.down = false;
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('without its owner’s consent is neither seen nor touched, and the record says what to type', async () => {
    const { one, workloads, service } = await withService();
    workloads.untagged.add('main/web');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain(
      'aws ecs tag-resource --resource-arn arn:aws:ecs',
    );
    expect(service.redeployments).toEqual([]);
    workloads.untagged.clear();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('that another controller deploys is proven by its tasks alone, and Rekey’s attempt is on record once', async () => {
    const { one, workloads, service } = await withService();
    service.controller = 'CODE_DEPLOY';
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain('redeploy the service yourself');
    workloads.deploy(service);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect((await one.actions()).filter((action) => action === 'redeployment-intended')).toHaveLength(1);
  });

  test('a lost answer of ECS makes no second deployment', async () => {
    const { one, workloads, service } = await withService();
    workloads.loseAnswerOf = 'UpdateService';
    const token = await one.rotate();
    expect(workloads.loseAnswerOf).toBeUndefined();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(service.redeployments).toHaveLength(1);
  });

  test('two looks at once make one deployment', async () => {
    const { one, service } = await withService();
    const others: unknown[] = [];
    one.calls.between = async (label) => {
      if (label !== 'watch.redeploy' || others.length > 0) return;
      const active = await one.activeRotation();
      const ref = { credentialId: await one.id(), rotationId: active?.id ?? '' };
      others.push('looks');
      others.push(await one.process((deps) => checkHolders(deps, ref)).catch((error: unknown) => error));
    };
    const token = await one.rotate();
    expect(others[1]).toMatchObject({ code: 'ERR_NOT_PROPAGATED' });
    expect(service.redeployments).toHaveLength(1);
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  const rotation: Scenario = {
    policy: SHORT,
    holders: [WEB],
    prepare: async (one) => void (await one.workloads()).addService('main', 'web'),
    async act(one) {
      one.agents.start();
      await one.rotate();
      one.agents.stop();
    },
    async also(one) {
      const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
      const service = (await one.workloads()).services.get('main/web');
      const wrong = newest === undefined || isOver(newest.phase) ? [] : [`left in ${newest.phase}`];
      const deployed = service?.redeployments.length ?? 0;
      const wanted = newest?.phase === 'completed' ? 1 : 0;
      return deployed === wanted ? wrong : [...wrong, `${deployed} deployments, ${newest?.phase}`];
    },
  };

  test.each(MODES)('survives every fault of a side effect with one deployment: %s', async (mode) => {
    expect(await everyFault(world, rotation, mode)).toEqual([]);
  });
});

describe('a holder of kind lambda that reads once per sandbox', () => {
  async function withFunction() {
    const one = world.newCase(SHORT, [ORDERS]);
    const workloads = await one.workloads();
    const made = workloads.addFunction('orders');
    made.versions.set('1', one.time.now() - 3_600_000);
    made.aliases.set('live', { version: '1' });
    await one.register();
    return { one, made };
  }

  test('is proven when its alias leads to a version made in the window, and old invocations are over', async () => {
    const { one, made } = await withFunction();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain('orders:live is not known to be newer');
    // A new version alone proves nothing: callers reach the alias.
    made.versions.set('2', one.time.now());
    await one.advance();
    expect((await one.rotation(token)).phase).toBe('window');
    made.aliases.set('live', { version: '2', also: '1' });
    await one.advance();
    expect((await one.rotation(token)).holderEvidence?.[0]?.trouble).toContain('splits the traffic');
    made.aliases.set('live', { version: '2' });
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('declared by its bare name is unclear where callers may use a version of it', async () => {
    const one = world.newCase(SHORT, [{ ...ORDERS, function: 'orders' }]);
    const made = (await one.workloads()).addFunction('orders');
    made.versions.set('1', 0);
    await one.register();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain('declare it with the alias');
    made.versions.delete('1');
    made.versions.set('$LATEST', one.time.now());
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });
});

describe('a holder of kind manual', () => {
  const confirm = (one: EngineCase, rotationId: string, holder = 'report') =>
    one.process(async (deps) =>
      confirmHolder(deps, {
        credentialId: await one.id(),
        rotationId,
        holder,
        trigger: { kind: 'operator', actor: 'arn:aws:iam::111122223333:user/ann' },
      }),
    );
  const manual: Scenario = {
    policy: { ...SHORT, deadline: '2h', cap: '12h' },
    holders: [{ kind: 'manual', name: 'report' }],
    async act(one) {
      const token = await one.requestRotation();
      await one.until((rotation) => rotation.phase === 'window', token);
      // Past the earliest end: nobody but the timer of the deadline would look before.
      await one.advance();
      const asked = one.time.now();
      await one.repeating(() => confirm(one, token));
      await one.repeating(() => confirm(one, token));
      await one.until((rotation) => rotation.phase === 'suspending' || isOver(rotation.phase), token);
      if (one.time.now() - asked > 60_000) throw new Error('the confirmation woke nobody');
      await one.settle();
    },
    async also(one) {
      const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
      const confirmed = (await one.records()).filter((record) => record.message === 'holder-confirmed');
      const actors = confirmed.map((record) => record.actor.user.uid);
      return newest?.phase === 'completed' && actors.join() === 'arn:aws:iam::111122223333:user/ann'
        ? []
        : [`${newest?.phase}, confirmed by ${actors.join()}`];
    },
  };

  test('is confirmed by a person, once on record, which wakes the window at once', async () => {
    const { labels } = await dryRun(world, manual);
    expect(labels).not.toEqual([]);
  });

  test('that nobody confirms is waited for up to the cap, then for a person', async () => {
    const one = world.newCase(SHORT, [{ kind: 'manual', name: 'report' }]);
    await one.register();
    const token = await one.rotate();
    expect(await one.rotation(token)).toMatchObject({ phase: 'window', stuck: true });
    expect(await evidence(one, 'window-held')).toContain('nobody has confirmed');
    await expect(confirm(one, token, 'fleet')).rejects.toMatchObject({
      code: 'ERR_REQUEST',
      field: 'holder',
    });
    await expect(confirm(one, token, 'nobody')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    await confirm(one, token);
    one.time.jumpTo(one.time.now() + 25 * 3_600_000);
    await one.reconcileBySchedule();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    await expect(confirm(one, token)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('is confirmed afresh for the way back', async () => {
    const one = world.newCase(SHORT, [{ kind: 'manual', name: 'report' }]);
    await one.register();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await confirm(one, token);
    await one.requestRollback(token);
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect((await one.rotation(token)).phase).toBe('rolling-back');
    await confirm(one, token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
  });
});
