import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isOver } from '../../shared/domain/rotation.ts';
import { EngineWorld } from '../support/engine-world.ts';
import { dryRun, everyFault, MODES, type Scenario } from '../support/explore.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** An operator asks for a rotation; agents work without pause until everything is over. */
const rotation: Scenario = {
  async act(one) {
    one.agents.start();
    await one.rotate();
    one.agents.stop();
  },
  async also(one) {
    const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
    if (newest === undefined) return ['the ledger has no rotation'];
    if (!isOver(newest.phase)) return [`the rotation is not over (${newest.phase})`];
    return one.agents.logins < 3 ? ['the agents hardly worked'] : [];
  },
};

/** The same where Secrets Manager doesn't come again after a failure. */
const abandoned: Scenario = {
  ...rotation,
  prepare: async (one) => {
    one.vaultGivesUp = true;
  },
};

describe('a rotation', () => {
  test('has every side effect numbered', async () => {
    const { labels } = await dryRun(world, rotation);
    expect(new Set(labels)).toEqual(
      new Set([
        'ledger.commit',
        'ledger.attach',
        'workflow.startLifecycle',
        'workflow.answer',
        'vault.rotate',
        'vault.put',
        'vault.promote',
        'provider.issue',
        'provider.activate',
        'provider.suspend',
        'provider.revoke',
      ]),
    );
  });

  test.each(MODES)('survives every fault of a side effect: %s', async (mode) => {
    expect(await everyFault(world, rotation, mode)).toEqual([]);
  });

  test.each(['before', 'after'] as const)(
    'is finished or undone where the vault gives up at every fault: %s',
    async (mode) => {
      expect(await everyFault(world, abandoned, mode)).toEqual([]);
    },
  );
});
