import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RotationView } from '../../../shared/api/messages.ts';
import { credentialView, rotationView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { credentialOf, impactBody, ROTATION_ID, rotationOf, underWay } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type Reply, type StandIn } from './stand-in.ts';

const credential = credentialOf();
const idle = { credential: credentialView(credential), rotations: [] };
const inWindow = rotationView(rotationOf());
const busy = { credential: credentialView(credential, rotationOf()), rotations: [inWindow] };

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

function shown(changes: Partial<Rotation>): Reply {
  return { body: { rotation: rotationView(rotationOf(changes)) } };
}

describe('watching a rotation', () => {
  const path = `GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`;
  const start = (): void => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
  };

  it('prints each change once and ends with 0 when it is completed', async () => {
    start();
    api.routes[path] = [shown({}), shown({ phase: 'suspending' }), shown({ phase: 'completed' })];
    const { exit, stdout } = await rekey(api, ['show', 'orders-db', '--watch']);
    expect(exit).toBe(0);
    expect(stdout.trimEnd().split('\n')).toHaveLength(3);
  });

  it.each(['aborted', 'rolled-back', 'preempted'] as const)('ends with 4 when it is %s', async (phase) => {
    start();
    api.routes[path] = shown({ phase, failure: { code: 'ERR_REJECTED', message: 'login failed' } });
    const { exit, stdout } = await rekey(api, ['show', 'orders-db', '--watch']);
    expect(exit).toBe(4);
    expect(stdout).toContain('ERR_REJECTED: login failed');
  });

  it('ends with 4 when it needs a person', async () => {
    start();
    api.routes[path] = shown({ stuck: true });
    expect((await rekey(api, ['show', 'orders-db', '--watch'])).exit).toBe(4);
  });

  it('prints one JSON object a line with --json', async () => {
    start();
    api.routes[path] = [shown({}), shown({ phase: 'completed' })];
    const { stdout, stderr } = await rekey(api, ['show', 'orders-db', '--watch', '--json']);
    const phases = stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
    expect(phases).toMatchObject([{ rotation: { phase: 'window' } }, { rotation: { phase: 'completed' } }]);
    expect(stderr).toBe('');
  });

  it('puts up with an API that is away for a while', async () => {
    start();
    const away: Reply[] = Array.from({ length: 6 }, () => ({ status: 503, body: {} }));
    api.routes[path] = [...away, shown({ phase: 'completed' })];
    expect((await rekey(api, ['show', 'orders-db', '--watch'])).exit).toBe(0);
  });

  it('of a credential without one under way shows the last one', async () => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { ...idle, rotations: [rotationView(rotationOf({ phase: 'aborted' }))] },
    };
    expect((await rekey(api, ['show', 'orders-db', '--watch'])).exit).toBe(4);
  });
});

