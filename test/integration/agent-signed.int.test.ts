import { createHmac } from 'node:crypto';
import { base64url } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import {
  CLOSED_KEPT_SECONDS,
  isLost,
  LOST_AFTER_SECONDS,
  OPENING_SECONDS,
} from '../../shared/domain/agents.ts';
import { AGENT, type AgentApiWorld, Instance, type Answered } from '../support/agent-api.ts';
import { AgentsOnTable } from '../support/agents-on-table.ts';
import { credentialOf, ID, NOW, ROTATION_ID } from '../unit/api/fakes.ts';

/** The version before. */
const OLD = ID;
const OPENS_AT = '2026-11-22T11:50:00.000Z';
/** Another process under the role of the agent. */
const OTHER = { caller: 'arn:aws:sts::111122223333:assumed-role/checkout/host-9' };
const HOUR_MS = 3_600_000;

const table = new AgentsOnTable('agent-signed');
let world: AgentApiWorld;
beforeEach(() => {
  world = table.world;
});
const holding = (versionId: string) => [{ credential: 'orders-db', versionId }];
const use = (from: number, to: number, more: object = {}) => ({
  credential: 'orders-db',
  versionId: ROTATION_ID,
  succeeded: 7,
  refused: 1,
  from: world.at(from),
  to: world.at(to),
  ...more,
});
/** A running instance in an open window, with what it holds. */
async function running(name = 'host-1', alg: Instance['alg'] = 'EdDSA'): Promise<Instance> {
  await world.pact();
  await world.openWindow();
  const instance = await world.instance(name, alg);
  await instance.holds(ROTATION_ID);
  return instance;
}
const sessionOf = async ({ session }: Instance) => {
  const found = await table.agents.session(AGENT, session);
  if (found === undefined) throw new Error('it has been opened');
  return found;
};

describe('what an instance says of itself', () => {
  for (const alg of ['EdDSA', 'ES256', 'HS256'] as const)
    test(`is taken where it has signed it with ${alg}`, async () => {
      const instance = await running('host-1', alg);
      world.now += 60_000;
      expect(await instance.holds(OLD)).toMatchObject({ status: 200, body: { notices: [{}] } });
      expect(await instance.report([use(-9, -5)])).toMatchObject({ status: 200, body: { reported: 1 } });
      expect(await sessionOf(instance)).toMatchObject({ seenAt: world.at(0), holds: holding(OLD) });
    });

  test('is refused by name where anything about it is wrong, and nothing is kept', async () => {
    const [instance, sibling] = [await running(), await running('host-2')];
    const symmetric = await running('host-3', 'HS256');
    const about = { session: instance.session };
    const payloads = {
      heartbeat: { ...about, sequence: 99, holds: holding(OLD) },
      uses: { ...about, uses: [use(-9, -5)] },
    };
    const before = await table.stored();
    for (const [what, payload] of Object.entries(payloads)) {
      const header = (alg: string) => base64url.encode(JSON.stringify({ alg }));
      const body = base64url.encode(JSON.stringify(payload));
      // The public key, which anybody may know, used as the secret of a keyed hash.
      const mac = createHmac('sha256', Buffer.from(String(instance.jwk.x), 'base64url'))
        .update(`${header('HS256')}.${body}`)
        .digest('base64url');
      const cases: [string, Promise<Answered>, number, string][] = [
        ["a sibling's signature", say(instance, what, await sibling.sign(payload)), 403, 'ERR_PROOF'],
        ["a sibling's word", say(sibling, what, await instance.sign(payload)), 403, 'ERR_PROOF'],
        ['no signature', say(instance, what, `${header('none')}.${body}.eA`), 403, 'ERR_PROOF'],
        ['another algorithm', say(instance, what, `${header('HS256')}.${body}.${mac}`), 403, 'ERR_PROOF'],
        [
          'another hash',
          say(
            symmetric,
            what,
            await symmetric.sign({ ...payload, session: symmetric.session }, { alg: 'HS512' }),
          ),
          403,
          'ERR_PROOF',
        ],
        ['an unknown field', say(instance, what, await instance.sign({ ...payload, admin: true })), 400, ''],
        [
          'the word that closes',
          say(instance, what, await instance.sign({ ...about, closed: true })),
          400,
          '',
        ],
        ['what is not signed', instance.say(what, payload), 400, ''],
      ];
      for (const [name, answered, status, code] of cases) {
        const { status: got, body: problem } = await answered;
        expect([what, name, got, problem['code']]).toEqual([what, name, status, code || 'ERR_REQUEST']);
      }
    }
    const exchanged = await instance.sign(payloads.uses);
    expect(await say(instance, 'heartbeat', exchanged)).toMatchObject({ status: 400 });
    expect(await table.stored()).toEqual(before);
  });
});

