import { randomUUID } from 'node:crypto';
import { base64url } from 'jose';
import { beforeEach, describe, expect, test } from 'vitest';
import { LOST_AFTER_SECONDS, MAX_RUNNING_SESSIONS, MAX_SESSIONS } from '../../shared/domain/agents.ts';
import { AGENT, type AgentApiWorld, holder, Instance, pactOf, SIBLING, VALUE } from '../support/agent-api.ts';
import { AgentsOnTable } from '../support/agents-on-table.ts';
import { credentialOf, ID, NOW, ROTATION_ID, rotationOf } from '../unit/api/fakes.ts';

/** The version before. */
const OLD = ID;
const OPENS_AT = '2026-11-22T11:50:00.000Z';

const table = new AgentsOnTable('agent-api');
let world: AgentApiWorld;
beforeEach(() => {
  world = table.world;
});
const acknowledgements = () => table.agents.acknowledgements({ rotation: ROTATION_ID, opensAt: OPENS_AT });
const loseAnswers = (operation: string): void => {
  table.stack.gateway.faults.add({
    match: { service: 'dynamodb', operation },
    times: 1,
    action: { kind: 'lose-answer' },
  });
};
/** A running instance in an open window, with what it holds. */
async function running(name = 'host-1', alg: Instance['alg'] = 'EdDSA'): Promise<Instance> {
  await world.pact();
  await world.openWindow();
  const instance = await world.instance(name, alg);
  await instance.holds(ROTATION_ID);
  return instance;
}

describe('a pact', () => {
  test('is registered by its agent, once for the same terms, and once more for others', async () => {
    expect(await world.pact()).toMatchObject({ status: 200, body: { outcome: 'registered' } });
    expect(await world.pact()).toMatchObject({ status: 200, body: { outcome: 'unchanged' } });
    expect(await world.pact({ checkpoint: true })).toMatchObject({ body: { pact: { version: 2 } } });
  });

  test('of two who register it at once is one version', async () => {
    const both = await Promise.all([world.pact(), world.pact()]);
    expect(both.map(({ body }) => String(body['outcome'])).toSorted()).toEqual(['registered', 'unchanged']);
    expect(await table.agents.pact(AGENT)).toMatchObject({ version: 1 });
  });

  test('by anybody else, or over what is not declared, is refused, and nothing is stored', async () => {
    const attempts = [
      await world.call('PUT', `/agents/${AGENT}/pact`, pactOf(), { caller: SIBLING }),
      await world.pact({}, { credential: 'payroll' }),
      await world.pact({}, { ttl: '16m' }),
      await world.pact({}, { delegates: ['stranger'] }),
      await world.call('PUT', '/agents/other/pact', pactOf()),
      await world.pact({ colour: 'red' }),
    ];
    expect(attempts.map(({ status, body }) => [status, body['code'], body['field']])).toEqual([
      [403, 'ERR_FORBIDDEN', 'agent'],
      [422, 'ERR_PACT', 'credentials[0].credential'],
      [422, 'ERR_PACT', 'credentials[0].ttl'],
      [422, 'ERR_PACT', 'credentials[0].delegates[0]'],
      [400, 'ERR_REQUEST', 'agent'],
      [422, 'ERR_PACT', 'colour'],
    ]);
    expect(attempts[2]?.body['detail']).toMatch(/960 s.*1800 s/);
    expect(await table.stored()).toEqual([]);
  });

  test('that closes a circle of delegation is refused by the name of the circle, also where two close it at once', async () => {
    const search = { caller: SIBLING };
    const principal = 'arn:aws:iam::111122223333:role/search';
    world.ledger.add(credentialOf({ holders: [holder(), holder('search', principal)] }));
    const answers = await Promise.all([
      world.pact({}, { delegates: ['search'] }),
      world.call('PUT', '/agents/search/pact', pactOf({ agent: 'search' }, { delegates: [AGENT] }), search),
    ]);
    expect(answers.map(({ status }) => String(status)).toSorted()).toEqual(['200', '422']);
    const refused = answers.find(({ status }) => status === 422);
    expect(refused?.body['detail']).toMatch(/checkout → search → checkout|search → checkout → search/);
  });
});

