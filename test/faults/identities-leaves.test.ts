import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isOver } from '../../shared/domain/rotation.ts';
import { emergency, stillWorking } from '../support/emergencies.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';
import { dryRun, everyFault, MODES, type Scenario } from '../support/explore.ts';
import { LeafEngineCase } from '../support/leaf-engine-case.ts';

let world: EngineWorld;
const cases: LeafEngineCase[] = [];
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await Promise.all(cases.map(async (one) => one.stop()));
  await world.stop();
});

const leaves = {
  newCase: (): LeafEngineCase => {
    const one = new LeafEngineCase(world, 40_000 + cases.length);
    cases.push(one);
    return one;
  },
};

async function registered(): Promise<LeafEngineCase> {
  const one = leaves.newCase();
  await one.register();
  return one;
}

function leaf(one: EngineCase): LeafEngineCase {
  if (one instanceof LeafEngineCase) return one;
  throw new Error('no case of a certificate');
}

const rotation: Scenario = {
  async act(one) {
    one.agents.start();
    await one.rotate();
    one.agents.stop();
  },
  async also(one) {
    const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
    if (newest === undefined || !isOver(newest.phase)) return [`the rotation is not over (${newest?.phase})`];
    return one.agents.logins < 3 ? ['the agents hardly worked'] : [];
  },
};

const oneEmergency: Scenario = {
  async act(one) {
    const before = await one.login();
    await emergency(one);
    await one.settle();
    one.agents.failures.push(...(await stillWorking(one, [before])));
  },
};

/** Its authority is revoked, and nobody says anything of what that has signed. */
const authoritysEmergency: Scenario = {
  async act(one) {
    const { authority } = leaf(one);
    const before = await one.login();
    await emergency(authority);
    await one.settle();
    one.agents.failures.push(...(await stillWorking(one, [before])));
    // A look that fails comes again, and a rotation that does after the planner's pause.
    for (let look = 0; look < 6; look++) {
      await leaf(one).lookForLost();
      one.time.jumpTo(one.time.now() + 20 * 60_000);
    }
  },
  async also(one) {
    const works = await one.works(await one.login());
    return works ? [] : ['its holders still have nothing that works'];
  },
};

describe('the life of keys that Rekey makes for holders', () => {
  test('has every write to the directory, to records and to lists numbered', async () => {
    const { labels } = await dryRun(leaves, rotation);
    expect(labels).toEqual(
      expect.arrayContaining([
        'directory.write',
        'identities.seal',
        'leaves.record',
        'aws.request',
        'revocations.write',
        'provider.revoke',
      ]),
    );
  });

  test.each(MODES)('rotate under load, whatever fails: %s', async (mode) => {
    expect(await everyFault(leaves, rotation, mode)).toEqual([]);
  });

  test.each(MODES)('are replaced in an emergency, whatever fails: %s', async (mode) => {
    expect(await everyFault(leaves, oneEmergency, mode)).toEqual([]);
  });

  test.each(MODES)(
    'are replaced after the emergency of their authority, whatever fails: %s',
    async (mode) => {
      expect(await everyFault(leaves, authoritysEmergency, mode)).toEqual([]);
    },
  );

  test('that died with their authority get a rotation, once, and say why in the audit trail', async () => {
    const one = await registered();
    await one.lookForLost();
    expect(await one.deps.ledger.rotations(await one.id(), 2)).toEqual([]);
    await emergency(one.authority);
    await one.lookForLost(3);
    const [newest, ...others] = await one.deps.ledger.rotations(await one.id(), 3);
    expect(others).toEqual([]);
    expect(newest).toMatchObject({
      phase: 'completed',
      trigger: {
        kind: 'planner',
        actor: 'reconcile-certificate-authority',
        reason: expect.stringMatching(/^made under case-\d+: .* has ended with its authority/),
      },
    });
    expect(await one.works(await one.login())).toBe(true);
    expect(await one.faults()).toEqual([]);
  });

  test('that died in the middle of a rotation are replaced at once: where neither key works nobody is waited for', async () => {
    const one = await registered();
    const former = await one.requestRotation();
    await one.until(({ phase }) => phase === 'window', former);
    const diedAt = one.time.now();
    await one.authority.finished(await one.authority.startEmergency('INC-1'));
    await one.lookForLost(2);
    const [newest, before] = await one.deps.ledger.rotations(await one.id(), 2);
    expect(before).toMatchObject({ id: former, phase: 'completed' });
    expect(Date.parse(newest?.startedAt ?? '') - diedAt).toBeLessThan(5 * 60_000);
    expect(await one.works(await one.login())).toBe(true);
    expect(await one.faults()).toEqual([]);
  });

  test('that died are not announced for hours before there are others', async () => {
    const one = leaves.newCase();
    await one.authority.register();
    const policy = { ...one.declaration.policy, announce: '3h' };
    await one.tryRegister({ ...one.declaration, policy });
    await one.settle();
    await emergency(one.authority);
    await one.lookForLost();
    const [newest] = await one.deps.ledger.rotations(await one.id(), 1);
    const { startedAt = '', window } = newest ?? {};
    expect(Date.parse(window?.opensAt ?? '') - Date.parse(startedAt)).toBeLessThan(5 * 60_000);
    expect(await one.works(await one.login())).toBe(true);
  });

  test('that died while a rotation of theirs was announced begin it', async () => {
    const one = leaves.newCase();
    await one.authority.register();
    const policy = { ...one.declaration.policy, announce: '3h' };
    await one.tryRegister({ ...one.declaration, policy });
    await one.settle();
    const token = await one.requestRotation();
    await one.authority.finished(await one.authority.startEmergency('INC-1'));
    await one.lookForLost();
    const { startedAt, window, phase } = await one.rotation(token);
    expect(phase).toBe('completed');
    expect(Date.parse(window?.opensAt ?? '') - Date.parse(startedAt)).toBeLessThan(5 * 60_000);
    expect(await one.faults()).toEqual([]);
  });

  test('wait for their authority where its emergency has made no other', async () => {
    const one = await registered();
    await one.authority.finished(await one.authority.startEmergency('INC-1', { replace: false }));
    await one.lookForLost(2);
    expect(await one.deps.ledger.rotations(await one.id(), 1)).toEqual([]);
    await emergency(one.authority);
    await one.lookForLost();
    expect(await one.works(await one.login())).toBe(true);
  });

  test('are told of by their end in the ledger, which is that of the certificate', async () => {
    const one = await registered();
    const { current } = await one.credential();
    expect(Date.parse(current?.endsAt ?? '') - Date.parse(current?.issuedAt ?? '')).toBeGreaterThan(
      47 * 3_600_000,
    );
    const [entry] = one.entries;
    expect(current?.endsAt).toBe(entry?.notAfter);
  });

  test('are refused where their authority is not registered, and nothing is left', async () => {
    const one = leaves.newCase();
    const target = { ...(one.declaration.target as object), authority: 'nobody' };
    await one.authority.register();
    await expect(one.tryRegister({ ...one.declaration, target })).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'target.authority',
    });
    expect(await one.deps.ledger.idByName(one.name)).toBeUndefined();
    expect(one.entries).toEqual([]);
  });

  test('rotate no later than half of their life, whatever interval is declared', async () => {
    const one = leaves.newCase();
    await one.authority.register();
    const policy = { ...one.declaration.policy, interval: '2d' };
    await expect(one.tryRegister({ ...one.declaration, policy })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.interval',
    });
  });
});
