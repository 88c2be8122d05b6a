import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AnyProvider } from '../../shared/providers/provider.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const SOAK = 1800;

/** An upstream whose credentials can't be suspended, and have made what outlives their last use. */
function lingering({ suspension: _none, ...provider }: AnyProvider): AnyProvider {
  return { ...provider, demands: () => ({ soakSeconds: SOAK, why: 'what it made outlives it' }) };
}

/** In the soak of a rotation's loser, which nothing has suspended. */
async function soaking(): Promise<{ one: EngineCase; token: string }> {
  const one = world.newCase();
  one.change = (deps) => ({
    ...deps,
    providerFor: async (type, name) => lingering(await deps.providerFor(type, name)),
  });
  await one.register();
  one.agents.start();
  const token = await one.requestRotation();
  await one.until((rotation) => rotation.phase === 'suspending', token);
  return { one, token };
}

describe('what a credential has made outlives its last use', () => {
  test('it stays for the soak once its holders have moved, and works until it is ended', async () => {
    const { one, token } = await soaking();
    expect((await one.rotation(token)).suspendedAt).toBeDefined();
    expect(await one.openSlots()).toHaveLength(2);
    const since = one.time.now();
    await one.settle();
    expect(one.time.now() - since).toBeGreaterThanOrEqual(SOAK * 1000);
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.openSlots()).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
  });

  test('until then a rollback brings it back', async () => {
    const { one, token } = await soaking();
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.openSlots()).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
  });

  test('an emergency waits for no soak', async () => {
    const { one } = await soaking();
    const since = one.time.now();
    await one.startEmergency();
    await one.settle();
    expect(one.time.now() - since).toBeLessThan(SOAK * 1000);
    expect(await one.openSlots()).toHaveLength(1);
  });
});
