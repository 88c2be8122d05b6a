import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/control-api/routes.ts';
import { incidentReport, incidentReportJsonSchema } from '../../../shared/api/incident-report.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { freshFamily } from '../../support/families.ts';
import { chainOf, credentialOf, eventOf, FakeLedger, fakeServices, ID, ROTATION_ID } from '../api/fakes.ts';
import { rekey, startStandIn, type Seen, type StandIn } from './stand-in.ts';

const HOSTILE = '<script>alert(1)</script> | [x](http://evil) `code`';
const EXECUTION = 'c0d3c1aa-5f0e-4f8e-8a43-7f2f3f4f5f61';
const at = (time: string): string => `2026-11-22T${time}.000Z`;
const holders = [{ kind: 'client', name: 'shop', principal: 'arn:aws:iam::111122223333:role/shop' }] as const;

/** A credential that an emergency has revoked at 11:00, an hour after its rotation. */
function revoked(changes: Partial<Credential> = {}) {
  const incident = {
    incidentId: 'INC-7',
    trigger: { kind: 'emergency', actor: 'arn:alice', reason: HOSTILE },
  } as const;
  const key = { oldFingerprint: 'sha256:2222', oldHandle: 'orders_b#2' };
  return chainOf(credentialOf({ holders, ...changes }), [
    { action: 'registration-intended', time: '2026-11-01T00:00:00.000Z' },
    {
      action: 'registered',
      time: '2026-11-01T00:00:05.000Z',
      newFingerprint: 'sha256:1111',
      newHandle: 'orders_a#1',
    },
    { action: 'issue-intended', time: at('10:00:00'), correlationId: ROTATION_ID },
    {
      action: 'window-opened',
      time: at('10:00:10'),
      correlationId: ROTATION_ID,
      oldFingerprint: 'sha256:1111',
      oldHandle: 'orders_a#1',
      newFingerprint: 'sha256:2222',
      newHandle: 'orders_b#2',
    },
    {
      action: 'retired',
      time: at('10:30:00'),
      correlationId: ROTATION_ID,
      oldFingerprint: 'sha256:1111',
      oldHandle: 'orders_a#1',
      newFingerprint: 'sha256:2222',
      newHandle: 'orders_b#2',
      deactivation: 'CONFIRMED',
    },
    { action: 'emergency-intended', time: at('10:59:59'), ...incident, ...key },
    {
      action: 'emergency-revoked',
      time: at('11:00:02'),
      ...incident,
      ...key,
      deactivation: 'CONFIRMED',
      evidence: {
        revocation: {
          revokedAt: at('11:00:01'),
          generation: 3,
          handles: [
            {
              handle: 'orders_b#2',
              deactivation: { confirmed: true, observedAt: at('11:00:00'), detail: 'login refused' },
            },
          ],
        },
      },
    },
    { action: 'agents-halted', time: at('11:00:03'), ...incident, ...key },
  ]);
}

let api: StandIn;
let services: ReturnType<typeof fakeServices>;
let folder: string;

/** The stand-in hands every question on to the API itself. */
function serve(paths: readonly string[]): void {
  for (const path of paths)
    api.routes[`GET ${path}`] = async ({ method, path: asked, query }: Seen) => {
      const { response } = await answer(eventOf(method, asked, { query }), services);
      return { status: response.statusCode ?? 200, body: JSON.parse(response.body ?? '{}') as unknown };
    };
}

beforeEach(async () => {
  api = await startStandIn();
  folder = await mkdtemp(join(tmpdir(), 'rekey-incident-'));
  const { head, records } = revoked({
    status: 'halted',
    incident: {
      id: 'INC-7',
      execution: EXECUTION,
      began: at('10:59:59'),
      stage: 'halted',
      generation: 3,
      replacement: 'r',
    },
  });
  services = fakeServices(new FakeLedger().add(head, records));
  const use = { credentialId: ID, agent: 'shop', session: 's1', versionId: ROTATION_ID, refused: 0 };
  for (const [from, to, succeeded] of [
    ['10:05:00', '10:06:00', 3],
    ['10:06:00', '10:07:00', 0],
    ['11:10:00', '11:11:00', 1],
  ] as const)
    await services.agents.report({ ...use, succeeded, from: at(from), to: at(to) });
  await services.agents.report({
    ...use,
    versionId: ID,
    succeeded: 9,
    from: at('09:00:00'),
    to: at('09:01:00'),
  });
  await services.readers.saw('agents/orders-db', {
    kind: 'role',
    principal: `arn:${HOSTILE}`,
    firstSeen: at('10:40:00'),
    lastSeen: at('10:50:00'),
  });
  serve([
    '/v1/credentials',
    '/v1/families',
    '/v1/audit',
    `/v1/emergencies/${EXECUTION}`,
    `/v1/credentials/${ID}/uses`,
    '/v1/credentials/orders-db/uses',
    `/v1/credentials/${ID}/incidents/INC-7`,
  ]);
});
afterEach(async () => {
  await api.close();
  await rm(folder, { recursive: true, force: true });
});

