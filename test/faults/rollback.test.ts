import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { abort } from '../../shared/engine/abort.ts';
import { rollback } from '../../shared/engine/rollback.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { creatingAtIssue } from '../support/creating-at-issue.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { dryRun, everyFault, type Scenario } from '../support/explore.ts';
import type { ProcessDeps } from '../support/faulty.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const tokens = new WeakMap<EngineCase, string>();

/** A rollback that is asked for once a rotation has come to `phase`; agents work without pause. */
function rollbackIn(phase: 'window' | 'suspending'): Scenario {
  return {
    async prepare(one) {
      one.agents.start();
      const token = await one.requestRotation();
      await one.until((rotation) => rotation.phase === phase, token);
      await one.still();
      tokens.set(one, token);
    },
    async act(one) {
      await one.requestRollback(tokens.get(one) ?? '');
      await one.settle();
      one.agents.stop();
    },
    async also(one) {
      const token = tokens.get(one) ?? '';
      const wrong: string[] = [];
      const { phase: end, old } = await one.rotation(token);
      if (end !== 'rolled-back') wrong.push(`the rotation is ${end}`);
      const { current } = await one.credential();
      if (current?.versionId !== old?.versionId) wrong.push('the old version is not current');
      // Hard decision 1: the token stays refused, and the next rotation isn't blocked by it.
      const refusal = await one.step('createSecret', token).then(
        () => 'nothing',
        (error: Error) => error.name,
      );
      if (refusal !== 'ERR_TOMBSTONED') wrong.push(`a step of the rolled back token answered ${refusal}`);
      return wrong;
    },
  };
}

describe('a rollback brings the old credential back, whatever fails', () => {
  test.each([
    ['window', 'before'],
    ['window', 'after'],
    ['window', 'throttled'],
    ['suspending', 'before'],
    ['suspending', 'after'],
    ['suspending', 'lost'],
    ['suspending', 'throttled'],
  ] as const)('in phase %s: %s', async (phase, mode) => {
    expect(await everyFault(world, rollbackIn(phase), mode)).toEqual([]);
  });
});

