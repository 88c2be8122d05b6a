import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { MAX_OPERATOR_LOOKS } from '../../shared/domain/operator.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { confirmEnd } from '../../shared/engine/confirm-end.ts';
import { requestRollback } from '../../shared/engine/rollback.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { everyFault, type Scenario } from '../support/explore.ts';
import { Operator } from '../support/operator.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const TRIGGER = { kind: 'operator' as const, actor: 'arn:aws:iam::111122223333:user/ops' };
/** Nothing can be suspended where only a person ends keys. */
const POLICY = { soak: '0s' };

async function begun(): Promise<{ one: EngineCase; operator: Operator; token: string }> {
  const one = await world.registered(undefined, POLICY);
  const operator = Operator.enter(one);
  const token = await one.requestRotation();
  await one.until((rotation) => rotation.awaitsOperator !== undefined, token);
  return { one, operator, token };
}

const confirm = async (one: EngineCase, operator: Operator, rotationId: string) => {
  const credentialId = await one.id();
  return one.process((deps) =>
    confirmEnd(
      { ...deps, deactivation: operator.deactivation },
      { credentialId, rotationId, trigger: TRIGGER },
    ),
  );
};
const count = (actions: readonly string[], wanted: string): number =>
  actions.filter((action) => action === wanted).length;

describe('a retirement that only a person can perform', () => {
  test('waits for them: told once, with what to do, and the old credential is not called dead', async () => {
    const { one, token } = await begun();
    const old = await one.login({ stage: 'AWSPREVIOUS' });
    const { phase, awaitsOperator } = await one.rotation(token);
    expect([phase, await one.works(old)]).toEqual(['revoking', true]);
    expect(awaitsOperator?.byHand).toContain('at https://console.example');
    const told = (await one.records()).filter(({ message }) => message === 'operator-awaited');
    expect(told).toHaveLength(1);
    expect(told[0]?.entity.data.deactivation).toBe('NOT CONFIRMED');
    expect(told.map((record) => eventOf(record))).toMatchObject([
      {
        detailType: 'Credential Rotation Failed',
        detail: { byHand: awaitsOperator?.byHand, rotationId: token },
      },
    ]);
    expect(await one.actions()).not.toContain('retired');
    const credentialId = await one.id();
    const back = requestRollback(one.deps, { credentialId, rotationId: token, trigger: TRIGGER });
    await expect(back).rejects.toMatchObject({ code: 'ERR_POINT_OF_NO_RETURN' });
  });

  test('is found done without a word of theirs, and confirmed by the refusal of the upstream alone', async () => {
    const { one, operator, token } = await begun();
    await operator.act();
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'completed' });
    expect((await one.rotation(token)).awaitsOperator).toBeUndefined();
    const retired = (await one.records()).find(({ message }) => message === 'retired');
    expect(retired?.entity.data.deactivation).toBe('CONFIRMED');
    expect(retired?.entity.data.evidence).toContain('negative-authentication');
    expect(await one.faults()).toEqual([]);
  });

  test('is refused as done while the upstream takes the old one, and nothing is recorded of that', async () => {
    const { one, operator, token } = await begun();
    const before = await one.actions();
    await expect(confirm(one, operator, token)).rejects.toMatchObject({
      code: 'ERR_AWAITING_OPERATOR',
      remedy: expect.stringContaining('delete the key'),
    });
    expect(await one.actions()).toEqual(before);
    expect((await one.rotation(token)).phase).toBe('revoking');
  });

  test('goes on at once where they say so and the upstream agrees; the same again is success', async () => {
    const { one, operator, token } = await begun();
    await operator.act();
    const at = one.time.now();
    await confirm(one, operator, token);
    await one.still();
    expect((await one.rotation(token)).phase).toBe('completed');
    // Its next look by itself would have come after minutes.
    expect(one.time.now() - at).toBeLessThan(60_000);
    expect((await confirm(one, operator, token)).phase).toBe('completed');
    expect(count(await one.actions(), 'operator-confirmed')).toBe(1);
    expect(await one.faults()).toEqual([]);
  });

  test('is not called done where an emergency has taken it over, or mode overlap has kept the old one', async () => {
    const { one, operator, token } = await begun();
    const old = await one.login({ stage: 'AWSPREVIOUS' });
    await one.startEmergency('INC-1');
    for (let polls = 0; (await one.rotation(token)).phase !== 'preempted'; polls++) {
      if (polls > 200) throw new Error('nothing preempts it');
      await one.still();
    }
    await expect(confirm(one, operator, token)).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(await one.works(old)).toBe(true);

    const kept = await world.registered(undefined, POLICY);
    await kept.tryRegister(parseEntry({ ...kept.declaration, mode: 'overlap' }));
    const rotation = await kept.rotate();
    expect((await kept.rotation(rotation)).phase).toBe('completed');
    const refused = confirm(kept, Operator.enter(kept), rotation);
    await expect(refused).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('hard decision 5: looks ever more rarely, then ends its execution, which pages again; a word still wakes it', async () => {
    const { one, operator, token } = await begun();
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'revoking', stuck: true });
    expect(operator.looks).toBe(MAX_OPERATOR_LOOKS);
    expect(count(await one.actions(), 'operator-awaited')).toBe(2);
    expect([...one.machines.executions.values()].map(({ status }) => status)).toEqual(['FAILED']);
    await operator.act();
    await confirm(one, operator, token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('waits for the new one after a rollback', async () => {
    const one = await world.registered(undefined, POLICY);
    const operator = Operator.enter(one);
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    await one.requestRollback(token);
    await one.until((rotation) => rotation.awaitsOperator !== undefined, token);
    expect((await one.rotation(token)).loser).toBe('next');
    await operator.act();
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect(await one.faults()).toEqual([]);
  });

  test('waits for the new one after an abort, and the schedule looks', async () => {
    const one = await world.registered(undefined, POLICY);
    const operator = Operator.enter(one);
    const enter = one.change;
    const comparePermissions = () => Promise.reject(new RekeyError('ERR_REJECTED', 'it may do less'));
    one.change = (deps) => {
      const entered = enter(deps);
      const providerFor: typeof deps.providerFor = async (...of) => ({
        ...(await entered.providerFor(...of)),
        comparePermissions,
      });
      return { ...entered, providerFor };
    };
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.awaitsOperator !== undefined, token);
    await one.settle();
    expect(await one.rotation(token)).toMatchObject({ phase: 'aborting', stuck: true });
    expect(one.machines.failed.map(({ error }) => error)).toEqual(['RotationStuck']);
    await operator.act();
    one.time.jumpTo(Date.parse((await one.rotation(token)).checkAt) + 1000);
    await one.reconcileBySchedule();
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(count(await one.actions(), 'operator-awaited')).toBe(1);
    expect(await one.faults()).toEqual([]);
  });

  test.each(['after', 'lost'] as const)('ends well whatever fails: %s', async (mode) => {
    const scenario: Scenario = {
      policy: POLICY,
      prepare: async (one) => void Operator.enter(one, 1),
      act: async (one) => void (await one.rotate()),
      also: async (one) => {
        const told = count(await one.actions(), 'operator-awaited');
        return told <= 1 ? [] : [`told ${told} times`];
      },
    };
    expect(await everyFault(world, scenario, mode)).toEqual([]);
  });
});