const report = async (...options: string[]) => rekey(api, ['incident', 'report', 'INC-7', ...options]);

describe('rekey incident report', () => {
  it('writes the form that was asked for also where its answer is JSON, and refuses two forms of one answer', async () => {
    const file = join(folder, 'INC-7.html');
    const { exit, stdout } = await report('--format', 'html', '--output', file, '--json');
    expect([exit, JSON.parse(stdout)]).toEqual([0, { written: file }]);
    expect(await readFile(file, 'utf8')).toMatch(/^<!doctype html>/);
    const both = await report('--format', 'html', '--json');
    expect([both.exit, both.stderr]).toEqual([2, expect.stringContaining('leave one out')]);
  });

  it('has the exposure to the millisecond, each use with its class, and the gaps', async () => {
    const { exit, stdout, stderr } = await report('--format', 'json');
    expect(stderr).toBe('');
    expect(exit).toBe(0);
    const { credentials, awareAt, clocks } = incidentReport.parse(JSON.parse(stdout));
    expect(awareAt).toBe(at('10:59:59'));
    expect(clocks[0]).toMatchObject({ regime: 'GDPR', deadline: '2026-11-25T10:59:59.000Z' });
    const [credential] = credentials;
    expect(credential).toMatchObject({
      name: 'orders-db',
      stage: 'halted',
      exposures: [
        {
          fingerprint: 'sha256:2222',
          handle: 'orders_b#2',
          versionIds: [ROTATION_ID],
          from: at('10:00:00'),
          to: at('11:00:00'),
        },
      ],
      counts: { expected: 1, unexplained: 1, suspect: 1 },
    });
    expect(credential?.exposed.opens).toContainEqual({ name: 'database', value: 'orders' });
    expect(credential?.uses.map(({ from, class: as, place }) => [from, as, place])).toEqual([
      [at('10:05:00'), 'expected', 'within'],
      [at('10:40:00'), 'unexplained', 'within'],
      [at('11:10:00'), 'suspect', 'after'],
    ]);
    const own = credential?.gaps.filter(({ source }) => source === 'reports of shop');
    expect(own?.map(({ from, to }) => [from, to])).toEqual([
      [at('10:00:00'), at('10:05:00')],
      [at('10:07:00'), at('11:00:00')],
    ]);
    expect(credential?.gaps.map(({ source }) => source)).toContain("the upstream's own log");
    expect(credential?.gaps.map(({ source }) => source)).not.toContain('audit records');
  });

  it('begins the exposure where somebody knows that it was good, and dates the clocks by what is told', async () => {
    const { stdout } = await report(
      '--format',
      'json',
      '--known-good',
      '2026-11-22T11:40:00+01:00',
      '--aware',
      '2026-11-22T12:00:00Z',
    );
    const made = incidentReport.parse(JSON.parse(stdout));
    expect(made.credentials[0]?.exposures[0]?.from).toBe(at('10:40:00'));
    expect(made.credentials[0]?.uses).toHaveLength(2);
    expect(made.clocks[0]?.deadline).toBe('2026-11-25T12:00:00.000Z');
    expect(await report('--aware', '2026-11-22 12:00')).toMatchObject({ exit: 2 });
    expect(await report('--format', 'pdf')).toMatchObject({ exit: 2 });
  });

  it('names a missing record as a gap', async () => {
    services.ledger.trail = services.ledger.trail.filter(({ metadata }) => metadata.sequence !== 5);
    const { stdout } = await report('--format', 'json');
    const { gaps } = incidentReport.parse(JSON.parse(stdout)).credentials[0] ?? { gaps: [] };
    expect(gaps).toContainEqual(
      expect.objectContaining({ source: 'audit records', from: at('10:00:10'), to: at('10:59:59') }),
    );
  });

  it('lets no text of others become markup, in HTML and in Markdown', async () => {
    const { stdout: html } = await report('--format', 'html');
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(html).not.toContain('<script');
    expect(html).not.toMatch(/(src|href)=/);
    expect(html).toContain("default-src 'none'");
    const { stdout: markdown } = await report();
    expect(markdown).not.toMatch(/(?<!\\)<script|(?<![\\`])\[x\]|(?<!\\)`code/);
    // Each row has as many cells as its heading.
    for (const block of markdown.split('\n\n').filter((each) => each.startsWith('|'))) {
      const cells = block
        .trim()
        .split('\n')
        .map((line) => line.replaceAll('\\|', '').split('|').length);
      expect(new Set(cells).size).toBe(1);
    }
  });

  it('goes into a file that only its owner reads, and into no folder that is not there', async () => {
    const file = join(folder, 'report.html');
    const { exit, stdout } = await report('--format', 'html', '--output', file);
    expect(exit).toBe(0);
    expect(stdout).toContain('1 credentials of INC-7');
    expect(await readFile(file, 'utf8')).toContain('<h1>Incident INC-7</h1>');
    expect((await stat(file)).mode & 0o077).toBe(0);
    expect(await report('--output', join(folder, 'none', 'x'))).toMatchObject({ exit: 2 });
  });

  it('names the credential that it could not read, and says so by its exit code', async () => {
    api.routes[`GET /v1/credentials/${ID}/uses`] = { status: 400, body: { message: 'no' } };
    const { exit, stdout, stderr } = await report('--format', 'json');
    expect(exit).toBe(1);
    expect(stderr).toContain('NOT in the report: orders-db');
    expect(incidentReport.parse(JSON.parse(stdout))).toMatchObject({
      credentials: [],
      unread: [{ credential: 'orders-db' }],
    });
  });

  it('is published as docs/incident-report.schema.json', async () => {
    const published: unknown = JSON.parse(
      await readFile(new URL('../../../docs/incident-report.schema.json', import.meta.url), 'utf8'),
    );
    expect(published, 'node scripts/incident-schema.ts > docs/incident-report.schema.json').toEqual(
      JSON.parse(JSON.stringify(incidentReportJsonSchema())),
    );
  });
});

describe('rekey incident', () => {
  it('lists the incidents of the last year, with what is still halted', async () => {
    const { stdout } = await rekey(api, ['incident', 'list', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({
      incidents: [
        { incident: 'INC-7', credentials: ['orders-db'], halted: ['orders-db'], first: at('10:59:59') },
      ],
    });
  });

  it('shows where each credential stands, and refuses an incident that nobody knows', async () => {
    const { exit, stdout } = await rekey(api, ['incident', 'show', 'INC-7']);
    expect(exit).toBe(0);
    expect(stdout).toContain('orders-db');
    expect(stdout).toContain('halted');
    expect(await rekey(api, ['incident', 'show', 'INC-8'])).toMatchObject({ exit: 1 });
  });

  it('says of what is only observed that it is not revoked, and what a person does', async () => {
    const id = 'b0d3c1aa-5f0e-4f8e-8a43-7f2f3f4f5f61';
    const observed = credentialOf({
      id,
      name: 'legacy',
      mode: 'observe',
      adoption: 'observed',
      byHand: 'ask Ann',
    });
    const { head, records } = chainOf(observed, [
      { action: 'observed', time: at('09:00:00') },
      {
        action: 'emergency-revocation-failed',
        time: at('11:30:00'),
        trigger: { kind: 'emergency', actor: 'arn:alice', reason: 'leaked' },
        incidentId: 'INC-9',
        evidence: { cause: 'ERR_ADOPTION' },
      },
    ]);
    services.ledger.add(head, records);
    serve([`/v1/credentials/${id}/incidents/INC-9`, `/v1/credentials/${id}/uses`]);
    const shown = await rekey(api, ['incident', 'show', 'INC-9']);
    expect([shown.exit, shown.stdout]).toEqual([4, expect.stringMatching(/legacy +only observed .*ask Ann/)]);
    const { stdout } = await rekey(api, ['incident', 'report', 'INC-9']);
    expect(stdout).toContain('Rekey has revoked nothing of it');
  });

  it('knows one in which a certificate was revoked and nothing else, and says so in its report', async () => {
    const id = 'a0d3c1aa-5f0e-4f8e-8a43-7f2f3f4f5f61';
    const authority = credentialOf({ id, name: 'shop-ca', type: 'certificate-authority', provider: 'x509' });
    const { head, records } = chainOf(authority, [
      { action: 'registration-intended', time: at('09:00:00') },
      {
        action: 'certificate-revocation-intended',
        time: at('11:30:00'),
        trigger: { kind: 'operator', actor: 'arn:alice', reason: 'stolen host' },
        incidentId: 'INC-9',
        evidence: { serial: '5f0c9a', authority: 'a-1', id: 'spiffe://shop/checkout' },
      },
    ]);
    services.ledger.add(head, records);
    serve([`/v1/credentials/${id}/incidents/INC-9`, `/v1/credentials/${id}/uses`]);
    expect((await rekey(api, ['incident', 'list'])).stdout).toMatch(/INC-9 .*stolen host/);
    const shown = await rekey(api, ['incident', 'show', 'INC-9']);
    expect([shown.exit, shown.stdout]).toEqual([0, expect.stringMatching(/shop-ca/)]);
    const { exit, stdout } = await rekey(api, ['incident', 'report', 'INC-9']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/certificate-revocation-intended.*stolen host/);
    const audit = await rekey(api, ['audit', '--credential', 'shop-ca']);
    expect(audit.stdout).toMatch(/certificate-revocation-intended.*INC-9; stolen host; certificate 5f0c9a/);
  });

  it('knows the token families that an emergency has ended, with their exposure and who holds them', async () => {
    const incident = {
      id: 'INC-9',
      trigger: { kind: 'emergency', actor: 'arn:alice' },
      since: at('11:30:00'),
      pending: [],
      until: at('11:30:00'),
      outcome: 'unsupported',
    } as const;
    const family = freshFamily({ name: 'crm', incident });
    await services.families.create(family, {
      action: 'registered',
      time: at('09:00:00'),
      trigger: { kind: 'operator', actor: 'arn:alice' },
    });
    const listed = await rekey(api, ['incident', 'list', '--json']);
    expect(JSON.parse(listed.stdout)).toMatchObject({
      incidents: [{ incident: 'INC-9', credentials: ['crm'], halted: ['crm'] }, { incident: 'INC-7' }],
    });
    const shown = await rekey(api, ['incident', 'show', 'INC-9']);
    expect([shown.exit, shown.stdout]).toEqual([4, expect.stringMatching(/crm +halted .*revoke the grant/)]);
    const before = await services.families.familyByName('crm');
    if (before === undefined) throw new Error('there is no such family');
    const emergency = { kind: 'emergency', actor: 'arn:alice', reason: 'seen in a chat' } as const;
    await services.families.commit({
      before,
      after: before,
      records: [
        {
          action: 'consent-given',
          time: at('09:10:00'),
          trigger: { kind: 'operator', actor: 'arn:alice' },
          correlationId: 'v-1',
          newFingerprint: 'sha256:refresh',
          evidence: { attempt: 1, begunAt: at('09:09:58'), expiresAt: at('10:10:00') },
        },
        { action: 'emergency-intended', time: at('11:30:00'), trigger: emergency, incidentId: 'INC-9' },
        {
          action: 'emergency-revoked',
          time: at('11:30:02'),
          trigger: emergency,
          incidentId: 'INC-9',
          deactivation: 'CONFIRMED',
          evidence: { revoked: ['v-1'] },
        },
      ],
    });
    serve([`/v1/credentials/${family.id}/incidents/INC-9`, `/v1/credentials/${family.id}/uses`]);
    services.readers.seen.set(before.refreshSecretName, [
      {
        kind: 'role',
        principal: 'arn:aws:iam::111122223333:role/curious',
        firstSeen: at('10:00:00'),
        lastSeen: at('10:00:00'),
      },
    ]);
    const { exit, stdout } = await rekey(api, ['incident', 'report', 'INC-9', '--format', 'json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      credentials: [
        {
          name: 'crm',
          type: 'token-family',
          exposures: [{ fingerprint: 'sha256:refresh', from: at('09:09:58'), to: at('11:30:02') }],
          exposed: {
            opens: expect.arrayContaining([{ name: 'scopes', value: 'tools:read' }]),
            holders: [{ name: 'tool-agents', kind: 'polling' }],
          },
          uses: [{ who: 'arn:aws:iam::111122223333:role/curious', class: 'unexplained' }],
        },
      ],
    });
    const markdown = await rekey(api, ['incident', 'report', 'INC-9']);
    expect(markdown.stdout).toContain('sha256:refresh');
  });

  it('watches until nothing is under way', async () => {
    const running = { id: EXECUTION, startedAt: at('10:59:59'), results: [] };
    api.routes[`GET /v1/emergencies/${EXECUTION}`] = [
      { body: { ...running, status: 'RUNNING' } },
      { body: { ...running, status: 'FAILED', endedAt: at('11:30:00') } },
    ];
    const { exit, stdout } = await rekey(api, ['incident', 'show', 'INC-7', '--watch']);
    expect(stdout).toContain('orders-db: halted (failed)');
    expect(exit).toBe(4);
  });
});

describe('rekey incident show --watch', () => {
  const WATCH = ['incident', 'show', 'INC-7', '--watch'];
  const SECOND = 'a0d3c1aa-5f0e-4f8e-8a43-7f2f3f4f5f61';
  const ended = (id: string, status = 'SUCCEEDED') => ({
    id,
    status,
    startedAt: at('10:59:59'),
    results: [],
  });

  /** An emergency of the incident reaches a second credential, in an execution of its own; its records come later. */
  const reachesAnother = (changes: Partial<Credential> = {}): void => {
    const execution = `${EXECUTION}-2`;
    const { head } = revoked({
      id: SECOND,
      name: 'search-db',
      status: 'halted',
      incident: { id: 'INC-7', execution, stage: 'halted', generation: 3, replacement: 'r' },
      ...changes,
    });
    services.ledger.add(head);
    api.routes[`GET /v1/emergencies/${execution}`] = { body: ended(execution) };
  };

  /** The execution of the first is over at its third look; `meanwhile` comes to pass at the second. */
  const isOverSoon = (meanwhile: () => void): void => {
    let looks = 0;
    api.routes[`GET /v1/emergencies/${EXECUTION}`] = () => {
      looks += 1;
      if (looks === 2) meanwhile();
      return { body: ended(EXECUTION, looks < 3 ? 'RUNNING' : 'SUCCEEDED') };
    };
  };

  it('tells of a credential that appears later, and of the part of the emergency that has it', async () => {
    isOverSoon(reachesAnother);
    const { exit, stdout } = await rekey(api, WATCH);
    expect(exit).toBe(0);
    expect(stdout.match(/search-db: halted \(succeeded\)/g)).toHaveLength(1);
  });

  it('tells of one that came and went between two looks, once it is quiet', async () => {
    isOverSoon(() => {
      const { head, records } = revoked({ id: SECOND, name: 'search-db' });
      services.ledger.add(head, records);
    });
    const { exit, stdout } = await rekey(api, WATCH);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('search-db: resumed')]);
    // A year of records is no matter of each round.
    expect(api.seen.filter(({ path }) => path === '/v1/audit').length).toBeLessThanOrEqual(3);
  });

  it('goes on while the execution runs, although all that it has shown so far is replaced', async () => {
    let looks = 0;
    const route = api.routes['GET /v1/credentials'];
    if (typeof route !== 'function') throw new Error('credentials are asked of the API itself');
    api.routes[`GET /v1/emergencies/${EXECUTION}`] = { body: ended(EXECUTION, 'RUNNING') };
    const incident = { id: 'INC-7', execution: EXECUTION, generation: 3, replacement: 'r' } as const;
    api.routes['GET /v1/credentials'] = (seen: Seen) => {
      looks += 1;
      if (looks === 3) {
        const { head, records } = revoked();
        services.ledger.add(head, records);
      }
      // The second has waited for its turn.
      if (looks === 7) reachesAnother({ incident: { ...incident, stage: 'intended' } });
      if (looks > 12) api.routes[`GET /v1/emergencies/${EXECUTION}`] = { body: ended(EXECUTION, 'FAILED') };
      return route(seen);
    };
    const { exit, stdout } = await rekey(api, WATCH);
    expect([exit, stdout]).toEqual([4, expect.stringMatching(/search-db: intended \(failed\)/)]);
  });

  it('waits for a token family until its server has confirmed', async () => {
    const incident = {
      id: 'INC-9',
      trigger: { kind: 'emergency', actor: 'arn:alice' },
      since: at('11:30:00'),
      pending: ['v-1'],
      until: at('13:30:00'),
    } as const;
    const trigger = { kind: 'operator', actor: 'arn:alice' } as const;
    const registered = { action: 'registered', time: at('09:00:00'), trigger } as const;
    let family = await services.families.create(freshFamily({ name: 'crm', incident }), registered);
    let looks = 0;
    const route = api.routes['GET /v1/families'];
    if (typeof route !== 'function') throw new Error('families are asked of the API itself');
    api.routes['GET /v1/families'] = async (seen: Seen) => {
      looks += 1;
      if (looks === 5) {
        const after = { ...family, incident: { ...incident, pending: [], outcome: 'revoked' as const } };
        family = await services.families.commit({ before: family, after });
      }
      return route(seen);
    };
    const { exit, stdout } = await rekey(api, ['incident', 'show', 'INC-9', '--watch']);
    expect([exit, stdout]).toEqual([0, expect.stringMatching(/crm +revoking[\s\S]*crm: halted\n$/)]);
  });

  it('waits for an incident that nothing tells of yet', async () => {
    let looks = 0;
    const route = api.routes['GET /v1/credentials'];
    if (typeof route !== 'function') throw new Error('credentials are asked of the API itself');
    api.routes['GET /v1/credentials'] = (seen: Seen) => {
      looks += 1;
      if (looks === 2) return { status: 503, body: { code: 'ERR_UNAVAILABLE' } };
      if (looks === 4)
        reachesAnother({
          incident: {
            id: 'INC-8',
            execution: `${EXECUTION}-2`,
            stage: 'halted',
            generation: 3,
            replacement: 'r',
          },
        });
      return route(seen);
    };
    const { exit, stdout, stderr } = await rekey(api, ['incident', 'show', 'INC-8', '--watch']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('search-db')]);
    expect(stderr).toContain('nothing tells of INC-8 yet');
  });

  it('refuses one that nothing tells of within two minutes, and at once where nobody watches', async () => {
    let now = Date.parse(at('12:00:00'));
    const later = { now: () => (now += 10_000) };
    const refused = await rekey(api, ['incident', 'show', 'INC-8', '--watch'], later);
    expect([refused.exit, refused.stderr]).toEqual([1, expect.stringContaining('nothing of the last year')]);
    const looks = (): number => api.seen.filter(({ path }) => path === '/v1/credentials').length;
    expect(looks()).toBeGreaterThan(10);
    const before = looks();
    expect(await rekey(api, ['incident', 'show', 'INC-8'])).toMatchObject({ exit: 1 });
    expect(looks()).toBe(before + 1);
  });
});