describe('rekey rotate', () => {
  const path = 'POST /v1/credentials/orders-db/rotations';
  const started = { status: 202, body: { rotation: inWindow, joined: false } };

  it('starts a rotation with a fresh idempotency key and says what follows', async () => {
    api.routes[path] = started;
    const { exit, stdout } = await rekey(api, ['rotate', 'orders-db', '--reason', 'left']);
    expect(exit).toBe(0);
    expect(api.seen[0]).toMatchObject({ body: { reason: 'left' } });
    expect(api.seen[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(stdout).toContain(`rekey show orders-db --watch`);
  });

  it('repeats itself with the same key after a broken connection', async () => {
    api.routes[path] = ['cut', started];
    expect((await rekey(api, ['rotate', 'orders-db'])).exit).toBe(0);
    const keys = api.seen.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
  });

  it('does not repeat itself after an answer', async () => {
    api.routes[path] = { status: 503, body: {} };
    expect((await rekey(api, ['rotate', 'orders-db'])).exit).toBe(5);
    expect(api.seen).toHaveLength(1);
  });

  it('shows the refusal with what is under way', async () => {
    api.routes[path] = refusal(underWay());
    const { exit, stderr } = await rekey(api, ['rotate', 'orders-db']);
    expect(exit).toBe(1);
    expect(stderr).toMatch(/planner[\s\S]*remedy: wait for it[\s\S]*ERR_ROTATION_UNDER_WAY/);
  });

  it('waits with --wait', async () => {
    api.routes[path] = started;
    api.routes[`GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`] = shown({ phase: 'completed' });
    expect((await rekey(api, ['rotate', 'orders-db', '--wait'])).exit).toBe(0);
  });

  it('tells with --dry-run who is hit, when, and what stays, and changes nothing', async () => {
    const holders = [
      { kind: 'polling', name: 'order-agents', ttlSeconds: 300, agents: 12 },
      { kind: 'ecs-restart', name: 'web', cluster: 'main', service: 'shop' },
    ] as const;
    api.routes['GET /v1/credentials/orders-db/impact'] = {
      body: await impactBody(credentialOf({ holders })),
    };
    const { exit, stdout } = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(exit).toBe(0);
    for (const text of [
      /Who is hit \(13 agents\)/,
      /order-agents \(polling\): .*TTL of 5m; at the latest 2026-11-22 12:05:00 UTC/,
      /web \(ecs-restart\): Rekey redeploys the service main\/shop/,
      /not known: whoever reads the secret/,
      /If it started now\n {2}2026-11-22 12:00:00 UTC {2}announced/,
      /2026-11-22 12:31:30 UTC {2}\+32 min: the old one is revoked/,
      /As planned\n {2}2026-11-29 00:00:00 UTC/,
      /What can’t be undone\n {2}- the revocation .*from 2026-11-22 12:31:30 UTC on/,
      /events go out on the bus/,
      /Nothing was changed/,
    ]) {
      expect(stdout).toMatch(text);
    }
    expect(api.seen.map(({ method }) => method)).toEqual(['GET']);
  });

  it('tells with --dry-run every reason that is against it now, and the rest all the same', async () => {
    const observed = credentialOf({ mode: 'observe' });
    api.routes['GET /v1/credentials/orders-db/impact'] = { body: await impactBody(observed, rotationOf()) };
    const { exit, stdout, stderr } = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(exit).toBe(1);
    expect(stdout).toMatch(/As planned: it is not planned: mode observe/);
    expect(stderr).toMatch(/ERR_MODE[\s\S]*ERR_WINDOW_OPEN[\s\S]*2 reasons/);
    const machine = await rekey(api, ['rotate', 'orders-db', '--dry-run', '--json']);
    expect(JSON.parse(machine.stdout)).toMatchObject({
      dryRun: true,
      allowed: false,
      error: { code: 'ERR_MODE' },
      refusals: [{ code: 'ERR_MODE' }, { code: 'ERR_WINDOW_OPEN' }],
      affected: [{ name: 'order-agents' }],
    });
  });
});

describe('agents that prove by themselves that they have moved', () => {
  const some = (...names: string[]) => ({ names, more: 0 });
  const clients = [
    {
      name: 'checkout',
      sessions: 4,
      moved: 1,
      waiting: { names: ['host-2'], more: 3 },
      lost: some('host-3'),
      contradicted: some('host-4'),
      authentication: { succeeded: 8, refused: 2, before: { succeeded: 10, refused: 0 }, risen: true },
    },
  ];
  const deferred = {
    since: '2026-11-22T11:00:00.000Z',
    until: '2026-11-22T15:00:00.000Z',
    agents: ['checkout'],
  };

  it('are shown by instance, with rekey show and line by line with --watch', async () => {
    const rotation = { ...inWindow, clients };
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { ...busy, credential: { ...busy.credential, rotation } },
    };
    const { stdout } = await rekey(api, ['show', 'orders-db']);
    expect(stdout).toContain(
      'agent checkout  1 of 4 sessions have moved; not yet: host-2 and 3 more; silent: host-3; contradicted itself: host-4; refused uses have risen: 2 (0 before)',
    );
    const path = `GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`;
    const moved = [{ ...clients[0], moved: 4, waiting: some(), lost: some(), contradicted: some() }];
    api.routes[path] = [
      { body: { rotation } },
      { body: { rotation: { ...inWindow, clients: moved } } },
      shown({ phase: 'completed' }),
    ];
    const watched = await rekey(api, ['show', 'orders-db', ROTATION_ID, '--watch']);
    expect(watched.stdout).toMatch(/1 of 4 sessions[\s\S]*4 of 4 sessions[\s\S]*completed/);
  });

  it('are told to be waited for, and until when; rotate --now doesn’t wait', async () => {
    const rotation = { ...inWindow, phase: 'announced', window: undefined, deferred };
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { ...busy, credential: { ...busy.credential, rotation } },
    };
    const { stdout } = await rekey(api, ['show', 'orders-db']);
    expect(stdout).toMatch(/sessions of checkout; begins by 2026-11-22 15:00:00 UTC .*--now/);
    api.routes['POST /v1/credentials/orders-db/rotations'] = {
      status: 202,
      body: { rotation, joined: true },
    };
    expect((await rekey(api, ['rotate', 'orders-db', '--now'])).exit).toBe(0);
    expect(api.seen.at(-1)).toMatchObject({ body: { now: true } });
  });

  it('are in the impact of a rotation with the tasks at risk', async () => {
    const inSession = [
      {
        name: 'checkout',
        sessions: 2,
        refresh: 'between-sessions',
        atRisk: [{ instance: 'host-1', since: deferred.since }],
      },
      { name: 'search', from: 'checkout', sessions: 0, atRisk: [] },
    ];
    const body = { ...(await impactBody(credentialOf())), inSession, limits: ['2 at a time, 1 now'] };
    api.routes['GET /v1/credentials/orders-db/impact'] = { body };
    const { stdout } = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(stdout).toMatch(
      /checkout: 2 in session now; can’t change it while they work\n {4}host-1: at work since/,
    );
    expect(stdout).toMatch(/search, which gets it from checkout: 0 in session now; no pact/);
    expect(stdout).toMatch(/What the upstream allows\n {2}- 2 at a time/);
  });
});

