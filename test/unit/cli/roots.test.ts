import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialView } from '../../../shared/api/views.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { credentialOf } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const NOW = Date.parse('2026-11-22T12:00:00.000Z');

function rootOf(changes: Partial<Credential> = {}): Credential {
  const usual = credentialOf();
  const { current, policy } = usual;
  if (current === undefined) throw new Error('it has no key');
  return credentialOf({
    name: 'mistral-admin',
    type: 'root',
    provider: 'by-hand',
    secretName: 'admin/mistral',
    adminSecret: 'admin/mistral',
    adoption: 'observed',
    mode: 'observe',
    target: { upstream: 'mistral' },
    root: { owner: 'ml-team', scope: 'keys of one workspace' },
    policy: { ...policy, intervalSeconds: 90 * 86_400 },
    current: { ...current, issuedAt: '2026-11-20T12:00:00.000Z' },
    ...changes,
  });
}

function listed(...credentials: Credential[]): void {
  const views = credentials.map((each) => credentialView(each, undefined, NOW));
  api.routes['GET /v1/credentials'] = { body: { credentials: views } };
}

describe('rekey roots', () => {
  it('shows owner, age, date, scope and how each is replaced, and who uses it', async () => {
    listed(rootOf(), credentialOf({ name: 'agents', adminSecret: 'admin/mistral' }));
    const { exit, stdout } = await rekey(api, ['roots']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(
      /mistral-admin +ml-team +mistral +by hand +2026-11-20 +2027-02-18 .* 1 +keys of one/,
    );
    expect(stdout).not.toContain('put-secret-value');
    expect(stdout).not.toContain('nobody answers');
  });

  it('prints the steps where the owner is to act: a date that comes, or a root that is revoked', async () => {
    const { current } = rootOf();
    if (current === undefined) throw new Error('it has no key');
    listed(rootOf({ current: { ...current, issuedAt: '2026-08-25T12:00:00.000Z' } }));
    const due = await rekey(api, ['roots']);
    expect(due.stdout).toMatch(/mistral-admin: ml-team is to replace it\n +1\. Admin console/);
    expect(due.stdout).toContain('rekey confirm mistral-admin');
    listed(
      rootOf({ status: 'halted', mode: 'enforce', provider: 'openai-admin', target: { label: 'rekey' } }),
    );
    const revoked = await rekey(api, ['roots']);
    expect(revoked.stdout).toMatch(/REVOKED: by hand, now/);
    expect(revoked.stdout).toMatch(/is to replace it, now\n +1\. Settings, Admin keys/);
  });

  it('names administrative secrets in use that nobody has declared; --json has all of it', async () => {
    listed(rootOf(), credentialOf({ name: 'orders', adminSecret: 'admin/orders' }));
    const { stdout } = await rekey(api, ['roots']);
    expect(stdout).toMatch(/! admin\/orders: used by orders, and nobody answers for it/);
    const json = await rekey(api, ['--json', 'roots']);
    expect(JSON.parse(json.stdout)).toMatchObject({
      roots: [
        {
          name: 'mistral-admin',
          owner: 'ml-team',
          scope: 'keys of one workspace',
          how: 'by-hand',
          since: '2026-11-20T12:00:00.000Z',
          dueAt: '2027-02-18T12:00:00.000Z',
          overdue: false,
          asked: false,
          usedBy: [],
        },
      ],
      undeclared: [{ secret: 'admin/orders', usedBy: ['orders'] }],
    });
  });
});

describe('rekey confirm of a root', () => {
  const path = 'POST /v1/credentials/mistral-admin/confirmations';
  const answer = (changes: object = {}) => ({
    body: {
      outcome: 'confirmed',
      dryRun: false,
      credential: credentialView(rootOf(), undefined, NOW),
      letIn: ['agents'],
      ...changes,
    },
  });

  beforeEach(() => {
    api.routes['GET /v1/credentials/mistral-admin'] = {
      body: { credential: credentialView(rootOf(), undefined, NOW), rotations: [] },
    };
  });

  it('says who has let the new value in, and when it is due again', async () => {
    api.routes[path] = answer();
    const { exit, stdout } = await rekey(api, ['confirm', 'mistral-admin', '--reason', 'on its date']);
    expect(exit).toBe(0);
    expect(stdout).toContain('mistral-admin is replaced (let in for agents); due again by 2027-02-18');
    expect(api.seen.at(-1)?.body).toEqual({ dryRun: false, reason: 'on its date' });
  });

  it('changes nothing with --dry-run, and says so where the value is that on record', async () => {
    api.routes[path] = answer({ dryRun: true, letIn: [] });
    const tried = await rekey(api, ['confirm', 'mistral-admin', '--dry-run']);
    expect(tried.stdout).toMatch(/nobody uses it yet, so nobody was asked.*Nothing was changed/);
    expect(api.seen.at(-1)?.body).toEqual({ dryRun: true });
    api.routes[path] = answer({ outcome: 'unchanged' });
    const { stdout } = await rekey(api, ['confirm', 'mistral-admin']);
    expect(stdout).toContain('mistral-admin is as on record');
  });

  it('passes on why it is refused', async () => {
    const error = new RekeyError('ERR_CONFLICT', 'the secret admin/mistral still holds the value of before', {
      field: 'secret',
      remedy: 'put the new value into it',
    });
    api.routes[path] = refusal(error);
    const { exit, stderr } = await rekey(api, ['confirm', 'mistral-admin']);
    expect(exit).toBe(1);
    expect(stderr).toContain('put the new value into it');
  });
});

describe('rekey revoke of a root', () => {
  it('says before it asks what nothing can replace', async () => {
    const root = rootOf({
      name: 'openai-admin',
      mode: 'enforce',
      provider: 'openai-admin',
      adoption: 'adopted',
    });
    api.routes['GET /v1/credentials/openai-admin'] = {
      body: { credential: credentialView(root), rotations: [] },
    };
    const args = ['revoke', 'openai-admin', '--incident', 'INC-1', '--reason', 'leaked', '--dry-run'];
    const { stdout } = await rekey(api, args);
    expect(stdout).toContain('is its own administrative login: Rekey can make no other');
    expect(stdout).toContain('until ml-team has replaced it');
  });
});
