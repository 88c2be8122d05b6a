import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { confirmRoot } from '../../shared/engine/confirm-root.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { OPERATOR } from '../support/engine-case.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { everyFault, type Scenario } from '../support/explore.ts';
import { registerMaster, registerUnder, type Keeper } from '../support/masters.ts';
import { attempt, rotateByHand, STEPS } from '../support/steps.ts';

/** Administrators of databases, which Rekey uses and rotates (C9). */
let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const KEEPERS = ['itself', 'another'] as const;

async function registered(keeper: Keeper): Promise<{ master: EngineCase; one: EngineCase }> {
  const master = world.newCase();
  await registerMaster(master, keeper);
  const one = await registerUnder(master);
  for (const each of [master, one]) each.agents.start();
  return { master, one };
}

/** A step that is done, or the error in its place. */
async function step(one: EngineCase, name: string, token: string): Promise<void> {
  expect(`${one.name} ${name}: ${await attempt(one, name, token)}`).toBe(`${one.name} ${name}: done`);
}

describe.each(KEEPERS)('the administrator of a database, administered by %s,', (keeper) => {
  test('is rotated while ordinary rotations run through it, and nobody is refused', async () => {
    const { master, one } = await registered(keeper);
    const first = await master.login();
    const token = await rotateByHand(master);
    const through = await rotateByHand(one);
    for (const name of STEPS) {
      await step(master, name, token);
      await step(one, name, through);
    }
    const second = await master.login();
    expect(second.user).not.toBe(first.user);
    expect([await master.works(first), await master.works(second)]).toEqual([true, true]);
    await master.settle();
    await one.settle();
    expect([(await master.rotation(token)).phase, (await one.rotation(through)).phase]).toEqual([
      'completed',
      'completed',
    ]);
    expect(await master.works(first)).toBe(false);
    // What the first one has made, the second administers, and the third what both have.
    for (const each of [one, master, one]) {
      const next = await each.rotate();
      expect((await each.rotation(next)).phase).toBe('completed');
    }
    expect([await master.faults(), await one.faults()]).toEqual([[], []]);
    const text = await one.deps.vault.read(master.secret, { stage: 'AWSCURRENT' });
    expect(JSON.parse(text?.reveal() ?? '')).toMatchObject({ note: 'of the platform team' });
  });

  test('is rolled back, and administers what its successor has made', async () => {
    const { master, one } = await registered(keeper);
    const first = await master.login();
    const token = await master.requestRotation();
    await master.until(({ phase }) => phase === 'window', token);
    const second = await master.login();
    const through = await rotateByHand(one);
    for (const name of STEPS) await step(one, name, through);
    await master.requestRollback(token);
    await master.until(({ window, phase }) => phase === 'rolling-back' && window !== undefined, token);
    expect(await master.login()).toEqual(first);
    // The role that the successor has made is in use from here on, and in the slot of the next one.
    await master.settle();
    await one.settle();
    for (let twice = 0; twice < 2; twice++) {
      const next = await one.rotate();
      expect((await one.rotation(next)).phase).toBe('completed');
    }
    expect((await master.rotation(token)).phase).toBe('rolled-back');
    expect([await master.works(first), await master.works(second)]).toEqual([true, false]);
    expect([await master.faults(), await one.faults()]).toEqual([[], []]);
  });

  const rotation: Scenario = {
    register: (one) => registerMaster(one, keeper),
    async act(one) {
      one.agents.start();
      await one.rotate();
      one.agents.stop();
    },
  };

  // Its own login is what the steps work with: each may die with either of the two.
  test.each(keeper === 'itself' ? (['before', 'after', 'lost'] as const) : (['lost'] as const))(
    'survives every fault of a side effect of its rotation: %s',
    async (mode) => {
      expect(await everyFault(world, rotation, mode)).toEqual([]);
    },
  );
});

