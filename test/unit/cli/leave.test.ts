import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialView, rotationView } from '../../../shared/api/views.ts';
import type { Credential } from '../../../shared/domain/credential.ts';
import { RekeyError } from '../../../shared/domain/errors.ts';
import type { Rotation } from '../../../shared/domain/rotation.ts';
import { credentialOf, ID, impactBody, ROTATION_ID, rotationOf } from '../api/fakes.ts';
import { refusal, rekey, startStandIn, type Reply, type StandIn } from './stand-in.ts';

const PAUSED = { since: '2026-11-22T11:00:00.000Z', actor: 'arn:alice', reason: 'change freeze' };

let api: StandIn;
beforeEach(async () => {
  api = await startStandIn();
});
afterEach(() => api.close());

const view = (changes: Partial<Credential> = {}, rotation?: Rotation) =>
  credentialView(credentialOf(changes), rotation);
const answer = (changes: Partial<Credential>, more: object = {}, rotation?: Rotation): Reply => ({
  body: { credential: view(changes, rotation), changed: true, backstop: 'aligned', ...more },
});
const posts = () => api.seen.filter(({ method }) => method === 'POST');

describe('rekey pause', () => {
  const path = 'POST /v1/credentials/orders-db/pause';

  it('sends the reason, and says what stands still and what works on', async () => {
    api.routes[path] = answer({ paused: PAUSED }, {}, rotationOf());
    const { exit, stdout } = await rekey(api, ['pause', 'orders-db', '--reason', 'change freeze']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/paused: orders-db \(rotation \S+ stands still: window\)[\s\S]*rekey revoke/);
    expect(posts()[0]?.body).toEqual({ reason: 'change freeze' });
  });

  it('asks again until the four steps are over and the schedule follows', async () => {
    const steps = answer({ paused: PAUSED }, { backstop: 'later' }, rotationOf({ phase: 'activating' }));
    api.routes[path] = [steps, answer({ paused: PAUSED }, { changed: false })];
    const { exit, stdout } = await rekey(api, ['pause', 'orders-db', '--reason', 'x']);
    expect([exit, posts().length]).toEqual([0, 2]);
    expect(stdout).toContain('paused: orders-db');
  });

  it('says who paused it first', async () => {
    api.routes[path] = answer({ paused: PAUSED }, { changed: false });
    const { exit, stdout } = await rekey(api, ['pause', 'orders-db', '--reason', 'x']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/paused already, since 2026-11-22 11:00:00 UTC by arn:alice: change freeze/);
  });

  it('with --all walks the pages, and names what failed when the others are done', async () => {
    const names = ['a-db', 'b-db', 'c-db'];
    api.routes['GET /v1/credentials'] = ({ query }) =>
      query['page'] === undefined
        ? { body: { credentials: [view({ name: 'a-db' }), view({ name: 'b-db' })], next: 'two' } }
        : { body: { credentials: [view({ name: 'c-db' })] } };
    for (const name of names)
      api.routes[`POST /v1/credentials/${name}/pause`] = answer({ name, paused: PAUSED });
    const halted = new RekeyError('ERR_MODE', 'an emergency of b-db is under way', {
      field: 'status',
      remedy: 'ask again once it has ended',
    });
    api.routes['POST /v1/credentials/b-db/pause'] = refusal(halted);
    const { exit, stdout, stderr } = await rekey(api, ['pause', '--all', '--reason', 'freeze']);
    expect(exit).toBe(1);
    expect(stdout).toContain('2 paused, 0 paused already, 1 failed');
    expect(stderr).toMatch(/b-db: an emergency[\s\S]*once it has ended[\s\S]*the others are done/);
    const machine = await rekey(api, ['pause', '--all', '--reason', 'freeze', '--json']);
    const listed = (JSON.parse(machine.stdout) as { credentials: { name: string; error?: object }[] })
      .credentials;
    expect(listed.map(({ name, error }) => [name, error !== undefined])).toEqual([
      ['a-db', false],
      ['b-db', true],
      ['c-db', false],
    ]);
  });

  it('changes nothing with --dry-run', async () => {
    api.routes['GET /v1/credentials/orders-db'] = {
      body: { credential: view({}, rotationOf()), rotations: [] },
    };
    const { exit, stdout } = await rekey(api, ['pause', 'orders-db', '--reason', 'x', '--dry-run']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/would be paused \(rotation[\s\S]*Nothing was changed/);
    expect(posts()).toEqual([]);
  });

  it.each([
    [['pause', '--reason', 'x']],
    [['pause', 'orders-db', '--all', '--reason', 'x']],
    [['pause', 'orders-db']],
    [['unpause']],
  ])('%j is wrong usage: nothing is sent', async (args) => {
    expect((await rekey(api, args)).exit).toBe(2);
    expect(api.seen).toEqual([]);
  });
});

describe('rekey unpause', () => {
  it('says what goes on', async () => {
    api.routes['POST /v1/credentials/orders-db/unpause'] = answer({}, {}, rotationOf());
    const { exit, stdout } = await rekey(api, ['unpause', 'orders-db']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/unpaused: orders-db \(rotation \S+ goes on: window\)/);
    expect(posts()[0]?.body).toEqual({});
  });
});

describe('a paused credential', () => {
  const shown = { credential: view({ paused: PAUSED }), rotations: [] };

  it('is shown as such, by list and show, and refused by rotate --dry-run', async () => {
    api.routes['GET /v1/credentials'] = { body: { credentials: [shown.credential] } };
    api.routes['GET /v1/credentials/orders-db'] = { body: shown };
    expect((await rekey(api, ['list'])).stdout).toMatch(/orders-db .* paused /);
    expect((await rekey(api, ['show', 'orders-db'])).stdout).toMatch(
      /paused +since .* arn:alice: change freeze/,
    );
    const impact = await impactBody(credentialOf({ paused: PAUSED }));
    api.routes['GET /v1/credentials/orders-db/impact'] = { body: impact };
    const dry = await rekey(api, ['rotate', 'orders-db', '--dry-run']);
    expect(dry).toMatchObject({
      exit: 1,
      stderr: expect.stringMatching(/rekey unpause orders-db[\s\S]*ERR_PAUSED/),
    });
  });
});

describe('a paused rotation', () => {
  // The pause came 10 minutes after the opening; it is noon, 20 minutes after that.
  const window = {
    opensAt: '2026-11-22T11:30:00.000Z',
    earliestClose: '2026-11-22T12:10:00.000Z',
    deadline: '2026-11-22T12:30:00.000Z',
    cap: '2026-11-22T15:30:00.000Z',
  };
  const paused = { ...PAUSED, since: '2026-11-22T11:40:00.000Z' };
  const show = async (changes: Partial<Rotation>, ...args: string[]) => {
    const rotation = rotationView(rotationOf(changes), { paused }, []);
    api.routes[`GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`] = { body: { rotation } };
    return (await rekey(api, ['show', 'orders-db', ROTATION_ID, ...args])).stdout;
  };

  it('is shown with what is left of its deadline and cap when the pause ends, as no instant', async () => {
    const stdout = await show({ window });
    expect(stdout).toMatch(/paused +stands still since 2026-11-22 11:40:00 UTC by arn:alice: change freeze/);
    expect(stdout).toMatch(/deadline +does not count while paused; in 50 min from the end of the pause/);
    expect(stdout).toMatch(/cap +does not count while paused; in 4 h from the end of the pause/);
    expect(stdout).toMatch(/earliest end +2026-11-22 12:10:00 UTC/);
    expect(stdout).toMatch(/waits for +the end of the pause; no holder/);
    expect(stdout).not.toContain('12:30:00');
  });

  it('says of a deadline that had passed by then that it had', async () => {
    const deadline = '2026-11-22T11:35:00.000Z';
    expect(await show({ window: { ...window, deadline } })).toMatch(/deadline .*passed before the pause/);
    const extended = { ...window, deadline, overdue: true };
    expect(await show({ window: extended })).toMatch(/deadline .*11:35:00 UTC – passed, extended/);
  });

  it('is not said of one that a pause does not stop', async () => {
    expect(await show({ window, phase: 'revoking' })).toMatch(/deadline +2026-11-22 12:30:00 UTC/);
  });

  it('says while it is watched that it stands still, and goes on once it does', async () => {
    const path = `GET /v1/credentials/orders-db/rotations/${ROTATION_ID}`;
    const seen = [{ paused }, {}].map((pause) => rotationView(rotationOf({ window }), pause));
    const over = rotationView(rotationOf({ window, phase: 'completed' }));
    api.routes[path] = [...seen, over].map((rotation) => ({ body: { rotation } }));
    const { exit, stdout } = await rekey(api, ['show', 'orders-db', ROTATION_ID, '--watch']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(/stands still, paused since .*\n.*deadline in 30 min\n.*completed/);
  });
});

describe('rekey unregister', () => {
  const reading = 'GET /v1/credentials/orders-db';
  const checking = 'POST /v1/credentials/orders-db/unregister';
  const doing = `POST /v1/credentials/${ID}/unregister`;
  const left = { outcome: 'unregistered', dryRun: false, name: 'orders-db', id: ID, alive: [] };
  const kept = { id: 'orders_app_a', generation: 3 };

  beforeEach(() => {
    const manualRevocation = [{ handle: kept, text: 'ALTER ROLE orders_app_a NOLOGIN' }];
    api.routes[reading] = { body: { credential: view(), rotations: [], manualRevocation } };
    api.routes[checking] = { body: { ...left, dryRun: true, alive: [kept] } };
    api.routes[doing] = { body: left };
  });

  it('with --yes checks first, then lets go by the id, and says where the trail is', async () => {
    const { exit, stdout } = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone', '--yes']);
    expect(exit).toBe(0);
    expect(stdout).toMatch(new RegExp(`unregistered: orders-db[\\s\\S]*rekey audit --credential ${ID}`));
    expect(posts().map(({ path, body }) => [path, body])).toEqual([
      ['/v1/credentials/orders-db/unregister', { reason: 'gone', dryRun: true }],
      [`/v1/credentials/${ID}/unregister`, { reason: 'gone', dryRun: false }],
    ]);
  });

  it('says before it asks what follows, and what works on', async () => {
    const ran = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone'], {
      tty: true,
      answer: 'no',
    });
    expect(ran.exit).toBe(1);
    expect(ran.stdout).toMatch(
      /its login .* works on[\s\S]*schedule[\s\S]*by hand[\s\S]*orders_app_a \(generation 3\)/,
    );
    expect(ran.stdout).toContain('ALTER ROLE orders_app_a NOLOGIN');
    expect(posts()).toHaveLength(1);
  });

  it('without anybody to ask demands --yes, and --dry-run changes nothing', async () => {
    const unasked = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone']);
    expect([unasked.exit, unasked.stderr]).toEqual([2, expect.stringContaining('add --yes')]);
    const dry = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone', '--dry-run']);
    expect([dry.exit, dry.stdout]).toEqual([0, expect.stringContaining('Nothing was changed')]);
    expect(posts().every(({ body }) => (body as { dryRun: boolean }).dryRun)).toBe(true);
  });

  it('shows the refusal of the API, before anything is asked', async () => {
    api.routes[checking] = refusal(
      new RekeyError('ERR_WINDOW_OPEN', 'rotation b0d3 is under way', { remedy: 'wait, or roll it back' }),
    );
    const { exit, stderr } = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone', '--yes']);
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/b0d3[\s\S]*roll it back[\s\S]*ERR_WINDOW_OPEN/),
    ]);
  });

  it('with --unconfirmed says before it asks which logins may go on working, and how to end them', async () => {
    const manualRevocation = [{ handle: kept, text: 'ALTER ROLE orders_app_a NOLOGIN' }];
    api.routes[reading] = {
      body: { credential: view({ status: 'halted' }), rotations: [], manualRevocation },
    };
    api.routes[checking] = { body: { ...left, dryRun: true, unconfirmed: [kept] } };
    api.routes[doing] = { body: { ...left, unconfirmed: [kept] } };
    const args = ['unregister', 'orders-db', '--unconfirmed', '--reason', 'its server is gone'];
    const asked = await rekey(api, args, { tty: true, answer: 'no' });
    expect(asked.exit).toBe(1);
    expect(asked.stdout).toMatch(
      /orders_app_a \(generation 3\) MAY GO ON WORKING.*nobody has confirmed.*ALTER ROLE orders_app_a NOLOGIN/,
    );
    expect(asked.stdout).not.toMatch(/was revoked|works on/);
    const done = await rekey(api, [...args, '--yes']);
    expect([done.exit, done.stdout]).toEqual([
      0,
      expect.stringMatching(/unregistered.*orders_app_a may go on/),
    ]);
    expect(posts().map(({ body }) => body)).toEqual([
      { reason: 'its server is gone', dryRun: true, unconfirmed: true },
      { reason: 'its server is gone', dryRun: true, unconfirmed: true },
      { reason: 'its server is gone', dryRun: false, unconfirmed: true },
    ]);
  });

  it('with --unconfirmed and nothing that is, says that the option changes nothing', async () => {
    const args = ['unregister', 'orders-db', '--unconfirmed', '--reason', 'gone'];
    const { exit, stdout } = await rekey(api, [...args, '--dry-run']);
    expect([exit, stdout]).toEqual([0, expect.stringContaining('--unconfirmed changes nothing')]);
  });

  it.each([[[]], [['--reason', ' ']]])(
    'with --unconfirmed and %j for a reason sends nothing',
    async (reason) => {
      const { exit, stderr } = await rekey(api, ['unregister', 'orders-db', '--unconfirmed', ...reason]);
      expect([exit, stderr]).toEqual([2, expect.stringContaining('--reason')]);
      expect(api.seen).toEqual([]);
    },
  );

  it('completes what was interrupted, though nobody knows the credential any more', async () => {
    api.routes[reading] = refusal(new RekeyError('ERR_NOT_FOUND', 'no credential "orders-db"'));
    api.routes[checking] = { body: { ...left, dryRun: true } };
    const { exit } = await rekey(api, ['unregister', 'orders-db', '--reason', 'gone', '--yes']);
    expect([exit, posts().length]).toEqual([0, 2]);
  });
});

