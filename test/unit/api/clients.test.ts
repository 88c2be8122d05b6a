import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { Pact, Session } from '../../../shared/domain/agents.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import {
  bodyOf,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  NOW,
  ROTATION_ID,
  rotationOf,
} from './fakes.ts';

const holder = { kind: 'client', name: 'checkout', principal: 'arn:aws:iam::111122223333:role/a' } as const;
const at = (seconds: number): string => toInstant(NOW + seconds * 1000);

const PACT: Pact = {
  agent: 'checkout',
  credentials: [
    {
      credential: 'orders-db',
      refresh: 'between-sessions',
      ttlSeconds: 60,
      staleLimitSeconds: 60,
      uses: 'unreported',
      delegates: [],
    },
  ],
  checkpoint: false,
  sessionLimitSeconds: 3600,
  version: 1,
  actor: 'arn:a',
  registeredAt: at(-1000),
};

function session(instance: string, changes: Partial<Session> = {}): Session {
  return {
    agent: 'checkout',
    id: instance,
    instance,
    key: { kind: 'sealed', sealed: '' },
    thumbprint: '',
    openedAt: at(-600),
    seenAt: at(0),
    keptUntil: at(1e6),
    holds: [],
    ...changes,
  };
}

async function services(phase: 'window' | 'announced' = 'window') {
  const until = at(3600);
  const rotation =
    phase === 'window'
      ? rotationOf()
      : rotationOf({ phase, deferred: { since: at(-60), until, agents: ['checkout'], wakeUps: 1 } });
  const credential = credentialOf({ holders: [holder], activeRotation: rotation.id });
  const ledger = new FakeLedger().add(credential);
  ledger.rotationsById.set(rotation.id, rotation);
  const made = fakeServices(ledger);
  await made.agents.putPact(PACT);
  await made.agents.openSession(session('host-1', { closedAt: at(0) }));
  await made.agents.openSession(session('host-2'));
  return made;
}

describe('an agent of kind client', () => {
  it('is shown in an open window with who has moved and who hasn’t, by instance', async () => {
    const path = `/v1/credentials/orders-db/rotations/${ROTATION_ID}`;
    const { response } = await answer(eventOf('GET', path), await services());
    expect(bodyOf(response)).toMatchObject({
      rotation: {
        clients: [{ name: 'checkout', sessions: 2, moved: 1, waiting: { names: ['host-2'], more: 0 } }],
        missing: ['checkout: 1 of 2 sessions have not acknowledged: host-2'],
      },
    });
  });

  it('is named where a rotation waits for its sessions, and by when it begins', async () => {
    const { response } = await answer(
      eventOf('GET', '/v1/credentials/orders-db'),
      await services('announced'),
    );
    const deferred = { since: at(-60), until: at(3600), agents: ['checkout'] };
    expect(bodyOf(response)).toMatchObject({
      credential: { rotation: { deferred }, holders: [{ kind: 'client', fleet: 'checkout' }] },
    });
  });

  it('stands in the impact with its sessions, the tasks at risk and how long a rotation would wait', async () => {
    const { response } = await answer(eventOf('GET', '/v1/credentials/orders-db/impact'), await services());
    expect(bodyOf(response)).toMatchObject({
      inSession: [
        {
          name: 'checkout',
          sessions: 1,
          refresh: 'between-sessions',
          atRisk: [{ instance: 'host-2', since: at(-600) }],
        },
      ],
      deferral: { agents: ['checkout'], begins: at(3000), until: at(3600) },
      limits: expect.arrayContaining([expect.stringContaining('2 at a time')]),
    });
  });

  it('isn’t waited for where the request says so', async () => {
    const made = fakeServices();
    const rotate = (body: object) =>
      answer(eventOf('POST', '/v1/credentials/orders-db/rotations', { body }), made);
    expect((await rotate({ now: true })).response.statusCode).toBe(202);
    expect(made.asked[0]?.input).toMatchObject({ now: true });
    expect((await rotate({ now: 'yes' })).response.statusCode).toBe(400);
  });
});