describe('a rollback', () => {
  test('of a suspended credential cuts nobody off, at whatever moment it comes', async () => {
    // From the window on, every call of the lifecycle: the rollback is asked for while the process stands still there.
    const story: Scenario = {
      async prepare(one) {
        const token = await one.requestRotation();
        await one.until((rotation) => rotation.phase === 'window', token);
        await one.still();
        tokens.set(one, token);
      },
      act: (one) => one.settle(),
    };
    const { moments } = await dryRun(world, story);
    const found: string[] = [];
    await inParallel(
      moments.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const one = await world.registered();
        await story.prepare?.(one);
        const token = tokens.get(one) ?? '';
        let refusal = '';
        one.calls.interlude = {
          at,
          act: () =>
            one.requestRollback(token).catch((error: Error) => {
              refusal = error.name;
            }),
        };
        one.agents.start();
        one.calls.arm();
        await one.settle();
        const wrong = await one.faults();
        if (!one.calls.struck) wrong.push('the rollback was never asked for');
        const { phase } = await one.rotation(token);
        const expected = refusal === '' ? 'rolled-back' : 'completed';
        if (!['', 'ERR_POINT_OF_NO_RETURN'].includes(refusal)) wrong.push(`refused with ${refusal}`);
        if (phase !== expected) wrong.push(`the rotation is ${phase}, not ${expected}`);
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });

  test('is not undone by a suspension that was on its way', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    const credentialId = await one.id();
    let came = false;
    one.calls.between = async (label) => {
      if (label !== 'provider.suspend' || came) return;
      came = true;
      // Another execution of the lifecycle takes the rollback up and ends it before this call goes out.
      await one.requestRollback(token);
      await one.process((deps) => rollback(deps, { credentialId, rotationId: token }));
    };
    await one.settle();
    expect(came).toBe(true);
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('hard decision 1: another rotation follows it at once', async () => {
    const one = await world.registered();
    one.agents.start();
    const first = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', first);
    await one.requestRollback(first);
    await one.settle();
    const second = await one.rotate();
    expect((await one.rotation(first)).phase).toBe('rolled-back');
    expect((await one.rotation(second)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test("trap: moving AWSCURRENT back is no rollback once the old credential's revocation is intended", async () => {
    const one = await world.registered();
    const token = await one.rotate();
    await expect(one.requestRollback(token)).rejects.toMatchObject({ code: 'ERR_POINT_OF_NO_RETURN' });
    expect(await one.faults()).toEqual([]);
  });

  test('that is asked for again while the new credential is being retired joins the first, which names who asked', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await one.requestRollback(token);
    await one.until((rotation) => rotation.phase === 'suspending', token);
    await one.requestRollback(token);
    const { phase, loser, rollback: request } = await one.rotation(token);
    expect({ phase, loser, kind: request?.kind }).toEqual({
      phase: 'suspending',
      loser: 'next',
      kind: 'operator',
    });
    expect((await one.actions()).filter((action) => action === 'rollback-intended')).toHaveLength(1);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('of a rotation that is not promoted yet is refused with what happens instead', async () => {
    const one = await world.registered({ at: 5, mode: 'before' });
    one.vaultGivesUp = true;
    const token = await one.requestRotation(randomUUID());
    await one.still();
    await expect(one.requestRollback(token)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('whose lifecycle was not woken is woken by the repetition, not by the end of the window', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    one.change = (deps) => ({
      ...deps,
      workflow: { ...deps.workflow, answer: () => Promise.reject(new Error('the service is down')) },
    });
    await expect(one.requestRollback(token)).rejects.toThrow('the service is down');
    one.change = (deps) => deps;
    const asked = one.time.now();
    const { phase, checkAt } = await one.rotation(token);
    expect(phase).toBe('rolling-back');
    expect(Date.parse(checkAt) - asked).toBeLessThanOrEqual(one.deps.timing.stuckAfterSeconds * 1000);
    await one.requestRollback(token);
    await one.still();
    expect((await one.rotation(token)).window).toBeDefined();
    expect(one.time.now() - asked).toBeLessThan(60_000);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test.each(['window', 'suspending'] as const)(
    'to a credential that no longer works is refused, and the rotation goes on (%s)',
    async (phase) => {
      const one = await world.registered();
      const token = await one.requestRotation();
      await one.until((rotation) => rotation.phase === phase, token);
      await one.still();
      const before = await one.rotation(token);
      await world.server.sql(`ALTER ROLE "${before.old?.handle.id}" PASSWORD 'by-hand'`);
      await one.requestRollback(token);
      await one.still();
      const { window, loser, tombstoned, ...after } = await one.rotation(token);
      expect({ phase: after.phase, window, loser, tombstoned }).toEqual({
        phase: 'window',
        window: before.window,
        loser: 'old',
        tombstoned: false,
      });
      const refused = (await one.records()).at(-1);
      expect([refused?.message, refused?.entity.data.evidence]).toEqual([
        'rollback-refused',
        expect.stringContaining('ERR_REJECTED'),
      ]);
      await one.settle();
      expect((await one.rotation(token)).phase).toBe('completed');
      expect(await one.faults()).toEqual([]);
    },
  );

  test('that fails for the moment is tried again with pauses', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => ({
        ...(await deps.providerFor(type, name)),
        verify: () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'the database is down')),
      }),
    });
    const asked = one.time.now();
    await one.requestRollback(token);
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'rolling-back', stuck: true });
    expect(one.time.now() - asked).toBeGreaterThan(4 * one.deps.timing.stuckAfterSeconds * 1000);

    one.change = (deps) => deps;
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('of a rotation that never began and is stuck gives it up; a refusal to rotate is tried with pauses', async () => {
    const one = await world.registered();
    one.change = (deps) => ({
      ...deps,
      vault: new Proxy(deps.vault, {
        get: (vault, name, self) =>
          name === 'rotate'
            ? () => Promise.reject(new Error('InvalidRequestException'))
            : method(vault, Reflect.get(vault, name, self)),
      }),
    });
    const asked = one.time.now();
    const token = await one.requestRotation();
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'announced', stuck: true });
    expect(one.time.now() - asked).toBeGreaterThan(4 * one.deps.timing.stuckAfterSeconds * 1000);
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    one.change = (deps) => deps;
    expect((await one.rotation(await one.rotate())).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });
});

describe('an abort', () => {
  test('whose deactivation is not confirmed claims nothing: it is tried again, pages, and ends once it is confirmed', async () => {
    const one = await world.registered();
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => {
        const provider = await deps.providerFor(type, name);
        return {
          ...provider,
          comparePermissions: () => Promise.reject(new RekeyError('ERR_REJECTED', 'they differ')),
          revoke: async (...args) => ({
            ...(await provider.revoke(...args)),
            confirmed: false,
            detail: 'a session is open',
          }),
        };
      },
    });
    const token = await one.requestRotation();
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'aborting', stuck: true });
    const records = await one.records();
    expect(records.map((record) => record.message)).not.toContain('aborted');
    expect(records.map((record) => record.entity.data.deactivation)).not.toContain('CONFIRMED');
    const stuck = records.filter((record) => record.message === 'stuck');
    expect(stuck.map((record) => record.entity.data.evidence)).toEqual([
      expect.stringContaining('not confirmed'),
    ]);
    expect(one.machines.failed.map((execution) => execution.error)).toContain('RotationStuck');

    // Whoever was paged has mended it, and asks again.
    one.change = (deps) => deps;
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    const last = (await one.records()).at(-1);
    expect([last?.message, last?.entity.data.deactivation]).toEqual(['aborted', 'CONFIRMED']);
    expect(await one.faults()).toEqual([]);
  });

  test('of an upstream that creates at issue ends what was issued under the token and never told', async () => {
    const one = await world.registered();
    one.change = createsAtIssue;
    one.vaultGivesUp = true;
    one.calls.arm({ at: 'provider.issue', mode: 'after' });
    const token = await one.requestRotation();
    await one.still();
    expect(await one.openSlots()).toHaveLength(2);
    expect(await one.rotation(token)).not.toHaveProperty('next');
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    const last = (await one.records()).at(-1);
    expect([last?.message, last?.entity.data.deactivation]).toEqual(['aborted', 'CONFIRMED']);
    expect(await one.faults()).toEqual([]);
  });

  test('beside an issue that has not reached such an upstream leaves nothing alive', async () => {
    const one = await world.registered();
    one.change = createsAtIssue;
    const token = randomUUID();
    let came = false;
    one.calls.between = async (label) => {
      if (label !== 'provider.issue' || came) return;
      came = true;
      await abort(one.deps, await one.id(), token, { code: 'ERR_TIMEOUT', message: 'abandoned' });
    };
    await one.requestRotation(token);
    await one.settle();
    expect(came).toBe(true);
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(await one.faults()).toEqual([]);
    one.change = (deps) => deps;
    expect((await one.rotation(await one.rotate())).phase).toBe('completed');
  });

  test('beside an activation that has not reached the upstream leaves nothing alive', async () => {
    const one = await world.registered();
    const token = randomUUID();
    let came = false;
    one.calls.between = async (label) => {
      if (label !== 'provider.activate' || came) return;
      came = true;
      await abort(one.deps, await one.id(), token, { code: 'ERR_TIMEOUT', message: 'abandoned' });
    };
    await one.requestRotation(token);
    await one.settle();
    expect(came).toBe(true);
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(await one.faults()).toEqual([]);
    expect((await one.rotation(await one.rotate())).phase).toBe('completed');
  });

  test('that comes during an activation has it ended by whoever activated, who looks until that is confirmed', async () => {
    const one = await world.registered();
    const token = randomUUID();
    let activated = 0;
    let looks = 0;
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => {
        const provider = await deps.providerFor(type, name);
        return {
          ...provider,
          activate: async (...args) => {
            await provider.activate?.(...args);
            if (activated++ > 0) return;
            await abort(one.deps, await one.id(), token, { code: 'ERR_TIMEOUT', message: 'abandoned' });
          },
          revoke: async (...args) => ({ ...(await provider.revoke(...args)), confirmed: ++looks > 2 }),
        };
      },
    });
    await one.requestRotation(token);
    await one.settle();
    expect([activated, looks]).toEqual([1, 3]);
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(await one.faults()).toEqual([]);
  });
});

function createsAtIssue<D extends ProcessDeps>(deps: D): D {
  return {
    ...deps,
    providerFor: async (type: string, name: string) => creatingAtIssue(await deps.providerFor(type, name)),
  };
}

/** What a proxy hands out: methods bound to the part itself, which has private fields. */
function method(part: object, value: unknown): unknown {
  return typeof value === 'function' ? value.bind(part) : value;
}
