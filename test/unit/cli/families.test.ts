import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { familyView } from '../../../shared/api/family-view.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Family } from '../../../shared/domain/families.ts';
import { freshFamily } from '../../support/families.ts';
import { FAMILY, NOW } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rekey-'));
  api = await startStandIn();
  api.routes['GET /v1/credentials'] = { body: { credentials: [] } };
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true });
});

const unknown = refusal(new RekeyError('ERR_NOT_FOUND', 'no credential "crm"'));
const waiting = freshFamily({ name: 'desk', needs: { why: 'lost', since: '2026-11-22T11:00:00.000Z' } }, NOW);
const served = (...families: Family[]): void => {
  api.routes['GET /v1/families'] = { body: { families: families.map(familyView) } };
  for (const family of families) {
    api.routes[`GET /v1/families/${family.name}`] = { body: { family: familyView(family) } };
    api.routes[`GET /v1/credentials/${family.name}`] = unknown;
  }
};
const sent = (): string[] => api.seen.map(({ method, path }) => `${method} ${path}`);

describe('rekey list and show', () => {
  it('have families with what a person has to do', async () => {
    served(FAMILY, waiting);
    const { exit, stdout } = await rekey(api, ['list']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/crm +active/);
    expect(stdout).toMatch(/desk +consent-needed/);
    expect(stdout).toContain('the answer to a refresh was lost');
    expect(stdout).toContain('rekey connect desk');
  });

  it('show one that no credential is called like, and never a token', async () => {
    served(FAMILY);
    const { exit, stdout } = await rekey(api, ['show', 'crm']);
    expect(exit).toBe(0);
    expect(stdout).toContain('while Rekey is down agents fail from then on');
    expect(stdout).toContain('agents/families/crm');
    const plain = await rekey(api, ['show', 'crm', '--json']);
    expect(JSON.parse(plain.stdout)).toMatchObject({ family: { name: 'crm', status: 'active' } });
  });

  it('say what they always said of what nobody knows', async () => {
    api.routes['GET /v1/credentials/nobody'] = refusal(
      new RekeyError('ERR_NOT_FOUND', 'no credential "nobody"'),
    );
    const { exit, stderr } = await rekey(api, ['show', 'nobody']);
    expect([exit, stderr]).toEqual([1, expect.stringContaining('no credential "nobody"')]);
  });
});

describe('rekey apply', () => {
  it('registers families, and says that somebody consents next', async () => {
    await writeFile(
      join(folder, 'rekey.yaml'),
      `version: 1
families:
  - name: crm
    owner: sales
    server: { issuer: https://login.example }
    client: { id: rekey, secret: oauth/crm }
`,
    );
    api.routes['POST /v1/families'] = {
      status: 201,
      body: { outcome: 'registered', dryRun: false, changes: [] },
    };
    const { exit, stdout } = await rekey(api, ['apply'], { cwd: folder });
    expect([exit, stdout]).toEqual([0, expect.stringContaining('rekey connect crm')]);
    expect(api.seen[0]?.body).toMatchObject({ declaration: { name: 'crm', owner: 'sales' }, dryRun: false });
  });

  it('refuses what contradicts itself with its line, before anything is sent', async () => {
    await writeFile(
      join(folder, 'rekey.yaml'),
      `version: 1
families:
  - name: crm
    owner: sales
    server: { tokenEndpoint: "not an address" }
    client: { id: rekey, authentication: private_key_jwt }
`,
    );
    const { exit, stderr } = await rekey(api, ['apply'], { cwd: folder });
    expect(exit).not.toBe(0);
    expect(stderr).toContain('rekey.yaml:5');
    expect(api.seen).toEqual([]);
  });
});

