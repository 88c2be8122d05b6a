import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { register } from '../../shared/engine/register.ts';
import { EngineWorld, inParallel, type EngineCase } from '../support/engine-world.ts';
import { MODES } from '../support/explore.ts';
import type { FaultMode } from '../support/faulty.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

async function sideEffects(): Promise<readonly string[]> {
  const one = world.newCase();
  one.calls.arm();
  await one.register();
  expect(await one.faults()).toEqual([]);
  return one.calls.labels;
}

/** Everything that a registration could leave behind, under the names of this case. */
async function remains(one: EngineCase): Promise<string[]> {
  const found: string[] = [];
  if ((await one.deps.ledger.idByName(one.name)) !== undefined) found.push('the name is taken');
  if ((await one.deps.ledger.idBySecret(one.secret)) !== undefined) found.push('the secret is reserved');
  if ((await one.deps.ledger.list()).items.length > 0) found.push('the ledger lists a credential');
  if ((await one.deps.vault.describe(one.secret)) !== undefined) found.push('the secret exists');
  for (const slot of await one.openSlots()) found.push(`${slot} may log in`);
  return found;
}

describe('a registration', () => {
  test.each(MODES)('is completed by its repetition, whatever fails: %s', async (mode: FaultMode) => {
    const labels = await sideEffects();
    const found: string[] = [];
    await inParallel(
      labels.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        const one = world.newCase();
        one.calls.arm({ at, mode });
        const failure = await one.register().then(
          () => undefined,
          (error: unknown) => String(error),
        );
        one.calls.disarm();
        const wrong = failure === undefined ? await one.faults() : [failure];
        if (!one.calls.struck) wrong.push('the fault never came');
        const { current, generation } = await one.credential();
        if (current?.handle.generation !== 1 || generation !== 1) wrong.push('not the first generation');
        if ((await one.actions()).filter((action) => action === 'registered').length !== 1)
          wrong.push('not registered exactly once');
        // It can rotate.
        await one.rotate();
        wrong.push(...(await one.faults()));
        for (const what of wrong) found.push(`${mode} call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });

  test('does nothing the second time', async () => {
    const one = await world.registered();
    const records = await one.records();
    expect((await one.tryRegister()).outcome).toBe('unchanged');
    expect(await one.records()).toEqual(records);
  });

  test('asked for twice at once makes one credential', async () => {
    const one = world.newCase();
    const answers = await Promise.allSettled([one.tryRegister(), one.tryRegister(), one.tryRegister()]);
    expect(answers.filter((answer) => answer.status === 'fulfilled').length).toBeGreaterThan(0);
    await one.register();
    await one.still();
    expect(await one.faults()).toEqual([]);
  });

  test('never rotates by itself: RotateImmediately=false runs only testSecret', async () => {
    const one = await world.registered();
    expect(one.jobs().map((job) => [job.kind, job.steps.map(({ step }) => step)])).toEqual([
      ['test', ['testSecret']],
    ]);
    expect(Object.values(await one.labels())).toEqual([['AWSCURRENT']]);
  });
});

describe('a registration that is refused', () => {
  const change = (one: EngineCase, changes: object) => parseEntry({ ...one.declaration, ...changes });

  test.each([
    ['an unknown provider', { provider: 'oracle' }, 'ERR_DECLARATION', 'provider'],
    [
      "a window shorter than a holder's TTL needs",
      { policy: { window: '30m' }, holders: [{ kind: 'polling', name: 'slow', ttl: '1h' }] },
      'ERR_WINDOW_TOO_SHORT',
      'policy.window',
    ],
    [
      "a policy looser than its type's maximum",
      { policy: { interval: '31d' } },
      'ERR_POLICY',
      'policy.interval',
    ],
    ['a target without a field', { target: { host: 'localhost' } }, 'ERR_DECLARATION', 'target'],
  ])('for %s names the field and the remedy, and leaves nothing', async (_what, changes, code, field) => {
    const one = world.newCase();
    const refusal = await one.tryRegister(change(one, changes)).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code, remedy: expect.stringMatching(/\w/) });
    expect((refusal as RekeyError).field).toContain(field);
    expect(await remains(one)).toEqual([]);
  });

  test('for mistakes in target and policy names them all, and leaves nothing', async () => {
    const one = world.newCase();
    const target = { ...one.declaration.target, port: 0, sslmode: 'require' };
    const refusal = await one
      .tryRegister(change(one, { target, policy: { interval: '31d' } }))
      .catch((error: unknown) => error);
    expect(refusal).toMatchObject({
      field: 'target.sslmode',
      also: [{ field: 'target.port' }, { code: 'ERR_POLICY', field: 'policy.interval' }],
    });
    expect(await remains(one)).toEqual([]);
  });

  test('for a target that can’t be reached names it, and leaves nothing', async () => {
    const one = world.newCase();
    const target = { ...one.declaration.target, port: 1 };
    const refusal = await one.tryRegister(change(one, { target })).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ code: 'ERR_UNAVAILABLE', field: 'target', remedy: expect.any(String) });
    expect(await remains(one)).toEqual([]);
  });

  test('for a secret that exists already, which stays untouched', async () => {
    const one = world.newCase();
    const text = 'of somebody else';
    await world.aws.json('secretsmanager', 'CreateSecret', { Name: one.secret, SecretString: text });
    await expect(one.tryRegister()).rejects.toMatchObject({ code: 'ERR_SECRET_EXISTS', field: 'secret' });
    expect((await one.deps.vault.read(one.secret, {}))?.reveal()).toBe(text);
    expect(await one.deps.ledger.idByName(one.name)).toBeUndefined();
    expect(await one.openSlots()).toEqual([]);
  });

  test('for a secret that somebody creates in between, which stays untouched', async () => {
    const one = world.newCase();
    one.calls.between = async (label) => {
      if (label === 'vault.create')
        await world.aws.json('secretsmanager', 'CreateSecret', { Name: one.secret, SecretString: 'theirs' });
    };
    await expect(one.tryRegister()).rejects.toMatchObject({ code: 'ERR_SECRET_EXISTS', field: 'secret' });
    expect((await one.deps.vault.read(one.secret, {}))?.reveal()).toBe('theirs');
    expect(await one.deps.ledger.idByName(one.name)).toBeUndefined();
    expect(await one.openSlots()).toEqual([]);
  });

  test('by the database, for good, is undone; and the same names can be registered later', async () => {
    const one = world.newCase();
    for (let round = 1; round <= 3; round++) {
      one.change = (deps) => ({
        ...deps,
        providerFor: async (type, name) => {
          const provider = await deps.providerFor(type, name);
          const verify = () => Promise.reject(new RekeyError('ERR_REJECTED', 'the database says no'));
          return { ...provider, verify };
        },
      });
      await expect(one.tryRegister()).rejects.toMatchObject({ code: 'ERR_REJECTED' });
      expect(await remains(one)).toEqual([]);
    }
    one.change = (deps) => deps;
    await one.register();
    expect(await one.faults()).toEqual([]);
  });

  test('is undone completely, even where the undoing is interrupted anywhere', async () => {
    const refuse = (one: EngineCase): void => {
      one.change = (deps) => ({
        ...deps,
        providerFor: async (type, name) => {
          const provider = await deps.providerFor(type, name);
          const verify = () => Promise.reject(new RekeyError('ERR_REJECTED', 'the database says no'));
          return { ...provider, verify };
        },
      });
    };
    const dry = world.newCase();
    refuse(dry);
    dry.calls.arm();
    await dry.tryRegister().catch(() => undefined);
    const found: string[] = [];
    await inParallel(
      dry.calls.labels.map((label, index) => ({ label, at: index + 1 })),
      async ({ label, at }) => {
        for (const mode of ['before', 'after'] as const) {
          const one = world.newCase();
          refuse(one);
          one.calls.arm({ at, mode });
          await one.tryRegister().catch(() => undefined);
          one.calls.disarm();
          // The operator corrects the cause and applies again, until it is done.
          one.change = (deps) => deps;
          const failures: string[] = [];
          for (let attempt = 1; attempt <= 3; attempt++) {
            const failure = await one.register().then(
              () => undefined,
              (error: unknown) => String(error),
            );
            if (failure === undefined) break;
            failures.push(failure);
          }
          const wrong = failures.length === 3 ? failures : await one.faults();
          for (const what of wrong) found.push(`${mode} call ${at} (${label}): ${what}`);
        }
      },
    );
    expect(found).toEqual([]);
  });
});

test('a repetition with a corrected declaration registers what it says now', async () => {
  const one = world.newCase();
  one.calls.arm({ at: 3, mode: 'after' });
  await expect(one.tryRegister()).rejects.toThrow();
  one.calls.disarm();
  const corrected = parseEntry({ ...one.declaration, policy: { window: '1h' } });
  await one.repeating(() => one.tryRegister(corrected));
  await one.settle();
  expect((await one.credential()).policy.windowSeconds).toBe(3600);
  expect(await one.faults()).toEqual([]);
});

describe('an emergency during a registration', () => {
  /** Registers; the emergency comes before the first side effect of this name, and ends. */
  async function during(label: string, replace: boolean) {
    const one = world.newCase();
    let pending = true;
    one.calls.between = async (next) => {
      if (next !== label || !pending) return;
      pending = false;
      await one.finished(await one.startEmergency('incident', { replace }));
    };
    const refusal = await one.tryRegister().catch((error: unknown) => error);
    one.calls.between = async () => undefined;
    await one.settle();
    return { one, refusal };
  }

  test.each(['provider.issue', 'vault.create', 'ledger.attach', 'provider.activate'])(
    'before %s: nothing works afterwards, and what can be is registered anew',
    async (label) => {
      const { one, refusal } = await during(label, false);
      expect(refusal).toMatchObject({ code: 'ERR_PREEMPTED' });
      expect(await one.openSlots()).toEqual([]);
      expect((await one.credential()).status).toBe('halted');
      expect(await one.actions()).not.toContain('registered');
      const before = await one.credential();
      await one.repeating(() => one.tryRegister());
      await one.settle();
      const id = (await one.deps.ledger.idByName(one.name)) ?? '';
      const after = await one.deps.ledger.credential(id);
      expect(after).toMatchObject({ status: 'active', epoch: 0 });
      expect(after?.id).not.toBe(before.id);
      expect(after?.current?.handle.generation).toBeGreaterThan(before.generation);
      expect(await one.openSlots()).toEqual([(await one.login()).user]);
      expect(await one.works(await one.login())).toBe(true);
    },
  );

  test.each(['vault.configureRotation', 'ledger.commit'])(
    'before %s: its replacement stays, with secret and name',
    async (label) => {
      const { one, refusal } = await during(label, true);
      expect(refusal).toMatchObject({ code: 'ERR_PREEMPTED' });
      expect(await one.openSlots()).toEqual([(await one.login()).user]);
      expect(await one.works(await one.login())).toBe(true);
      await one.repeating(() => one.tryRegister());
      await one.settle();
      expect(await one.faults()).toEqual([]);
      expect((await one.credential()).backstopDays).toBe(29);
    },
  );

  test('that was killed at its start can be applied again', async () => {
    const one = world.newCase();
    one.calls.arm({ at: 1, mode: 'after' });
    await expect(one.tryRegister()).rejects.toThrow();
    one.calls.disarm();
    await one.finished(await one.startEmergency());
    await one.settle();
    await one.repeating(() => one.tryRegister());
    await one.settle();
    const id = (await one.deps.ledger.idByName(one.name)) ?? '';
    expect(await one.deps.ledger.credential(id)).toMatchObject({ status: 'active' });
    expect(await one.works(await one.login())).toBe(true);
  });
});

describe('a target', () => {
  const refusalOf = (work: Promise<unknown>) =>
    work.then(
      () => 'accepted',
      (error: unknown) => error,
    );

  test.each([true, false])(
    'elsewhere than its administrative secret says is refused, and leaves nothing (dry run: %s)',
    async (dryRun) => {
      const one = world.newCase();
      one.change = (deps) => ({
        ...deps,
        readAdmin: async (name) =>
          (await deps.readAdmin(name)).map((text) =>
            JSON.stringify({ ...(JSON.parse(text) as object), host: 'primary.internal' }),
          ),
      });
      expect(await refusalOf(one.tryRegister(one.declaration, dryRun))).toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'target.host',
        remedy: expect.stringContaining('allowedHosts'),
      });
      expect(await remains(one)).toEqual([]);
    },
  );

  test('elsewhere than a new administrative secret says is refused, and the old secret stays declared', async () => {
    const one = await world.registered();
    const name = `${one.name}/other-admin`;
    const SecretString = JSON.stringify({ username: 'boss', password: 'x', allowedHosts: ['*.internal'] });
    await world.aws.json('secretsmanager', 'CreateSecret', { Name: name, SecretString });
    const changed = parseEntry({ ...one.declaration, admin: name });
    expect(await refusalOf(one.tryRegister(changed))).toMatchObject({ field: 'target.host' });
    expect((await one.credential()).adminSecret).toBe(one.declaration.admin);
  });

  test('whose owner role does not exist is registered with a notice that names it', async () => {
    const one = world.newCase();
    const notices = [
      {
        field: 'target.ownerRole',
        message: expect.stringContaining(`"${one.target.ownerRole}"`),
        remedy: expect.any(String),
      },
    ];
    expect(await one.tryRegister(one.declaration, true)).toMatchObject({ outcome: 'registered', notices });
    expect(await remains(one)).toEqual([]);
    expect(await one.tryRegister()).toMatchObject({ outcome: 'registered', notices });
  });

  test('that a newer version has stored with a field of its own rotates, is replaced and updated by this one', async () => {
    const one = await world.registered();
    const head = await one.credential();
    await one.deps.ledger.attach({ ...head, target: { ...one.target, ofANewerVersion: { deeply: [1] } } });
    expect((await one.tryRegister()).outcome).toBe('unchanged');
    const changed = parseEntry({ ...one.declaration, policy: { window: '1h' } });
    expect((await one.tryRegister(changed)).outcome).toBe('updated');
    await one.rotate();
    await one.finished(await one.startEmergency());
    await one.settle();
    expect(await one.faults()).toEqual([]);
    expect(await one.works(await one.login())).toBe(true);
    const after = await one.credential();
    expect(after.status).toBe('active');
    expect(after.target).toHaveProperty('ofANewerVersion');
  });

  test("at an address of Rekey's own surroundings is refused before anybody logs in there", async () => {
    const one = world.newCase();
    const options = {
      home: { tenant: one.tenant, account: '111122223333', region: 'eu-central-1' },
      stage: 'production',
      limits: {},
      rotationFunction: () => one.functionArn,
    };
    const readAdmin = () => Promise.reject(new Error('the administrative login was read'));
    const target = { ...one.declaration.target, host: '169.254.169.254' };
    const request = {
      declaration: parseEntry({ ...one.declaration, target }),
      actor: 'arn:operator',
      dryRun: true,
    };
    await expect(register({ ...one.deps, readAdmin }, options, request)).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'target.host',
    });
  });

  test.each([true, false])(
    'whose users another credential has is refused, and named (dry run: %s)',
    async (dryRun) => {
      const one = await world.registered();
      const twin = parseEntry({ ...one.declaration, name: 'twin', secret: `${one.secret}-twin` });
      await expect(one.tryRegister(twin, dryRun)).rejects.toMatchObject({
        code: 'ERR_DECLARATION',
        field: 'target.ownerRole',
        remedy: expect.stringContaining(one.name),
      });
      expect(await one.deps.ledger.idByName('twin')).toBeUndefined();
      expect(await one.faults()).toEqual([]);
    },
  );
});

test('a repetition with another secret and target undoes what was reserved', async () => {
  const one = world.newCase();
  one.calls.arm({ at: 3, mode: 'after' });
  await expect(one.tryRegister()).rejects.toThrow();
  one.calls.disarm();
  const ownerRole = `${one.target.ownerRole}_right`;
  const secret = `${one.secret}-right`;
  const target = { ...one.declaration.target, ownerRole };
  await one.repeating(() => one.tryRegister(parseEntry({ ...one.declaration, secret, target })));
  await one.settle();
  expect(await one.credential()).toMatchObject({
    status: 'active',
    secretName: secret,
    target: { ownerRole },
  });
  expect(await one.deps.vault.describe(one.secret)).toBeUndefined();
  expect(await one.deps.ledger.idBySecret(one.secret)).toBeUndefined();
});

test('a schedule that could not be set is set by the next application', async () => {
  const one = await world.registered();
  const tighter = parseEntry({ ...one.declaration, policy: { interval: '7d' } });
  one.change = (deps) => ({
    ...deps,
    vault: new Proxy(deps.vault, {
      get: (vault, name) => {
        if (name === 'configureRotation') return () => Promise.reject(new Error('throttled'));
        const found: unknown = Reflect.get(vault, name);
        return typeof found === 'function' ? (found.bind(vault) as unknown) : found;
      },
    }),
  });
  await expect(one.tryRegister(tighter)).rejects.toThrow('throttled');
  one.change = (deps) => deps;
  await one.tryRegister(tighter);
  const { RotationRules } = await world.aws.json<{ RotationRules: object }>(
    'secretsmanager',
    'DescribeSecret',
    { SecretId: one.secret },
  );
  expect(RotationRules).toMatchObject({ AutomaticallyAfterDays: 7 });
  expect((await one.credential()).backstopDays).toBe(7);
});