describe('a session', () => {
  test('is opened with notices, and the same instance with the same key is in the same one, also after a lost answer', async () => {
    await world.pact();
    const instance = await Instance.make(world);
    loseAnswers('PutItem');
    expect(await instance.open()).toMatchObject({
      status: 201,
      body: { heartbeatSeconds: 60, notices: [{ credential: 'orders-db', state: 'steady', versionId: ID }] },
    });
    const { session } = instance;
    await instance.open();
    expect(instance.session).toBe(session);
    expect(await table.agents.sessions(AGENT)).toHaveLength(1);
    const other = await world.instance();
    expect(other.session).not.toBe(session);
  });

  test('is nothing that another role opens, hears of or speaks for', async () => {
    const instance = await running();
    const before = await table.stored();
    const caller = { caller: SIBLING };
    const own = { key: instance.jwk, opening: await instance.opening() };
    const attempts = [
      await world.call('POST', `/agents/${AGENT}/sessions`, own, caller),
      await instance.beat([], caller),
      await instance.say('notices', undefined, caller),
      await instance.say('challenges', { rotation: ROTATION_ID }, caller),
      await instance.say(
        'close',
        { close: await instance.sign({ session: instance.session, closed: true }) },
        caller,
      ),
    ];
    for (const { status, body } of attempts) expect([status, body['code']]).toEqual([403, 'ERR_FORBIDDEN']);
    expect(await table.stored()).toEqual(before);
  });

  test('needs a pact, and a holder that is still declared under the role', async () => {
    const instance = await Instance.make(world);
    expect(await instance.open()).toMatchObject({ status: 404, body: { field: 'agent' } });
    await world.pact();
    await instance.open();
    world.ledger.add(credentialOf({ holders: [holder(AGENT, 'arn:aws:iam::111122223333:role/other')] }));
    expect(await instance.holds(OLD)).toMatchObject({ status: 403 });
  });

  test('takes no private key, no weak one and no other algorithm', async () => {
    await world.pact();
    const instance = await Instance.make(world);
    const { jwk } = instance;
    for (const wrong of [
      { ...jwk, d: jwk.x },
      { kty: 'RSA', n: 'AQAB', e: 'AQAB' },
      { kty: 'oct', k: 'c2hvcnQ' },
      { kty: 'EC', crv: 'P-256', x: jwk.x, y: jwk.x },
      { ...jwk, alg: 'HS256' },
      'key',
    ]) {
      const opening = await instance.opening();
      const answered = await world.call('POST', `/agents/${AGENT}/sessions`, { key: wrong, opening });
      expect(answered).toMatchObject({
        status: 400,
        body: { code: 'ERR_REQUEST', field: expect.stringMatching(/^key/) },
      });
      expect(JSON.stringify(answered.body)).not.toContain(String(jwk.x));
    }
    expect(await table.agents.sessions(AGENT)).toEqual([]);
  });

  test('with a symmetric key keeps it encrypted', async () => {
    const instance = await running('host-1', 'HS256');
    expect(JSON.stringify(await table.stored())).not.toContain(String(instance.jwk.k));
    expect(await instance.acknowledge()).toMatchObject({ status: 200 });
  });

  test('closes on the signed word of its own instance only, and stays closed', async () => {
    const [instance, sibling] = [await running(), await running('host-2')];
    const forged = { close: await sibling.sign({ session: instance.session, closed: true }) };
    expect(await instance.say('close', forged)).toMatchObject({ status: 403, body: { code: 'ERR_PROOF' } });
    const foreign = { close: await instance.sign({ session: sibling.session, closed: true }) };
    expect(await instance.say('close', foreign)).toMatchObject({ status: 403, body: { code: 'ERR_PROOF' } });
    expect(await instance.close()).toMatchObject({ status: 200 });
    expect(await instance.close()).toMatchObject({ status: 200 });
    for (const late of [
      await instance.holds(OLD),
      await instance.say('notices'),
      await instance.acknowledge({ challenge: 'x' }),
    ])
      expect(late).toMatchObject({ status: 404, body: { code: 'ERR_NOT_FOUND', field: 'session' } });
    await instance.open();
    expect(await instance.holds(ROTATION_ID)).toMatchObject({ status: 200 });
  });

  test('waits with Retry-After while a rotation uses the gap, for two minutes at most', async () => {
    await world.pact({}, { refresh: 'between-sessions' });
    const updatedAt = new Date(NOW - 10_000).toISOString();
    world.ledger.add(credentialOf({ holders: [holder()], activeRotation: ROTATION_ID }));
    const { window: _none, ...rest } = rotationOf({ phase: 'activating', updatedAt });
    world.ledger.rotationsById.set(ROTATION_ID, rest);
    const instance = await Instance.make(world);
    expect(await instance.open()).toMatchObject({
      status: 409,
      body: { code: 'ERR_ROTATION_UNDER_WAY' },
      headers: { 'retry-after': '5' },
    });
    expect(await table.agents.sessions(AGENT)).toEqual([]);
    world.now += 111_000;
    expect(await instance.open()).toMatchObject({ status: 201 });
  });

  test(`is one of ${MAX_RUNNING_SESSIONS} that run at a time; a lost one takes nobody's place`, async () => {
    await world.pact();
    const first = await world.instance();
    const known = await table.agents.session(AGENT, first.session);
    if (known === undefined) throw new Error('it has just been opened');
    const many = Array.from({ length: MAX_RUNNING_SESSIONS }, (_each, index) => ({
      ...known,
      id: `${index}.n`,
    }));
    Object.assign(table.agents, { sessions: async () => many });
    many.push({ ...known });
    expect(await first.open()).toMatchObject({ status: 201, body: { session: first.session } });
    const next = await Instance.make(world, 'host-2');
    expect(await next.open()).toMatchObject({
      status: 422,
      body: { code: 'ERR_CAPACITY', field: 'agent' },
    });
    world.now += LOST_AFTER_SECONDS * 1000;
    expect(await next.open()).toMatchObject({ status: 201 });
  });
});

