import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StagedStep } from '../../../shared/api/messages.ts';
import { credentialView, rotationView } from '../../../shared/api/views.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { credentialOf, ID, ROTATION_ID, rotationOf } from '../api/fakes.ts';
import { rekey, startStandIn, type StandIn } from './stand-in.ts';

let api: StandIn;
const about = ['--incident', 'HR-77', '--reason', 'ada leaves'];
const known = ['revoke', '--known-by', 'ada', ...about];
const body = { select: { knownBy: 'ada' }, incident: 'HR-77', reason: 'ada leaves', dryRun: false };

const step = (changes: Partial<StagedStep> = {}): StagedStep => ({
  credential: 'orders-db',
  credentialId: ID,
  type: 'database',
  provider: 'postgresql',
  act: 'started',
  why: ['ada is declared to know it'],
  rotation: ROTATION_ID,
  beside: [],
  tasks: [],
  ...changes,
});
const reply = (steps: readonly StagedStep[], more: object = {}) => ({
  status: 202,
  body: { dryRun: false, steps, families: [], unknown: [], left: 0, ...more },
});
const byHand = step({
  credential: 'models',
  credentialId: 'models-id',
  act: 'by-hand',
  rotation: undefined,
  text: 'models is in mode observe',
  remedy: 'delete it at the dashboard',
});

beforeEach(async () => {
  api = await startStandIn();
});
afterEach(async () => {
  await api.close();
});

describe('rekey revoke --known-by', () => {
  it('rotates without asking, and says of each why, what is done and what is left to a person', async () => {
    api.routes['POST /v1/rotations'] = reply([step({ tasks: ['confirm the report'] }), byHand], {
      families: [{ family: 'crm', why: 'ada consented at then', remedy: 'rekey connect crm' }],
      unknown: ['somebody read it'],
    });
    const { exit, stdout } = await rekey(api, known);
    expect(stdout).toMatch(
      /started {2}orders-db[\s\S]*because ada is declared[\s\S]*to do: confirm the report[\s\S]*BY HAND {2}models[\s\S]*delete it at the dashboard/,
    );
    expect(stdout).toMatch(/BY HAND {2}crm[\s\S]*rekey connect crm[\s\S]*not known: somebody read it/);
    expect(stdout).toContain('1 started, 1 by hand, 1 token families by hand');
    expect([exit, api.seen.map((each) => each.body)]).toEqual([4, [body]]);
  });

  it('ends with 0 where all has begun, and where nothing is left', async () => {
    api.routes['POST /v1/rotations'] = [
      reply([step(), step({ credentialId: 'b', act: 'joined' })]),
      reply([]),
    ];
    expect((await rekey(api, known)).exit).toBe(0);
    const { exit, stdout } = await rekey(api, known);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('Nothing is left')]);
  });

  it('shows with --dry-run, whatever a person has to do, and changes nothing', async () => {
    api.routes['POST /v1/rotations'] = reply([step({ act: 'start', rotation: undefined }), byHand], {
      dryRun: true,
    });
    const { exit, stdout } = await rekey(api, [...known, '--dry-run', '--json']);
    expect([exit, api.seen[0]?.body]).toEqual([0, { ...body, dryRun: true }]);
    expect(JSON.parse(stdout)).toMatchObject({ dryRun: true, steps: [{ act: 'start' }, { act: 'by-hand' }] });
  });

  it('asks again for what had no turn in one request, and tells each once', async () => {
    api.routes['POST /v1/rotations'] = [
      reply([step()], { left: 1 }),
      reply([step({ act: 'joined' }), step({ credential: 'two', credentialId: 'two' })]),
    ];
    const { exit, stdout } = await rekey(api, known);
    expect([exit, api.seen.length]).toEqual([0, 2]);
    expect(stdout.match(/orders-db/g)).toHaveLength(1);
    expect(stdout).toContain('2 started.');
  });

  it('gives up with 5 where nothing gets a turn any more', async () => {
    api.routes['POST /v1/rotations'] = reply([step()], { left: 3 });
    const { exit, stderr } = await rekey(api, known);
    expect([exit, stderr]).toEqual([5, expect.stringContaining('run the same command again')]);
  });

  it.each<[string, Partial<Rotation>, number]>([
    ['completed', {}, 0],
    ['aborted', { phase: 'aborted' }, 4],
    ['stuck', { stuck: true, phase: 'revoking' }, 4],
  ])('waits with --wait until each is over: %s ends with %i', async (_what, changes, code) => {
    const done = rotationOf({ phase: 'completed', ...changes });
    const of = (rotation: Rotation) =>
      credentialView(credentialOf({ activeRotation: ROTATION_ID }), rotation, 0);
    api.routes['POST /v1/rotations'] = reply([step()]);
    api.routes['GET /v1/credentials'] = [
      { body: { credentials: [of(rotationOf())] } },
      'cut',
      'cut',
      'cut',
      'cut',
      { body: { credentials: [credentialView(credentialOf(), undefined, 0)] } },
    ];
    api.routes[`GET /v1/credentials/${ID}/rotations/${ROTATION_ID}`] = {
      body: { rotation: rotationView(done, credentialOf()) },
    };
    const { exit, stdout } = await rekey(api, [...known, '--wait', '--json']);
    expect(exit).toBe(code);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toMatchObject([{ steps: [{ act: 'started' }] }, { credential: 'orders-db' }]);
  });

  it('is an emergency with --emergency, which asks and is revoked at once with --yes', async () => {
    api.routes['POST /v1/emergencies'] = {
      status: 202,
      body: { id: 'e-1', credentials: [ID], unresolved: [] },
    };
    expect((await rekey(api, [...known, '--emergency'])).exit).toBe(2);
    const { exit } = await rekey(api, [...known, '--emergency', '--yes']);
    expect([exit, api.seen.map((each) => each.body)]).toEqual([
      0,
      [{ select: { knownBy: 'ada' }, incident: 'HR-77', reason: 'ada leaves', replace: true }],
    ]);
  });

  it.each([
    [['--known-by', 'ada', '--agent', 'a'], 'give one of'],
    [['--known-by', 'ada', 'orders-db'], 'name none'],
    [['--known-by', 'ada', '--no-replace'], 'add --emergency'],
    [['--agent', 'a', '--emergency'], 'goes with --known-by'],
    [['--known-by', ' '], 'is empty'],
  ])('%j is refused before anything is asked', async (flags, said) => {
    const { exit, stderr } = await rekey(api, ['revoke', ...flags, ...about]);
    expect([exit, stderr, api.seen]).toEqual([2, expect.stringContaining(said), []]);
  });
});

