import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { ControlServices } from '../../../lambdas/control-api/route.ts';
import { decommissionAnswer, stagedAnswer } from '../../../shared/api/messages.ts';
import type { Pact } from '../../../shared/domain/agents.ts';
import { registerPact } from '../../../shared/engine/agents/register-pact.ts';
import {
  bodyOf,
  CALLER,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  FAMILY,
  ID,
  NOW,
  rotationOf,
} from './fakes.ts';

const OTHER = '6f1d4f0e-3a52-4c43-9b3e-0f6f7f6f0a02';
const PRINCIPAL = 'arn:aws:iam::111122223333:role/order-agent';
const about = { incident: 'HR-77', reason: 'ada leaves' };
const client = { kind: 'client', name: 'order-agent', principal: PRINCIPAL } as const;

function world() {
  const ledger = new FakeLedger()
    .add(credentialOf({ holders: [client], knownBy: [{ name: 'Ada', version: ID }] }))
    .add(
      credentialOf({
        id: OTHER,
        name: 'models',
        type: 'llm-key',
        provider: 'cohere',
        secretName: 'agents/models',
        mode: 'observe',
        byHand: 'delete it at the dashboard',
        holders: [client, { kind: 'manual', name: 'report' }],
      }),
    );
  return fakeServices(ledger);
}

const post = async (services: ControlServices, path: string, body: object) => {
  const { response } = await answer(eventOf('POST', path, { body: { ...about, ...body } }), services);
  return { status: response.statusCode, body: bodyOf(response) };
};
const staged = (services: ControlServices, select: object, more: object = {}) =>
  post(services, '/v1/rotations', { select, ...more });

describe('POST /v1/rotations', () => {
  it('names of each what a person knows of it, what is done, and whose it is', async () => {
    const services = world();
    await services.readers.saw('agents/models', {
      kind: 'user',
      principal: 'arn:aws:iam::111122223333:user/ada',
      firstSeen: '2026-11-20T00:00:00.000Z',
      lastSeen: '2026-11-20T00:00:00.000Z',
    });
    services.families.heads.set(FAMILY.id, {
      ...FAMILY,
      tokens: { ...FAMILY.tokens!, consentedBy: CALLER.replace('alice', 'ADA') },
    });
    const { status, body } = await staged(services, { knownBy: 'ada' }, { dryRun: true });
    expect(status).toBe(200);
    expect(stagedAnswer.parse(body)).toMatchObject({
      dryRun: true,
      left: 0,
      steps: [
        {
          credential: 'models',
          act: 'by-hand',
          why: [expect.stringContaining('ada read it at 2026-11-20')],
          remedy: 'delete it at the dashboard',
          tasks: [],
        },
        { credential: 'orders-db', act: 'start', why: ['Ada is declared to know it'] },
      ],
      families: [{ family: 'crm', remedy: expect.stringContaining('rekey connect crm') as string }],
    });
  });

  it('is recorded with its reason and its ticket under the caller’s name', async () => {
    const services = world();
    await staged(services, { knownBy: 'ada' });
    expect(services.asked).toMatchObject([
      {
        method: 'rotateAll',
        input: {
          trigger: { kind: 'operator', actor: CALLER, reason: 'ada leaves' },
          incidentId: 'HR-77',
          dryRun: false,
        },
      },
    ]);
  });

  it('refuses a name that nobody has, and says how names look and who is known', async () => {
    const { status, body } = await staged(world(), { knownBy: 'Bob' });
    expect([status, body['code'], body['field']]).toEqual([404, 'ERR_NOT_FOUND', 'select.knownBy']);
    expect(body['remedy']).toMatch(/session.*ada@example.com.*known are: ada.*declared: knownBy/);
  });

  it('has nothing left to do for whoever knew values that were replaced, declared or imported', async () => {
    const services = world();
    services.ledger.add(credentialOf({ knownBy: [{ name: 'ada', version: 'before' }] }));
    const answered = await staged(services, { knownBy: 'ada' });
    expect([answered.status, answered.body['steps']]).toEqual([200, []]);
  });

  it('takes all of an agent, and of one out of service only what it may have from before', async () => {
    const services = world();
    const acts = async () =>
      stagedAnswer.parse((await staged(services, { agent: 'order-agent' }, { dryRun: true })).body).steps;
    expect((await acts()).map(({ credential }) => credential)).toEqual(['models', 'orders-db']);
    await post(services, '/v1/agents/order-agent/decommission', {});
    expect((await acts()).map(({ credential }) => credential)).toEqual(['models', 'orders-db']);
    const fresh = { ...rotationOf().next!, issuedAt: new Date(NOW + 1).toISOString() };
    services.ledger.add(credentialOf({ holders: [client], current: fresh, live: [fresh.handle] }));
    expect((await acts()).map(({ credential }) => credential)).toEqual(['models']);
  });

  it.each<[string, object, string]>([
    ['without a selection', {}, 'select'],
    ['of an empty name', { select: { knownBy: '' } }, 'select'],
    ['without a reason', { select: { knownBy: 'ada' }, reason: '' }, 'reason'],
  ])('%s is refused', async (_what, body, field) => {
    const refused = await post(world(), '/v1/rotations', body);
    expect([refused.status, String(refused.body['field']).split('.')[0]]).toEqual([400, field]);
  });

  it('is refused above what one request takes', async () => {
    const ledger = new FakeLedger();
    for (let n = 0; n < 1001; n++)
      ledger.add(credentialOf({ id: `id-${n}`, name: `n-${n}`, knownBy: [{ name: 'ada', version: ID }] }));
    const { status, body } = await staged(fakeServices(ledger), { knownBy: 'ada' });
    expect([status, body['detail']]).toEqual([400, expect.stringContaining('1001 credentials')]);
  });
});

