import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { eventsOf } from '../../shared/api/audit-events.ts';
import { eventOf } from '../../shared/domain/events.ts';
import type { AnyProvider } from '../../shared/providers/provider.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { everyFault, type Scenario } from '../support/explore.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const LOW = { field: 'admin', message: 'the pool runs low', remedy: 'append to it' };

/** The upstream as one that foresees something. */
function foreseeing(one: EngineCase, outlook: NonNullable<AnyProvider['outlook']>): void {
  one.change = (deps) => ({
    ...deps,
    providerFor: async (type, name) => ({ ...(await deps.providerFor(type, name)), outlook }),
  });
}

async function told(one: EngineCase) {
  return (await one.records()).filter(({ message }) => message === 'rotation-endangered');
}

const rotation: Scenario = {
  prepare: async (one) => foreseeing(one, async () => Promise.resolve([LOW])),
  act: async (one) => void (await one.rotate()),
  also: async (one) => {
    const promoted = (await one.actions()).filter((action) => action === 'promotion-intended').length;
    const count = (await told(one)).length;
    return count === promoted ? [] : [`told ${count} times of ${promoted} promotions`];
  },
};

describe('what will stop a later rotation', () => {
  test.each(['after', 'lost'] as const)(
    'is told once with each new credential, whatever fails: %s',
    async (mode) => {
      expect(await everyFault(world, rotation, mode)).toEqual([]);
    },
  );

  test('is an event for operators and a line of the audit, which names what to do', async () => {
    const one = await world.registered();
    foreseeing(one, async () => Promise.resolve([LOW]));
    const token = await one.rotate();
    const [record] = await told(one);
    if (record === undefined) throw new Error('nothing was told');
    expect(eventOf(record)).toMatchObject({
      detailType: 'Credential Expiring',
      detail: { action: 'rotation-endangered', credential: one.name, rotationId: token },
    });
    expect(eventsOf([record])).toMatchObject([{ detail: 'the pool runs low: append to it' }]);
    expect(await one.faults()).toEqual([]);
  });

  test('is told of the replacement of an emergency, which takes from the pool as well', async () => {
    const one = await world.registered();
    foreseeing(one, async () => Promise.resolve([LOW]));
    await one.finished(await one.startEmergency('INC-1'));
    expect(await told(one)).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
  });

  test('holds nothing up where it can’t be told, and says nothing where all is well', async () => {
    const one = await world.registered();
    foreseeing(one, async () => Promise.reject(new Error('out of order')));
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    foreseeing(one, async () => Promise.resolve([]));
    await one.finished(await one.startEmergency('INC-1'));
    expect((await one.credential()).status).toBe('active');
    expect(await told(one)).toEqual([]);
  });
});