describe('a fleet of many short sessions', () => {
  test(`has room for those that come after one another in one place, also while ${MAX_SESSIONS} are remembered`, async () => {
    await world.pact();
    const instance = await world.instance();
    await instance.close();
    const known = await table.agents.session(AGENT, instance.session);
    if (known === undefined) throw new Error('it has just been closed');
    const others = Array.from({ length: MAX_SESSIONS - 1 }, (_each, n) => ({ ...known, id: `${n}.n` }));
    Object.assign(table.agents, { sessions: async () => [...others, known] });
    expect(await instance.open()).toMatchObject({ status: 201 });
    const newcomer = await Instance.make(world, 'host-2');
    expect(await newcomer.open()).toMatchObject({ status: 422, body: { code: 'ERR_CAPACITY' } });
  });
});

describe('an instance of the release before', () => {
  test('lives on while the pact no longer names what it holds', async () => {
    const instance = await running();
    const holds = [
      { credential: 'orders-db', versionId: ROTATION_ID },
      { credential: 'former-db', versionId: 'v' },
    ];
    expect(await instance.beat(holds)).toMatchObject({
      status: 200,
      body: { notices: [{ credential: 'orders-db' }] },
    });
    expect((await table.agents.session(AGENT, instance.session))?.holds).toEqual(holds);
  });
});

describe('notices', () => {
  test('come with a tag, and are not sent again while nothing changes', async () => {
    const instance = await running();
    const path = `/agents/${AGENT}/sessions/${instance.session}/notices`;
    const first = await world.call('GET', path);
    const headers = { 'if-none-match': `"other", ${String(first.headers['etag'])}` };
    expect(await world.call('GET', path, undefined, { headers })).toEqual({
      status: 304,
      body: {},
      headers: { etag: first.headers['etag'] },
    });
    await instance.acknowledge();
    expect(await world.call('GET', path, undefined, { headers })).toMatchObject({
      status: 200,
      body: { notices: [{ acknowledge: false }] },
    });
  });
});

