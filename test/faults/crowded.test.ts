import { describe, expect, test } from 'vitest';
import { plusSeconds, toInstant } from '../../shared/domain/clock.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { reconcileSpool } from '../../shared/engine/spool.ts';
import { ScaleWorld } from '../support/scale-world.ts';

const SECONDS = 1000;
const HOURS = 3600 * SECONDS;

/** Has Lambda refuse each credential its first such calls, for so long. */
function withoutRoom(
  world: ScaleWorld,
  ms: number,
  isAsked: (name: string, payload: { readonly [field: string]: unknown }) => boolean,
): void {
  const first = new Map<unknown, number>();
  world.refuse = (name, payload) => {
    if (!isAsked(name, payload)) return;
    const now = world.time.now();
    const since = first.get(payload['credentialId']) ?? now;
    first.set(payload['credentialId'], since);
    if (now < since + ms)
      throw Object.assign(new Error('throttled'), { name: 'Lambda.TooManyRequestsException' });
  };
}

describe('what comes to life while nothing can be recorded dies, although once the ledger is back', () => {
  /** The ledger is back after half an hour. */
  const BACK = 0.5 * HOURS;

  const escaping = (meanwhile: (world: ScaleWorld) => void = () => undefined): ScaleWorld => {
    const world = new ScaleWorld(3);
    Object.assign(world.ledger.outage, { until: world.startedAt + BACK, dark: false });
    const { events } = world.deps;
    const publish = events.publish.bind(events);
    const late = new Set(world.ids);
    events.publish = (what, detail) => {
      const { credentialId = '' } = detail as { credentialId?: string };
      if (late.delete(credentialId)) {
        world.bringToLife(credentialId);
        meanwhile(world);
      }
      return publish(what, detail);
    };
    return world;
  };

  const outcome = async (world: ScaleWorld): Promise<unknown> => {
    const { status } = await world.emergency();
    return { status, alive: [...world.alive] };
  };
  const DEAD = { status: 'SUCCEEDED', alive: [] };

  test('its upstream is down for a quarter of an hour', async () => {
    const world = escaping(({ upstream, startedAt }) => {
      upstream.until = startedAt + BACK + 0.25 * HOURS;
    });
    expect(await outcome(world)).toEqual(DEAD);
  });

  test('Lambda has no room for its revocation', async () => {
    const world = escaping();
    withoutRoom(
      world,
      20 * SECONDS,
      (name) => name.startsWith('revoke') && world.time.now() >= world.startedAt + BACK,
    );
    expect(await outcome(world)).toEqual(DEAD);
  });

  test('Lambda has no room for its record', async () => {
    const world = escaping();
    withoutRoom(
      world,
      10 * SECONDS,
      (_name, { action, credentialId }) =>
        action === 'record' &&
        world.time.now() >= world.startedAt + BACK &&
        !world.alive.has(`next-of-${String(credentialId)}`),
    );
    expect(await outcome(world)).toEqual(DEAD);
  });
});

test('agents of what its upstream does not end halt within minutes, although Lambda has no room for ten seconds', async () => {
  const world = new ScaleWorld(3);
  world.upstream.until = world.startedAt + HOURS;
  withoutRoom(world, 10 * SECONDS, (_name, { action }) => action === 'revocation-failed');
  await world.emergency();
  const halts = world.done.filter(({ what }) => what === 'Agents Halt').map(({ at }) => at - world.startedAt);
  expect(Math.max(...halts.slice(0, 3))).toBeLessThan(300 * SECONDS);
  expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
});

test('a stopped emergency that took its credentials after an intent was spooled halts their agents', async () => {
  const world = new ScaleWorld(3);
  const about = { incidentId: 'INC-1', reason: 'leaked', actor: 'responder', emergencyId: 'stopped' };
  Object.assign(world.ledger.outage, { until: world.startedAt + 2 * SECONDS, dark: false });
  world.upstream.until = world.startedAt + HOURS;
  const attempt = async (): Promise<void> => {
    for (const credentialId of world.ids)
      await expect(revokeNow(world.deps, { ...about, credentialId })).rejects.toMatchObject({
        code: 'ERR_UNAVAILABLE',
      });
  };
  // The intent is spooled first, then taken by the ledger.
  await attempt();
  world.time.jumpTo(world.startedAt + 3 * SECONDS);
  await attempt();
  world.time.jumpTo(world.startedAt + HOURS);
  await reconcileSpool(world.deps);
  expect(world.recordsEach('emergency-revocation-failed')).toEqual([1]);
  expect(world.alive.size).toBe(3);
  expect(world.done.filter(({ what }) => what === 'Agents Halt')).toHaveLength(3);
});