describe('rekey decommission', () => {
  const path = 'POST /v1/agents/order-agent/decommission';
  const args = ['decommission', 'order-agent', '--incident', 'OPS-1', '--reason', 'replaced'];
  const answered = (more: object = {}) => ({
    body: {
      dryRun: false,
      changed: true,
      agent: 'order-agent',
      at: '2026-11-22T12:00:00.000Z',
      actor: 'arn:alice',
      held: [{ credential: 'orders-db', kind: 'client', alone: true }],
      families: ['crm'],
      handsTo: ['helper'],
      handedBy: ['boss'],
      principals: ['arn:aws:iam::111122223333:role/order-agent'],
      ...more,
    },
  });

  it('takes its say first, then replaces what it held, and names what is its owner’s', async () => {
    api.routes[path] = answered();
    api.routes['POST /v1/rotations'] = reply([step()]);
    const { exit, stdout } = await rekey(api, [...args, '--yes']);
    expect(exit).toBe(0);
    expect(api.seen.map((each) => [each.path, (each.body as { dryRun?: boolean }).dryRun])).toEqual([
      ['/v1/agents/order-agent/decommission', true],
      ['/v1/agents/order-agent/decommission', false],
      ['/v1/rotations', false],
    ]);
    expect(api.seen[2]?.body).toMatchObject({ select: { agent: 'order-agent' }, incident: 'OPS-1' });
    expect(stdout).toMatch(/hands something to helper[\s\S]*out of service: order-agent[\s\S]*started/);
    expect(stdout).toMatch(/yours: arn:aws:iam::111122223333:role\/order-agent may read/);
    expect(stdout).toMatch(/out of the holders of orders-db, crm[\s\S]*delegates in the pacts of boss/);
    expect(stdout).toMatch(/nobody else holds orders-db/);
  });

  it('changes nothing with --dry-run, and has all of it in one answer', async () => {
    api.routes[path] = answered({ dryRun: true });
    api.routes['POST /v1/rotations'] = reply([step({ act: 'start' })], { dryRun: true });
    const { exit, stdout } = await rekey(api, [...args, '--dry-run', '--json']);
    expect([exit, api.seen.map((each) => (each.body as { dryRun?: boolean }).dryRun)]).toEqual([
      0,
      [true, true],
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      agent: { held: [{ alone: true }] },
      steps: [{ act: 'start' }],
    });
  });

  it('asks, and leaves everything as it is on a no', async () => {
    api.routes[path] = answered();
    expect((await rekey(api, args)).exit).toBe(2);
    const no = await rekey(api, args, { tty: true, answer: 'no' });
    expect([no.exit, api.seen.every((each) => (each.body as { dryRun?: boolean }).dryRun)]).toEqual([
      1,
      true,
    ]);
  });

  it('revokes with --emergency what it held', async () => {
    api.routes[path] = answered({ changed: false });
    api.routes['POST /v1/emergencies'] = {
      status: 202,
      body: { id: 'e-1', credentials: [ID], unresolved: [] },
    };
    const { exit, stdout } = await rekey(api, [...args, '--emergency', '--yes']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('by arn:alice')]);
    expect(api.seen.at(-1)?.body).toMatchObject({ select: { agent: 'order-agent' }, incident: 'OPS-1' });
  });

  it('refuses what is no incident before anything is asked', async () => {
    const { exit } = await rekey(api, [
      'decommission',
      'a',
      '--incident',
      'two words',
      '--reason',
      'r',
      '--yes',
    ]);
    expect([exit, api.seen]).toEqual([2, []]);
  });
});
