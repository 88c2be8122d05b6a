import { describe, expect, it } from 'vitest';
import { answer } from '../../../lambdas/agent-api/routes.ts';
import { MAX_AGENT_BODY_BYTES } from '../../../shared/api/agent-messages.ts';
import { problem, PROBLEM_TYPE } from '../../../shared/api/problems.ts';
import { AGENT_ROUTES } from '../../../shared/domain/agent-routes.ts';
import { decommission } from '../../../shared/engine/agents/decommission.ts';
import { AGENT, AgentApiWorld, CALLER, pactOf } from '../../support/agent-api.ts';
import { MemoryAgentStore, MemorySealer } from '../../support/agent-parts.ts';
import { bodyOf, eventOf } from './fakes.ts';

const worldOf = (): AgentApiWorld =>
  new AgentApiWorld((clock) => ({ agents: new MemoryAgentStore(clock), sealer: new MemorySealer() }));
const filled = (path: string): string => path.replace('{agent}', AGENT).replace('{session}', 'a.b');

describe('every route of the agent API', () => {
  it.each(AGENT_ROUTES.map(({ key, method, path }) => [key, method, path] as const))(
    '%s refuses a request without a caller, and one of somebody else, by a problem document',
    async (_key, method, path) => {
      const world = worldOf();
      await world.pact();
      for (const caller of [null, '', 'arn:aws:sts::111122223333:assumed-role/other/checkout']) {
        const body = path.endsWith('pact') ? pactOf() : bodies[path.split('/').at(-1) ?? ''];
        const event = eventOf(method, filled(path), { caller, ...(body === undefined ? {} : { body }) });
        const { response } = await answer(event, world.deps);
        expect(response.statusCode).toBe(403);
        expect(response.headers?.['content-type']).toBe(PROBLEM_TYPE);
        expect(problem.parse(bodyOf(response))).toMatchObject({ code: 'ERR_FORBIDDEN', status: 403 });
      }
    },
  );

  it.each(AGENT_ROUTES.map(({ key, method, path }) => [key, method, path] as const))(
    '%s has no ear for an agent that is out of service',
    async (_key, method, path) => {
      const world = worldOf();
      await world.pact();
      const { agents, clock } = world.deps;
      const order = { agent: AGENT, actor: 'arn:o', reason: 'gone', incidentId: 'OPS-1', dryRun: false };
      await decommission({ agents, clock }, order);
      const body = path.endsWith('pact') ? pactOf() : bodies[path.split('/').at(-1) ?? ''];
      expect(await world.call(method, filled(path), body)).toMatchObject({
        status: 403,
        body: { code: 'ERR_FORBIDDEN', detail: expect.stringContaining('taken out of service') as string },
      });
    },
  );

  it('takes no unknown field, no other form and no other type, and names where', async () => {
    const world = worldOf();
    await world.pact();
    for (const [name, body] of Object.entries(bodies)) {
      const path =
        name === 'sessions' ? `/agents/${AGENT}/sessions` : `/agents/${AGENT}/sessions/a.b/${name}`;
      if (body === undefined) continue;
      expect(await world.call('POST', path, { ...body, colour: 'red' })).toMatchObject({
        status: 400,
        body: { code: 'ERR_REQUEST', field: 'colour' },
      });
      for (const other of [[], 'text', {}])
        expect(await world.call('POST', path, other)).toMatchObject({ status: 400 });
    }
  });

  it('tells an instance that does not sign its opening what is missing, and where the form is', async () => {
    const world = worldOf();
    await world.pact();
    const unsigned = { instance: 'a', key: { kty: 'oct', k: 'A'.repeat(43) } };
    expect(await world.call('POST', `/agents/${AGENT}/sessions`, unsigned)).toMatchObject({
      status: 400,
      body: { code: 'ERR_REQUEST', field: 'opening', remedy: expect.stringContaining('docs/agents.md') },
    });
  });

  it('reads no more than 32 KB, and nothing that is no JSON', async () => {
    const world = worldOf();
    const path = `/agents/${AGENT}/sessions`;
    const raw = (text: string) =>
      answer(eventOf('POST', path, { raw: text, caller: CALLER }), world.deps).then(
        ({ response }) => response.statusCode,
      );
    expect(await raw(JSON.stringify({ instance: 'x'.repeat(MAX_AGENT_BODY_BYTES) }))).toBe(413);
    expect(await raw('{"instance":')).toBe(400);
  });

  it('is bounded: 40 versions held, 50 uses, 4 KB of what is kept', async () => {
    const world = worldOf();
    await world.pact();
    const instance = await world.instance();
    const held = { credential: 'orders-db', versionId: 'v' };
    const use = { ...held, succeeded: 1, refused: 0, from: world.at(-1), to: world.at(0) };
    for (const [answered, field] of [
      [await instance.beat(Array.from({ length: 41 }, () => held)), 'payload.holds'],
      [await instance.report(Array.from({ length: 51 }, () => use)), 'payload.uses'],
      [await instance.report([]), 'payload.uses'],
      [await instance.say('close', { close: `${'a'.repeat(4096)}.b.c` }), 'close'],
      [await instance.say('acknowledgements', { acknowledgement: 'no jws' }), 'acknowledgement'],
    ] as const)
      expect(answered).toMatchObject({ status: 400, body: { code: 'ERR_REQUEST', field } });
  });

  it.each(['EdDSA', 'ES256', 'HS256'] as const)(
    'takes the largest heartbeat and the largest report under a signature of %s',
    async (alg) => {
      const world = worldOf();
      await world.pact();
      const instance = await world.instance('host-1', alg);
      // Another credential than the pact's: of what it isn't asked about, an instance may say anything.
      const held = { credential: 'c'.repeat(63), versionId: 'v'.repeat(64) };
      const most = { succeeded: 1_000_000_000, refused: 1_000_000_000 };
      const times = {
        from: '2026-11-22T13:59:00.000000000+02:00',
        to: '2026-11-22T13:59:30.000000000+02:00',
      };
      expect(await instance.beat(Array.from({ length: 40 }, () => held))).toMatchObject({ status: 200 });
      const report = Array.from({ length: 50 }, () => ({ ...held, ...most, ...times }));
      expect(await instance.report(report)).toMatchObject({ status: 200, body: { reported: 0 } });
    },
  );

  it('says what is possible where the method or the path is another', async () => {
    const world = worldOf();
    expect(await world.call('GET', `/agents/${AGENT}/pact`)).toMatchObject({
      status: 405,
      headers: { allow: 'PUT' },
    });
    for (const path of ['/agents', '/agents/a%2Fb/pact', '/v1/credentials', `/agents/${AGENT}/sessions/x/y`])
      expect(await world.call('POST', path, {})).toMatchObject({
        status: 404,
        body: { code: 'ERR_NOT_FOUND' },
      });
  });

  it('says nothing of a failure that nobody meant, and hands it to the log', async () => {
    const world = worldOf();
    const deps = {
      ...world.deps,
      agents: Object.assign(new MemoryAgentStore(() => 0), {
        pact: () => Promise.reject(new Error('password=hunter2')),
      }),
    };
    const { response, unexpected } = await answer(
      eventOf('GET', `/agents/${AGENT}/sessions/a.b/notices`, { caller: CALLER }),
      deps,
    );
    expect(response.statusCode).toBe(500);
    expect(response.body).not.toContain('hunter2');
    expect(unexpected).toBeInstanceOf(Error);
  });
});

describe('the lifecycle', () => {
  it('is woken by nobody who leaves while what was retired soaks: each time would cost it events', async () => {
    const world = worldOf();
    await world.pact();
    await world.openWindow();
    world.now += 3600_000;
    const instance = await world.instance();
    await world.openWindow({ phase: 'suspending' });
    expect(await instance.close()).toMatchObject({ status: 200 });
    expect(world.answers).toEqual([]);
    // In a window that may close it is.
    const other = await world.instance('host-2');
    await world.openWindow();
    await other.close();
    expect(world.answers).toEqual(['verify']);
  });
});

/** A good body of each route. */
const bodies: Readonly<Record<string, Record<string, unknown> | undefined>> = {
  sessions: { key: { kty: 'oct', k: 'A'.repeat(43) }, opening: 'a.b.c' },
  heartbeat: { heartbeat: 'a.b.c' },
  challenges: { rotation: 'r' },
  acknowledgements: { acknowledgement: 'a.b.c' },
  uses: { uses: 'a.b.c' },
  close: { close: 'a.b.c' },
};
