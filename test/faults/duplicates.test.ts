import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { localAccountId } from '../../local/settings.ts';
import { reconcile } from '../../shared/engine/reconcile.ts';
import { EngineWorld, inParallel } from '../support/engine-world.ts';
import { attempt, rotateByHand, STEPS } from '../support/steps.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_each, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

/** Calls the steps in this order, then once in theirs; the rotation then completes, or is undone without a trace. */
async function inThisOrder(order: readonly string[]): Promise<string[]> {
  const one = await world.registered();
  one.agents.start();
  const token = await rotateByHand(one);
  const answers: string[] = [];
  for (const step of order) answers.push(`${step}: ${await attempt(one, step, token)}`);
  for (const step of STEPS) {
    const answer = await attempt(one, step, token);
    answers.push(`${step}: ${answer}`);
  }
  await one.settle();
  const wrong = await one.faults();
  const { phase } = await one.rotation(token);
  // A test of what has not been set yet fails, and a failed test undoes the rotation (Z8).
  const created = order.indexOf('createSecret');
  const tested = order.findIndex((step, at) => at > created && /test|finish/.test(step));
  const early = created >= 0 && tested >= 0 && !order.slice(created, tested).includes('setSecret');
  if (phase !== (early ? 'aborted' : 'completed')) wrong.push(`the rotation is ${phase}`);
  return wrong.map((what) => `${answers.join(', ')}: ${what}`);
}

