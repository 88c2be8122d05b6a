import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { HeldSignal } from '../../../shared/domain/signals/held.ts';
import {
  bodyOf,
  CALLER,
  credentialOf,
  eventOf,
  FakeLedger,
  fakeServices,
  HELD,
  ROTATION_ID,
} from './fakes.ts';

const FINDING = { fingerprints: [`sha256:${'a'.repeat(64)}`], verified: true };

describe('findings of a scanner', () => {
  it('are taken in the name of the caller, each by itself', async () => {
    const services = fakeServices(undefined, {
      receiveSignal: { act: 'revoke', credentials: ['orders-db'], id: 'e' },
    });
    const body = { source: 'trufflehog', findings: [FINDING, { ...FINDING, verified: false }] };
    const { response } = await answer(eventOf('POST', '/v1/signals', { body }), services);
    expect(response.statusCode).toBe(202);
    expect(bodyOf(response)).toMatchObject({
      dryRun: false,
      results: [{ act: 'revoke', id: 'e' }, { act: 'revoke' }],
    });
    expect(services.asked).toMatchObject([
      { input: { actor: CALLER, dryRun: false, signal: { source: 'trufflehog', ...FINDING } } },
      { input: { signal: { verified: false } } },
    ]);
    // What was verified since is news.
    const ids = services.asked.map(({ input }) => (input as { signal: { id: string } }).signal.id);
    expect(new Set(ids).size).toBe(2);
  });

  it.each([
    [{ source: 'trufflehog', findings: [] }, 'findings'],
    [{ source: 'somebody', findings: [FINDING] }, 'source'],
    [
      { source: 'trufflehog', findings: [{ ...FINDING, fingerprints: ['a value'] }] },
      'findings[0].fingerprints[0]',
    ],
  ])('are refused with the field at fault', async (body, field) => {
    const { response } = await answer(eventOf('POST', '/v1/signals', { body }), fakeServices());
    expect(response.statusCode).toBe(400);
    expect(bodyOf(response)).toMatchObject({ field });
  });
});

describe('findings that are tokens of families', () => {
  it('are answered by their names', async () => {
    const receiveSignal = { act: 'revoke', credentials: [], families: ['crm'] };
    const services = fakeServices(undefined, { receiveSignal });
    const body = { source: 'trufflehog', findings: [FINDING] };
    const { response } = await answer(eventOf('POST', '/v1/signals', { body }), services);
    expect(bodyOf(response)['results']).toEqual([receiveSignal]);
  });

  it('are listed where they wait', async () => {
    const families = [{ familyId: 'f', name: 'crm', fingerprint: 'sha256:1' }];
    const services = { ...fakeServices(), heldSignals: async () => Promise.resolve([{ ...HELD, families }]) };
    const { response } = await answer(eventOf('GET', '/v1/held-signals'), services);
    expect(bodyOf(response)).toMatchObject({ signals: [{ credentials: ['orders-db'], families: ['crm'] }] });
  });
});

describe('signals that are held', () => {
  it('are listed by the names of their credentials', async () => {
    const { response } = await answer(eventOf('GET', '/v1/held-signals'), fakeServices());
    expect(bodyOf(response)).toMatchObject({
      signals: [{ id: ROTATION_ID, credentials: ['orders-db'], status: 'held' }],
    });
  });

  const handle = { id: 'orders_b', generation: 2 };
  const live: Partial<Credential> = { live: [handle] };
  const openai = { type: 'llm-key', provider: 'openai' };
  const intended = { signal: ROTATION_ID, handle };
  const suspended: Partial<Credential> = {
    suspended: [{ ...intended, since: '2026-11-26T10:00:00.000Z' }],
  };
  const suspends: Partial<HeldSignal> = { suspends: true };

  it.each<[string, Partial<HeldSignal>, Partial<Credential>, object]>([
    ['is suspended by its head', suspends, { ...live, ...suspended }, { state: 'suspended' }],
    [
      'is of a provider that can not suspend',
      suspends,
      { ...live, ...openai },
      { state: 'works', why: "openai can't suspend one" },
    ],
    [
      'was held above the cap of suspensions',
      {},
      live,
      { state: 'works', why: expect.stringContaining('suspendHeld') },
    ],
    [
      'is about to be suspended',
      suspends,
      live,
      { state: 'works', why: expect.stringContaining('not confirmed yet') },
    ],
    [
      'its upstream has not been seen to refuse',
      suspends,
      { ...live, suspended: [intended] },
      { state: 'works', why: expect.stringContaining('not confirmed yet') },
    ],
    ['has ended meanwhile', suspends, { live: [] }, { state: 'ended' }],
  ])('say how each value stands that %s', async (_what, signal, head, value) => {
    const credentials = HELD.credentials.map((each) => ({ ...each, type: head.type ?? each.type, handle }));
    const ledger = new FakeLedger().add(credentialOf(head));
    const services = {
      ...fakeServices(ledger),
      heldSignals: async () => Promise.resolve([{ ...HELD, ...signal, credentials }]),
    };
    const { response } = await answer(eventOf('GET', '/v1/held-signals'), services);
    expect(bodyOf(response)).toMatchObject({ signals: [{ values: [{ name: 'orders-db', ...value }] }] });
  });

  it('say that what was let go of, and token families, work', async () => {
    const families = [{ familyId: 'f', name: 'crm', fingerprint: 'sha256:1' }];
    const services = { ...fakeServices(), heldSignals: async () => Promise.resolve([{ ...HELD, families }]) };
    const { response } = await answer(eventOf('GET', '/v1/held-signals'), services);
    const values = [
      { name: 'orders-db', state: 'works' },
      { name: 'crm', state: 'works' },
    ];
    expect(bodyOf(response)).toMatchObject({ signals: [{ values }] });
  });

  it('say nothing of values once they are decided', async () => {
    const services = fakeServices(undefined, { voteOnSignal: { status: 'denied' } });
    const path = `/v1/held-signals/${ROTATION_ID}/denials`;
    const { response } = await answer(eventOf('POST', path, { body: { reason: 'a test' } }), services);
    expect(bodyOf(response)['signal']).not.toHaveProperty('values');
  });

  it.each([
    ['approvals', { reason: 'seen it' }, { verdict: 'approve' }],
    ['approvals', { reason: 'seen it', breakGlass: true }, { verdict: 'approve', glass: true }],
    ['denials', { reason: 'a test' }, { verdict: 'deny' }],
  ])('take %s of the caller', async (route, body, input) => {
    const services = fakeServices();
    const path = `/v1/held-signals/${ROTATION_ID}/${route}`;
    const { response } = await answer(eventOf('POST', path, { body }), services);
    expect(response.statusCode).toBe(200);
    expect(services.asked).toEqual([
      { method: 'voteOnSignal', input: { id: ROTATION_ID, actor: CALLER, reason: body.reason, ...input } },
    ]);
  });
});
