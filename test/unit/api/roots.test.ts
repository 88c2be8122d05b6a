import { describe, expect, it } from 'vitest';
import { whoLetsIn } from '../../../lambdas/control-api/roots.ts';
import { answer } from '../../../lambdas/control-api/routes.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import type { Check, Seen } from '../../../shared/domain/diagnosis.ts';
import type { CredentialLook } from '../../../shared/engine/diagnose.ts';
import { bodyOf, CALLER, credentialOf, eventOf, FakeLedger, fakeServices } from './fakes.ts';

const ROOT = credentialOf({
  id: 'root-1',
  name: 'openai-admin',
  type: 'root',
  secretName: 'admin/openai',
  adminSecret: 'admin/openai',
  root: { owner: 'platform', scope: 'keys' },
});
const user = (name: string, changes: Partial<Credential> = {}): Credential =>
  credentialOf({
    id: name,
    name,
    type: 'llm-key',
    provider: 'openai',
    adminSecret: 'admin/openai',
    ...changes,
  });

function asking(states: Record<string, Check['state'] | 'no-answer'>, ...credentials: Credential[]) {
  const asked: string[] = [];
  const ledger = credentials.reduce((one, each) => one.add(each), new FakeLedger());
  const look = async (id: string): Promise<Seen<CredentialLook>> => {
    asked.push(id);
    const state = states[id] ?? 'ok';
    if (state === 'no-answer') return Promise.resolve({ trouble: 'no-answer' });
    const check = {
      area: 'target',
      name: 'administered',
      state,
      detail: 'refused',
      remedy: 'mend it',
    } as const;
    return Promise.resolve({ value: { checks: [check] } });
  };
  return { asked, services: { ledger, diagnosis: { look } } };
}

describe('whether an administrative secret is let in', () => {
  it('is asked of one credential of each upstream that uses it, by name or ARN', async () => {
    const arn = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:admin/openai-AbCdEf';
    const other = user('c', { provider: 'mistral', adminSecret: arn });
    const { asked, services } = asking(
      {},
      ROOT,
      user('a'),
      user('b'),
      other,
      user('d', { adminSecret: 'x' }),
    );
    expect((await whoLetsIn(ROOT, services)).toSorted()).toEqual(['b', 'c']);
    expect(asked.toSorted()).toEqual(['b', 'c']);
  });

  it('is refused where one of them is not let in, with the reason', async () => {
    const { services } = asking({ a: 'fail' }, ROOT, user('a'));
    await expect(whoLetsIn(ROOT, services)).rejects.toMatchObject({
      code: 'ERR_REJECTED',
      field: 'secret',
      remedy: 'mend it',
    });
  });

  it('is nobody’s to say where nothing uses it, what uses it is halted or observed, or nobody answers', async () => {
    const none = [user('a', { status: 'halted' }), user('b', { adoption: 'observed' })];
    expect(await whoLetsIn(ROOT, asking({}, ROOT, ...none).services)).toEqual([]);
    expect(await whoLetsIn(ROOT, asking({ a: 'no-answer' }, ROOT, user('a')).services)).toEqual([]);
    expect(await whoLetsIn(ROOT, asking({ a: 'not-checked' }, ROOT, user('a')).services)).toEqual([]);
  });
});

describe('POST /v1/credentials/{name}/confirmations', () => {
  const path = '/v1/credentials/openai-admin/confirmations';

  it('confirms under the name of the caller, and answers with who was asked', async () => {
    const services = fakeServices(new FakeLedger().add(ROOT), { confirmRoot: { credential: ROOT } });
    const { response } = await answer(eventOf('POST', path, { body: { reason: 'on its date' } }), services);
    expect(response.statusCode).toBe(200);
    expect(bodyOf(response)).toMatchObject({
      outcome: 'confirmed',
      dryRun: false,
      letIn: ['orders-db'],
      credential: { name: 'openai-admin', root: { owner: 'platform', how: 'rekey', steps: [] } },
    });
    expect(services.asked).toEqual([
      {
        method: 'confirmRoot',
        input: {
          name: 'openai-admin',
          trigger: { kind: 'operator', actor: CALLER, reason: 'on its date' },
          dryRun: false,
        },
      },
    ]);
  });

  it('knows no holder: that is confirmed for its rotation', async () => {
    const services = fakeServices(new FakeLedger().add(ROOT));
    const { response } = await answer(eventOf('POST', path, { body: { holder: 'report' } }), services);
    expect(response.statusCode).toBe(400);
    expect(services.asked).toEqual([]);
  });
});
