import { describe, expect, test } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import { emergencyOf } from '../../shared/engine/begin-emergency.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { reconcileSpool } from '../../shared/engine/spool.ts';
import type { Execution } from '../support/machines.ts';
import { ScaleWorld } from '../support/scale-world.ts';

const COUNT = 1000;
const MINUTES = 60_000;
const HOURS = 60 * MINUTES;

type Sink = 'the ledger refuses writes' | 'the ledger is dark' | 'S3 is down';

function takeDown(world: ScaleWorld, sinks: readonly Sink[], ms: number): void {
  const until = world.startedAt + ms;
  for (const sink of sinks) {
    if (sink === 'S3 is down') world.s3.outage.until = until;
    else Object.assign(world.ledger.outage, { until, dark: sink === 'the ledger is dark' });
  }
}

/** Milliseconds of virtual time until each of this kind was done for the last credential. */
function lastOf(world: ScaleWorld, what: string): number {
  return Math.max(...world.done.filter((each) => each.what === what).map(({ at }) => at - world.startedAt));
}

/** That every value is dead, and that this was the first thing done and waited for nothing. */
function revokedFirst(world: ScaleWorld): void {
  expect(world.alive.size).toBe(0);
  expect(world.done[0]?.what).toBe('revoke');
  expect(world.done.slice(0, COUNT).map(({ what }) => what)).not.toContain('Agents Halt');
}

/** That the trail of each has it all, once, and that every chain is whole with the states that it leads to. */
function recordedOnce(world: ScaleWorld): void {
  for (const message of ['emergency-intended', 'emergency-revoked'])
    expect([message, world.recordsEach(message)]).toEqual([message, [1]]);
  for (const { seq, status, live } of world.ledger.heads.values()) {
    expect([status, live]).toEqual(['halted', []]);
    expect(seq).toBeGreaterThanOrEqual(2);
  }
}

/** What the spool has left in the bucket. */
function spooledIn(world: ScaleWorld): string[] {
  return [...world.s3.objects.keys()].filter((key) => key.includes('/intents/'));
}

describe(`${COUNT} credentials of three types in one emergency`, () => {
  test.each<[string, readonly Sink[]]>([
    ['nothing is down', []],
    ['the ledger refuses writes', ['the ledger refuses writes']],
    ['S3 is down', ['S3 is down']],
    ['the ledger refuses writes and S3 is down', ['the ledger refuses writes', 'S3 is down']],
    ['the ledger is dark', ['the ledger is dark']],
  ])('are revoked first and recorded once, where for an hour %s', async (_what, sinks) => {
    const world = new ScaleWorld(COUNT);
    takeDown(world, sinks, HOURS);
    const execution = await world.emergency();
    revokedFirst(world);
    expect(lastOf(world, 'revoke')).toBeLessThan(30_000);
    // Agents are halted without the ledger, each at once.
    const told = new Set(
      world.done.filter(({ what }) => what === 'Agents Halt').map((each) => each.credential),
    );
    expect(told.size).toBe(COUNT);
    const first = Map.groupBy(
      world.done.filter(({ what }) => what === 'Agents Halt'),
      ({ credential }) => credential,
    );
    const halted = [...first.values()].map(([one]) => (one?.at ?? Infinity) - world.startedAt);
    expect(Math.max(...halted)).toBeLessThan(2 * MINUTES);

    expect([execution.status, execution.error]).toEqual(['SUCCEEDED', undefined]);
    recordedOnce(world);
    // What was spooled stands in the ledger by now, and adds nothing to it.
    world.time.jumpTo(world.startedAt + HOURS);
    const before = world.ledger.trail.length;
    const settled = await reconcileSpool(world.deps);
    expect(settled.every(({ outcome }) => outcome === 'settled')).toBe(true);
    expect(spooledIn(world)).toEqual([]);
    expect(world.ledger.trail).toHaveLength(before);
    // The archive has every record once, whenever S3 was back.
    await world.archive();
    const archived = [...world.s3.objects.keys()].filter((key) => key.startsWith('/archive/records/'));
    expect(archived).toHaveLength(before);
  });

  test.each<[string, Sink]>([
    ['refuses writes', 'the ledger refuses writes'],
    ['is dark', 'the ledger is dark'],
  ])('are in the ledger once it is back, where it %s for longer than is waited', async (_what, sink) => {
    const world = new ScaleWorld(COUNT);
    takeDown(world, [sink], 6 * HOURS);
    // The spool outlasts what takes nothing either at first.
    if (sink === 'the ledger refuses writes') takeDown(world, ['S3 is down'], 4 * HOURS);
    const execution = await world.emergency();
    revokedFirst(world);
    expect([execution.status, execution.error]).toEqual(['FAILED', 'EmergencyIncomplete']);
    expect(world.ledger.trail).toEqual([]);
    // While it is down a run of the reconciler changes nothing.
    expect(new Set((await reconcileSpool(world.deps)).map(({ outcome }) => outcome))).toEqual(
      new Set(['failed']),
    );

    world.time.jumpTo(world.startedAt + 7 * HOURS);
    // A run that dies between the ledger and the spool is followed by another.
    world.s3.keepsAll = true;
    const died = await reconcileSpool(world.deps);
    expect(new Set(died.map(({ outcome }) => outcome))).toEqual(new Set(['failed']));
    world.s3.keepsAll = false;
    await reconcileSpool(world.deps);
    expect(spooledIn(world)).toEqual([]);
    recordedOnce(world);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([0]);
  });

  test('are tried for an hour where their upstream throttles, with the agents halted meanwhile', async () => {
    const world = new ScaleWorld(60);
    world.upstream.until = world.startedAt + HOURS;
    const execution = await world.emergency();
    expect(world.alive.size).toBe(0);
    expect(execution.status).toBe('SUCCEEDED');
    const [halt] = world.done.filter(({ what }) => what === 'Agents Halt');
    expect((halt?.at ?? Infinity) - world.startedAt).toBeLessThan(2 * MINUTES);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
    expect(world.recordsEach('emergency-revoked')).toEqual([1]);
  });
});

