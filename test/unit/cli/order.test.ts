import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialView, planView, rotationView } from '../../../shared/api/views.ts';
import { dueOf } from '../../../shared/domain/calendar.ts';
import { answer } from '../../../lambdas/control-api/routes.ts';
import {
  bodyOf,
  credentialOf,
  eventOf,
  fakeServices,
  FakeLedger,
  NOW,
  rotationOf,
  ROTATION_ID,
} from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const WHY = 'checkout changes credentials between its sessions, and stock-db is being rotated (since …)';
const SINCE = '2026-11-20T08:00:00.000Z';
const plan = { of: credentialOf().current?.versionId ?? '', attempts: 0, waitsFor: WHY, waitsSince: SINCE };
// Due for two days, at NOW.
const policy = { ...credentialOf().policy, intervalSeconds: 21 * 86_400 };
const held = credentialOf({ plan, policy });

describe('a rotation that another one goes before', () => {
  it('says in plan, list and show what it waits for and since when', async () => {
    api.routes['GET /v1/plan'] = { body: { plan: [planView(held, NOW)] } };
    api.routes['GET /v1/credentials'] = { body: { credentials: [credentialView(held, undefined, NOW)] } };
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: credentialView(held, undefined, NOW), rotations: [] },
    };
    const text = `waits since 2026-11-20 08:00:00 UTC: ${WHY}`;
    for (const command of [['plan'], ['list'], ['show', 'orders-db']])
      expect((await rekey(api, command)).stdout).toContain(text);
    const { stdout } = await rekey(api, ['list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ credentials: [{ waitsFor: WHY, waitsSince: SINCE }] });
  });

  it('waits no more once it is under way, another version is current, or it is due later', () => {
    expect(dueOf(held)).toBeDefined();
    const viewOf = (changes: object) => credentialView({ ...held, ...changes }, undefined, NOW);
    expect(viewOf({})).toHaveProperty('waitsFor');
    expect(viewOf({ activeRotation: 'r' })).not.toHaveProperty('waitsFor');
    expect(viewOf({ policy: credentialOf().policy })).not.toHaveProperty('waitsFor');
    expect(planView({ ...held, plan: { ...plan, of: 'a version before' } }, NOW)).not.toHaveProperty(
      'waitsFor',
    );
  });
});

describe('a person who goes before what the planner waits for', () => {
  it('is told what the rotation goes beside', async () => {
    const body = { rotation: rotationView(rotationOf()), joined: false, beside: [WHY] };
    api.routes['POST /v1/credentials/orders-db/rotations'] = { status: 202, body };
    const { exit, stdout } = await rekey(api, ['rotate', 'orders-db']);
    expect(exit).toBe(0);
    expect(stdout).toContain(`beside another: ${WHY}`);
  });

  it('is told of it before, by a dry run', async () => {
    const ledger = new FakeLedger().add(credentialOf({ secretName: 'masters/orders' })).add(
      credentialOf({
        id: 'dependant',
        name: 'stock-db',
        adminSecret: 'masters/orders',
        activeRotation: ROTATION_ID,
      }),
    );
    ledger.rotationsById.set(ROTATION_ID, rotationOf({ credentialId: 'dependant' }));
    const asked = await answer(eventOf('GET', '/v1/credentials/orders-db/impact'), fakeServices(ledger));
    api.routes['GET /v1/credentials/orders-db/impact'] = { body: bodyOf(asked.response) };
    const { exit, stdout } = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(exit).toBe(0);
    expect(stdout).toContain(
      'beside another: it is the administrative login of others: stock-db is being rotated (since 2026-11-22T11:50:00.000Z)',
    );
  });
});