describe('rekey confirm', () => {
  const path = `POST /v1/credentials/orders-db/rotations/${ROTATION_ID}/confirmations`;
  const manual = credentialOf({
    holders: [
      { kind: 'polling', name: 'order-agents', ttlSeconds: 900 },
      { kind: 'manual', name: 'report' },
    ],
  });
  const body = { credential: credentialView(manual, rotationOf()), rotations: [inWindow] };

  it('takes the rotation under way, and says what is still missing', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    api.routes[path] = { body: { rotation: { ...inWindow, missing: ['order-agents may still…'] } } };
    const { exit, stdout } = await rekey(api, ['confirm', 'orders-db', 'report', '--reason', 'ran with it']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/confirmed[\s\S]*Still waits for: order-agents/);
    expect(api.seen.at(-1)?.body).toEqual({ holder: 'report', reason: 'ran with it' });
  });

  it('confirms nobody who proves itself, nobody unknown, and nothing where no rotation is under way', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    const polling = await rekey(api, ['confirm', 'orders-db', 'order-agents']);
    expect([polling.exit, polling.stderr]).toEqual([1, expect.stringContaining('of kind polling')]);
    const unknown = await rekey(api, ['confirm', 'orders-db', 'nobody']);
    expect([unknown.exit, unknown.stderr]).toEqual([1, expect.stringContaining('ERR_NOT_FOUND')]);
    api.routes['GET /v1/credentials/orders-db'] = { body: { ...body, credential: credentialView(manual) } };
    expect((await rekey(api, ['confirm', 'orders-db', 'report'])).stderr).toContain('--rotation');
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('changes nothing with --dry-run', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    expect((await rekey(api, ['confirm', 'orders-db', 'report', '--dry-run'])).exit).toBe(0);
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });
});