describe('the administrator of a database that leaks', () => {
  test('is replaced at once where another administers it; what is under way below it waits and goes on', async () => {
    const { master, one } = await registered('another');
    const leaked = await master.login();
    const through = await rotateByHand(one);
    for (const name of ['createSecret', 'setSecret']) await step(one, name, through);
    const thief = await world.server.connect(leaked, master.target.database);
    master.agents.stop();
    const emergency = {
      credentialId: await master.id(),
      incidentId: 'INC-1',
      emergencyId: 'by-hand',
      reason: 'leaked',
      actor: OPERATOR.actor,
    };
    const revoked = await master.process((deps) => revokeNow(deps, emergency));
    expect(revoked.handles.map(({ deactivation }) => deactivation.sessionsEnded)).toEqual([1]);
    await expect(thief.query('SELECT 1')).rejects.toThrow();
    expect(await master.works(leaked)).toBe(false);
    // Between its end and its successor, for however long.
    for (let twice = 0; twice < 2; twice++)
      expect(await attempt(one, 'testSecret', through)).toBe('ERR_UNAVAILABLE');

    // Without a jump of the clock, on which what is under way below would be given up.
    const execution = await master.startEmergency('INC-1');
    await expect.poll(() => execution.status, { timeout: 20_000 }).toBe('SUCCEEDED');
    for (const name of ['testSecret', 'finishSecret']) await step(one, name, through);
    await one.settle();
    await master.settle();
    expect((await one.rotation(through)).phase).toBe('completed');
    expect(await one.actions()).not.toContain('abort-intended');
    const next = await one.rotate();
    expect((await one.rotation(next)).phase).toBe('completed');
    expect([await master.faults(), await one.faults()]).toEqual([[], []]);
  });

  test('is not taken for ended where its secret holds a password that is refused', async () => {
    const { master } = await registered('itself');
    master.agents.stop();
    const login = await master.login();
    await master.world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: master.secret,
      SecretString: JSON.stringify({ username: login.user, password: 'mistyped' }),
    });
    const emergency = {
      credentialId: await master.id(),
      incidentId: 'INC-1',
      emergencyId: 'by-hand',
      reason: 'leaked',
      actor: OPERATOR.actor,
    };
    const refused = master.process((deps) => revokeNow(deps, emergency));
    await expect(refused).rejects.toMatchObject({ code: 'ERR_ADMIN_DENIED' });
    expect(await master.works(login)).toBe(true);
  });

  test('ends itself last where nothing else administers it, its sessions with it; a person makes the next, which rotates again', async () => {
    const { master, one } = await registered('itself');
    master.agents.stop();
    const old = await master.login();
    const token = await master.requestRotation();
    await master.until(({ phase }) => phase === 'window', token);
    const leaked = await master.login();
    const thieves = await Promise.all(
      [old, leaked].map(async (login) => world.server.connect(login, master.target.database)),
    );
    await master.finished(await master.startEmergency('INC-1'));
    for (const thief of thieves) await expect(thief.query('SELECT 1')).rejects.toThrow();
    expect([await master.works(old), await master.works(leaked)]).toEqual([false, false]);
    expect(await master.actions()).toEqual(
      expect.arrayContaining(['emergency-revoked', 'replacement-failed']),
    );
    expect((await master.credential()).status).toBe('halted');
    // Whose end was seen is not asked for again.
    await master.finished(await master.startEmergency('INC-2'));
    expect(await master.actions()).not.toContain('emergency-revocation-failed');

    const login = { user: old.user, password: 'by-hand-of-a-person' };
    await world.server.sql(`ALTER ROLE ${login.user} LOGIN PASSWORD '${login.password}'`);
    await world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: master.secret,
      SecretString: JSON.stringify({ username: login.user, password: login.password }),
    });
    const credentialId = await master.id();
    const confirm = { credentialId, trigger: OPERATOR, letIn: [], dryRun: false };
    expect((await master.process((deps) => confirmRoot(deps, confirm))).outcome).toBe('confirmed');
    const back = await master.requestRotation();
    await master.until(({ phase }) => phase === 'suspending', back);
    expect(await master.works(login)).toBe(false);
    await master.requestRollback(back);
    await master.settle();
    expect([(await master.rotation(back)).phase, await master.login()]).toEqual(['rolled-back', login]);
    for (const each of [master, one]) {
      const next = await each.rotate();
      expect((await each.rotation(next)).phase).toBe('completed');
    }
    expect([await master.faults(), await one.faults()]).toEqual([[], []]);
  });
});