describe('a heartbeat', () => {
  test('that comes again is success and keeps nobody alive, whoever sends it', async () => {
    const instance = await running();
    const jws = await instance.heartbeat(holding(ROTATION_ID));
    table.stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'UpdateItem' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    expect(await say(instance, 'heartbeat', jws)).toMatchObject({ status: 200 });
    const said = await sessionOf(instance);
    world.now += LOST_AFTER_SECONDS * 1000;
    expect(await say(instance, 'heartbeat', jws, OTHER)).toMatchObject({
      status: 200,
      body: { notices: [{ credential: 'orders-db' }] },
    });
    expect(await sessionOf(instance)).toEqual(said);
    expect(isLost(await sessionOf(instance), world.now)).toBe(true);
    // Its own next one brings it back.
    expect(await instance.holds(ROTATION_ID)).toMatchObject({ status: 200 });
    expect(isLost(await sessionOf(instance), world.now)).toBe(false);
  });

  test('that comes after a newer one is refused, and takes nothing back', async () => {
    const instance = await running();
    const former = await instance.heartbeat(holding(OLD));
    await say(instance, 'heartbeat', former);
    await instance.holds(ROTATION_ID);
    await instance.acknowledge();
    const before = await table.stored();
    world.now += 60_000;
    expect(await say(instance, 'heartbeat', former, OTHER)).toMatchObject({
      status: 409,
      body: { code: 'ERR_CONFLICT', field: 'payload.sequence', remedy: expect.stringContaining('above 4') },
    });
    expect(await table.stored()).toEqual(before);
  });

  test('of two with one number at once is one, which both are answered by', async () => {
    const instance = await running();
    const number = { session: instance.session, sequence: 50 };
    const both = await Promise.all(
      [OLD, ROTATION_ID].map(async (versionId) =>
        say(instance, 'heartbeat', await instance.sign({ ...number, holds: holding(versionId) })),
      ),
    );
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect(await sessionOf(instance)).toMatchObject({ sequence: 50, holds: [{}] });
  });

  test('from before an acknowledgement does not contradict it when it comes again', async () => {
    const instance = await running();
    const jws = await instance.heartbeat(holding(OLD));
    await say(instance, 'heartbeat', jws);
    world.now += 10_000;
    expect(await instance.acknowledge()).toMatchObject({ status: 200 });
    world.now += 10_000;
    expect(await say(instance, 'heartbeat', jws, OTHER)).toMatchObject({ status: 200 });
    const [kept] = await table.agents.acknowledgements({ rotation: ROTATION_ID, opensAt: OPENS_AT });
    expect(kept).not.toHaveProperty('contradictedAt');
  });

  test('whose function died before it had flagged a contradiction flags it when it comes again', async () => {
    const instance = await running();
    await instance.acknowledge();
    world.now += 60_000;
    const jws = await instance.heartbeat(holding(OLD));
    Object.assign(table.agents, { contradict: () => Promise.reject(new Error('died')) });
    expect(await say(instance, 'heartbeat', jws)).toMatchObject({ status: 500 });
    Reflect.deleteProperty(table.agents, 'contradict');
    world.now += 60_000;
    expect(await say(instance, 'heartbeat', jws)).toMatchObject({ status: 200 });
    expect(await table.agents.acknowledgements({ rotation: ROTATION_ID, opensAt: OPENS_AT })).toMatchObject([
      { contradictedAt: new Date(NOW + 60_000).toISOString() },
    ]);
  });

  test('of a session that was opened again in the same place has a number above its opening', async () => {
    const instance = await running();
    const former = await instance.heartbeat(holding(OLD));
    await instance.close();
    await instance.open();
    expect(await say(instance, 'heartbeat', former)).toMatchObject({ status: 403 });
    const { opening = 0 } = await sessionOf(instance);
    const numbered = (sequence: number) =>
      instance.sign({ session: instance.session, sequence, holds: holding(OLD) });
    expect(await say(instance, 'heartbeat', await numbered(opening))).toMatchObject({
      status: 409,
      body: { field: 'payload.sequence' },
    });
    expect(await sessionOf(instance)).toMatchObject({ holds: [] });
    expect(await say(instance, 'heartbeat', await numbered(opening + 1))).toMatchObject({ status: 200 });
    expect(await sessionOf(instance)).toMatchObject({ sequence: opening + 1, holds: holding(OLD) });
  });
});

