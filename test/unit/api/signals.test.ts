import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { bodyOf, CALLER, eventOf, fakeServices, HELD, ROTATION_ID } from './fakes.ts';

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