describe('what only a person can end', () => {
  const path = `POST /v1/credentials/orders-db/rotations/${ROTATION_ID}/confirmations`;
  const byHand = 'delete the key "spare-1" at https://console.example';
  const handles = [{ id: 'spare-1.0a1b', generation: 1 }];
  const awaitsOperator = { since: '2026-11-22T20:00:00.000Z', handles, byHand, looks: 1 };
  const waiting = rotationOf({ phase: 'revoking', awaitsOperator });
  const body = { credential: credentialView(credential, waiting), rotations: [rotationView(waiting)] };
  const halted = credentialOf({
    status: 'halted',
    incident: { id: 'INC-1', stage: 'intended', generation: 2, replacement: 'r', awaitsOperator },
  });

  it('is shown as manual wherever the rotation is, with what to do and where', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    api.routes['GET /v1/credentials'] = { body: { credentials: [body.credential] } };
    const [shownOne, listed] = [await rekey(api, ['show', 'orders-db']), await rekey(api, ['list'])];
    expect(shownOne.stdout).toMatch(/awaits operator +since 2026-11-22 20:00:00 UTC, manual: delete the key/);
    expect(listed.stdout).toContain('revoking (awaiting operator: manual)');
    // Handles are in the ledger; operators need the words.
    expect(body.credential.rotation?.awaitsOperator).toEqual({ since: awaitsOperator.since, byHand });
  });

  it('is shown as manual in an emergency, until it has ended', async () => {
    const view = credentialView(halted);
    api.routes['GET /v1/credentials/orders-db'] = { body: { credential: view, rotations: [] } };
    api.routes['GET /v1/credentials'] = { body: { credentials: [view] } };
    expect((await rekey(api, ['list'])).stdout).toContain('halted (awaiting operator: manual)');
    expect((await rekey(api, ['show', 'orders-db'])).stdout).toContain(byHand);
    const refused = await rekey(api, ['confirm', 'orders-db']);
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('looks by itself')]);
    const { incident } = halted;
    if (incident === undefined) throw new Error('there is no incident');
    const revoked = credentialView({ ...halted, incident: { ...incident, stage: 'revoked' } });
    expect(revoked.emergency?.awaitsOperator).toBeUndefined();
  });

  it('is confirmed without a holder, by the upstream', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    api.routes[path] = { body: { rotation: rotationView(waiting) } };
    const { exit, stdout } = await rekey(api, ['confirm', 'orders-db', '--reason', 'deleted']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('the upstream refuses it now')]);
    expect(api.seen.at(-1)?.body).toEqual({ reason: 'deleted' });
  });

  it('says what is still to be done where the upstream still takes it', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body };
    api.routes[path] = refusal(
      new RekeyError('ERR_AWAITING_OPERATOR', 'it still takes spare-1', { remedy: byHand }),
    );
    const { exit, stderr } = await rekey(api, ['confirm', 'orders-db']);
    expect([exit, stderr]).toEqual([1, expect.stringMatching(/still takes spare-1[^]*delete the key/)]);
  });

  it('is nothing to confirm where nothing waits, and nothing is changed with --dry-run', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    expect((await rekey(api, ['confirm', 'orders-db'])).stderr).toContain('waits for a person');
    api.routes['GET /v1/credentials/orders-db'] = { body };
    const dry = await rekey(api, ['confirm', 'orders-db', '--dry-run']);
    expect([dry.exit, dry.stdout]).toEqual([0, expect.stringContaining(byHand)]);
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });
});

describe('rekey rollback', () => {
  const path = `POST /v1/credentials/orders-db/rotations/${ROTATION_ID}/rollback`;
  const back: RotationView = rotationView(rotationOf({ phase: 'rolling-back', loser: 'next' }));

  it('takes the rotation under way', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    api.routes[path] = { status: 202, body: { rotation: back } };
    const { exit, stdout } = await rekey(api, ['rollback', 'orders-db']);
    expect(exit).toBe(0);
    expect(stdout).toContain('becomes current again');
  });

  it('is not repeated after a broken connection, because it may have begun', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    api.routes[path] = 'cut';
    const { exit, stderr } = await rekey(api, ['rollback', 'orders-db']);
    expect(exit).toBe(5);
    expect(stderr).toContain('may have begun');
    expect(api.seen.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  it('ends with 0 once it is rolled back, with --wait', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    api.routes[path] = { status: 202, body: { rotation: back } };
    api.routes[`GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`] = shown({ phase: 'rolled-back' });
    expect((await rekey(api, ['rollback', 'orders-db', '--wait'])).exit).toBe(0);
  });

  it('says with --dry-run whether it is possible', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    expect((await rekey(api, ['rollback', 'orders-db', '--dry-run'])).exit).toBe(0);
    api.routes[`GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`] = shown({ phase: 'revoking' });
    const late = await rekey(api, ['rollback', 'orders-db', ROTATION_ID, '--dry-run']);
    expect(late.exit).toBe(1);
    expect(late.stderr).toContain('ERR_POINT_OF_NO_RETURN');
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('says that nothing is under way', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: idle };
    const { exit, stderr } = await rekey(api, ['rollback', 'orders-db']);
    expect(exit).toBe(1);
    expect(stderr).toContain('never been rotated');
  });
});