describe('an acknowledgement', () => {
  for (const alg of ['EdDSA', 'ES256', 'HS256'] as const)
    test(`signed with ${alg} is kept with its signature, and is no longer asked for`, async () => {
      const instance = await running('host-1', alg);
      expect((await instance.say('notices')).body['notices']).toMatchObject([
        { state: 'window', versionId: ROTATION_ID, formerVersionId: OLD, acknowledge: true },
      ]);
      const jws = await instance.sign(await instance.payload());
      expect(await instance.send(jws)).toMatchObject({ status: 200, body: { versionId: ROTATION_ID } });
      expect(await acknowledgements()).toMatchObject([
        { session: instance.session, instance: 'host-1', agent: AGENT, persisted: true, jws },
      ]);
      expect((await instance.say('notices')).body['notices']).toMatchObject([{ acknowledge: false }]);
    });

  test('says nothing of the value', async () => {
    const instance = await running();
    await instance.acknowledge();
    expect(JSON.stringify(await table.stored())).not.toContain('correct horse');
  });

  test('the same again is success, and so is one whose answer was lost', async () => {
    const instance = await running();
    loseAnswers('TransactWriteItems');
    const jws = await instance.sign(await instance.payload());
    expect(await instance.send(jws)).toMatchObject({ status: 200 });
    expect(await instance.send(jws)).toMatchObject({ status: 200 });
    const both = await Promise.all([instance.send(jws), instance.send(jws)]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    expect(await acknowledgements()).toHaveLength(1);
    const rotation = world.ledger.rotationsById.get(ROTATION_ID) ?? rotationOf();
    world.ledger.rotationsById.set(ROTATION_ID, { ...rotation, phase: 'completed' });
    expect(await instance.send(jws)).toMatchObject({ status: 200 });
    const { body } = await instance.send(await instance.sign(await instance.payload({ challenge: 'x' })));
    expect(body).toMatchObject({ code: 'ERR_CONFLICT' });
  });

  test('is refused by name where anything about it is wrong, and nothing is kept', async () => {
    const [instance, sibling] = [await running(), await running('host-2')];
    const signed = async (changes: object, value = VALUE) =>
      instance.sign(await instance.payload(changes, value));
    const good = await instance.payload();
    const none = base64url.encode(JSON.stringify({ alg: 'none' }));
    const body = base64url.encode(JSON.stringify(good));
    const cases: [string, string, number, string][] = [
      ['a proof by another value', await signed({}, '{"password":"guessed"}'), 403, 'ERR_PROOF'],
      [
        'a proof by the old value of that rotation',
        await signed({}, '{"username":"orders_a"}'),
        403,
        'ERR_PROOF',
      ],
      ['a proof over another challenge', await signed({ proof: good.proof }), 403, 'ERR_PROOF'],
      ["a sibling's signature", await sibling.sign(good), 403, 'ERR_PROOF'],
      ['no signature', `${none}.${body}.${base64url.encode('x')}`, 403, 'ERR_PROOF'],
      ['another session', await signed({ session: sibling.session }), 403, 'ERR_PROOF'],
      ['another rotation', await signed({ rotation: randomUUID(), challenge: 'x' }), 409, 'ERR_CONFLICT'],
      ['another credential', await signed({ credential: 'payroll' }), 409, 'ERR_CONFLICT'],
      ['the version before', await signed({ versionId: OLD }), 409, 'ERR_CONFLICT'],
      ['the fingerprint before', await signed({ fingerprint: 'sha256:1111' }), 409, 'ERR_CONFLICT'],
      ['a made-up challenge', await signed({ challenge: 'nonce-0' }), 409, 'ERR_CHALLENGE'],
      ["a sibling's challenge", await signed({ challenge: await sibling.challenge() }), 409, 'ERR_CHALLENGE'],
      ['an unknown field', await instance.sign({ ...good, admin: true }), 400, 'ERR_REQUEST'],
      ['a missing field', await instance.sign({ ...good, persisted: undefined }), 400, 'ERR_REQUEST'],
      [
        'the word that closes',
        await instance.sign({ session: instance.session, closed: true }),
        400,
        'ERR_REQUEST',
      ],
      ['no JSON', await instance.sign('x'), 400, 'ERR_REQUEST'],
      ['no JWS', 'a.b', 400, 'ERR_REQUEST'],
    ];
    for (const [what, jws, status, code] of cases) {
      const answered = await instance.send(jws);
      expect([what, answered.status, answered.body['code']]).toEqual([what, status, code]);
    }
    expect(await acknowledgements()).toEqual([]);
    expect(world.answers).toEqual([]);
    expect(await instance.acknowledge()).toMatchObject({ status: 200 });
  });

  test('under the key of an instance in the algorithm of another kind is refused', async () => {
    const instance = await running();
    const payload = await instance.payload();
    // The public key, which anybody may know, used as the secret of a keyed hash.
    const confused = await Instance.make(world, 'host-1', 'HS256');
    Object.assign(confused, { session: instance.session });
    expect(await confused.send(await confused.sign(payload))).toMatchObject({ status: 403 });
    const header = base64url.encode(JSON.stringify({ alg: 'HS256' }));
    const body = base64url.encode(JSON.stringify(payload));
    const { createHmac } = await import('node:crypto');
    const mac = createHmac('sha256', Buffer.from(String(instance.jwk.x), 'base64url'))
      .update(`${header}.${body}`)
      .digest('base64url');
    expect(await instance.send(`${header}.${body}.${mac}`)).toMatchObject({
      status: 403,
      body: { code: 'ERR_PROOF' },
    });
  });

  test('under a symmetric key is refused in every algorithm but its own', async () => {
    const instance = await running('host-1', 'HS256');
    const jws = await instance.sign(await instance.payload(), { alg: 'HS512' });
    expect(await instance.send(jws)).toMatchObject({ status: 403, body: { code: 'ERR_PROOF' } });
  });

  test('is refused once its challenge has expired, or has served', async () => {
    const instance = await running();
    const late = await instance.sign(await instance.payload());
    world.now += 120_000;
    expect(await instance.send(late)).toMatchObject({ status: 409, body: { code: 'ERR_CHALLENGE' } });
    const first = await instance.payload();
    expect(await instance.send(await instance.sign(first))).toMatchObject({ status: 200 });
    const second = await instance.payload({ challenge: first.challenge, persisted: false });
    expect(await instance.send(await instance.sign(second))).toMatchObject({
      status: 409,
      body: { code: 'ERR_CHALLENGE' },
    });
  });

  test('replayed into another session of the same instance is refused', async () => {
    const instance = await running();
    const jws = await instance.sign(await instance.payload());
    await instance.send(jws);
    await instance.close();
    await instance.open();
    expect(await instance.send(jws)).toMatchObject({ status: 403, body: { code: 'ERR_PROOF' } });
  });

  test('is refused where no window is open: before it, after it, after an emergency, and before its key is there', async () => {
    const instance = await running();
    const jws = await instance.sign(await instance.payload());
    const rotation = world.ledger.rotationsById.get(ROTATION_ID) ?? rotationOf();
    const { acknowledgement: _key, ...keyless } = rotation;
    for (const changed of [
      { ...rotation, phase: 'promoting' as const },
      { ...rotation, phase: 'completed' as const },
      { ...rotation, epoch: -1 },
      {
        ...rotation,
        window: { ...(rotation.window ?? { opensAt: '' }), opensAt: '2026-11-22T12:30:00.000Z' },
      },
      keyless,
    ] as (typeof rotation)[]) {
      world.ledger.rotationsById.set(ROTATION_ID, changed);
      expect(await instance.send(jws)).toMatchObject({ status: 409, body: { code: 'ERR_CONFLICT' } });
      expect(await instance.say('challenges', { rotation: ROTATION_ID })).toMatchObject({ status: 409 });
    }
    expect(await acknowledgements()).toEqual([]);
  });
});

describe('an instance that contradicts itself', () => {
  test('by a heartbeat with the version before is flagged, is asked again, and counts again once it has proven itself again', async () => {
    const instance = await running();
    await instance.acknowledge();
    world.now += 60_000;
    expect((await instance.holds(OLD)).body['notices']).toMatchObject([{ acknowledge: true }]);
    const [flagged] = await acknowledgements();
    expect(flagged).toMatchObject({ contradictedAt: new Date(NOW + 60_000).toISOString() });
    expect(await instance.acknowledge()).toMatchObject({ status: 200 });
    expect((await acknowledgements())[0]).not.toHaveProperty('contradictedAt');
  });

  test('is flagged although the new version is among what it holds', async () => {
    const instance = await running();
    await instance.acknowledge();
    const holds = [OLD, ROTATION_ID].map((versionId) => ({ credential: 'orders-db', versionId }));
    await instance.beat(holds);
    expect((await acknowledgements())[0]).toHaveProperty('contradictedAt');
  });

  test('by uses of the version before that began later is flagged; by earlier ones it is not', async () => {
    const instance = await running();
    await instance.acknowledge();
    const report = async (from: number, to: number, counts: object) => {
      const about = { credential: 'orders-db', versionId: OLD, from: world.at(from), to: world.at(to) };
      return instance.report([{ ...about, succeeded: 0, refused: 0, ...counts }]);
    };
    expect(await report(-60, -1, { succeeded: 5 })).toMatchObject({ status: 200 });
    expect(await report(1, 5, {})).toMatchObject({ status: 200 });
    expect((await acknowledgements())[0]).not.toHaveProperty('contradictedAt');
    await report(5, 9, { refused: 1 });
    expect((await acknowledgements())[0]).toHaveProperty('contradictedAt');
  });
});

describe('the lifecycle', () => {
  const EARLIEST_CLOSE = 1201_000;

  test('is woken by the last acknowledgement once the window may close, and not before', async () => {
    const [first, last] = [await running(), await running('host-2')];
    await first.acknowledge();
    await last.acknowledge();
    expect(world.answers).toEqual([]);
    world.now += EARLIEST_CLOSE;
    await first.holds(ROTATION_ID);
    await last.holds(ROTATION_ID);
    const [one, two] = [await running('host-3'), await running('host-4')];
    await one.acknowledge();
    expect(world.answers).toEqual([]);
    await two.acknowledge();
    expect(world.answers).toEqual(['verify']);
  });

  test('is woken by the last session that closes, and by its repetition where the first died before', async () => {
    const [stays, leaves] = [await running(), await running('host-2')];
    world.now += EARLIEST_CLOSE;
    await stays.holds(ROTATION_ID);
    await leaves.holds(OLD);
    await stays.acknowledge();
    const answer = world.deps.workflow.answer;
    Object.assign(world.deps.workflow, { answer: () => Promise.reject(new Error('died')) });
    expect(await leaves.close()).toMatchObject({ status: 500 });
    Object.assign(world.deps.workflow, { answer });
    expect(world.answers).toEqual([]);
    expect(await leaves.close()).toMatchObject({ status: 200 });
    expect(world.answers).toEqual(['verify']);
  });

  test('that waits for a gap begins when the last session of an agent that needs one closes', async () => {
    await world.pact({}, { refresh: 'between-sessions' });
    const [one, two] = [await world.instance(), await world.instance('host-2')];
    const { window: _none, ...announced } = rotationOf({
      phase: 'announced',
      callback: { awaiting: 'rotate', taskToken: 'token' },
      deferred: { since: OPENS_AT, until: '2026-11-22T20:00:00.000Z', agents: [AGENT] },
    });
    world.ledger.add(credentialOf({ holders: [holder()], activeRotation: ROTATION_ID }));
    world.ledger.rotationsById.set(ROTATION_ID, announced);
    await one.close();
    expect(world.answers).toEqual([]);
    await two.close();
    expect(world.answers).toEqual(['rotate']);
  });
});
