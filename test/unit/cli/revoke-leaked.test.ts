import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FamilyLeak, LeakAnswer, LeakMatch } from '../../../shared/api/messages.ts';
import { credentialView } from '../../../shared/api/views.ts';
import { credentialOf, ID } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const VALUE = 'kR4tq8ZpLw0vYx2sNe6uHd1gBj9fCm3aTi7oQ5Xl';
const FINGERPRINT = `sha256:${createHash('sha256').update(VALUE).digest('hex')}`;
const EMERGENCY = 'e3f1d4f0-3a52-4c43-9b3e-0f6f7f6f0a02';
const ARGS = ['revoke', '--leaked', '-', '--incident', 'INC-9', '--reason', 'seen in a chat'];

const match = (outcome: string, more: Partial<LeakMatch> = {}): LeakMatch => ({
  credential: 'orders-db',
  credentialId: ID,
  fingerprint: FINGERPRINT,
  handle: { id: 'orders_a', generation: 3 },
  issuedAt: '2026-11-01T00:00:00.000Z',
  outcome,
  holders: ['order-agents'],
  ...more,
});
const DEAD = {
  deactivation: {
    method: 'status-read',
    observedAt: '2026-11-22T11:59:00.000Z',
    detail: 'orders_a generation 3: the role may not log in',
  },
};

/** The API answers as if the value were this. */
function answers(...matches: LeakMatch[]): void {
  api.routes['POST /v1/leaks'] = ({ body }) => {
    const { dryRun } = body as { dryRun: boolean };
    const outcome = matches[0]?.outcome ?? 'not-ours';
    const answer: LeakAnswer = { outcome, dryRun, matches };
    const started = !dryRun && matches.some((one) => one.outcome === 'live');
    return { body: started ? { ...answer, emergency: EMERGENCY } : answer };
  };
}

const dryRuns = (): unknown[] =>
  api.seen.flatMap(({ method, body }) => (method === 'POST' ? [(body as { dryRun: boolean }).dryRun] : []));