test('a late attempt leaves alone what a second emergency has replaced, where the copy of the head tells of that one', async () => {
  const world = new ScaleWorld(1);
  const [credentialId = ''] = world.ids;
  const head = world.ledger.heads.get(credentialId);
  if (head?.current === undefined) throw new Error('it works from the start');
  const startedAt = toInstant(world.startedAt);
  const handle = { id: 'replacement', generation: 3 };
  const after = {
    ...head,
    generation: 3,
    epoch: 2,
    version: head.version + 9,
    live: [handle],
    current: { ...head.current, handle },
    incident: {
      id: 'INC-1',
      execution: 'second',
      began: plusSeconds(startedAt, 3600),
      stage: 'resumed',
      generation: 2,
      replacement: 'r',
    },
  } as const;
  world.ledger.heads.set(credentialId, after);
  for (const key of world.s3.objects.keys())
    if (key.includes(credentialId)) world.s3.objects.set(key, JSON.stringify(after));
  world.alive.clear();
  world.alive.add('replacement');
  world.time.jumpTo(world.startedAt + 1.5 * HOURS);
  Object.assign(world.ledger.outage, { until: world.time.now() + SECONDS, dark: true });
  const first = {
    incidentId: 'INC-1',
    reason: 'r',
    actor: 'a',
    emergencyId: 'first',
    startedAt,
    credentialId,
  };
  expect((await revokeNow(world.deps, first)).source).toBe('snapshot');
  expect([...world.alive]).toEqual(['replacement']);
});

describe('an emergency by ids that neither ledger nor snapshots could tell the types of', () => {
  const silentFor = (ms: number): ScaleWorld => {
    const world = new ScaleWorld(6);
    Object.assign(world.ledger.outage, { until: world.startedAt + ms, dark: true });
    world.s3.outage.until = world.startedAt + ms;
    return world;
  };

  test('revokes each by the function of its type, once one of them answers', async () => {
    const world = silentFor(3 * SECONDS);
    const { status } = await world.emergency('e-1', { isTyped: false });
    expect({ status, alive: [...world.alive] }).toEqual({ status: 'SUCCEEDED', alive: [] });
    expect(world.recordsEach('emergency-revoked')).toEqual([1]);
    expect(world.recordsEach('emergency-revocation-failed')).toEqual([0]);
  });

  test('revokes them from the snapshots, although the ledger stays silent', async () => {
    const world = silentFor(0);
    Object.assign(world.ledger.outage, { until: world.startedAt + HOURS, dark: true });
    await world.emergency('e-1', { isTyped: false });
    const revoked = world.done.filter(({ what }) => what === 'revoke').map(({ at }) => at - world.startedAt);
    expect(revoked).toHaveLength(6);
    expect(Math.max(...revoked)).toBeLessThan(10 * SECONDS);
  });

  test('halts the agents meanwhile, and outlasts half an hour', async () => {
    const world = silentFor(0.5 * HOURS);
    const { status } = await world.emergency('e-1', { isTyped: false });
    expect({ status, alive: [...world.alive] }).toEqual({ status: 'SUCCEEDED', alive: [] });
    const halts = world.done
      .filter(({ what }) => what === 'Agents Halt')
      .map(({ at }) => at - world.startedAt);
    expect(Math.min(...halts)).toBeLessThan(300 * SECONDS);
  });

  test('revokes them although the first look-ups die', async () => {
    const world = silentFor(0);
    world.refuse = (_name, { action }) => {
      if (action === 'find-type' && world.time.now() < world.startedAt + 0.5 * SECONDS)
        throw Object.assign(new Error('out of memory'), { name: 'Runtime.ExitError' });
    };
    const { status } = await world.emergency('e-1', { isTyped: false });
    expect({ status, alive: [...world.alive] }).toEqual({ status: 'SUCCEEDED', alive: [] });
  });

  test('ends as not revoked what is no longer managed', async () => {
    const world = silentFor(0);
    const [gone = ''] = world.ids;
    const started = world.emergency('e-1', { isTyped: false });
    world.ledger.heads.delete(gone);
    world.s3.objects.clear();
    const { status } = await started;
    expect(status).toBe('FAILED');
    expect(world.alive.size).toBe(1);
  });
});