test('more credentials than one execution takes are revoked at once all the same, and what is new once it is asked for again', async () => {
  const count = 2100;
  const world = new ScaleWorld(count);
  takeDown(world, ['the ledger refuses writes'], 10 * MINUTES);
  await world.emergency();
  expect(world.alive.size).toBe(0);
  expect(lastOf(world, 'revoke')).toBeLessThan(30_000);
  expect([...world.machines.executions.keys()].filter((id) => !id.includes('/'))).toEqual([
    'e-1',
    'e-1-2',
    'e-1-3',
  ]);
  expect(await emergencyOf(world.deps.workflow, 'e-1')).toMatchObject({ status: 'SUCCEEDED' });
  recordedOnce(world);

  // Declared meanwhile: the same request has them too, and what it has ended before is left alone.
  for (let n = count; n < count + 20; n++) world.add(n);
  await world.emergency();
  expect(world.alive.size).toBe(0);
  expect(world.done.filter(({ what }) => what === 'revoke')).toHaveLength(count + 20);
  recordedOnce(world);
});

test('where neither the ledger nor S3 tells what there is to end, for longer than is waited, that is told', async () => {
  const world = new ScaleWorld(60);
  takeDown(world, ['the ledger is dark', 'S3 is down'], 9 * HOURS);
  const execution = await world.emergency();
  expect([execution.status, execution.error]).toEqual(['FAILED', 'EmergencyIncomplete']);
  expect(world.done.filter(({ what }) => what === 'Emergency Ended')).toHaveLength(1);
});