describe('rekey revoke --leaked -', () => {
  it.each([
    ['the bare value', `${VALUE}\n`],
    ['the JSON of the secret', JSON.stringify({ username: 'orders_a', password: VALUE })],
    ['a connection URI', `postgres://orders_a:${VALUE}@db.internal:5432/orders`],
  ])('sends the fingerprints of %s, and never the value', async (_what, input) => {
    answers(match('live'));
    const { exit, stdout, stderr } = await rekey(api, [...ARGS, '--yes'], { input });
    expect(exit).toBe(0);
    const [request] = api.seen;
    expect(request?.body).toMatchObject({
      fingerprints: expect.arrayContaining([FINGERPRINT]),
      incident: 'INC-9',
      reason: 'seen in a chat',
      replace: true,
      dryRun: false,
    });
    expect(request?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(JSON.stringify(api.seen)).not.toContain(VALUE);
    expect(stdout + stderr).not.toContain(VALUE);
    expect(stdout).toContain('live → revoking: orders-db');
    expect(stdout).toContain(EMERGENCY);
  });

  it.each([
    ['dead', 6, 'already dead (checked again)', match('dead', DEAD), 'the role may not log in'],
    ['of nobody here', 7, 'not ours', undefined, 'Nothing was stored'],
    [
      'of what is only observed',
      8,
      'LIVE, NOT REVOKED',
      match('observed', { byHand: 'ALTER ROLE "orders_a" NOLOGIN;' }),
      'ALTER ROLE "orders_a" NOLOGIN;',
    ],
    [
      'dead for all that is known',
      9,
      'NOT CONFIRMED',
      match('not-confirmed', { why: 'the database does not answer' }),
      'the database does not answer',
    ],
  ] as const)('of a value that is %s ends with %i and says so', async (_what, code, word, found, detail) => {
    answers(...(found === undefined ? [] : [found]));
    for (const args of [ARGS, [...ARGS, '--yes'], [...ARGS, '--dry-run']]) {
      const { exit, stdout } = await rekey(api, args, { input: VALUE });
      expect([args.at(-1), exit]).toEqual([args.at(-1), code]);
      expect(stdout).toContain(word);
      expect(stdout).toContain(detail);
    }
    const machine = await rekey(api, [...ARGS, '--json'], { input: VALUE });
    expect(machine.exit).toBe(code);
    expect(JSON.parse(machine.stdout)).toMatchObject({ outcome: found?.outcome ?? 'not-ours' });
  });

  it('takes a word that it does not know for no good news', async () => {
    answers(match('quarantined'));
    expect((await rekey(api, [...ARGS, '--yes'], { input: VALUE })).exit).toBe(9);
  });

  it('asks on the terminal before it revokes, since standard input is taken', async () => {
    answers(match('live'));
    const no = await rekey(api, ARGS, { input: VALUE, tty: true, answer: 'no' });
    expect([no.exit, dryRuns()]).toEqual([1, [true]]);
    expect(no.stdout).toMatch(/orders-db .*order-agents[\s\S]*open sessions are ended/);
    const yes = await rekey(api, ARGS, { input: VALUE, tty: true, answer: 'yes' });
    expect([yes.exit, dryRuns()]).toEqual([0, [true, true, false]]);
  });

  it.each([['--dry-run'], []])(
    'says what happens at the upstream of the credential itself: %j',
    async (...flags) => {
      answers(match('live'));
      const about = { type: 'llm-key', provider: 'cohere', name: 'orders-db' };
      const credential = credentialView(credentialOf(about), undefined, 0);
      const text = 'delete the key "spare-1" at https://console.example';
      const manualRevocation = [{ handle: { id: 'k', generation: 1 }, text }];
      api.routes['GET /v1/credentials/orders-db'] = { body: { credential, rotations: [], manualRevocation } };
      const { stdout } = await rekey(api, [...ARGS, ...flags], { input: VALUE, tty: true, answer: 'no' });
      expect(stdout).toMatch(/cohere lets only a person end a key[\s\S]*BY HAND.*: delete the key "spare-1"/);
      expect(stdout).not.toContain('open sessions are ended');
    },
  );

  it('revokes nothing where nobody can be asked, and says that the value is live', async () => {
    answers(match('live'));
    const { exit, stderr } = await rekey(api, ARGS, { input: VALUE });
    expect([exit, dryRuns()]).toEqual([2, [true]]);
    expect(stderr).toMatch(/live \(orders-db\)[\s\S]*--yes/);
  });

  it('changes nothing in a dry run', async () => {
    answers(match('live'));
    const { exit, stdout } = await rekey(api, [...ARGS, '--dry-run'], { input: VALUE });
    expect([exit, dryRuns()]).toEqual([0, [true]]);
    expect(stdout).toMatch(/would be revoked[\s\S]*Nothing was changed/);
  });

  it('waits for the end of the emergency where that is wanted', async () => {
    answers(match('live'));
    const ended = (status: string) => ({
      body: { id: EMERGENCY, status, startedAt: '2026-11-22T12:00:00.000Z', results: [] },
    });
    api.routes[`GET /v1/emergencies/${EMERGENCY}`] = [ended('RUNNING'), ended('SUCCEEDED')];
    const well = await rekey(api, [...ARGS, '--yes', '--wait', '--json'], { input: VALUE });
    expect(well.exit).toBe(0);
    expect(JSON.parse(well.stdout)).toMatchObject({ outcome: 'live', ended: { status: 'SUCCEEDED' } });
    api.routes[`GET /v1/emergencies/${EMERGENCY}`] = ended('FAILED');
    expect((await rekey(api, [...ARGS, '--yes', '--wait'], { input: VALUE })).exit).toBe(4);
  });
});

describe('rekey revoke --leaked - with a token of a family', () => {
  const leak = (outcome: string, more: Partial<FamilyLeak> = {}): FamilyLeak => ({
    family: 'crm',
    familyId: ID,
    token: 'access',
    fingerprint: FINGERPRINT,
    givenAt: '2026-11-22T11:30:00.000Z',
    outcome,
    holders: ['tool-agents'],
    ...more,
  });
  const finds = (found: FamilyLeak): void => {
    api.routes['POST /v1/leaks'] = ({ body }) => {
      const { dryRun } = body as { dryRun: boolean };
      const answer: LeakAnswer = { outcome: found.outcome, dryRun, matches: [], families: [found] };
      return { body: answer };
    };
  };

  it('ends the family, says what the server said, and that a person consents anew', async () => {
    finds(leak('live', { revocation: 'pending' }));
    const pending = await rekey(api, [...ARGS, '--yes'], { input: VALUE });
    expect([pending.exit, dryRuns()]).toEqual([0, [false]]);
    expect(pending.stdout).toMatch(
      /live → revoked: crm \(access token .*tool-agents\)[\s\S]*not confirmed it yet[\s\S]*rekey connect crm/,
    );
    finds(leak('live', { revocation: 'revoked' }));
    const { stdout } = await rekey(api, [...ARGS, '--yes'], { input: VALUE });
    expect(stdout).toContain('its server has confirmed it');
  });

  it('asks before, with what it does to whom', async () => {
    finds(leak('live'));
    const no = await rekey(api, ARGS, { input: VALUE, tty: true, answer: 'no' });
    expect([no.exit, dryRuns()]).toEqual([1, [true]]);
    expect(no.stdout).toMatch(/Only a new consent[\s\S]*crm\S* {2}held by tool-agents/);
    const nobody = await rekey(api, ARGS, { input: VALUE });
    expect(nobody.exit).toBe(2);
    expect(nobody.stderr).toContain('live (crm)');
    const dry = await rekey(api, [...ARGS, '--dry-run'], { input: VALUE });
    expect([dry.exit, dry.stdout]).toEqual([0, expect.stringMatching(/would be revoked[\s\S]*Nothing was/)]);
  });

  it.each([
    ['dead', 6, 'already dead', { why: 'revoked in INC-1' }, 'revoked in INC-1'],
    ['not-confirmed', 9, 'NOT CONFIRMED', { why: 'its server gave it until then' }, 'rekey revoke crm'],
    ['not-confirmed', 9, 'NOT CONFIRMED', { family: undefined, why: 'it is gone' }, 'the former family'],
  ] as const)('that is %s ends with %i', async (outcome, code, word, more, detail) => {
    finds(leak(outcome, more));
    const { exit, stdout } = await rekey(api, [...ARGS, '--yes'], { input: VALUE });
    expect(exit).toBe(code);
    expect(stdout).toContain(word);
    expect(stdout).toContain(detail);
  });
});

describe('a leaked value is only ever read from standard input', () => {
  const incident = ['--incident', 'INC-9', '--reason', 'r'];

  it.each([
    ['on the command line', ['revoke', '--leaked', VALUE, ...incident]],
    ['with an equals sign', ['revoke', `--leaked=${VALUE}`, ...incident]],
    ['as a name beside it', ['revoke', VALUE, '--leaked', '-', ...incident]],
  ])('%s it is refused, not sent and not said again', async (_what, args) => {
    for (const flags of [[], ['--json']]) {
      const { exit, stdout, stderr } = await rekey(api, [...args, ...flags], { input: 'x' });
      expect([exit, api.seen]).toEqual([2, []]);
      expect(stdout + stderr).not.toContain(VALUE);
    }
  });

  it('a terminal is told how to pipe it, and nothing is read', async () => {
    const { exit, stderr } = await rekey(api, ['revoke', '--leaked', '-', ...incident], { tty: true });
    expect(exit).toBe(2);
    expect(stderr).toMatch(/terminal[\s\S]*pbpaste \| rekey revoke --leaked -/);
  });

  it.each([
    ['nothing', '\n', /no value/],
    ['far too much', VALUE.repeat(2000), /larger than a secret/],
  ])('%s is refused', async (_what, input, said) => {
    const args = ['revoke', '--leaked', '-', ...incident, '--yes'];
    const { exit, stdout, stderr } = await rekey(api, args, { input });
    expect([exit, api.seen]).toEqual([1, []]);
    expect(stderr).toMatch(said);
    expect(stdout + stderr).not.toContain(VALUE);
  });

  it('what is wrong with the rest is said before it is read', async () => {
    const bad = ['revoke', '--leaked', '-', '--incident', 'no good', '--reason', 'r'];
    const { exit, stderr } = await rekey(api, bad, { input: VALUE });
    expect([exit, api.seen]).toEqual([2, []]);
    expect(stderr).toContain('incident');
  });

  it('without it a credential has to be named', async () => {
    expect((await rekey(api, ['revoke', ...incident, '--yes'])).exit).toBe(2);
  });

  it('the help has an exit code for each answer', async () => {
    const { stdout } = await rekey(undefined, ['revoke', '--help']);
    for (const line of [
      /^ {2}0 {2}live/m,
      /^ {2}6 {2}already dead/m,
      /^ {2}7 {2}not ours/m,
      /^ {2}8 /m,
      /^ {2}9 /m,
    ]) {
      expect(stdout).toMatch(line);
    }
  });
});
