import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HeldSignalView } from '../../../shared/api/messages.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const VALUE = 'kR4tq8ZpLw0vYx2sNe6uHd1gBj9fCm3aTi7oQ5Xl';
const ID = 'e3f1d4f0-3a52-8c43-ab3e-0f6f7f6f0a02';
const FOUND = JSON.stringify({ DetectorName: 'Postgres', Verified: true, Raw: VALUE });
const SEND = ['incident', 'signal', '--source', 'trufflehog', '-'];

const answers = (act: string): void => {
  api.routes['POST /v1/signals'] = ({ body }) => ({
    body: {
      dryRun: (body as { dryRun: boolean }).dryRun,
      results: [
        { act, credentials: act === 'nothing' ? [] : ['orders-db'], ...(act === 'hold' ? { id: ID } : {}) },
      ],
    },
  });
};

const HELD: HeldSignalView = {
  id: ID,
  source: 'siem',
  reporter: 'signal:siem',
  why: 'it would halt 340 agents, more than 50',
  heldAt: '2026-11-22T11:00:00.000Z',
  glassAt: '2026-11-22T11:30:00.000Z',
  credentials: ['orders-db'],
  status: 'held',
  approvals: [],
};

describe('rekey incident signal', () => {
  it('sends fingerprints that are made here, and never the value', async () => {
    answers('revoke');
    const { exit, stdout, stderr } = await rekey(api, SEND, { input: `${FOUND}\n` });
    expect(exit).toBe(0);
    expect(stdout).toContain('Postgres (verified): revoking: orders-db');
    expect(api.seen[0]?.body).toMatchObject({
      source: 'trufflehog',
      dryRun: false,
      findings: [{ verified: true }],
    });
    expect(JSON.stringify(api.seen) + stdout + stderr).not.toContain(VALUE);
  });

  it.each([
    ['nothing', 0, 'not ours'],
    ['rotate', 0, 'rotating'],
    ['repeated', 0, 'taken before'],
    ['hold', 4, 'HELD'],
    ['by-hand', 4, 'REVOKE IT BY HAND'],
    ['something-new', 4, 'something-new'],
  ])('ends with %s as %i', async (act, exit, text) => {
    answers(act);
    const done = await rekey(api, SEND, { input: FOUND });
    expect(done.exit).toBe(exit);
    expect(done.stdout).toContain(text);
  });

  it('changes nothing in a dry run, and is JSON where that is asked for', async () => {
    answers('revoke');
    const dry = await rekey(api, [...SEND, '--dry-run'], { input: FOUND });
    expect(dry.stdout).toContain('would be revoked: orders-db');
    expect(dry.stdout).toContain('Nothing was changed');
    const { stdout } = await rekey(api, ['--json', ...SEND, '--dry-run'], { input: FOUND });
    expect(JSON.parse(stdout)).toMatchObject({ dryRun: true, results: [{ act: 'revoke' }] });
  });

  it.each([
    ['nothing', ''],
    ['an empty line', '\n'],
    ['the scanner’s log', '{"level":"info-0","ts":"2026-11-26T10:00:00Z","msg":"finished scanning"}\n'],
  ])('is done where a scan has found nothing, and has printed %s', async (_what, input) => {
    const { exit, stdout } = await rekey(api, SEND, { input });
    expect([exit, stdout]).toEqual([0, 'The scan has found nothing: nothing was sent.\n']);
    const { stdout: json } = await rekey(api, ['--json', ...SEND], { input });
    expect(JSON.parse(json)).toEqual({ dryRun: false, results: [] });
    expect(api.seen).toEqual([]);
  });

  it.each([
    ['no output of the scanner', 'no findings'],
    ['a finding without its value', JSON.stringify({ DetectorName: 'Postgres', Verified: true })],
  ])('is refused before anything is sent for %s', async (_what, input) => {
    const { exit, stderr } = await rekey(api, SEND, { input });
    expect([exit, stderr]).toEqual([1, expect.stringContaining('no output of `trufflehog --json`')]);
    expect(api.seen).toEqual([]);
  });

  it('is refused before anything is sent where a file is read', async () => {
    expect((await rekey(api, [...SEND.slice(0, -1), 'out.json'], { input: FOUND })).exit).toBe(2);
    expect(api.seen).toEqual([]);
  });
});

