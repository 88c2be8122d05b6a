import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { halt } from '../../shared/engine/incident-agents.ts';
import { recordRevocation, superseded } from '../../shared/engine/incident-outcome.ts';
import { sweepLate } from '../../shared/engine/replace.ts';
import { upstream } from '../../shared/engine/state.ts';
import { emergency, stillWorking } from '../support/emergencies.ts';
import { EngineWorld, inParallel, type EngineCase, type Login } from '../support/engine-world.ts';
import { everyFault, dryRun, MODES, type Scenario } from '../support/explore.ts';
import type { Execution } from '../support/machines.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** Every login that the secret has ever held under these versions, except the current one. */
async function former(one: EngineCase, versions: readonly string[]): Promise<Login[]> {
  const current = await one.login();
  const logins: Login[] = [];
  for (const versionId of versions) {
    const text = await one.deps.vault.read(one.secret, { versionId });
    if (text === undefined) continue;
    const { username, password } = JSON.parse(text.reveal()) as { username: string; password: string };
    if (password !== current.password) logins.push({ user: username, password });
  }
  return logins;
}

/** A tombstoned token is refused by every step, even where Secrets Manager has labelled its version again. */
async function refusedForGood(one: EngineCase, token: string): Promise<string[]> {
  const rotation = await one.deps.ledger.rotation(await one.id(), token);
  // What was over before the emergency, or came after it, is no concern of it.
  if (rotation?.tombstoned !== true) return [];
  const found: string[] = [];
  for (const step of ['createSecret', 'setSecret', 'testSecret', 'finishSecret']) {
    const labelled = await one.labelPending(token);
    const answer = await one.step(step, token).then(
      () => 'nothing',
      (error: Error) => error.name,
    );
    if (answer !== 'ERR_TOMBSTONED' && (labelled || answer !== 'ERR_PROTOCOL'))
      found.push(`${step} of the tombstoned token answered ${answer}`);
  }
  return found;
}

const oneEmergency: Scenario = {
  async act(one) {
    const before = await one.login();
    await emergency(one);
    await one.settle();
    one.agents.failures.push(...(await stillWorking(one, [before])));
  },
  async also(one) {
    const actions = await one.actions();
    const order = [
      'emergency-revoked',
      'agents-halted',
      'replacement-generated',
      'replaced',
      'agents-resumed',
    ];
    const at = order.map((action) => actions.indexOf(action));
    return at.includes(-1) || at.some((place, index) => index > 0 && place < (at[index - 1] ?? 0))
      ? [`records out of order: ${actions.join(' ')}`]
      : [];
  },
};

describe('an emergency', () => {
  test.each(MODES)('replaces the credential whatever fails: %s', async (mode) => {
    expect(await everyFault(world, oneEmergency, mode)).toEqual([]);
  });

  test('ends sessions that are open', async () => {
    const one = await world.registered();
    const client = await world.server.connect(await one.login(), one.target.database);
    const ended = new Promise((resolve) => client.once('end', resolve));
    await emergency(one);
    await ended;
    await expect(client.query('SELECT 1')).rejects.toThrow();
    expect(await one.faults()).toEqual([]);
  });

  test('says that all of the credential is compromised, which the end of a rotation alone does not', async () => {
    const one = await world.registered();
    const seen: (boolean | undefined)[] = [];
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => {
        const provider = await deps.providerFor(type, name);
        return {
          ...provider,
          revoke: async (target, handle, options, ctx) => {
            seen.push(options.compromised);
            return provider.revoke(target, handle, options, ctx);
          },
        };
      },
    });
    await one.rotate();
    await one.settle();
    expect(seen).toEqual([undefined]);
    await emergency(one);
    expect(seen.slice(1)).toSatisfy((all: unknown[]) => all.length > 0 && all.every((each) => each === true));
  });
});

