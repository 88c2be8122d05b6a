import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AwsServiceError } from '../../shared/adapters/aws-client.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { halt } from '../../shared/engine/incident-agents.ts';
import { recordFailedRevocation, recordRevocation } from '../../shared/engine/incident-outcome.ts';
import { emergency, stillWorking } from '../support/emergencies.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

describe('hard decision 3: a revocation waits for nothing', () => {
  /** What the revoking function sees of a ledger that is down or slow. */
  function broken(one: EngineCase, answer: () => Promise<void>): void {
    one.change = (deps) => ({
      ...deps,
      ledger: new Proxy(deps.ledger, {
        get(ledger, key) {
          const value: unknown = Reflect.get(ledger, key);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]): Promise<unknown> => {
            await answer();
            return await Reflect.apply(value, ledger, args);
          };
        },
      }),
    });
  }

  /** Milliseconds until the first call to the upstream, and what the revocation told. */
  async function revoked(one: EngineCase) {
    const started = performance.now();
    let reached = Number.POSITIVE_INFINITY;
    one.calls.between = async (label) => {
      if (label === 'provider.revoke') reached = Math.min(reached, performance.now() - started);
    };
    const credentialId = await one.id();
    const revocation = await one.process((deps) =>
      revokeNow(deps, { credentialId, incidentId: 'slow', reason: 'leaked', actor: 'responder' }),
    );
    return { revocation, reached, took: performance.now() - started };
  }

  test('with the ledger down the snapshot names what is to die', async () => {
    const one = await world.registered();
    const before = await one.login();
    await one.id();
    broken(one, () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down')));
    const { revocation, reached } = await revoked(one);
    expect(revocation).toMatchObject({ source: 'snapshot', intent: 'spool' });
    expect(one.spooled).toMatchObject([{ incidentId: 'slow', reason: 'leaked', actor: 'responder' }]);
    expect(reached).toBeLessThan(500);
    expect(await one.works(before)).toBe(false);

    one.change = (deps) => deps;
    await emergency(one, 'slow');
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test.each<[string, () => Promise<undefined>]>([
    ['is absent', async () => undefined],
    // As S3 answers for an absent object to whoever may not list the bucket.
    ['is denied', () => Promise.reject(new AwsServiceError('AccessDenied', 'Access Denied', 403))],
  ])(
    'with the ledger down and a snapshot that %s, the error says both and what to do by hand',
    async (_what, read) => {
      const one = await world.registered();
      const before = await one.login();
      await one.id();
      broken(one, () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'dynamodb did not answer')));
      const down = one.change;
      one.change = (deps) => ({ ...down(deps), snapshots: { ...one.deps.snapshots, read } });
      await expect(revoked(one)).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
        message: expect.stringMatching(/the ledger does not answer, and no snapshot/),
        remedy: expect.stringContaining('by hand'),
      });
      expect(await one.works(before)).toBe(true);
    },
  );

  test('a snapshot from before the last rotations hides nothing that works', async () => {
    const one = await world.registered();
    const copy = await one.credential();
    const token = await one.rotate();
    await one.rotate();
    const before = await one.login();
    one.change = (deps) => ({
      ...deps,
      snapshots: { ...one.deps.snapshots, read: async () => copy },
    });
    const healthy = one.change;
    broken(one, () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down')));
    const down = one.change;
    one.change = (deps) => healthy(down(deps));
    const { revocation } = await revoked(one);
    expect(revocation.source).toBe('snapshot');
    expect(await one.openSlots()).toEqual([]);
    expect(await stillWorking(one, [before, await one.login({ versionId: token })])).toEqual([]);
    one.change = (deps) => deps;
    await emergency(one, 'slow');
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test.each<[string, () => Promise<void>, boolean, string[]]>([
    ['from the ledger', async () => {}, true, ['fleet']],
    [
      'from the snapshot while the ledger is down',
      () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down')),
      false,
      ['fleet'],
    ],
    ['from the snapshot while the ledger hangs', () => sleep(1_000), false, ['fleet']],
  ])('the order to halt names its fleets, %s', async (_where, answer, healthy, fleets) => {
    const one = await world.registered();
    const order = { credentialId: await one.id(), incidentId: 'x', reason: 'leaked', actor: 'responder' };
    const revocation = await one.process((deps) => revokeNow(deps, order));
    if (!healthy) broken(one, answer);
    for (const tell of [
      () => one.process((deps) => halt(deps, order, revocation)),
      () => one.process((deps) => recordFailedRevocation(deps, order, 'ERR_ADMIN_DENIED')),
    ]) {
      one.published.length = 0;
      const started = performance.now();
      const told = tell().catch(() => undefined);
      while (one.published.length === 0 && performance.now() - started < 3000) await sleep(20);
      expect(one.published).toMatchObject([
        { detailType: 'Agents Halt', detail: { holders: fleets, fleets } },
      ]);
      expect(performance.now() - started).toBeLessThan(500 + 250);
      await told;
    }
    one.change = (deps) => deps;
  });

  test('a halt whose revocation the ledger doesn’t take is no failure: both are recorded once it is back', async () => {
    const one = await world.registered();
    const order = { credentialId: await one.id(), incidentId: 'x', reason: 'leaked', actor: 'responder' };
    const revocation = await one.process((deps) => revokeNow(deps, order));
    broken(one, () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down')));
    await one.process((deps) => halt(deps, order, revocation));
    expect(one.published).toMatchObject([{ detailType: 'Agents Halt' }]);
    await expect(one.process((deps) => halt(deps, order))).rejects.toThrow('down');
    one.change = (deps) => deps;
    await one.process((deps) => recordRevocation(deps, order, revocation));
    await one.process((deps) => halt(deps, order));
    expect((await one.credential()).incident).toMatchObject({ stage: 'halted' });
  });

  test('the order to halt is for every fleet where neither ledger nor snapshot tells whose it is', async () => {
    const one = await world.registered();
    const order = { credentialId: await one.id(), incidentId: 'x', reason: 'leaked', actor: 'responder' };
    broken(one, () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the ledger is down')));
    const down = one.change;
    const read = () => Promise.reject(new AwsServiceError('AccessDenied', 'Access Denied', 403));
    one.change = (deps) => ({ ...down(deps), snapshots: { ...one.deps.snapshots, read } });
    await expect(one.process((deps) => halt(deps, order))).rejects.toThrow('down');
    expect(one.published).toMatchObject([
      { detailType: 'Agents Halt', detail: { holders: [], fleets: ['*'] } },
    ]);
    one.change = (deps) => deps;
  });

  test('with a ledger that hangs the revocation begins after 500 ms', async () => {
    const one = await world.registered();
    const before = await one.login();
    await one.id();
    broken(one, () => sleep(5_000));
    const { revocation, reached, took } = await revoked(one);
    expect(revocation).toMatchObject({ source: 'snapshot', intent: 'spool' });
    expect(reached).toBeLessThan(500 + 250);
    expect(took).toBeLessThan(500 + 500 + 500);
    expect(await one.works(before)).toBe(false);
  });

  test('an intent that is slow to write delays nothing', async () => {
    const one = await world.registered();
    await one.id();
    one.change = (deps) => ({
      ...deps,
      ledger: new Proxy(deps.ledger, {
        get(ledger, key) {
          const value: unknown = Reflect.get(ledger, key);
          if (typeof value !== 'function') return value;
          return async (...args: unknown[]): Promise<unknown> => {
            if (key === 'commit') await sleep(3_000);
            return await Reflect.apply(value, ledger, args);
          };
        },
      }),
    });
    const { revocation, reached, took } = await revoked(one);
    expect(revocation).toMatchObject({ source: 'ledger', intent: 'spool' });
    expect(reached).toBeLessThan(250);
    expect(took).toBeLessThan(500 + 500);
    one.change = (deps) => deps;
    await sleep(3_000); // the late intent arrives, and is the same emergency's
    await one.finished(await one.startEmergency('slow', { id: 'slow' }));
    await one.settle();
    expect(await one.faults()).toEqual([]);
    expect((await one.actions()).filter((action) => action === 'emergency-intended')).toHaveLength(1);
  });

  test('with the bus down the credential is revoked and recorded, and a later run finishes', async () => {
    const one = await world.registered();
    const before = await one.login();
    const refuse = { publish: () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the bus is down')) };
    one.change = (deps) => ({ ...deps, events: refuse });
    const execution = await one.startEmergency('bus');
    await one.finished(execution);
    expect(await one.works(before)).toBe(false);
    expect(await one.actions()).toContain('emergency-revoked');
    one.change = (deps) => deps;
    await emergency(one, 'bus');
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });
});

describe('hard decision 2: a late revocation', () => {
  test.each([
    ['ledger', false],
    ['snapshot', true],
  ])('of the same emergency never hits its replacement (%s)', async (_source, down) => {
    const one = await world.registered();
    const { name: emergencyId } = await emergency(one, 'again');
    await one.settle();
    if (down)
      one.change = (deps) => ({
        ...deps,
        ledger: new Proxy(deps.ledger, {
          get: (ledger, key) =>
            key === 'credential' || key === 'commit'
              ? () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'down'))
              : Reflect.get(ledger, key),
        }),
      });
    const credentialId = await one.id();
    await one.process((deps) =>
      revokeNow(deps, {
        credentialId,
        emergencyId,
        incidentId: 'again',
        reason: 'leaked',
        actor: 'responder',
      }),
    );
    one.change = (deps) => deps;
    expect(await one.faults()).toEqual([]);
  });

  test('of a machine that does not name its execution goes by the incident', async () => {
    const one = await world.registered();
    const before = await one.login();
    const old = {
      credentialId: await one.id(),
      incidentId: 'old',
      reason: 'leaked',
      actor: 'responder',
    };
    const revocation = await one.process((deps) => revokeNow(deps, old));
    await one.process((deps) => recordRevocation(deps, old, revocation));
    const halted = await one.credential();
    expect(halted.incident).toMatchObject({ id: 'old', stage: 'revoked' });
    expect(await one.works(before)).toBe(false);
    const again = await one.process((deps) => revokeNow(deps, old));
    expect(again.generation).toBe(revocation.generation);
    expect((await one.credential()).incident).toEqual(halted.incident);
  });
});
