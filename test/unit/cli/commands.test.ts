import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditAnswer } from '../../../shared/api/messages.ts';
import { problemOf } from '../../../shared/api/problems.ts';
import { auditPage, joinAudit } from '../../../shared/api/audit-answer.ts';
import { headOf } from '../../../shared/api/audit-span.ts';
import { credentialView, rotationView } from '../../../shared/api/views.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { chainOf, credentialOf, ID, ROTATION_ID, rotationOf } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type Reply, type StandIn } from './stand-in.ts';

const PROBLEM = 'application/problem+json';
const credential = credentialOf();
const idle = { credential: credentialView(credential), rotations: [] };
const inWindow = rotationView(rotationOf());
const busy = { credential: credentialView(credential, rotationOf()), rotations: [inWindow] };

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

function shown(changes: Partial<Rotation>): Reply {
  return { body: { rotation: rotationView(rotationOf(changes)) } };
}

describe('every request', () => {
  it('is signed for execute-api and carries no body where there is none', async () => {
    api.routes['GET /v1/credentials'] = { body: { credentials: [] } };
    expect(await rekey(api, ['list'])).toMatchObject({ exit: 0 });
    const headers = api.seen[0]?.headers;
    expect(headers?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/\d{8}\/eu-central-1\/execute-api\/aws4_request, SignedHeaders=.*host.*, Signature=[0-9a-f]{64}$/,
    );
    expect(headers?.['x-amz-date']).toMatch(/^\d{8}T\d{6}Z$/);
  });

  it('carries the session token of temporary credentials', async () => {
    api.routes['GET /v1/credentials'] = { body: { credentials: [] } };
    await rekey(api, ['list'], { env: { AWS_SESSION_TOKEN: 'session-token' } });
    expect(api.seen[0]?.headers['x-amz-security-token']).toBe('session-token');
  });

  it('goes below the path of an address that has one', async () => {
    api.routes['GET /_aws/execute-api/abc/$default/v1/credentials'] = { body: { credentials: [] } };
    const ran = await rekey(api, ['list', '--api-url', `${api.url}/_aws/execute-api/abc/$default/`]);
    expect(ran.exit).toBe(0);
  });

  it('is repeated where reading meets a broken connection or a 503', async () => {
    api.routes['GET /v1/credentials'] = ['cut', { status: 503, body: {} }, { body: { credentials: [] } }];
    expect((await rekey(api, ['list'])).exit).toBe(0);
    expect(api.seen).toHaveLength(3);
  });

  it('ends with exit code 5 where nobody answers', async () => {
    const { url } = api;
    await api.close();
    const ran = await rekey(undefined, ['list', '--api-url', url]);
    expect(ran).toMatchObject({ exit: 5, stdout: '' });
    expect(ran.stderr).toContain('ECONNREFUSED');
  });

  it('tells a refusal of API Gateway itself from one of Rekey', async () => {
    api.routes['GET /v1/credentials'] = { status: 403, body: { message: 'Forbidden' } };
    const ran = await rekey(api, ['list']);
    expect(ran.exit).toBe(1);
    expect(ran.stderr).toMatch(/refused the caller: Forbidden[\s\S]*execute-api:Invoke/);
  });

  it('does not follow a redirection', async () => {
    api.routes['GET /v1/credentials'] = { status: 302, body: {} };
    expect((await rekey(api, ['list'])).exit).toBe(5);
    expect(api.seen).toHaveLength(1);
  });
});

describe('usage', () => {
  it.each([
    [[]],
    [['frobnicate']],
    [['rotate']],
    [['list', '--colour']],
    [['revoke', 'orders-db']],
    [['revoke', 'orders-db', '--incident', 'has spaces', '--reason', 'x', '--yes']],
    [['rotate', 'orders-db', '--reason', ' ']],
    [['audit', '--from', '2026-02-30']],
    [['audit', '--from', '2026-03-01', '--to', '2026-02-01']],
    [['list', '--api-url', 'ftp://x']],
    [['list', '--api-url', 'http://api.example.com']],
    [['list', '--stage', '../prod', '--api-url', '']],
  ])('%j is wrong: exit code 2, something on stderr, nothing on stdout and nothing sent', async (args) => {
    const ran = await rekey(api, args);
    expect(ran).toMatchObject({ exit: 2, stdout: '' });
    expect(ran.stderr).not.toBe('');
    expect(api.seen).toEqual([]);
    const machine = await rekey(api, [...args, '--json']);
    expect(machine).toMatchObject({ exit: 2, stdout: '' });
    expect(JSON.parse(machine.stderr)).toMatchObject({ error: { code: 'ERR_USAGE' } });
  });

  it('is explained with examples for every command, and with the exit codes', async () => {
    const { exit, stdout } = await rekey(api, ['--help']);
    expect(exit).toBe(0);
    for (const code of ['0  done', '3  audit', '5  the API']) expect(stdout).toContain(code);
    for (const command of ['apply', 'list', 'show', 'rotate', 'rollback', 'confirm', 'revoke', 'audit']) {
      const help = await rekey(api, [command, '--help']);
      expect([command, help.exit]).toEqual([command, 0]);
      expect(help.stdout).toContain(`$ rekey ${command}`);
      expect(help.stdout).toContain('--profile');
    }
    expect(await rekey(api, ['--version'])).toMatchObject({ exit: 0, stdout: '0.1.0\n' });
  });
});