describe('an emergency that only a person can perform', () => {
  const stateOf = async (one: EngineCase) => (await one.credential()).incident;

  test('halts the agents at once, tells the person, and replaces nothing before the upstream refuses the old one', async () => {
    const one = await world.registered(undefined, POLICY);
    const operator = Operator.enter(one);
    const leaked = await one.login();
    const execution = await one.startEmergency('INC-1');
    for (let polls = 0; (await stateOf(one))?.awaitsOperator === undefined; polls++) {
      if (polls > 200) throw new Error('nobody is told');
      await one.still();
    }
    expect(one.published.map(({ detailType }) => detailType)).toContain('Agents Halt');
    expect([(await one.credential()).status, await one.works(leaked)]).toEqual(['halted', true]);
    expect(await one.actions()).not.toContain('emergency-revoked');
    await operator.act();
    await one.finished(execution);
    expect([execution.status, await one.works(leaked)]).toEqual(['SUCCEEDED', false]);
    const revoked = (await one.records()).find(({ message }) => message === 'emergency-revoked');
    expect(revoked?.entity.data).toMatchObject({ deactivation: 'CONFIRMED' });
    expect(count(await one.actions(), 'operator-awaited')).toBe(1);
    expect(await one.faults()).toEqual([]);
  });

  test('fails, which pages, where they never come; agents stay halted, and it can be run again', async () => {
    const one = await world.registered(undefined, POLICY);
    const operator = Operator.enter(one);
    const execution = await one.startEmergency('INC-1');
    await one.finished(execution);
    expect([execution.status, (await one.credential()).status]).toEqual(['FAILED', 'halted']);
    expect(execution.trail).toContain('RevocationFailed');
    expect(operator.looks).toBeGreaterThan(20);
    await operator.act();
    const again = await one.startEmergency('INC-1');
    await one.finished(again);
    expect(again.status).toBe('SUCCEEDED');
    expect(await one.faults()).toEqual([]);
  });
});
