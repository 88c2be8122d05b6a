import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** The shortest times that a policy may have on AWS. */
const SHORTEST = { interval: '1h', window: '15m', deadline: '20m', cap: '20m', soak: '0s' };
const OLD_ENOUGH_MS = 10 * 60_000;

interface Description {
  readonly LastAccessedDate?: number;
  readonly RotationRules?: { readonly AutomaticallyAfterDays?: number };
}

const describeSecret = (one: EngineCase): Promise<Description> =>
  world.aws.json<Description>('secretsmanager', 'DescribeSecret', { SecretId: one.secret });

/** The days of a schedule that is in whole days and in nothing else. */
async function scheduleOf(one: EngineCase): Promise<number> {
  const { RotationRules: rules } = await describeSecret(one);
  expect(Object.keys(rules ?? {})).toEqual(['AutomaticallyAfterDays']);
  return rules?.AutomaticallyAfterDays ?? 0;
}

/** Everything of a credential that a rotation could move: its secret, its users, its head in the ledger. */
async function everythingOf(one: EngineCase): Promise<unknown> {
  const users = await world.server.sql(
    `SELECT rolname, rolpassword, rolcanlogin, shobj_description(oid, 'pg_authid') AS mark
     FROM pg_authid WHERE rolname LIKE '${one.target.ownerRole}\\_%' ORDER BY 1`,
  );
  const { LastAccessedDate: _byAgents, ...secret } = await describeSecret(one);
  return { secret, users, head: await one.credential() };
}

describe('traps: limits of Secrets Manager', () => {
  test('no policy is scheduled more often than every 4 hours: the shortest gets whole days', async () => {
    const one = await world.registered(undefined, SHORTEST);
    expect(await scheduleOf(one)).toBeGreaterThanOrEqual(1);
    const shorter = parseEntry({ ...one.declaration, policy: { ...SHORTEST, interval: '30m' } });
    expect((await one.tryRegister(shorter)).outcome).toBe('updated');
    expect(await scheduleOf(one)).toBeGreaterThanOrEqual(1);
  });

  test('rotations asked for without pause store at most one version in ten minutes', async () => {
    const one = await world.registered(undefined, SHORTEST);
    for (let rotations = 0; rotations < 3; rotations++) {
      const token = await one.requestRotation();
      let refused = 0;
      for (await one.still(); (await one.rotation(token)).phase !== 'completed'; await one.advance()) {
        await expect(one.requestRotation()).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_(WINDOW_OPEN|ROTATION_UNDER_WAY)$/),
        });
        refused++;
      }
      expect(refused).toBeGreaterThan(0);
      await one.settle();
    }
    const all = await one.deps.ledger.rotations(await one.id(), 10);
    const stored = all.map(({ next }) => Date.parse(next?.issuedAt ?? '')).toSorted((a, b) => a - b);
    expect(stored).toHaveLength(3);
    const distances = stored.slice(1).map((at, index) => at - (stored[index] ?? at));
    expect(Math.min(...distances)).toBeGreaterThan(OLD_ENOUGH_MS);
    expect(await one.faults()).toEqual([]);
  });

  test('a rotation and a repeated step store one version, however often they come', async () => {
    const one = await world.registered();
    const before = Object.keys(await one.labels());
    const token = await one.requestRotation();
    await one.requestRotation(token);
    await one.until(({ phase }) => phase === 'window', token);
    await one.requestRotation(token);
    expect(Object.keys(await one.labels()).filter((version) => !before.includes(version))).toEqual([token]);
  });

  test('the version that a rollback returns to carries a label until the old credential is revoked', async () => {
    const one = await world.registered();
    const old = (await one.credential()).current?.versionId ?? '';
    const token = await one.requestRotation();
    const seen: string[] = [];
    await one.until((rotation) => {
      seen.push(rotation.phase);
      return rotation.phase === 'window';
    }, token);
    expect((await one.labels())[old]).toContain('AWSPREVIOUS');
    await one.until(({ phase }) => phase === 'suspending', token);
    expect((await one.labels())[old]).toContain('AWSPREVIOUS');
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('rolled-back');
    expect((await one.labels())[old]).toContain('AWSCURRENT');
    expect(await one.faults()).toEqual([]);
  });
});

describe('traps: a pair that is to rotate apart', () => {
  test('stays apart: neither a rotation nor a new policy of one moves anything of the other', async () => {
    const one = await world.registered();
    const other = await world.registered();
    other.agents.start();
    const before = await everythingOf(other);
    await one.rotate();
    const tighter = parseEntry({ ...one.declaration, policy: { interval: '7d' } });
    expect((await one.tryRegister(tighter)).outcome).toBe('updated');
    // A new schedule is tested on a pending version of its own, which then goes away.
    await one.settle();
    expect(await scheduleOf(one)).toBeLessThan(await scheduleOf(other));
    await other.agents.probe('after the rotation of its twin');
    expect(await everythingOf(other)).toEqual(before);
    expect([...(await one.faults()), ...(await other.faults())]).toEqual([]);
  });

  test('of one credential has only one member changed by a rotation: the other one keeps its password', async () => {
    const one = await world.registered();
    const passwords = async (): Promise<Record<string, unknown>> =>
      Object.fromEntries(
        (
          await world.server.sql(
            `SELECT rolname, rolpassword FROM pg_authid WHERE rolname LIKE '${one.target.ownerRole}\\_%'`,
          )
        ).map(({ rolname, rolpassword }) => [String(rolname), rolpassword]),
      );
    for (let rotations = 0; rotations < 3; rotations++) {
      const current = (await one.login()).user;
      const before = await passwords();
      const token = await one.requestRotation();
      await one.until(({ phase }) => phase === 'window', token);
      const after = await passwords();
      expect((await one.login()).user).not.toBe(current);
      expect(after[current]).toBe(before[current]);
      expect(after[(await one.login()).user]).not.toBe(before[(await one.login()).user]);
      await one.settle();
    }
    expect(await one.faults()).toEqual([]);
  });
});

describe('traps: what has no provider yet', () => {
  test('MySQL, native dual passwords included, is refused with the providers that there are, and nothing is made', async () => {
    const one = world.newCase();
    const mysql = parseEntry({ ...one.declaration, provider: 'mysql' });
    await expect(one.tryRegister(mysql)).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'provider',
      remedy: expect.stringContaining('database/postgresql'),
    });
    expect(await one.deps.vault.describe(one.secret)).toBeUndefined();
    expect(await one.deps.ledger.idByName(one.name)).toBeUndefined();
  });
});