describe('rekey list and show', () => {
  it('print a table, over all pages', async () => {
    api.routes['GET /v1/credentials'] = ({ query }) =>
      query['page'] === undefined
        ? { body: { credentials: [credentialView(credentialOf({ name: 'zebra' }))], next: 'p2' } }
        : { body: { credentials: [busy.credential] } };
    const { stdout } = await rekey(api, ['list']);
    expect(stdout).toMatch(/NAME +TYPE[\s\S]*orders-db +database[\s\S]*window[\s\S]*zebra/);
  });

  it('print JSON and nothing else with --json', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    const { stdout, stderr } = await rekey(api, ['show', 'orders-db', '--json']);
    expect(JSON.parse(stdout)).toEqual(busy);
    expect(stderr).toBe('');
  });

  it('show what an operator needs', async () => {
    api.routes['GET /v1/credentials/orders-db'] = { body: busy };
    const { stdout } = await rekey(api, ['show', 'orders-db']);
    for (const text of [
      ID,
      'agents/orders-db',
      'order-agents',
      'window 30m',
      ROTATION_ID,
      'rollback',
      'in 20 min',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  it('colour only a terminal, and not with NO_COLOR', async () => {
    api.routes['GET /v1/credentials'] = { body: { credentials: [idle.credential] } };
    expect((await rekey(api, ['list'])).stdout).not.toContain('\u001B');
    expect((await rekey(api, ['list'], { tty: true })).stdout).toContain('\u001B[');
    expect((await rekey(api, ['list'], { tty: true, env: { NO_COLOR: '1' } })).stdout).not.toContain(
      '\u001B',
    );
    expect((await rekey(api, ['list', '--json'], { tty: true })).stdout).not.toContain('\u001B');
  });

  it('let nothing through that steers a terminal', async () => {
    const reason = 'left\u001B]0;owned\u0007\u001B[2J';
    api.routes[`GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`] = shown({
      trigger: { kind: 'operator', actor: 'a', reason },
    });
    const { stdout } = await rekey(api, ['show', 'orders-db', ROTATION_ID], { tty: true });
    expect(stdout).toContain('left');
    expect(stdout).not.toContain('\u001B]');
    expect(stdout).not.toContain('\u001B[2J');
  });

  it('put a refusal as JSON on stderr with --json', async () => {
    api.routes['GET /v1/credentials/nobody'] = refusal(
      new RekeyError('ERR_NOT_FOUND', 'no credential "nobody"', { remedy: 'rekey list' }),
    );
    const ran = await rekey(api, ['show', 'nobody', '--json']);
    expect(ran).toMatchObject({ exit: 1, stdout: '' });
    expect(JSON.parse(ran.stderr)).toEqual({
      error: { code: 'ERR_NOT_FOUND', message: 'no credential "nobody"', remedy: 'rekey list' },
    });
  });
});

describe('rekey revoke', () => {
  const args = ['revoke', 'orders-db', '--incident', 'INC-7', '--reason', 'key in a repository'];
  const started = { status: 202, body: { id: 'e-1', credentials: [ID], unresolved: [] } };

  beforeEach(() => {
    api.routes['POST /v1/emergencies'] = started;
    api.routes['GET /v1/credentials/orders-db'] = { body: idle };
  });

  it('revokes with its very first request where --yes is given', async () => {
    const { exit } = await rekey(api, [...args, '--yes']);
    expect(exit).toBe(0);
    expect(api.seen.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /v1/emergencies']);
    expect(api.seen[0]?.body).toEqual({
      credentials: ['orders-db'],
      incident: 'INC-7',
      reason: 'key in a repository',
      replace: true,
    });
    expect(api.seen[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('says what it does and asks on a terminal', async () => {
    const no = await rekey(api, args, { tty: true, answer: 'y' });
    expect(no.exit).toBe(1);
    expect(no.stdout).toMatch(
      /order-agents[\s\S]*sessions are ended[\s\S]*told to halt[\s\S]*new credential is made/,
    );
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
    const yes = await rekey(api, args, { tty: true, answer: 'yes\n' });
    expect(yes.exit).toBe(0);
    expect(api.seen.at(-1)?.method).toBe('POST');
  });

  it('revokes after a yes even where the credential could not be read', async () => {
    api.routes['GET /v1/credentials/orders-db'] = 'cut';
    expect((await rekey(api, args, { tty: true, answer: 'yes' })).exit).toBe(0);
  });

  it('never asks where nobody can answer', async () => {
    const ran = await rekey(api, args);
    expect(ran.exit).toBe(2);
    expect(ran.stderr).toContain('--yes');
    expect(api.seen).toEqual([]);
  });

  it('leaves out the replacement with --no-replace', async () => {
    await rekey(api, [...args, '--yes', '--no-replace']);
    expect(api.seen[0]?.body).toMatchObject({ replace: false });
  });

  it('names what could not be looked up and ends with 1', async () => {
    api.routes['POST /v1/emergencies'] = {
      status: 202,
      body: { ...started.body, unresolved: ['orders-db'] },
    };
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect(exit).toBe(1);
    expect(stdout).toContain('NOT revoked, because they were not looked up in time: orders-db');
  });

  it('waits for the end with --wait, with 4 where it did not succeed', async () => {
    const running = { body: { id: 'e-1', status: 'RUNNING', startedAt: 'a', results: [] } };
    const ended = (status: string): Reply => ({ body: { ...running.body, status, endedAt: 'b' } });
    api.routes['GET /v1/emergencies/e-1'] = [
      { status: 404, body: problemOf(new RekeyError('ERR_NOT_FOUND', 'no emergency')), type: PROBLEM },
      running,
      ended('SUCCEEDED'),
      ended('FAILED'),
    ];
    expect((await rekey(api, [...args, '--yes', '--wait'])).exit).toBe(0);
    expect((await rekey(api, [...args, '--yes', '--wait'])).exit).toBe(4);
  });

  it('says with --wait, once, what only a person can end, and before it asks that this will be so', async () => {
    const byHand = 'delete the key "spare-1" at https://console.example';
    const since = '2026-11-22T20:00:00.000Z';
    const awaitsOperator = { since, handles: [], byHand, looks: 1 };
    const incident = {
      id: 'INC-1',
      stage: 'intended',
      generation: 2,
      replacement: 'r',
      awaitsOperator,
    } as const;
    const manual = credentialOf({ type: 'llm-key', provider: 'cohere', status: 'halted', incident });
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: credentialView(manual), rotations: [] },
    };
    const running = { id: 'e-1', status: 'RUNNING', startedAt: 'a', results: [] };
    api.routes['GET /v1/emergencies/e-1'] = [
      ...Array.from({ length: 12 }, () => ({ body: running })),
      { body: { ...running, status: 'SUCCEEDED', endedAt: 'b' } },
    ];
    const { exit, stdout } = await rekey(api, [...args, '--wait'], { tty: true, answer: 'yes' });
    expect(exit).toBe(0);
    expect(stdout).toContain('lets only a person end a key');
    expect(stdout.split('TO DO BY HAND')).toHaveLength(2);
    expect(stdout).toContain(byHand);
  });

  it('prints with --wait what to type for what Rekey has let go of meanwhile', async () => {
    const results = [
      { credentialId: 'c-1', status: 'replaced' },
      { credentialId: 'c-2', status: 'revocation-failed', byHand: 'ALTER ROLE orders_a NOLOGIN' },
    ];
    api.routes['GET /v1/emergencies/e-1'] = {
      body: { id: 'e-1', status: 'FAILED', startedAt: 'a', endedAt: 'b', results },
    };
    const { exit, stdout } = await rekey(api, [...args, '--yes', '--wait']);
    expect(exit).toBe(4);
    expect(stdout).toMatch(
      /NOT REVOKED: Rekey has let go of c-2[^\n]*by hand, now:\nALTER ROLE orders_a NOLOGIN/i,
    );
    expect(stdout).not.toContain('c-1');
  });

  it('only reads with --dry-run', async () => {
    const { exit, stdout } = await rekey(api, [...args, '--dry-run', '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      dryRun: true,
      credentials: [{ name: 'orders-db' }],
      unknown: [],
    });
    expect(api.seen.every(({ method }) => method === 'GET')).toBe(true);
  });
});

describe('rekey audit', () => {
  const chain = chainOf(credentialOf({ registeredAt: '2026-01-01T00:01:01.000Z' }), [
    { action: 'registered', time: '2026-01-01T00:02:00.000Z' },
    {
      action: 'window-opened',
      time: '2026-01-31T00:00:00.000Z',
      correlationId: 'r-1',
      oldFingerprint: 'sha256:1',
    },
    { action: 'retired', time: '2026-02-01T00:00:00.000Z', correlationId: 'r-1', deactivation: 'CONFIRMED' },
  ]);
  const span = { from: '2025-11-22', to: '2026-11-22' };
  const pageOf = (month: string, next?: string): AuditAnswer =>
    auditPage({
      ...span,
      records: chain.records.filter(({ time_dt: time }) => time.startsWith(month)),
      ...(next === undefined ? { heads: [headOf(chain.head)] } : { next }),
    });

  it('joins the pages and keeps to the span of the first', async () => {
    api.routes['GET /v1/audit'] = ({ query }) => ({
      body: query['page'] === undefined ? pageOf('2026-01', '2026-02') : pageOf('2026-02'),
    });
    const { exit, stdout } = await rekey(api, ['audit']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(
      /CONFIRMED 2026-02-01 00:00:00 UTC[\s\S]*The chain is whole: 3 of 3 records checked; 1 of 1 chain to the end/,
    );
    expect(stdout).toMatch(/what else happened[\s\S]*orders-db +1 +registered/);
    expect(api.seen.map(({ query }) => query)).toEqual([{}, { ...span, page: '2026-02' }]);
  });

  it('ends with 3 where the chain has faults, and lists them', async () => {
    api.routes['GET /v1/audit'] = {
      body: auditPage({ ...span, records: chain.records.slice(1), heads: [headOf(chain.head)] }),
    };
    const { exit, stdout } = await rekey(api, ['audit']);
    expect(exit).toBe(3);
    expect(stdout).toContain(`gap at record 1 of ${ID}`);
    const machine = await rekey(api, ['audit', '--json']);
    expect(machine.exit).toBe(3);
    expect(JSON.parse(machine.stdout)).toMatchObject({ chain: { faults: [{ seq: 1, fault: 'gap' }] } });
  });

  it('says of a rotation that it ended after the span', async () => {
    const [began, ended] = [chain.records.slice(0, 2), chain.records.slice(2)];
    const january = { from: '2026-01-01', to: '2026-01-31' };
    api.routes['GET /v1/audit'] = {
      body: joinAudit([auditPage({ ...january, records: began, after: ended, heads: [] })]),
    };
    const { exit, stdout } = await rekey(api, ['audit', '--from', january.from, '--to', january.to]);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/completed, after the span +CONFIRMED 2026-02-01 00:00:00 UTC/);
  });

  it('says of token families what is left out, and how the chain of one is checked', async () => {
    const crm = chainOf(credentialOf({ id: 'family-1', name: 'crm' }), [
      { action: 'consent-given', time: '2026-01-05T00:00:00.000Z' },
    ]).records;
    const page = (next?: string): AuditAnswer =>
      auditPage({
        ...span,
        records: [],
        ofFamilies: crm,
        heads: [],
        ...(next === undefined ? {} : { next }),
      });
    api.routes['GET /v1/audit'] = ({ query }) => ({
      body: query['page'] === undefined ? page('2026-02') : page(),
    });
    const { exit, stdout } = await rekey(api, ['audit']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/crm +1 +consent-given/);
    expect(stdout).toMatch(
      /2 records of the token families crm, without refreshes by the clock[\s\S]*--credential NAME/,
    );
    expect(stdout).not.toContain('chain is whole');
    expect(stdout).not.toContain('there is no chain to check');
  });

  it('says how far each chain was checked, and what an older deployment says', async () => {
    const chainsOf = async (more: object, records = 3): Promise<string> => {
      const { faults, checked } = { faults: [], checked: records };
      api.routes['GET /v1/audit'] = {
        body: { ...span, records, rotations: [], chain: { checked, faults, complete: 1, ...more } },
      };
      return (await rekey(api, ['audit'])).stdout;
    };
    expect(await chainsOf({ chains: 4, later: 2 })).toContain(
      '1 of 4 chains to the end, 2 go on after the span, of 1 nobody could say where the end is',
    );
    expect(await chainsOf({})).toContain('1 chain to the end');
    expect(await chainsOf({ complete: 0, chains: 0, later: 0 }, 0)).toContain('No record is of this span');
  });

  it('shows what is not confirmed as such', async () => {
    api.routes['GET /v1/audit'] = {
      body: auditPage({ ...span, records: chain.records.slice(0, 2), heads: [] }),
    };
    const { stdout } = await rekey(api, ['audit', '--credential', 'orders-db', '--from', '2026-01-01']);
    expect(stdout).toContain('NOT CONFIRMED');
    expect(api.seen[0]?.query).toEqual({ from: '2026-01-01', credential: 'orders-db' });
  });
});
