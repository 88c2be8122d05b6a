import { describe, expect, it } from 'vitest';
import type { DiagnosisServices } from '../../../lambdas/control-api/diagnosis-services.ts';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { ok, type Check } from '../../../shared/domain/diagnosis.ts';
import { REKEY_VERSION } from '../../../shared/version.ts';
import {
  bodyOf,
  credentialOf,
  eventOf,
  fakeDiagnosis,
  FakeLedger,
  fakeServices,
  SUBSCRIPTION,
} from './fakes.ts';

/** What a route says where these parts of the deployment are ill. */
async function said(...asked: Parameters<typeof answered>): Promise<Check[]> {
  return (await answered(...asked))['checks'] as Check[];
}

/** All that it answers. */
async function answered(
  path: string,
  changes: Partial<DiagnosisServices> = {},
  credential: Partial<Credential> = {},
): Promise<Record<string, unknown>> {
  const ledger = new FakeLedger().add(credentialOf(credential));
  const services = { ...fakeServices(ledger), diagnosis: fakeDiagnosis(ledger, changes) };
  const { response } = await answer(eventOf('GET', path), services);
  expect(response.statusCode).toBe(200);
  return bodyOf(response);
}

const ill = (checks: readonly Check[]): string[] =>
  checks
    .filter(({ state }) => state !== 'ok')
    .map(({ name, state, detail }) => `${name} ${state}: ${detail}`);

describe('GET /v1/diagnosis', () => {
  it('tells the version, and that all is well where it is', async () => {
    const { response } = await answer(eventOf('GET', '/v1/diagnosis'), fakeServices());
    expect(bodyOf(response)['version']).toBe(REKEY_VERSION);
    expect((await said('/v1/diagnosis')).map(({ name, state }) => [name, state])).toEqual([
      ['ledger', 'ok'],
      ['plan-rotations', 'ok'],
      ['reconcile-database', 'ok'],
      ['lifecycle machine', 'ok'],
      ['emergency machine', 'ok'],
      ['subscriptions', 'ok'],
    ]);
  });

  it('says whether lists of revoked certificates are signed, where there are authorities', async () => {
    const types = ['certificate-authority'] as const;
    const checks = await said('/v1/diagnosis', {
      types,
      heartbeat: async (name) => ({
        value: name === 'revoke-certificates' ? '2026-11-01T00:00:00.000Z' : undefined,
      }),
    });
    expect(checks.find(({ name }) => name === 'revoke-certificates')).toMatchObject({
      state: 'fail',
      remedy: expect.stringContaining('ListSchedule of the stack verifiers'),
    });
  });

  it('asks the reconciler of each type that is deployed, and no other', async () => {
    const types = ['llm-key', 'cloud-key'] as const;
    const names = (await said('/v1/diagnosis', { types })).map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('reconcile-'))).toEqual([
      'reconcile-llm-key',
      'reconcile-cloud-key',
    ]);
  });

  it.each<[Partial<DiagnosisServices>, RegExp]>([
    [{ ledger: async () => ({ trouble: 'key-denied' }) }, /^ledger fail: DynamoDB refuses control-api/],
    [{ ledger: async () => ({ trouble: 'throttled' }) }, /^ledger not-checked/],
    [
      { machine: async (which) => (which === 'emergency' ? { trouble: 'absent' } : { value: 'ACTIVE' }) },
      /^emergency machine fail: it is gone/,
    ],
    [
      { machine: async (which) => ({ value: which === 'lifecycle' ? 'DELETING' : 'ACTIVE' }) },
      /^lifecycle machine fail: it is DELETING/,
    ],
    [
      {
        subscriptions: async () => ({ value: { subscriptions: [{ ...SUBSCRIPTION, state: 'incomplete' }] } }),
      },
      /^subscriptions warn: shop to arn:\S+ is incomplete/,
    ],
    [
      { subscriptions: async () => ({ trouble: 'unexpected' }) },
      /^subscriptions not-checked: manage-subscriptions gave no answer/,
    ],
  ])('%o', async (changes, expected) => {
    expect(ill(await said('/v1/diagnosis', changes))).toEqual([expect.stringMatching(expected)]);
  });

  it('does not take a function of an older version, which records no run, for a dead one', async () => {
    const heartbeat = async () => ({ value: undefined });
    expect(ill(await said('/v1/diagnosis', { heartbeat }))).toEqual([
      expect.stringMatching(/^plan-rotations not-checked/),
      expect.stringMatching(/^reconcile-database not-checked/),
    ]);
  });
});

describe('GET /v1/credentials/{name}/diagnosis', () => {
  const path = '/v1/credentials/orders-db/diagnosis';

  it('says what becomes of it while Rekey is stopped', async () => {
    expect((await answered(path))['outage']).toEqual({ why: 'nothing ends it by itself' });
    const halted = await answered(path, {}, { status: 'halted' });
    expect(halted['outage']).toMatchObject({ failsAt: expect.any(String) });
    expect(ill(halted['checks'] as Check[])).toContainEqual(
      expect.stringMatching(/^without Rekey warn: fails from /),
    );
  });

  it('joins what every function sees', async () => {
    const look: DiagnosisServices['look'] = async () => ({
      value: { checks: [ok('secret', 'exists', 'agents/orders-db')], admin: { value: true } },
    });
    const checks = await said(path, { look });
    expect(ill(checks)).toEqual([]);
    expect(new Set(checks.map(({ area }) => area))).toEqual(
      new Set(['credential', 'secret', 'administrator', 'rotation', 'holders', 'evidence']),
    );
  });

  it('tells which ids at the upstream are its own, and all that its owner has there', async () => {
    const survey = {
      owner: 'iam:orders',
      credentials: [{ id: 'AKIA1', createdAt: '2026-01-01T00:00:00.000Z' }],
    };
    const look: DiagnosisServices['look'] = async () => ({ value: { checks: [], survey } });
    expect(await answered(path, { look })).toMatchObject({ survey, held: ['orders_a'] });
  });

  it('asks the account’s list about an administrative secret that is denied, and only then', async () => {
    const asked: string[] = [];
    const listed: DiagnosisServices['listed'] = async (secret) => {
      asked.push(secret);
      return { value: undefined };
    };
    await said(path, { listed });
    expect(asked).toEqual([]);
    const look: DiagnosisServices['look'] = async () => ({
      value: { checks: [], admin: { trouble: 'denied' } },
    });
    expect(ill(await said(path, { look, listed }))).toEqual([
      'exists fail: there is no secret admin/orders-db',
    ]);
    expect(asked).toEqual(['admin/orders-db']);
  });

  it('says of a function that gives no answer, as one of an older version, that it could not check', async () => {
    const silent = async () => ({ trouble: 'no-answer' }) as const;
    const holders = [{ kind: 'lambda', name: 'nightly', function: 'nightly' }] as const;
    expect(ill(await said(path, { look: silent, holders: silent }, { holders }))).toEqual([
      expect.stringMatching(/^functions not-checked: register-database gave no answer/),
      expect.stringMatching(/^workloads not-checked: check-holders gave no answer/),
    ]);
  });

  it('asks nobody about holders that prove themselves by time', async () => {
    const holders = async () => Promise.reject(new Error('asked'));
    expect(ill(await said(path, { holders }))).toEqual([]);
  });

  it('knows no credential of another name', async () => {
    const { response } = await answer(eventOf('GET', '/v1/credentials/nobody/diagnosis'), fakeServices());
    expect(response.statusCode).toBe(404);
  });
});