describe('an emergency of what a person knows', () => {
  it('starts for that and nothing else', async () => {
    const services = world();
    const { status } = await post(services, '/v1/emergencies', { select: { knownBy: 'ADA' } });
    expect(status).toBe(202);
    expect(services.asked).toMatchObject([
      { input: { credentials: [{ credentialId: ID, type: 'database' }] } },
    ]);
  });

  it('shows why with a dry run, and says that nothing is left where all was replaced', async () => {
    const services = world();
    const dry = await post(services, '/v1/emergencies', { select: { knownBy: 'ada' }, dryRun: true });
    expect(dry.body['selected']).toMatchObject([{ why: ['Ada is declared to know it'] }]);
    services.ledger.add(credentialOf({ knownBy: [{ name: 'ada', version: 'before' }] }));
    const { status, body } = await post(services, '/v1/emergencies', { select: { knownBy: 'ada' } });
    expect([status, body['remedy']]).toEqual([404, expect.stringContaining('was replaced since')]);
  });
});

describe('POST /v1/agents/{agent}/decommission', () => {
  const path = '/v1/agents/order-agent/decommission';

  it('says what it has and what is its owner’s to do; a dry run changes nothing', async () => {
    const services = world();
    const { status, body } = await post(services, path, { dryRun: true });
    expect(status).toBe(200);
    expect(decommissionAnswer.parse(body)).toMatchObject({
      dryRun: true,
      changed: true,
      held: [
        { credential: 'orders-db', kind: 'client', alone: true },
        { credential: 'models', kind: 'client', alone: false },
      ],
      principals: [PRINCIPAL],
    });
    expect(await services.agents.pact('order-agent')).toBeUndefined();
  });

  it('advises to end nothing that others are kept under', async () => {
    const services = world();
    services.ledger.add(
      credentialOf({
        id: 'kept',
        name: 'load-balancer',
        type: 'certificate-authority',
        provider: 'leaf',
        holders: [],
        target: { authority: 'orders-db', trustDomain: 'shop.example', holder: 'lb' },
      }),
    );
    const { body } = await post(services, path, { dryRun: true });
    expect(decommissionAnswer.parse(body).held).toContainEqual({
      credential: 'orders-db',
      kind: 'client',
      alone: false,
    });
  });

  it('keeps since when, by whom and why; the first time counts', async () => {
    const services = world();
    const first = await post(services, path, {});
    const second = await post(services, path, { incident: 'HR-78', reason: 'again' });
    expect([first.body['changed'], second.body['changed'], second.body['at']]).toEqual([
      true,
      false,
      first.body['at'],
    ]);
    expect((await services.agents.pact('order-agent'))?.decommissioned).toEqual({
      at: new Date(NOW).toISOString(),
      actor: CALLER,
      reason: 'ada leaves',
      incidentId: 'HR-77',
    });
  });

  it('lets the agent register no pact any more, and an operator bring it back', async () => {
    const services = world();
    const { ledger, agents } = services;
    const credentials: Pact['credentials'] = [
      {
        credential: 'orders-db',
        refresh: 'in-session',
        ttlSeconds: 60,
        staleLimitSeconds: 60,
        uses: 'unreported',
        delegates: [],
      },
    ];
    const terms = { agent: 'order-agent', credentials, checkpoint: false, sessionLimitSeconds: 60 };
    const register = (actor: string, operator: boolean) =>
      registerPact({ ledger, agents, clock: () => NOW }, { terms, actor, operator, dryRun: false });
    await register(PRINCIPAL, false);
    await post(services, path, {});
    await expect(register(PRINCIPAL, false)).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    expect((await register(CALLER, true)).pact).not.toHaveProperty('decommissioned');
    await expect(register(PRINCIPAL, false)).resolves.toMatchObject({ outcome: 'unchanged' });
  });

  it('knows sub-agents, and refuses a name that nothing knows', async () => {
    const services = world();
    // As far as handing on is read of a pact.
    await services.agents.putPact({
      agent: 'boss',
      credentials: [{ credential: 'orders-db', delegates: ['order-agent'] }],
      version: 1,
    } as unknown as Pact);
    expect((await post(services, path, {})).body['handedBy']).toEqual(['boss']);
    expect((await post(services, '/v1/agents/boss/decommission', {})).body['handsTo']).toEqual([
      'order-agent',
    ]);
    const { status, body } = await post(services, '/v1/agents/nobody/decommission', {});
    expect([status, body['code'], body['field']]).toEqual([404, 'ERR_NOT_FOUND', 'agent']);
  });
});