describe('the four steps', () => {
  test('in every order, then in their own', async () => {
    const found: string[] = [];
    await inParallel(permutations(STEPS), async (order) => {
      found.push(...(await inThisOrder(order)));
    });
    expect(found).toEqual([]);
  });

  test('each twice in a row', async () => {
    expect(await inThisOrder(STEPS.flatMap((step) => [step, step]))).toEqual([]);
  });

  test('trap: a step that comes too early is refused, not passed over', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    for (const step of ['setSecret', 'finishSecret'])
      expect([step, await attempt(one, step, token)]).not.toEqual([step, 'done']);
    expect(await attempt(one, 'createSecret', token)).toBe('done');
    for (const step of STEPS) await attempt(one, step, token);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('trap: a step of a planned rotation that comes before createSecret is refused', async () => {
    const one = await world.registered();
    const { functions } = world.stack.gateway;
    const real = functions.get(one.functionArn) ?? (async () => undefined);
    functions.set(one.functionArn, async () => undefined);
    const token = await one.requestRotation();
    await one.still();
    functions.set(one.functionArn, real);
    expect((await one.labels())[token]).toEqual(['AWSPENDING']);
    for (const step of ['setSecret', 'testSecret', 'finishSecret'])
      expect([step, await attempt(one, step, token)]).not.toEqual([step, 'done']);
    for (const step of STEPS) expect([step, await attempt(one, step, token)]).toEqual([step, 'done']);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test.each(STEPS)('%s three times at once', async (step) => {
    const one = await world.registered();
    one.agents.start();
    const token = await rotateByHand(one);
    for (const each of STEPS) {
      const times = each === step ? 3 : 1;
      const answers = await Promise.all(Array.from({ length: times }, () => attempt(one, each, token)));
      expect(answers).toContain('done');
    }
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('of two drives side by side', async () => {
    const found: string[] = [];
    await inParallel([1, 2, 3, 4], async () => {
      const one = await world.registered();
      one.agents.start();
      const token = await rotateByHand(one);
      const drive = async (): Promise<void> => {
        for (const step of STEPS) {
          // The service calls a step again until it has succeeded.
          for (let tries = 0; tries < 5 && (await attempt(one, step, token)) !== 'done'; tries++);
        }
      };
      await Promise.all([drive(), drive()]);
      await one.settle();
      if ((await one.rotation(token)).phase !== 'completed') found.push('not completed');
      found.push(...(await one.faults()));
    });
    expect(found).toEqual([]);
  });

  test('that come late, after the rotation and after the next one, change nothing', async () => {
    const one = await world.registered();
    one.agents.start();
    const first = await one.rotate();
    const records = await one.records();
    for (const step of STEPS) expect(await attempt(one, step, first)).toBe('done');
    expect(await one.records()).toEqual(records);
    const second = await one.rotate();
    for (const step of STEPS) expect(await attempt(one, step, first)).toBe('ERR_PROTOCOL');
    expect(one.agents.failures).toEqual([]);
    expect((await one.credential()).current?.versionId).toBe(second);
    expect(await one.faults()).toEqual([]);
  });

  test('hard decision 1: of a token that was rolled back are refused, even where it is AWSCURRENT', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    const { id } = await one.credential();
    await one.requestRollback(token);
    // The label hasn't moved back yet: the token is refused all the same.
    expect((await one.labels())[token]).toContain('AWSCURRENT');
    for (const step of STEPS) expect(await attempt(one, step, token)).toBe('ERR_TOMBSTONED');
    await one.settle();
    for (const step of STEPS) {
      await one.labelPending(token);
      expect(await attempt(one, step, token)).toBe('ERR_TOMBSTONED');
    }
    await one.process((deps) => reconcile(deps, { credentialId: id, rotationId: token }));
    expect(await one.faults()).toEqual([]);
  });
});

describe('seeded schedules', () => {
  type Move = (typeof STEPS)[number] | 'reconcile' | 'request' | 'tick';
  const moves = fc.array(
    fc.tuple(
      fc.constantFrom<Move>(...STEPS, ...STEPS, 'reconcile', 'request', 'tick'),
      fc.constantFrom('before', 'after', 'lost', 'throttled', undefined),
      fc.nat({ max: 6 }),
    ),
    { minLength: 4, maxLength: 14 },
  );

  test('of steps, repetitions, crashes and the reconciler end with one live credential', async () => {
    await fc.assert(
      fc.asyncProperty(moves, async (schedule) => {
        const one = await world.registered();
        one.agents.start();
        const token = await rotateByHand(one);
        for (const [move, mode, after] of schedule) {
          if (mode !== undefined) one.calls.arm({ at: one.calls.labels.length + 1 + after, mode });
          if (move === 'reconcile') await one.reconcileBySchedule();
          else if (move === 'tick') await one.advance();
          else if (move === 'request') await one.requestRotation(token).catch(() => undefined);
          else await attempt(one, move, token);
          one.calls.disarm();
        }
        // The service comes back to a token whose version is pending.
        for (const step of STEPS) await attempt(one, step, token);
        await one.settle();
        expect(await one.faults()).toEqual([]);
      }),
      // The seed is printed where a schedule fails; give it here as `seed` to see it again.
      { numRuns: 25, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
    );
  });
});

describe('traps: Secrets Manager protocol', () => {
  test('rotation not enabled is an error', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    await world.aws.json('secretsmanager', 'CancelRotateSecret', { SecretId: one.secret });
    for (const step of STEPS) expect(await attempt(one, step, token)).toBe('ERR_PROTOCOL');
  });

  test('an unknown token is an error', async () => {
    const one = await world.registered();
    for (const step of STEPS) expect(await attempt(one, step, randomUUID())).toBe('ERR_PROTOCOL');
    expect(await one.faults()).toEqual([]);
  });

  test('a token that is AWSCURRENT already is success, and nothing is done', async () => {
    const one = await world.registered();
    const current = (await one.credential()).current?.versionId ?? '';
    const records = await one.records();
    for (const step of STEPS) expect(await attempt(one, step, current)).toBe('done');
    expect(await one.records()).toEqual(records);
  });

  test('a token that is not AWSPENDING is an error', async () => {
    const one = await world.registered();
    const old = (await one.credential()).current?.versionId ?? '';
    await one.rotate();
    expect((await one.labels())[old]).toEqual(['AWSPREVIOUS']);
    for (const step of STEPS) expect(await attempt(one, step, old)).toBe('ERR_PROTOCOL');
  });

  test('an unknown step is an error', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    expect(await attempt(one, 'deleteSecret', token)).toBe('ERR_PROTOCOL');
  });

  test('AWSPENDING exists without a value before createSecret', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    expect((await one.labels())[token]).toEqual(['AWSPENDING']);
    expect(await one.deps.vault.read(one.secret, { versionId: token, stage: 'AWSPENDING' })).toBeUndefined();
    expect(await attempt(one, 'createSecret', token)).toBe('done');
    const made = await one.login({ versionId: token });
    expect(await attempt(one, 'createSecret', token)).toBe('done');
    expect(await one.login({ versionId: token })).toEqual(made);
  });

  test('the same token with another payload: the value that is there is used, never another', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await rotateByHand(one);
    // A step that died right after its PutSecretValue, with the record of it never written.
    one.calls.arm({ at: 'vault.put', mode: 'after' });
    expect(await attempt(one, 'createSecret', token)).toBe('Sandbox.Timedout');
    one.calls.disarm();
    const stored = await one.login({ versionId: token });
    for (const step of STEPS) expect(await attempt(one, step, token)).toBe('done');
    expect(await one.login()).toEqual(stored);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('throttling and denied access never mean that there is no pending value', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    const stop = world.stack.gateway.faults.add({
      match: { operation: 'GetSecretValue', resource: one.secret },
      action: { kind: 'throttle' },
    });
    const all = world.stack.gateway.faults.add({
      match: { operation: 'GetSecretValue' },
      action: { kind: 'throttle' },
    });
    const answer = await attempt(one, 'createSecret', token);
    stop();
    all();
    expect(answer).toBe('ERR_UNAVAILABLE');
    expect(await one.deps.vault.read(one.secret, { versionId: token })).toBeUndefined();
    for (const step of STEPS) expect(await attempt(one, step, token)).toBe('done');
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('AWSPENDING left on the AWSCURRENT version is healthy: the next rotation begins all the same', async () => {
    const one = await world.registered();
    const first = await one.rotate();
    expect((await one.labels())[first]).toEqual(expect.arrayContaining(['AWSCURRENT', 'AWSPENDING']));
    const second = await one.rotate();
    expect((await one.rotation(second)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('AWSPENDING left on another version blocks RotateSecret: it is taken off before the next rotation', async () => {
    const one = await world.registered();
    one.agents.start();
    await world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: one.secret,
      ClientRequestToken: randomUUID(),
      SecretString: 'left behind',
      VersionStages: ['AWSPENDING'],
    });
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('hard decision 4: an unplanned call gets its announcement and its lifecycle', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = randomUUID();
    await world.aws.json('secretsmanager', 'RotateSecret', {
      SecretId: one.secret,
      ClientRequestToken: token,
    });
    await one.settle();
    const { phase, trigger } = await one.rotation(token);
    expect({ phase, trigger: trigger.kind }).toEqual({ phase: 'completed', trigger: 'vault' });
    expect(await one.actions()).toContain('rotation-announced');
    expect(await one.faults()).toEqual([]);
  });

  test('hard decision 11: a schedule that fires in an open window is refused and blocks nothing', async () => {
    const one = await world.registered();
    one.agents.start();
    const token = await one.requestRotation();
    await one.until((rotation) => rotation.phase === 'window', token);
    const fired = await world.stack.gateway.secrets.fireSchedule(one.secret);
    await one.still();
    expect(one.jobs().find((job) => job.token === fired)?.state).toBe('failed');
    expect((await one.labels())[fired] ?? []).not.toContain('AWSPENDING');
    await one.settle();
    const next = await one.rotate();
    expect((await one.rotation(next)).phase).toBe('completed');
    expect(await one.faults()).toEqual([]);
  });

  test('a value put by hand fires RotationAbandoned, and is not overwritten', async () => {
    const one = await world.registered();
    const token = await rotateByHand(one);
    expect(await attempt(one, 'createSecret', token)).toBe('done');
    await world.aws.json('secretsmanager', 'PutSecretValue', {
      SecretId: one.secret,
      SecretString: '{"by":"hand"}',
    });
    expect(await attempt(one, 'setSecret', token)).toBe('ERR_MATERIAL_MISMATCH');
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect((await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' }))?.reveal()).toBe('{"by":"hand"}');
  });

  test.each([
    ['host', 'elsewhere.example'],
    ['username', 'postgres'],
    ['dbname', 'postgres'],
  ])(
    'a pending value with another %s is refused before an administrator logs in (confused deputy)',
    async (field, value) => {
      const one = await world.registered();
      one.agents.start();
      const token = await rotateByHand(one);
      const current = (await one.deps.vault.read(one.secret, { stage: 'AWSCURRENT' }))?.reveal() ?? '{}';
      const forged = {
        ...(JSON.parse(current) as object),
        username: `${one.target.ownerRole}_b`,
        [field]: value,
      };
      await world.aws.json('secretsmanager', 'PutSecretValue', {
        SecretId: one.secret,
        ClientRequestToken: token,
        SecretString: JSON.stringify(forged),
        VersionStages: ['AWSPENDING'],
      });
      expect(await attempt(one, 'createSecret', token)).toBe('ERR_MATERIAL_MISMATCH');
      await one.settle();
      expect((await one.rotation(token)).phase).toBe('aborted');
      expect(await one.faults()).toEqual([]);
    },
  );

  test('nothing is rotated where the current credential does not work', async () => {
    const one = await world.registered();
    await world.server.sql(`ALTER ROLE ${one.target.ownerRole}_a PASSWORD 'changed by somebody'`);
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('aborted');
    expect(await one.openSlots()).toEqual([`${one.target.ownerRole}_a`]);
    expect((await one.records()).at(-1)?.entity.data.evidence).toContain('ERR_REJECTED');
  });

  test('one’s own PutSecretValue and label moves count as no other rotation', async () => {
    const one = await world.registered();
    const token = await one.rotate();
    const jobs = one.jobs().filter((job) => job.kind === 'rotation');
    expect(jobs.map((job) => [job.token, job.state])).toEqual([[token, 'succeeded']]);
    expect((await one.deps.ledger.rotations(await one.id(), 10)).map((rotation) => rotation.id)).toEqual([
      token,
    ]);
  });
});

describe('a rotation that is asked for', () => {
  test('again with the same token is joined', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await one.requestRotation(token);
    await one.settle();
    expect(await one.deps.ledger.rotations(await one.id(), 10)).toHaveLength(1);
    expect(await one.faults()).toEqual([]);
  });

  test('while another is under way is refused with what is under way', async () => {
    const one = await world.registered();
    const token = await one.requestRotation();
    await expect(one.requestRotation(randomUUID())).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_ROTATION_UNDER_WAY|ERR_WINDOW_OPEN/),
      message: expect.stringContaining(token),
      remedy: expect.any(String),
    });
    await one.until((rotation) => rotation.phase === 'window', token);
    await expect(one.requestRotation(randomUUID())).rejects.toMatchObject({ code: 'ERR_WINDOW_OPEN' });
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });

  test('twice at once with two tokens starts one', async () => {
    const one = await world.registered();
    const answers = await Promise.allSettled([one.requestRotation(), one.requestRotation()]);
    expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
    await one.settle();
    expect(await one.faults()).toEqual([]);
  });
});

test('hard decision 12: tenant, account and region stand in keys and records, and ids are opaque', async () => {
  const one = await world.registered();
  const [record] = await one.records();
  const credential = await one.credential();
  expect(credential.id).toMatch(/^[0-9a-f-]{36}$/);
  expect(credential).toMatchObject({
    tenant: one.tenant,
    account: localAccountId,
    region: world.stack.region,
  });
  expect(record?.metadata.tenant_uid).toBe(one.tenant);
  expect(record?.cloud).toMatchObject({ account: { uid: localAccountId }, region: world.stack.region });
  const other = await world.registered();
  expect(await one.deps.ledger.idByName(other.name)).toBeUndefined();
  expect(await one.deps.ledger.credential(await other.id())).toBeUndefined();
});
