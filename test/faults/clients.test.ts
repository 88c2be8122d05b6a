import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditRecord } from '../../shared/domain/audit.ts';
import { cohortOf } from '../../shared/domain/canary.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { isOver } from '../../shared/domain/rotation.ts';
import { MAX_WAKE_UPS } from '../../shared/domain/window.ts';
import { requestRotation } from '../../shared/engine/requests.ts';
import type { Session } from '../../shared/domain/agents.ts';
import { client, Clients } from '../support/clients.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { OPERATOR } from '../support/engine-case.ts';
import { everyFault, MODES, type Scenario } from '../support/explore.ts';
import { paused, unpaused } from '../support/leaving.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const SHORT = { window: '15m', deadline: '30m', cap: '2h' };

async function withClient(policy: object = SHORT): Promise<{ one: EngineCase; clients: Clients }> {
  const one = world.newCase(policy, [client('checkout')]);
  await one.register();
  return { one, clients: new Clients(one) };
}

async function recordOf(one: EngineCase, action: string): Promise<AuditRecord | undefined> {
  return (await one.records()).find((record) => record.message === action);
}

async function evidence(one: EngineCase, action: string): Promise<string> {
  return (await recordOf(one, action))?.entity.data.evidence ?? '';
}

/** Acknowledges for every session that is open, once a window is. */
async function acknowledgeAll(one: EngineCase): Promise<void> {
  const clients = new Clients(one);
  for (const session of one.agentStore.all.values()) {
    if (session.closedAt === undefined && !one.agentStore.silent.has(session.instance))
      expect(await clients.acknowledge(session)).toBe(true);
  }
}