describe('rekey list --not-in', () => {
  it('lists what no file declares, whatever number of files there is', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'rekey-list-'));
    try {
      const entry = (name: string) =>
        `version: 1\ncredentials:\n  - name: ${name}\n    type: database\n    provider: postgresql\n    secret: agents/${name}\n` +
        '    admin: admin/x\n    target: { host: db.internal, database: x, ownerRole: app }\n';
      await writeFile(join(dir, 'a.yaml'), entry('a-db'));
      await writeFile(join(dir, 'b.yaml'), entry('b-db'));
      const credentials = ['a-db', 'b-db', 'c-db'].map((name) => view({ name }));
      api.routes['GET /v1/credentials'] = { body: { credentials } };
      const one = await rekey(api, ['list', '--json', '--not-in', join(dir, 'a.yaml'), join(dir, 'b.yaml')]);
      const named = (JSON.parse(one.stdout) as { credentials: { name: string }[] }).credentials;
      expect(named.map(({ name }) => name)).toEqual(['c-db']);
      api.routes['GET /v1/credentials'] = { body: { credentials: credentials.slice(0, 1) } };
      const none = await rekey(api, ['list', '--not-in', join(dir, 'a.yaml')]);
      expect(none.stdout).toContain('Every registered credential is declared there (1)');
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