describe('what a rotation brings to life while nothing can be recorded', () => {
  /** Comes to life as its agents are told to halt: the revocation is over, its record has just failed. */
  const emergency = async (hours: number): Promise<{ world: ScaleWorld; execution: Execution }> => {
    const world = new ScaleWorld(3);
    takeDown(world, ['the ledger refuses writes'], hours * HOURS);
    const { events } = world.deps;
    const publish = events.publish.bind(events);
    const late = new Set(world.ids);
    events.publish = (what, detail) => {
      const { credentialId = '' } = detail as { credentialId?: string };
      if (late.delete(credentialId)) world.bringToLife(credentialId);
      return publish(what, detail);
    };
    return { world, execution: await world.emergency() };
  };

  test('dies once the ledger is back', async () => {
    const { world, execution } = await emergency(0.5);
    expect([...world.alive]).toEqual([]);
    expect(execution.status).toBe('SUCCEEDED');
    recordedOnce(world);
  });

  test('is told and paged for by the reconciler, once, where the ledger comes back too late for the emergency', async () => {
    const { world, execution } = await emergency(6);
    expect([execution.status, world.alive.size]).toEqual(['FAILED', 3]);
    world.time.jumpTo(world.startedAt + 7 * HOURS);
    // A run that dies before the spool knows is followed by another.
    world.s3.keepsAll = true;
    await reconcileSpool(world.deps);
    world.s3.keepsAll = false;
    await reconcileSpool(world.deps);
    expect(spooledIn(world)).toEqual([]);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
    const [told] = world.ledger.trail.filter(({ message }) => message === 'emergency-revocation-failed');
    expect(JSON.parse(told?.entity.data.evidence ?? '')).toMatchObject({
      cause: expect.stringMatching(/next-of-.* came to life/),
      revocation: { handles: [{ handle: expect.stringContaining('value-') }] },
    });
    // Started again, as its remedy says.
    await world.emergency('e-2');
    expect(world.alive.size).toBe(0);
  });
});

describe('what an emergency that was stopped has spooled', () => {
  const stopped = async (): Promise<ScaleWorld> => {
    const world = new ScaleWorld(3);
    takeDown(world, ['the ledger refuses writes'], HOURS);
    for (const credentialId of world.ids)
      await revokeNow(world.deps, { ...ABOUT, credentialId, emergencyId: 'stopped' });
    world.time.jumpTo(world.startedAt + HOURS);
    return world;
  };
  const ABOUT = { incidentId: 'INC-1', reason: 'leaked', actor: 'responder' };

  test('is taken over, told and paged for, once: nobody knows what it has revoked', async () => {
    const world = await stopped();
    for (let run = 1; run <= 2; run++) await reconcileSpool(world.deps);
    expect(world.recordsEach('emergency-intended')).toEqual([1]);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
    expect(
      new Set(world.done.filter(({ what }) => what === 'Agents Halt').map((each) => each.credential)).size,
    ).toBe(3);
    for (const { status, incident } of world.ledger.heads.values())
      expect([status, incident?.execution]).toEqual(['halted', 'stopped']);
  });

  test('is left alone while it is under way', async () => {
    const world = await stopped();
    const workflow = { ...world.deps.workflow, emergency: async () => Promise.resolve(RUNNING) };
    const answers = await reconcileSpool({ ...world.deps, workflow });
    expect(answers.map(({ outcome }) => outcome)).toEqual(['under-way', 'under-way', 'under-way']);
    expect(world.ledger.trail).toEqual([]);
  });

  test('is written down although one of it can be read by nobody, which fails the run', async () => {
    const world = new ScaleWorld(40);
    takeDown(world, ['the ledger refuses writes'], HOURS);
    for (const credentialId of world.ids)
      await revokeNow(world.deps, { ...ABOUT, credentialId, emergencyId: 'stopped' });
    world.time.jumpTo(world.startedAt + HOURS);
    const [first = ''] = spooledIn(world);
    world.s3.objects.set(first, 'not what was put there');
    await expect(reconcileSpool(world.deps)).rejects.toThrow(SyntaxError);
    const told = world.ledger.trail.filter(({ message }) => message === 'emergency-revocation-failed');
    expect(told).toHaveLength(39);
  });

  test('halts nobody whose credential was replaced since, and stands in the trail', async () => {
    const world = await stopped();
    for (const head of world.ledger.heads.values()) {
      if (head.current === undefined) throw new Error('nothing is current');
      const issuedAt = toInstant(world.time.now());
      world.ledger.heads.set(head.id, { ...head, current: { ...head.current, issuedAt } });
    }
    await reconcileSpool(world.deps);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
    expect(world.done.map(({ what }) => what)).not.toContain('Agents Halt');
    for (const { status } of world.ledger.heads.values()) expect(status).toBe('active');
  });
});

const RUNNING = { status: 'RUNNING', startedAt: '2026-11-26T10:00:00.000Z' };
