import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { attempt, rotateByHand, STEPS } from '../support/steps.ts';

/** The administrative ("master") secret is used by Rekey and rotated by somebody else. */
let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** A rotation of the master in its two halves, as Secrets Manager does it: the login, then the label. */
async function beginMaster(one: EngineCase): Promise<() => Promise<void>> {
  const password = `admin-${randomUUID()}`;
  const token = randomUUID();
  const { admin = '' } = one.declaration;
  const versions = (await one.deps.vault.describe(admin))?.versions ?? {};
  const current = Object.entries(versions).find(([, stages]) => stages.includes('AWSCURRENT'))?.[0];
  await world.aws.json('secretsmanager', 'PutSecretValue', {
    SecretId: admin,
    ClientRequestToken: token,
    SecretString: JSON.stringify({ username: world.server.admin.user, password }),
    VersionStages: ['AWSPENDING'],
  });
  await world.server.sql(`ALTER ROLE ${world.server.admin.user} PASSWORD '${password}'`);
  return () => one.deps.vault.promote(admin, { to: token, from: current });
}

async function rotateMaster(one: EngineCase): Promise<void> {
  const finish = await beginMaster(one);
  await finish();
}

describe('traps: a master that rotates', () => {
  test('before, between and after the steps of a dependant is read anew at each, and no agent fails', async () => {
    const one = await world.registered();
    one.agents.start();
    await rotateMaster(one);
    const token = await rotateByHand(one);
    for (const step of STEPS) {
      await rotateMaster(one);
      expect(`${step}: ${await attempt(one, step, token)}`).toBe(`${step}: done`);
    }
    do await rotateMaster(one);
    while (await one.advance());
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(one.agents.logins).toBeGreaterThan(10);
    expect(await one.faults()).toEqual([]);
  });

  test('at the very instant of a step fails that step for the moment only, and its repetition succeeds', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await rotateByHand(one);
    for (const step of STEPS) {
      const finish = await beginMaster(one);
      expect(`${step}: ${await attempt(one, step, token)}`).toBe(`${step}: ERR_UNAVAILABLE`);
      expect(await one.actions()).not.toContain('abort-intended');
      await finish();
      expect(`${step}: ${await attempt(one, step, token)}`).toBe(`${step}: done`);
    }
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('while a step uses it, between two logins of that step, fails it for the moment only', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await rotateByHand(one);
    let moved = false;
    one.change = (deps) => ({
      ...deps,
      readAdmin: async (secret) => {
        const value = await deps.readAdmin(secret);
        if (!moved) await rotateMaster(one);
        moved = true;
        return value;
      },
    });
    expect(await attempt(one, 'createSecret', token)).toBe('ERR_UNAVAILABLE');
    expect(moved).toBe(true);
    for (const step of STEPS) expect(await attempt(one, step, token)).toBe('done');
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('is told from one that is simply wrong, which ends the rotation at once', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await rotateByHand(one);
    await world.server.sql(`ALTER ROLE ${world.server.admin.user} PASSWORD 'changed by somebody'`);
    expect(await attempt(one, 'createSecret', token)).toBe('ERR_ADMIN_DENIED');
    expect(await one.actions()).toContain('abort-intended');
    await rotateMaster(one);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(await one.faults()).toEqual([]);
  });
});
