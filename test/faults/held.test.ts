import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { HeldSignal } from '../../shared/domain/signals/held.ts';
import type { SuspensionInput } from '../../shared/ports/workflow.ts';
import { emergency } from '../support/emergencies.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import type { FaultMode } from '../support/faulty.ts';
import { tryUnregister } from '../support/leaving.ts';
import type { Execution } from '../support/machines.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** A signal about the current value of a credential, which is held. */
class Held {
  readonly one: EngineCase;
  readonly id = randomUUID();
  status: HeldSignal['status'] = 'held';

  constructor(one: EngineCase, beside: readonly Held[] = []) {
    this.one = one;
    const all = [this, ...beside];
    const signals = {
      held: (id: string) => {
        const found = all.find((each) => each.id === id);
        return Promise.resolve(found === undefined ? undefined : ({ status: found.status } as HeldSignal));
      },
    };
    one.change = (deps) => ({ ...deps, signals });
  }

  async run(action: SuspensionInput['action']): Promise<Execution> {
    const { one, id } = this;
    const { current } = await one.credential();
    if (current === undefined) throw new Error('nothing is current');
    this.#handle ??= { id: current.handle.id, generation: current.handle.generation };
    const name = `${id}-${action}`;
    await one.deps.workflow.startSuspension(name, {
      action,
      signalId: id,
      incidentId: 'signal-1',
      reason: 'a signal of siem',
      actor: 'signal:siem',
      values: [{ credentialId: await one.id(), type: 'database', handle: this.#handle }],
    });
    const execution = one.machines.executions.get(name);
    if (execution === undefined) throw new Error('it was not started');
    await one.finished(execution);
    return execution;
  }

  #handle: SuspensionInput['values'][number]['handle'] | undefined;
}

const outcomes = ({ output }: Execution): unknown =>
  (output as { results: { outcome: string }[] }).results.map(({ outcome }) => outcome);

const count = async (one: EngineCase, action: string): Promise<number> =>
  (await one.actions()).filter((each) => each === action).length;

describe('a value of a signal that is held', () => {
  test.each<[string, FaultMode]>([
    ['nothing', 'before'],
    ['ledger.commit', 'before'],
    ['ledger.commit', 'after'],
    ['provider.suspend', 'before'],
    ['provider.suspend', 'after'],
    ['provider.suspend', 'throttled'],
  ])(
    'is suspended, on record before, and restored where it is denied: a death at %s (%s)',
    async (at, mode) => {
      const one = await world.registered();
      const login = await one.login();
      const held = new Held(one);
      let recorded: number | undefined;
      one.calls.between = async (label) => {
        if (label !== 'provider.suspend') return;
        recorded ??= await count(one, 'suspension-intended');
        // Its upstream may refuse it yet.
        expect((await one.credential()).suspended).not.toMatchObject([{ since: expect.any(String) }]);
      };
      one.calls.arm({ at, mode });
      expect(outcomes(await held.run('suspend'))).toEqual(['suspended']);
      one.calls.disarm();
      expect([await one.works(login), recorded]).toEqual([false, 1]);
      expect((await one.credential()).suspended).toMatchObject([
        { signal: held.id, since: expect.any(String) },
      ]);
      held.status = 'denied';
      expect(outcomes(await held.run('restore'))).toEqual(['restored']);
      expect(await one.works(login)).toBe(true);
      expect((await one.credential()).suspended).toBeUndefined();
      for (const action of ['suspension-intended', 'suspension-confirmed', 'suspension-lifted'])
        expect([action, await count(one, action)]).toEqual([action, 1]);
      expect(await one.faults()).toEqual([]);
    },
  );

  test.each<[string, FaultMode]>([
    ['provider.restore', 'before'],
    ['provider.restore', 'after'],
    ['ledger.commit', 'before'],
    ['ledger.commit', 'after'],
  ])('is restored whatever dies on the way: at %s (%s)', async (at, mode) => {
    const one = await world.registered();
    const login = await one.login();
    const held = new Held(one);
    await held.run('suspend');
    held.status = 'denied';
    one.calls.arm({ at, mode });
    expect((await held.run('restore')).status).toBe('SUCCEEDED');
    one.calls.disarm();
    expect([await one.works(login), await count(one, 'suspension-lifted')]).toEqual([true, 1]);
    expect(await one.faults()).toEqual([]);
  });

  test('is left alone where it was denied before its suspension has begun', async () => {
    const one = await world.registered();
    const held = new Held(one);
    held.status = 'denied';
    expect(outcomes(await held.run('restore'))).toEqual(['restored']);
    expect(outcomes(await held.run('suspend'))).toEqual(['restored']);
    expect(await one.works(await one.login())).toBe(true);
    expect(await count(one, 'suspension-intended')).toBe(0);
  });

  test('is restored by whoever suspends where it is denied meanwhile', async () => {
    const one = await world.registered();
    const login = await one.login();
    const held = new Held(one);
    one.calls.between = async (label) => {
      if (label !== 'provider.suspend' || held.status === 'denied') return;
      held.status = 'denied';
      await held.run('restore');
    };
    expect(outcomes(await held.run('suspend'))).toEqual(['restored']);
    expect(await one.works(login)).toBe(true);
    expect((await one.credential()).suspended).toBeUndefined();
  });

  test('is restored also where whoever suspends dies right after it, once it was denied and restored', async () => {
    const one = await world.registered();
    const login = await one.login();
    const held = new Held(one);
    one.calls.between = async (label) => {
      if (label !== 'provider.suspend' || held.status === 'denied') return;
      held.status = 'denied';
      await held.run('restore');
      one.calls.arm({ at: 'provider.suspend', mode: 'after' });
    };
    expect(outcomes(await held.run('suspend'))).toEqual(['restored']);
    one.calls.disarm();
    expect(await one.works(login)).toBe(true);
    expect((await one.credential()).suspended).toBeUndefined();
  });

  test('dies for good where it is approved, and a late restoration leaves its replacement alone', async () => {
    const one = await world.registered();
    const login = await one.login();
    const held = new Held(one);
    await held.run('suspend');
    held.status = 'approved';
    await emergency(one);
    await one.settle();
    expect((await one.credential()).suspended).toBeUndefined();
    expect(await one.works(login)).toBe(false);
    await held.run('restore');
    expect([await one.works(login), await one.works(await one.login())]).toEqual([false, true]);
    expect(await one.faults()).toEqual([]);
  });

  test('is not let go of while it is suspended, since nobody would restore it: a denial first, or an approval', async () => {
    const one = await world.registered();
    const login = await one.login();
    const held = new Held(one);
    await held.run('suspend');
    const records = await one.records();
    for (const dryRun of [true, false])
      await expect(tryUnregister(one, one.name, { dryRun })).rejects.toMatchObject({
        code: 'ERR_MODE',
        field: 'suspended',
        remedy: expect.stringContaining(`rekey incident deny ${held.id}`),
      });
    expect(await one.records()).toEqual(records);
    held.status = 'denied';
    await held.run('restore');
    expect((await tryUnregister(one)).outcome).toBe('unregistered');
    expect(await one.works(login)).toBe(true);
  });

  test('is let go of once its approval has ended it', async () => {
    const one = await world.registered();
    const held = new Held(one);
    await held.run('suspend');
    held.status = 'approved';
    await one.finished(await one.startEmergency('leak', { replace: false }));
    expect((await tryUnregister(one)).outcome).toBe('unregistered');
    expect(await one.openSlots()).toEqual([]);
  });

  test('stays suspended for another signal that is held', async () => {
    const one = await world.registered();
    const login = await one.login();
    const first = new Held(one);
    const second = new Held(one, [first]);
    await first.run('suspend');
    await second.run('suspend');
    first.status = 'denied';
    expect(outcomes(await first.run('restore'))).toEqual(['over']);
    expect(await one.works(login)).toBe(false);
    second.status = 'denied';
    expect(outcomes(await second.run('restore'))).toEqual(['restored']);
    expect(await one.works(login)).toBe(true);
  });
});