describe('a holder of kind client', () => {
  test('is proven when each of its sessions has acknowledged with the value, and the digest is in the record', async () => {
    const { one, clients } = await withClient();
    await clients.pact('checkout');
    await clients.open('checkout', 'host-1');
    await clients.open('checkout', 'host-2');
    one.agents.start();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    expect(await clients.acknowledge([...one.agentStore.all.values()][0] as Session, 'guessed')).toBe(false);
    await acknowledgeAll(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    const proof = JSON.parse(await evidence(one, 'suspension-intended')) as {
      proof: { holders: readonly object[] };
    };
    expect(proof.proof.holders).toContainEqual(
      expect.objectContaining({
        kind: 'client',
        holder: 'checkout',
        rotation: token,
        sessions: 2,
        moved: 2,
        acknowledgements: 2,
        pacts: { checkout: 1 },
        digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
        missing: [],
      }),
    );
    expect(JSON.stringify(await one.records())).not.toContain(one.agentStore.said[0]?.jws);
    expect(await one.faults()).toEqual([]);
  });

  test('whose instance never acknowledges keeps the window open and is named; once it has, the window closes', async () => {
    const { one, clients } = await withClient();
    await clients.pact('checkout');
    await clients.open('checkout', 'host-1');
    const late = await clients.open('checkout', 'host-2');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await clients.acknowledge([...one.agentStore.all.values()][0] as Session);
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await evidence(one, 'window-extended')).toContain(
      'checkout: 1 of 2 sessions have not acknowledged: host-2',
    );
    expect(await one.openSlots()).toHaveLength(2);
    await clients.acknowledge(late);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('that contradicts itself between the decision and the retirement stops the retirement', async () => {
    const { one, clients } = await withClient();
    await clients.pact('checkout');
    const session = await clients.open('checkout', 'host-1');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await acknowledgeAll(one);
    const { old, window } = await one.rotation(token);
    const holds = [{ credential: one.name, versionId: old?.versionId ?? '' }];
    const sessions = one.agentStore.sessions.bind(one.agentStore);
    let decided = false;
    // The look that decides finds all well; from the next one on, that of the retirement, it is seen with the old version.
    one.agentStore.sessions = async (agent) => {
      const found = await sessions(agent);
      if (decided) return found.map((each) => ({ ...each, holds }));
      decided = one.time.now() >= Date.parse(window?.earliestClose ?? '');
      return found;
    };
    await one.until((rotation) => rotation.window?.overdue === true, token);
    expect(await one.actions()).not.toContain('suspension-intended');
    expect([...one.machines.executions.values()].flatMap(({ trail }) => trail)).toContain('Retire');
    expect(await evidence(one, 'window-extended')).toContain(
      `checkout: seen with another version after its acknowledgement: ${session.instance}`,
    );
    await clients.close(session);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('that wakes its window again and again fills no audit trail', async () => {
    const { one, clients } = await withClient();
    await clients.pact('checkout');
    await clients.open('checkout', 'host-1');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.wakeUps === 1, token);
    for (let wakes = 0; wakes < 5; wakes++) {
      const { callback } = await one.rotation(token);
      await one.process((deps) =>
        deps.workflow.answer(callback?.taskToken ?? '', { outcome: 'verify', waitSeconds: 0 }),
      );
      await one.still();
    }
    expect((await one.rotation(token)).wakeUps).toBe(6);
    const waiting = (await one.records()).filter(({ message }) => message === 'window-waiting');
    expect(waiting).toHaveLength(MAX_WAKE_UPS);
    await acknowledgeAll(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('without a pact is never proven', async () => {
    const { one } = await withClient();
    const token = await one.rotate();
    expect(await one.rotation(token)).toMatchObject({ phase: 'window', stuck: true });
    expect(await evidence(one, 'window-held')).toContain('checkout has registered no pact');
  });

  test('acknowledges the way back with a key of its own', async () => {
    const { one, clients } = await withClient();
    await clients.pact('checkout');
    await clients.open('checkout', 'host-1');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await acknowledgeAll(one);
    const forth = (await one.rotation(token)).acknowledgement;
    await one.requestRollback(token);
    await one.until((rotation) => rotation.phase === 'rolling-back' && rotation.window !== undefined, token);
    const { acknowledgement: back, window, old } = await one.rotation(token);
    expect(back).toMatchObject({ opensAt: window?.opensAt, versionId: old?.versionId });
    expect(back?.sealed).not.toBe(forth?.sealed);
    await acknowledgeAll(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('is what alone makes a rotation seal anything', async () => {
    const one = await world.registered();
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(one.sealer.sealed).toBe(0);
    expect((await one.rotation(token)).acknowledgement).toBeUndefined();
  });

  const moving: Scenario = {
    policy: SHORT,
    holders: [client('checkout')],
    async prepare(one) {
      const clients = new Clients(one);
      await clients.pact('checkout');
      await clients.open('checkout', 'host-1');
    },
    async act(one) {
      one.agents.start();
      const token = await one.requestRotation();
      await one.until((rotation) => rotation.phase === 'window' || isOver(rotation.phase), token);
      if ((await one.rotation(token)).phase === 'window') await acknowledgeAll(one);
      await one.settle();
      one.agents.stop();
    },
    async also(one) {
      const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
      const wrong = newest === undefined || isOver(newest.phase) ? [] : [`left in ${newest.phase}`];
      const proven = (await evidence(one, 'suspension-intended')).includes('"acknowledgements":1');
      return newest?.phase !== 'completed' || proven ? wrong : [...wrong, 'retired without its proof'];
    },
  };

  test.each(MODES)('survives every fault of a side effect, sealing included: %s', async (mode) => {
    expect(await everyFault(world, moving, mode)).toEqual([]);
  });
});

describe('hard decision 4: instances that move first', () => {
  const CANARY = { ...SHORT, canary: { percent: 60, for: '5m' } };

  /** A rotation in whose window one of the cohort has reported `uses` of the new version. */
  async function withCanary(uses?: { succeeded: number; refused: number }) {
    const { one, clients } = await withClient(CANARY);
    await clients.pact('checkout', { uses: 'reported' });
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    const { next, window, credentialId } = await one.rotation(token);
    let session = await clients.open('checkout', 'host-1');
    for (let number = 2; cohortOf(session.id, token, 60) !== 'canary'; number++) {
      await clients.close(session);
      session = await clients.open('checkout', `host-${number}`);
    }
    const report = (from: number, counts: { succeeded: number; refused: number }) =>
      one.agentStore.report({
        credentialId,
        agent: 'checkout',
        session: session.id,
        versionId: next?.versionId ?? '',
        from: toInstant(from),
        to: toInstant(from + 60_000),
        ...counts,
      });
    const opened = Date.parse(window?.opensAt ?? '');
    if (uses !== undefined) await report(opened + 60_000, uses);
    return { one, clients, token, session, report, opened };
  }

  test('and are refused roll the rotation back at the end of their time, for a reason on record', async () => {
    const { one, token, opened } = await withCanary({ succeeded: 5, refused: 2 });
    await one.until((rotation) => rotation.phase === 'rolling-back', token);
    expect(one.time.now() - opened).toBeLessThan(6 * 60_000);
    const intended = await recordOf(one, 'rollback-intended');
    expect(intended?.actor.user.uid).toBe('verify-window');
    expect(intended?.entity.data.reason).toContain(
      '2 of 7 uses of the new version, 0 of 0 before the window',
    );
    expect(intended?.entity.data.evidence).toContain('"outcome":"risen"');
    await acknowledgeAll(one);
    for (const each of one.agentStore.all.values())
      await one.agentStore.close(each, toInstant(one.time.now()));
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('and are looked at first where the look comes only after the earliest end: refused, they roll it back all the same', async () => {
    const { one, token, opened } = await withCanary({ succeeded: 5, refused: 2 });
    one.time.jumpTo(opened + 40 * 60_000);
    await one.until((rotation) => rotation.phase !== 'window', token);
    expect((await one.rotation(token)).phase).toBe('rolling-back');
    expect(await one.actions()).not.toContain('suspension-intended');
  });

  test('and have reported nothing are on record as unproven by a look that comes too late, before anything is retired', async () => {
    const { one, token, report, opened } = await withCanary();
    await acknowledgeAll(one);
    one.time.jumpTo(opened + 40 * 60_000);
    await one.until((rotation) => rotation.canary !== undefined, token);
    expect((await one.rotation(token)).canary?.outcome).toBe('unproven');
    await report(one.time.now() - 60_000, { succeeded: 9, refused: 0 });
    await acknowledgeAll(one);
    await one.settle();
    const actions = await one.actions();
    expect(actions.indexOf('canary-observed')).toBeLessThan(actions.indexOf('suspension-intended'));
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test.each([
    ['quiet', { succeeded: 9, refused: 0 }],
    ['unproven', undefined],
  ] as const)('and show that it is %s are on record once, and everybody moves', async (outcome, uses) => {
    const { one, token, report, opened } = await withCanary(uses);
    await one.until((rotation) => rotation.canary !== undefined, token);
    expect(one.time.now() - opened).toBeLessThan(6 * 60_000);
    expect((await one.rotation(token)).canary?.outcome).toBe(outcome);
    await report(opened + 13 * 60_000, { succeeded: 9, refused: 0 });
    await acknowledgeAll(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    const observed = (await one.actions()).filter((action) => action === 'canary-observed');
    expect(observed).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
  });
});

describe('T2: a rotation of what an agent in session can’t change', () => {
  async function busy(policy: object = SHORT) {
    const all = await withClient(policy);
    await all.clients.pact('checkout', { refresh: 'between-sessions' });
    const session = await all.clients.open('checkout', 'host-1');
    return { ...all, session };
  }

  test('waits for the gap between its sessions, says so once, and begins when the last one closes', async () => {
    const { one, clients, session } = await busy();
    const other = await clients.open('checkout', 'host-2');
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.callback?.awaiting === 'rotate', token);
    const { deferred, phase } = await one.rotation(token);
    expect({ phase, agents: deferred?.agents }).toEqual({ phase: 'announced', agents: ['checkout'] });
    expect(one.jobs().filter((job) => job.token === token)).toEqual([]);
    await clients.close(session);
    await one.still();
    expect((await one.rotation(token)).phase).toBe('announced');
    const asked = one.time.now();
    await clients.close(other);
    await one.until((rotation) => rotation.phase === 'window', token);
    expect(one.time.now() - asked).toBeLessThan(60_000);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect((await one.actions()).filter((action) => action === 'rotation-deferred')).toHaveLength(1);
    expect(await evidence(one, 'deferral-ended')).toContain('"why":"gap"');
    expect(await one.faults()).toEqual([]);
  });

  test('begins at its latest start whoever is in session, with at most three looks before, and says so', async () => {
    const { one } = await busy();
    const began = one.time.now();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    // An operator's rotation of what isn't due waits for the longest session that the pact allows.
    expect(one.time.now() - began).toBeGreaterThanOrEqual(3600_000);
    expect(one.time.now() - began).toBeLessThan(3700_000);
    expect(await evidence(one, 'deferral-ended')).toContain('"why":"deadline","inSession":["checkout"]');
    const trails = [...one.machines.executions.values()].map(({ trail }) => trail);
    expect(trails.flat().filter((state) => state === 'Deferred')).toHaveLength(4);
    await acknowledgeAll(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
  });

  test('finds at a look that the session is lost', async () => {
    const { one, session } = await busy();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.deferred !== undefined, token);
    one.agentStore.silent.add(session.instance);
    const before = one.time.now();
    await one.until((rotation) => rotation.phase === 'window', token);
    expect(one.time.now() - before).toBeLessThan(1000_000);
  });

  test('doesn’t wait where Secrets Manager rotates by itself: waits don’t fit into the four steps', async () => {
    const { one } = await busy();
    await one.world.aws.json('secretsmanager', 'RotateSecret', {
      SecretId: one.secret,
      ClientRequestToken: '6f9619ff-8b86-4d01-b42d-00cf4fc964ff',
    });
    await one.driven('6f9619ff-8b86-4d01-b42d-00cf4fc964ff');
    await one.until((rotation) => rotation.phase === 'window', '6f9619ff-8b86-4d01-b42d-00cf4fc964ff');
    expect(await one.actions()).not.toContain('rotation-deferred');
  });

  test('begins at once where an operator says so, who stands in the record', async () => {
    const { one } = await busy();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.callback?.awaiting === 'rotate', token);
    const skip = () =>
      one.process((deps) =>
        requestRotation(deps, { name: one.name, token: 'another', trigger: OPERATOR, now: true }),
      );
    expect(await one.time.work(skip)).toMatchObject({ joined: true, rotation: { id: token } });
    const asked = one.time.now();
    await one.until((rotation) => rotation.phase === 'window', token);
    expect(one.time.now() - asked).toBeLessThan(60_000);
    expect((await recordOf(one, 'deferral-skipped'))?.actor.user.uid).toBe(OPERATOR.actor);
    expect(await evidence(one, 'deferral-ended')).toContain('"why":"skipped"');
  });

  test('an operator who doesn’t want to wait from the start needn’t', async () => {
    const { one } = await busy();
    const token = '3f2504e0-4f89-41d3-9a0c-0305e82c3301';
    await one.time.work(() =>
      one.process((deps) => requestRotation(deps, { name: one.name, token, trigger: OPERATOR, now: true })),
    );
    await one.until((rotation) => rotation.phase === 'window', token);
    const actions = await one.actions();
    expect(actions).toContain('deferral-skipped');
    expect(actions).not.toContain('rotation-deferred');
  });

  test('hard decision 5: a long deferral goes on in a new execution, and stays one on record', async () => {
    const { one, clients, session } = await busy();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.callback?.awaiting === 'rotate', token);
    let open = session;
    for (let times = 0; times < 25; times++) {
      // The gap is taken before the rotation can begin.
      const next = await clients.open('checkout', `host-${times}`);
      const { callback } = await one.rotation(token);
      await one.process((deps) =>
        deps.workflow.answer(callback?.taskToken ?? '', { outcome: 'rotate', waitSeconds: 0 }),
      );
      await one.still();
      await clients.close(open);
      open = next;
    }
    expect((await one.rotation(token)).phase).toBe('announced');
    const trails = [...one.machines.executions.values()].map(({ trail }) => trail);
    expect(trails.length).toBeGreaterThan(1);
    expect(
      Math.max(...trails.map((trail) => trail.filter((state) => state === 'Deferred').length)),
    ).toBeLessThanOrEqual(20);
    await clients.close(open);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect((await one.actions()).filter((action) => action === 'rotation-deferred')).toHaveLength(1);
  });

  test('is stopped by a pause while it waits, goes on waiting after it, and is ended by an emergency', async () => {
    const { one, clients, session } = await busy();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.callback?.awaiting === 'rotate', token);
    await paused(one);
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({
      phase: 'announced',
      deferred: { agents: ['checkout'] },
    });
    await unpaused(one);
    await one.until((rotation) => rotation.callback?.awaiting === 'rotate', token);
    expect(one.jobs().filter((job) => job.token === token)).toEqual([]);
    await one.startEmergency();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('preempted');
    await clients.close(session);
    expect(await one.faults()).toEqual([]);
  });

  const waiting: Scenario = {
    policy: SHORT,
    holders: [client('checkout')],
    async prepare(one) {
      const clients = new Clients(one);
      await clients.pact('checkout', { refresh: 'between-sessions' });
      await clients.open('checkout', 'host-1');
    },
    async act(one) {
      const token = await one.requestRotation();
      await one.until((rotation) => rotation.deferred !== undefined || isOver(rotation.phase), token);
      await one.still();
      const clients = new Clients(one);
      for (const session of one.agentStore.all.values())
        await one.time.work(() => clients.close(session)).catch(() => undefined);
      await one.settle();
    },
    async also(one) {
      const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
      const actions = await one.actions();
      const deferrals = actions.filter((action) => action === 'rotation-deferred').length;
      const wrong = newest?.phase === 'completed' ? [] : [`left in ${newest?.phase}`];
      const early = actions.indexOf('issue-intended') < actions.indexOf('deferral-ended');
      return deferrals === 1 && !early ? wrong : [...wrong, `${deferrals} deferrals: ${actions.join(' ')}`];
    },
  };

  test.each(MODES)('a coordinator killed anywhere in it resumes: %s', async (mode) => {
    expect(await everyFault(world, waiting, mode)).toEqual([]);
  });
});