describe('hard decision 3: an emergency preempts a rotation', () => {
  const rotation: Scenario = { act: async (one) => void (await one.rotate()) };

  /** Lets the emergency run to its end while the rotation stands still before its `at`-th call. */
  async function preempted(at: number, rounds: number): Promise<string[]> {
    const one = world.newCase();
    await one.register();
    const versions = [(await one.credential()).current?.versionId ?? ''];
    for (let round = 1; round < rounds; round++) versions.push(await one.rotate());
    const token = randomUUID();
    let ended: Execution | undefined;
    one.calls.interlude = {
      at,
      act: async () => {
        const id = await one.deps.ledger.idByName(one.name);
        if (id !== undefined) ended = await emergency(one);
      },
    };
    one.calls.arm();
    await one.requestRotation(token).catch(() => undefined);
    await one.settle();
    const found = await one.faults();
    if (!one.calls.struck) found.push('the emergency never came');
    if (ended?.status !== 'SUCCEEDED')
      found.push(`the emergency ended with ${ended?.status} (${ended?.error})`);
    found.push(...(await stillWorking(one, await former(one, [...versions, token]))));
    found.push(...(await refusedForGood(one, token)));
    return [...found, ...(await one.faults())];
  }

  test.each([
    ['the first one, at every call', 1, () => true],
    [
      'a later one, whose slots were used before, at every side effect',
      2,
      (label: string) => /\.(commit|attach|put|promote|rotate|activate|suspend|revoke)$/.test(label),
    ],
  ] as const)('of a credential: %s', async (_which, rounds, concerns) => {
    const { moments } = await dryRun(world, rotation);
    const found: string[] = [];
    await inParallel(
      moments.map((label, index) => ({ label, at: index + 1 })).filter(({ label }) => concerns(label)),
      async ({ label, at }) => {
        const wrong = await preempted(at, rounds).catch((error: unknown) => [String(error)]);
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });
});

describe('an emergency without replacement', () => {
  test('leaves nothing that works, wherever a rotation stood', async () => {
    const { moments } = await dryRun(world, { act: async (one) => void (await one.rotate()) });
    const found: string[] = [];
    await inParallel(
      moments
        .map((label, index) => ({ label, at: index + 1 }))
        .filter(({ label }) => !/^ledger.c?r/.test(label)),
      async ({ label, at }) => {
        const one = await world.registered();
        const versions = [(await one.credential()).current?.versionId ?? ''];
        const token = randomUUID();
        const act = async (): Promise<void> =>
          one.finished(await one.startEmergency(randomUUID(), { replace: false }));
        one.calls.interlude = { at, act };
        one.calls.arm();
        await one.requestRotation(token).catch(() => undefined);
        await one.settle();
        const wrong = (await one.openSlots()).map((slot) => `${slot} may log in`);
        const { status, live } = await one.credential();
        if (status !== 'halted') wrong.push(`the credential is ${status}`);
        if (live.length > 0) wrong.push(`the ledger still has ${live.length} live`);
        wrong.push(...(await stillWorking(one, await former(one, [...versions, token]))));
        // A replacement can follow at any time.
        await emergency(one);
        await one.settle();
        wrong.push(...(await one.faults()));
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });
});

describe('a sweep after the revocation', () => {
  test.each(['before', 'after'] as const)(
    'that dies %s its last end leaves no intent alone: the next one puts the end on record',
    async (mode) => {
      const one = await world.registered();
      const own = {
        credentialId: await one.id(),
        emergencyId: randomUUID(),
        incidentId: 'INC-1',
        reason: 'leaked',
        actor: 'responder',
      };
      const revocation = await one.process((deps) => revokeNow(deps, own));
      await one.process((deps) => recordRevocation(deps, own, revocation));
      // A rotation that was under way brings its login to life late.
      const token = randomUUID();
      const credential = await one.credential();
      const { provider, target, ctx } = await upstream(one.deps, credential);
      const issued = await provider.issue(target, token, { ...ctx, generation: revocation.generation });
      await provider.activate?.(target, token, issued, ctx);
      expect(await one.openSlots()).toHaveLength(1);

      one.calls.arm({ at: 'provider.revoke', mode });
      await expect(one.process((deps) => sweepLate(deps, own))).rejects.toThrow('killed');
      one.calls.disarm();
      expect(await one.openSlots()).toHaveLength(mode === 'before' ? 1 : 0);
      for (let run = 1; run <= 2; run++) await one.process((deps) => sweepLate(deps, own));
      expect(await one.openSlots()).toEqual([]);
      const late = (await one.records()).filter(({ entity }) => /"late"/.test(entity.data.evidence));
      expect(late.map(({ message }) => message).at(-1)).toBe('emergency-revoked');
      expect(late.filter(({ message }) => message === 'emergency-revoked')).toHaveLength(1);
      expect((await one.credential()).incident).not.toHaveProperty('late');
    },
  );
});

describe('a rotation in the middle of an emergency', () => {
  test.each([[false], [true]])('leaves nothing of it (replace: %s)', async (withReplacement) => {
    const { moments } = await dryRun(world, {
      act: async (one) => one.finished(await one.startEmergency()),
    });
    const until = moments.indexOf('ledger.rotation') + 1;
    const found: string[] = [];
    await inParallel(
      moments.map((label, index) => ({ label, at: index + 1 })).slice(0, Math.max(until, 12)),
      async ({ label, at }) => {
        const one = await world.registered();
        const versions = [(await one.credential()).current?.versionId ?? ''];
        const token = randomUUID();
        one.calls.interlude = {
          at,
          act: async () => {
            const begun = await one.requestRotation(token).catch(() => undefined);
            if (begun !== undefined) await one.driven(token);
          },
        };
        one.calls.arm();
        const incidentId = randomUUID();
        const first = await one.startEmergency(incidentId, { replace: withReplacement });
        await one.finished(first);
        const wrong: string[] = [];
        if (!withReplacement) {
          // What could not be revoked was not called revoked: an operator was paged, and starts it again.
          const open = await one.openSlots();
          const results = JSON.stringify(first.output ?? '');
          if (open.length > 0 && first.status === 'SUCCEEDED')
            wrong.push(`${open.join()} may log in, but the emergency says ${results}`);
        }
        await one.settle();
        await emergency(one, incidentId);
        await one.settle();
        wrong.push(...(await one.faults()));
        wrong.push(...(await stillWorking(one, await former(one, [...versions, token]))));
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });
});

describe('an emergency for an incident that was over', () => {
  test('revokes what has been issued since', async () => {
    const one = await world.registered();
    await emergency(one, 'INC-1');
    await one.settle();
    await one.rotate();
    await one.settle();
    const leaked = await one.login();
    const again = await emergency(one, 'INC-1');
    await one.settle();
    expect(again.status).toBe('SUCCEEDED');
    expect(await one.works(leaked)).toBe(false);
    expect((await one.credential()).incident).toMatchObject({ id: 'INC-1', execution: again.name });
    expect((await one.actions()).filter((action) => action === 'emergency-revoked')).toHaveLength(2);
    expect(await one.faults()).toEqual([]);
  });

  test('confirms nothing where nothing was live', async () => {
    const one = await world.registered();
    const first = { credentialId: await one.id(), incidentId: 'none', reason: 'leaked', actor: 'responder' };
    const revocation = await one.process((deps) => revokeNow(deps, first));
    await one.process((deps) => recordRevocation(deps, first, revocation));
    const second = { ...first, emergencyId: randomUUID() };
    await one.process((deps) =>
      recordRevocation(deps, second, { ...revocation, intent: 'spool', generation: 99, handles: [] }),
    );
    const records = (await one.records()).filter(({ message }) => message === 'emergency-revoked');
    expect(records.map(({ entity }) => entity.data.deactivation)).toEqual(['CONFIRMED', '']);
    expect(records[1]?.entity.data.evidence).toContain('nothing was live');
  });
});

describe('two emergencies of one credential', () => {
  test('the second at any moment of the first: one replacement works at the end', async () => {
    const { moments } = await dryRun(world, oneEmergency);
    const found: string[] = [];
    await inParallel(
      moments
        .map((label, index) => ({ label, at: index + 1 }))
        .filter(({ label, at }) => at % 2 === 0 || !label.startsWith('ledger.')),
      async ({ label, at }) => {
        const one = await world.registered();
        const before = await one.login();
        one.calls.interlude = { at, act: async () => void (await emergency(one, 'second')) };
        one.calls.arm();
        const first = await one.startEmergency('first');
        await one.finished(first);
        await one.settle();
        // Whichever was last holds the credential; where it could not end, it was paged for and is started again.
        const { incident, status } = await one.credential();
        if (status === 'halted' && first.status === 'SUCCEEDED')
          found.push(`before call ${at} (${label}): halted`);
        await emergency(one, incident?.id);
        await one.settle();
        const wrong = [...(await one.faults()), ...(await stillWorking(one, [before]))];
        for (const what of wrong) found.push(`before call ${at} (${label}): ${what}`);
      },
    );
    expect(found).toEqual([]);
  });

  test.each([
    ['its intent was written', true],
    ['its intent was not', false],
  ])('a late first one leaves a finished second one alone: %s', async (_which, intended) => {
    const one = await world.registered();
    const first = {
      credentialId: await one.id(),
      emergencyId: randomUUID(),
      incidentId: 'INC-1',
      reason: 'leaked',
      actor: 'responder',
    };
    if (!intended)
      one.change = (deps) => ({
        ...deps,
        ledger: new Proxy(deps.ledger, {
          get: (ledger, key) =>
            key === 'commit' ? () => Promise.reject(new Error('down')) : Reflect.get(ledger, key),
        }),
      });
    const revocation = await one.process((deps) => revokeNow(deps, first));
    expect(revocation.intent).toBe(intended ? 'ledger' : 'spool');
    one.change = (deps) => deps;
    const second = await emergency(one, 'INC-2');
    await one.settle();
    const told: string[] = [];
    one.change = (deps) => ({ ...deps, events: { publish: async (type) => void told.push(type) } });
    const preempted = { code: 'ERR_PREEMPTED' };
    await expect(one.process((deps) => recordRevocation(deps, first, revocation))).rejects.toMatchObject(
      preempted,
    );
    await expect(one.process((deps) => halt(deps, first, revocation))).rejects.toMatchObject(preempted);
    await expect(one.process((deps) => halt(deps, first))).rejects.toMatchObject(preempted);
    expect(told).toEqual([]);
    expect(await one.process((deps) => superseded(deps, first))).toEqual({ status: 'superseded' });
    const { status, incident } = await one.credential();
    expect([status, incident?.execution]).toEqual(['active', second.name]);
    one.change = (deps) => deps;
    expect(await one.faults()).toEqual([]);
  });

  test('a late attempt of a first one leaves a finished second one alone: no replacement dies by it', async () => {
    const one = await world.registered();
    const first = {
      credentialId: await one.id(),
      emergencyId: randomUUID(),
      incidentId: 'INC-1',
      reason: 'leaked',
      actor: 'responder',
      startedAt: toInstant(one.time.now()),
    };
    await sleep(5);
    const second = await emergency(one, 'INC-2');
    await one.settle();
    const before = await one.credential();
    const revocation = await one.process((deps) => revokeNow(deps, first));
    expect(revocation).toMatchObject({ intent: 'nowhere', generation: before.incident?.generation });
    await expect(one.process((deps) => recordRevocation(deps, first, revocation))).rejects.toMatchObject({
      code: 'ERR_PREEMPTED',
    });
    const { status, incident, epoch, live } = await one.credential();
    expect([status, incident?.execution, epoch, live]).toEqual([
      'active',
      second.name,
      before.epoch,
      before.live,
    ]);
    expect(await one.faults()).toEqual([]);
  });

  test('a failed first one that is told late leaves a finished second one alone, and joins the record', async () => {
    const one = await world.registered();
    let attempts = 0;
    let failing = true;
    let second: Execution | undefined;
    let before: Credential | undefined;
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => {
        const provider = await deps.providerFor(type, name);
        return {
          ...provider,
          revoke: async (...args) => {
            if (!failing) return provider.revoke(...args);
            attempts++;
            // The last attempt of the machine hangs until the second emergency is over.
            if (attempts === 6) {
              failing = false;
              second = await emergency(one, 'INC-2');
              before = await one.credential();
              one.published.length = 0;
            }
            throw new RekeyError('ERR_ADMIN_DENIED', 'it may not');
          },
        };
      },
    });
    const first = await one.startEmergency('INC-1');
    await one.finished(first);
    await one.settle();
    expect([first.status, second?.status]).toEqual(['FAILED', 'SUCCEEDED']);
    const { status, incident, epoch, live } = await one.credential();
    expect({ status, incident, epoch, live }).toEqual({
      status: 'active',
      incident: before?.incident,
      epoch: before?.epoch,
      live: before?.live,
    });
    expect(one.published.map(({ detailType }) => detailType)).not.toContain('Agents Halt');
    const late = (await one.records()).at(-1);
    expect(late?.message).toBe('emergency-revocation-failed');
    expect(late?.entity.data).toMatchObject({
      incident: 'INC-1',
      evidence: expect.stringContaining(`"supersededBy":"${second?.name}"`) as unknown,
    });
    expect(await one.faults()).toEqual([]);
  });

  test('a finished earlier one hides nothing of a later one', async () => {
    const one = await world.registered();
    await emergency(one, 'INC-0');
    await one.settle();
    const later = {
      credentialId: await one.id(),
      emergencyId: randomUUID(),
      incidentId: 'INC-1',
      reason: 'leaked',
      actor: 'responder',
    };
    one.change = (deps) => ({
      ...deps,
      ledger: new Proxy(deps.ledger, {
        get: (ledger, key) =>
          key === 'commit' ? () => Promise.reject(new Error('down')) : Reflect.get(ledger, key),
      }),
    });
    const revocation = await one.process((deps) => revokeNow(deps, later));
    one.change = (deps) => deps;
    await one.process((deps) => recordRevocation(deps, later, revocation));
    expect((await one.credential()).incident).toMatchObject({ id: 'INC-1', stage: 'revoked' });
  });

  test.each([[true], [false]])('side by side (replace: %s)', async (withReplacement) => {
    const found: string[] = [];
    await inParallel([1, 2, 3, 4], async () => {
      const one = await world.registered();
      const before = await one.login();
      const both = await Promise.all([
        one.startEmergency('one', { replace: withReplacement }),
        one.startEmergency('two', { replace: withReplacement }),
      ]);
      for (const execution of both) await one.finished(execution);
      await one.settle();
      found.push(...(await stillWorking(one, [before])));
      if (!withReplacement) found.push(...(await one.openSlots()));
      const { incident } = await one.credential();
      await emergency(one, incident?.id);
      await one.settle();
      found.push(...(await one.faults()));
    });
    expect(found).toEqual([]);
  });
});