describe('rekey uses', () => {
  it('says which agent used a credential between two times, and of which version', async () => {
    const { exit, stdout } = await rekey(api, [
      'uses',
      'orders-db',
      '--from',
      '2026-11-22T10:00:00Z',
      '--to',
      '2026-11-22T11:00:00Z',
    ]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/shop +s1 +b0d3c1aa +2026-11-22 10:05:00 UTC +2026-11-22 10:06:00 UTC +3 +0/);
    expect(stdout).not.toContain(' 9 ');
    expect(await rekey(api, ['uses', 'orders-db', '--from', 'yesterday'])).toMatchObject({ exit: 2 });
  });

  it('reads a long answer in pages, each use once', async () => {
    const page = {
      credential: 'orders-db',
      credentialId: ID,
      from: at('10:00:00'),
      to: at('11:00:00'),
      keptSince: at('00:00:00'),
    };
    const one = {
      agent: 'shop',
      session: 's1',
      version: 'v',
      succeeded: 1,
      refused: 0,
      from: at('10:00:00'),
      to: at('10:01:30'),
    };
    api.routes['GET /v1/credentials/orders-db/uses'] = ({ query }: Seen) =>
      query['from'] === at('10:01:00')
        ? { body: { ...page, uses: [one, { ...one, from: at('10:02:00') }] } }
        : { body: { ...page, uses: [one], next: at('10:01:00') } };
    const { stdout } = await rekey(api, ['uses', 'orders-db', '--json']);
    expect((JSON.parse(stdout) as { uses: unknown[] }).uses).toHaveLength(2);
  });
});