describe('an opening', () => {
  const sessions = () => table.agents.sessions(AGENT);

  test('that comes again is the same session while that is open, and opens nothing once it has closed or is forgotten', async () => {
    await world.pact();
    const instance = await Instance.make(world);
    // The answer to the first one is lost, so that the instance asks again.
    const openings = [await instance.opening(), await instance.opening()];
    for (const opening of openings)
      expect(await instance.sendOpening(opening)).toMatchObject({ status: 201 });
    const { session } = instance;
    const before = await table.stored();
    for (const opening of openings)
      expect(await instance.sendOpening(opening, OTHER)).toMatchObject({ status: 201, body: { session } });
    expect(await table.stored()).toEqual(before);
    await instance.close();
    const closed = await table.stored();
    // At each moment until nobody remembers the session, and beyond.
    for (let seconds = 0; seconds <= 2 * CLOSED_KEPT_SECONDS; seconds += 15) {
      world.now = NOW + seconds * 1000;
      for (const opening of openings)
        expect([seconds, await instance.sendOpening(opening, OTHER)]).toMatchObject([
          seconds,
          { status: 409, body: { code: 'ERR_CONFLICT' } },
        ]);
    }
    expect(await table.stored()).toEqual(closed);
    expect(await sessions()).toEqual([]);
    // Its own next one.
    expect(await instance.open()).toMatchObject({ status: 201 });
    expect(instance.session).not.toBe(session);
  });

  test('is good for a minute either way, and no longer than its session is remembered, had that closed at once', async () => {
    await world.pact();
    const instance = await Instance.make(world);
    for (const seconds of [-OPENING_SECONDS - 1, OPENING_SECONDS + 1]) {
      const opening = await instance.opening({ at: world.at(seconds) });
      expect(await instance.sendOpening(opening)).toMatchObject({
        status: 409,
        body: { code: 'ERR_CONFLICT', field: 'payload.at', remedy: expect.stringContaining('Date') },
      });
    }
    expect(await sessions()).toEqual([]);
    const latest = await instance.opening({ at: world.at(OPENING_SECONDS) });
    expect(await instance.sendOpening(latest)).toMatchObject({ status: 201 });
    await instance.close();
    world.now += 2 * OPENING_SECONDS * 1000;
    expect(await sessions()).toHaveLength(1);
    expect(await instance.sendOpening(latest)).toMatchObject({
      status: 409,
      body: { field: 'payload.sequence' },
    });
    world.now += 1;
    expect(await instance.sendOpening(latest)).toMatchObject({ status: 409, body: { field: 'payload.at' } });
  });

  test('is refused where it was signed by another key, for another agent or for something else, and nothing is kept', async () => {
    await world.pact();
    const [instance, other] = [await Instance.make(world), await Instance.make(world)];
    const before = await table.stored();
    const about = { agent: AGENT, instance: 'host-1', sequence: 1, at: world.at(0) };
    const cases: [string, number, string][] = [
      [await other.opening(), 403, 'ERR_PROOF'],
      [await instance.opening({ agent: 'search' }), 403, 'ERR_PROOF'],
      [await instance.sign({ session: 's', sequence: 1, holds: [] }), 400, 'ERR_REQUEST'],
      [await instance.sign({ session: 's', closed: true }), 400, 'ERR_REQUEST'],
      [await instance.sign({ ...about, admin: true }), 400, 'ERR_REQUEST'],
      [await instance.sign({ ...about, instance: 'a b' }), 400, 'ERR_REQUEST'],
      [await instance.sign({ ...about, sequence: -1 }), 400, 'ERR_REQUEST'],
    ];
    for (const [opening, status, code] of cases)
      expect(await instance.sendOpening(opening)).toMatchObject({ status, body: { code } });
    expect(await table.stored()).toEqual(before);
    // And it serves for nothing else in a session.
    await instance.open();
    const opening = await instance.opening();
    for (const what of ['heartbeat', 'uses', 'close'])
      expect(await say(instance, what, opening)).toMatchObject({ status: 400 });
  });

  test('of many with one number at once opens one session', async () => {
    await world.pact();
    const instance = await Instance.make(world);
    const opening = await instance.opening();
    const answers = await Promise.all(Array.from({ length: 6 }, () => instance.sendOpening(opening)));
    expect(new Set(answers.map(({ status, body }) => `${status} ${String(body['session'])}`)).size).toBe(1);
    expect(await sessions()).toHaveLength(1);
  });
});