describe('signals that are held', () => {
  beforeEach(() => {
    api.routes['GET /v1/held-signals'] = () => ({ body: { signals: [HELD] } });
  });

  it('are listed with why, what they would revoke and from when on one may decide alone', async () => {
    const { exit, stdout } = await rekey(api, ['incident', 'held']);
    expect(exit).toBe(0);
    for (const text of [ID, '340 agents', 'orders-db', 'approved by nobody']) expect(stdout).toContain(text);
  });

  it('say of each value whether it is suspended until it is decided, or works', async () => {
    const signal = {
      ...HELD,
      credentials: ['orders-db', 'shared-key', 'old-key'],
      suspends: true,
      values: [
        { name: 'orders-db', state: 'suspended' },
        { name: 'shared-key', state: 'works', why: "openai can't suspend one" },
        { name: 'old-key', state: 'ended' },
      ],
    };
    api.routes['GET /v1/held-signals'] = () => ({ body: { signals: [signal] } });
    const { stdout } = await rekey(api, ['incident', 'held']);
    expect(stdout).toContain('orders-db: suspended until it is decided, agents are refused');
    expect(stdout).toContain("shared-key: NOT suspended, its value works: openai can't suspend one");
    expect(stdout).toContain('old-key: its value has ended meanwhile');
    const { stdout: json } = await rekey(api, ['incident', 'held', '--json']);
    expect(JSON.parse(json)).toMatchObject({ signals: [{ values: signal.values }] });
    const dry = await rekey(api, ['incident', 'approve', ID, '--reason', 'x', '--dry-run']);
    expect(dry.stdout).toContain('shared-key: NOT suspended');
  });

  it.each([
    [undefined, 'works', 'NOT suspended, its value works'],
    [true, 'unknown', 'suspended where its provider can'],
  ])('say what is known where an older server says suspends: %s', async (suspends, state, text) => {
    const signal = { ...HELD, families: ['crm'], suspends };
    api.routes['GET /v1/held-signals'] = () => ({ body: { signals: [signal] } });
    const { stdout } = await rekey(api, ['incident', 'held']);
    expect(stdout).toContain(`orders-db: ${text}`);
    expect(stdout).toContain('crm: NOT suspended');
    const { stdout: json } = await rekey(api, ['incident', 'held', '--json']);
    expect(JSON.parse(json)).toMatchObject({
      signals: [
        {
          values: [
            { name: 'orders-db', state },
            { name: 'crm', state: 'works' },
          ],
        },
      ],
    });
  });

  it('name token families as well; the emergency of one has no id', async () => {
    const signal = { ...HELD, credentials: [], families: ['crm'], status: 'approved' };
    api.routes['GET /v1/held-signals'] = () => ({ body: { signals: [signal] } });
    expect((await rekey(api, ['incident', 'held'])).stdout).toContain('would revoke crm');
    api.routes[`POST /v1/held-signals/${ID}/approvals`] = () => ({ body: { signal } });
    const { stdout } = await rekey(api, ['incident', 'approve', ID, '--reason', 'seen it']);
    expect(stdout).toMatch(/approved → revoking.*: crm\n/);
  });

  it.each([
    ['held', 'a second responder has to'],
    ['approved', 'approved → revoking'],
  ])('are approved in the name of the caller: %s', async (status, text) => {
    api.routes[`POST /v1/held-signals/${ID}/approvals`] = () => ({ body: { signal: { ...HELD, status } } });
    const { exit, stdout } = await rekey(api, [
      'incident',
      'approve',
      ID,
      '--reason',
      'seen it',
      '--break-glass',
    ]);
    expect(exit).toBe(0);
    expect(stdout).toContain(text);
    expect(api.seen.at(-1)?.body).toEqual({ reason: 'seen it', breakGlass: true });
  });

  it('are denied with a reason, or only shown in a dry run', async () => {
    api.routes[`POST /v1/held-signals/${ID}/denials`] = () => ({
      body: { signal: { ...HELD, status: 'denied' } },
    });
    const dry = await rekey(api, ['incident', 'deny', ID, '--reason', 'a test', '--dry-run']);
    expect(dry.stdout).toContain('Nothing was changed');
    expect(api.seen.map(({ method }) => method)).toEqual(['GET']);
    const { exit, stdout } = await rekey(api, ['incident', 'deny', ID, '--reason', 'a test']);
    expect(exit).toBe(0);
    expect(stdout).toContain('nothing of orders-db is revoked');
    expect((await rekey(api, ['incident', 'approve', 'other', '--reason', 'x', '--dry-run'])).exit).toBe(1);
  });
});
