import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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

async function stillWorking(one: EngineCase, logins: readonly Login[]): Promise<string[]> {
  const found: string[] = [];
  for (const login of logins)
    if (await one.works(login)) found.push(`a revoked value of ${login.user} still logs in`);
  return found;
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

/** Runs the emergency; where its machine fails, an operator was paged and starts it again for the same incident. */
async function emergency(one: EngineCase, incidentId = randomUUID() as string): Promise<Execution> {
  for (let run = 1; ; run++) {
    const execution = await one.startEmergency(incidentId);
    await one.finished(execution);
    if (execution.status === 'SUCCEEDED' || run === 4) return execution;
  }
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