describe('rekey revoke', () => {
  const args = ['revoke', 'crm', '--incident', 'INC-7', '--reason', 'seen in a log'];
  const ended = {
    ...FAMILY,
    status: 'consent-needed',
    incident: {
      id: 'INC-7',
      trigger: { kind: 'operator', actor: 'arn' },
      since: '2026-11-22T12:00:00.000Z',
      pending: [],
      until: '2026-11-22T12:00:00.000Z',
    },
  } as const;
  const outcome = (of: 'revoked' | 'unsupported' | 'none') => ({
    body: { family: familyView({ ...ended, incident: { ...ended.incident, outcome: of } }) },
  });

  it('ends a family that no credential is called like, with its first request an attempt to revoke', async () => {
    served(FAMILY);
    api.routes['POST /v1/emergencies'] = unknown;
    api.routes['POST /v1/families/crm/revocations'] = outcome('revoked');
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('the server has confirmed it')]);
    expect(sent()).toEqual([
      'POST /v1/emergencies',
      'GET /v1/families/crm',
      'POST /v1/families/crm/revocations',
    ]);
    expect(api.seen.at(-1)?.body).toEqual({ incident: 'INC-7', reason: 'seen in a log' });
  });

  it('ends with 4 where the server can not revoke, and says what a person does', async () => {
    served(FAMILY);
    api.routes['POST /v1/emergencies'] = unknown;
    api.routes['POST /v1/families/crm/revocations'] = outcome('unsupported');
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect([exit, stdout]).toEqual([4, expect.stringContaining('revoke the grant there by hand')]);
  });

  it('says of a client that acts for itself that it had no token yet', async () => {
    served(FAMILY);
    api.routes['POST /v1/emergencies'] = unknown;
    api.routes['POST /v1/families/crm/revocations'] = outcome('none');
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('it had no token yet')]);
  });

  it('has nothing to do where a family never had tokens, and says so', async () => {
    served(waiting);
    api.routes['POST /v1/emergencies'] = unknown;
    api.routes['POST /v1/families/desk/revocations'] = { body: { family: familyView(waiting) } };
    const ran = await rekey(api, ['revoke', 'desk', '--incident', 'INC-7', '--reason', 'left', '--yes']);
    expect([ran.exit, ran.stdout]).toEqual([0, expect.stringContaining('nothing to revoke: desk')]);
    expect(ran.stdout).not.toContain('asked again');
  });

  it('revokes credentials before families, and none that fails keeps others from their turn; the worst counts', async () => {
    const desk = { ...FAMILY, name: 'desk' };
    served(FAMILY, desk);
    api.routes['POST /v1/emergencies'] = [
      unknown,
      { status: 202, body: { id: 'INC-7', startedAt: '2026-11-22T12:00:00.000Z', unresolved: [] } },
    ];
    api.routes['POST /v1/families/crm/revocations'] = refusal(
      new RekeyError('ERR_TIMEOUT', 'no answer in time'),
    );
    api.routes['POST /v1/families/desk/revocations'] = {
      body: {
        family: familyView({
          ...ended,
          name: 'desk',
          incident: { ...ended.incident, outcome: 'unsupported' },
        }),
      },
    };
    const { exit, stdout, stderr } = await rekey(api, [...args, 'desk', 'orders', '--yes']);
    const posts = sent().filter((one) => one.startsWith('POST'));
    expect(posts.slice(0, 2)).toEqual(['POST /v1/emergencies', 'POST /v1/emergencies']);
    expect(posts.slice(2).toSorted()).toEqual([
      'POST /v1/families/crm/revocations',
      'POST /v1/families/desk/revocations',
    ]);
    expect(api.seen.filter(({ path }) => path === '/v1/emergencies').at(-1)?.body).toMatchObject({
      credentials: ['orders'],
    });
    expect(stdout).toContain('revoked: desk');
    expect([exit, stderr]).toEqual([4, expect.stringContaining('crm: no answer in time')]);
  });

  it('ends families also where the request for credentials fails', async () => {
    served(FAMILY);
    const down = refusal(new RekeyError('ERR_UNAVAILABLE', 'not now'));
    api.routes['POST /v1/emergencies'] = [unknown, down];
    api.routes['POST /v1/families/crm/revocations'] = outcome('revoked');
    const { exit, stdout, stderr } = await rekey(api, [...args, 'orders', '--yes']);
    expect(stdout).toContain('revoked: crm');
    expect([exit, stderr]).toEqual([1, expect.stringContaining('not now')]);
  });

  it('asks first, and changes nothing without a yes or with --dry-run', async () => {
    served(FAMILY);
    const no = await rekey(api, args, { tty: true, answer: 'no' });
    expect([no.exit, no.stdout]).toEqual([1, expect.stringContaining('Only a new consent')]);
    const dry = await rekey(api, [...args, '--dry-run']);
    expect([dry.exit, dry.stdout]).toEqual([0, expect.stringContaining('Nothing was changed')]);
    expect(sent().filter((one) => one.startsWith('POST'))).toEqual([]);
  });
});

describe('what else is done with a family', () => {
  it('rotate refreshes it, pause and unregister are its own', async () => {
    served(FAMILY);
    const view = { family: familyView(FAMILY) };
    api.routes['POST /v1/credentials/crm/rotations'] = unknown;
    api.routes['POST /v1/credentials/crm/pause'] = unknown;
    api.routes['POST /v1/credentials/crm/unregister'] = unknown;
    api.routes['POST /v1/families/crm/refreshes'] = { body: view };
    api.routes['POST /v1/families/crm/pause'] = { body: { ...view, changed: true } };
    api.routes['POST /v1/families/crm/unregister'] = { body: view };
    expect((await rekey(api, ['rotate', 'crm', '--reason', 'r'])).stdout).toContain('refreshed');
    expect((await rekey(api, ['pause', 'crm', '--reason', 'r'])).stdout).toContain('paused: crm');
    const left = await rekey(api, ['unregister', 'crm', '--reason', 'r', '--yes']);
    expect([left.exit, left.stdout]).toEqual([0, expect.stringContaining('unregistered: crm')]);
    const dryRuns = api.seen
      .filter(({ path }) => path === '/v1/families/crm/unregister')
      .map(({ body }) => (body as { dryRun: boolean }).dryRun);
    expect(dryRuns).toEqual([true, false]);
  });
});