describe('a report of uses', () => {
  const counted = async () =>
    (await table.agents.uses(ID, world.at(-2 * 86_400), world.at(0))).reduce(
      (total, { succeeded, refused }) => total + succeeded + refused,
      0,
    );

  test('counts once however often it comes, and only for what the agent has', async () => {
    const instance = await running();
    const times = { from: '2026-11-22T13:59:00+02:00', to: '2026-11-22T13:59:30+02:00' };
    table.stack.gateway.faults.add({
      match: { service: 'dynamodb', operation: 'UpdateItem' },
      times: 1,
      action: { kind: 'lose-answer' },
    });
    const uses = [use(0, 0, times)];
    expect(await instance.report(uses)).toMatchObject({ status: 200, body: { reported: 1 } });
    await instance.report(uses);
    expect(await table.agents.uses(ID, world.at(-120), world.at(0))).toMatchObject([
      { session: instance.session, succeeded: 7, refused: 1, from: '2026-11-22T11:59:00.000Z' },
    ]);
    expect(await instance.report([use(-9, -5, { credential: 'payroll' })])).toMatchObject({
      status: 200,
      body: { reported: 0 },
    });
    // Nobody's credential is nobody's concern; one of others is unusual.
    expect(await table.agents.strays(world.at(-60), world.at(60))).toEqual([]);
    world.ledger.add(credentialOf({ id: 'c-payroll', name: 'payroll', holders: [] }));
    for (const counts of [{ succeeded: 0, refused: 0 }, {}])
      expect(await instance.report([use(-9, -5, { credential: 'payroll', ...counts })])).toMatchObject({
        status: 200,
        body: { reported: 0 },
      });
    expect(await table.agents.strays(world.at(-60), world.at(60))).toEqual([
      { credentialId: 'c-payroll', agent: AGENT, at: world.at(0) },
    ]);
    expect(await table.agents.uses('c-payroll', world.at(-60), world.at(60))).toEqual([]);
    // An emergency has ended the other: what was refused with it is no reason to lose the rest of the report.
    const dead = use(-9, -5, { versionId: 'ended-by-an-emergency' });
    expect(await instance.report([dead, use(-9, -5)])).toMatchObject({ status: 200, body: { reported: 1 } });
  });

  test('is refused by the name of its field where that is wrong', async () => {
    const instance = await running();
    for (const [wrong, field] of [
      [{ from: world.at(-4000), to: world.at(-3900) }, 'payload.uses[0].from'],
      [{ from: world.at(-900) }, 'payload.uses[0].to'],
      [{ to: world.at(61) }, 'payload.uses[0].to'],
      [{ succeeded: -1 }, 'payload.uses[0].succeeded'],
      [{ from: 'yesterday' }, 'payload.uses[0].from'],
    ] as const)
      expect(await instance.report([use(-10, -5, wrong)])).toMatchObject({ status: 400, body: { field } });
    expect(await counted()).toBe(0);
  });

  // Around midnight, from the first second on until nobody remembers it.
  test('that somebody sends again counts for nothing, in its minute, in a later one, and in the days after', async () => {
    world.now = Date.parse('2026-11-22T23:59:00.000Z');
    const instance = await running();
    const report = async (from: number, to: number): Promise<string> => {
      const jws = await instance.sign({
        session: instance.session,
        uses: [use(from, to), use(from, to, { versionId: OLD })],
      });
      expect(await say(instance, 'uses', jws)).toMatchObject({ status: 200 });
      return jws;
    };
    const sent: string[] = [];
    const passAndRepeat = async (ms: number): Promise<void> => {
      world.now += ms;
      const before = await counted();
      for (const jws of sent) expect(await say(instance, 'uses', jws, OTHER)).toMatchObject({ status: 200 });
      expect(await counted()).toBe(before);
    };
    sent.push(await report(0, 10));
    await passAndRepeat(20_000);
    // Of the same minute, of two, of the next day.
    sent.push(await report(-10, 0));
    await passAndRepeat(30_000);
    sent.push(await report(-30, 20));
    await passAndRepeat(60_000);
    sent.push(await report(-40, 0));
    await passAndRepeat(50 * 60_000);
    expect(await counted()).toBe(4 * 2 * 8);

    for (const ms of [HOUR_MS, 23 * HOUR_MS]) {
      world.now += ms;
      await instance.holds(ROTATION_ID);
      const before = await table.stored();
      for (const jws of sent)
        expect(await say(instance, 'uses', jws, OTHER)).toMatchObject({
          status: 400,
          body: { field: 'payload.uses[0].from' },
        });
      expect(await table.stored()).toEqual(before);
    }
  });

  test('of another version that comes again contradicts no acknowledgement that was given since', async () => {
    const instance = await running();
    await instance.acknowledge();
    const jws = await instance.sign({ session: instance.session, uses: [use(1, 5, { versionId: OLD })] });
    world.now += 10_000;
    await say(instance, 'uses', jws);
    const acknowledged = () => table.agents.acknowledgements({ rotation: ROTATION_ID, opensAt: OPENS_AT });
    expect((await acknowledged())[0]).toHaveProperty('contradictedAt');
    await instance.acknowledge();
    await say(instance, 'uses', jws, OTHER);
    expect((await acknowledged())[0]).not.toHaveProperty('contradictedAt');
  });
});

async function say(
  instance: Instance,
  what: string,
  jws: string,
  options: { caller?: string } = {},
): Promise<Answered> {
  return instance.say(what, { [what]: jws }, options);
}
