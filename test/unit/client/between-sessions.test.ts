import { describe, expect, it } from 'vitest';
import { withSession } from '../../../client/src/agent.ts';
import { isFull, MAX_RUNNING_SESSIONS } from '../../../shared/domain/agents.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import { credentialOf, ID, NOW, ROTATION_ID } from '../api/fakes.ts';
import { AGENT, holder, pactOf, VALUE } from '../../support/agent-api.ts';
import { SessionCase } from '../../support/agent-session.ts';

const pact = pactOf({}, { refresh: 'between-sessions' });

describe('an agent that changes nothing within a session', () => {
  it('keeps its version while the work runs, and has the new one in the next session', async () => {
    await using agent = await SessionCase.make();
    const options = { ...agent.options, pact };
    const seen = await withSession(options, async () => {
      await agent.openWindow();
      await agent.time.pass(1_200);
      return agent.source.current().versionId;
    });
    expect(seen).toBe(ID);
    expect(agent.acknowledged).toEqual([]);
    expect([...agent.store.all.values()]).toMatchObject([{ closedAt: expect.any(String) }]);
    await withSession(options, async () => {
      expect(agent.source.current().versionId).toBe(ROTATION_ID);
      await agent.time.pass(2);
      expect(agent.acknowledged).toHaveLength(1);
    });
  });

  it('reads the vault before the work begins', async () => {
    await using agent = await SessionCase.make();
    agent.vault.put(VALUE, 'AWSCURRENT', ROTATION_ID);
    const { current } = credentialOf();
    if (current === undefined) throw new Error('it has one');
    agent.world.ledger.add(
      credentialOf({ holders: [holder()], current: { ...current, versionId: ROTATION_ID } }),
    );
    const work = () => agent.source.current().versionId;
    expect(await withSession({ ...agent.options, pact }, work)).toBe(ROTATION_ID);
  });

  it('takes one place for its sessions that come one after the other, and others for those beside it', async () => {
    await using agent = await SessionCase.make();
    const options = { ...agent.options, pact };
    const keys = async (work: () => Promise<unknown>): Promise<unknown[]> => {
      const before = agent.server.of('sessions').length;
      await work();
      return agent.server
        .of('sessions')
        .slice(before)
        .map(({ body }) => (body['key'] as { x: string }).x);
    };
    const nothing = (): undefined => undefined;
    const four = await keys(async () => {
      for (let each = 0; each < 4; each++) await withSession(options, nothing);
    });
    expect([four.length, new Set(four).size]).toEqual([4, 1]);
    const three = await keys(() =>
      withSession(options, () => withSession(options, () => withSession(options, nothing))),
    );
    expect([three.length, new Set(three).size, three.includes(four[0])]).toEqual([3, 3, true]);
    expect(
      new Set(await keys(() => withSession(options, () => withSession(options, nothing)))),
    ).not.toContain(undefined);
    expect(agent.store.all.size).toBe(3);
    expect(agent.problems).toEqual([]);
  });

  it('leaves a key alone under which a session may be open', async () => {
    await using agent = await SessionCase.make();
    const options = { ...agent.options, pact };
    const working = withSession(options, () => {
      agent.server.mode = 'down';
    });
    await agent.time.pass(120);
    await working;
    agent.server.mode = 'up';
    await withSession(options, () => undefined);
    const left = [...agent.store.all.values()];
    expect([left.length, left.filter(({ closedAt }) => closedAt === undefined).length]).toEqual([2, 1]);
  });

  it('leaves a dead version all the same', async () => {
    await using agent = await SessionCase.make();
    const seen = await withSession({ ...agent.options, pact }, async () => {
      agent.vault.put(VALUE, 'AWSCURRENT', ROTATION_ID);
      const { current } = credentialOf();
      if (current === undefined) throw new Error('it has one');
      agent.world.ledger.add(
        credentialOf({ holders: [holder()], current: { ...current, versionId: ROTATION_ID } }),
      );
      await agent.time.pass(120);
      return agent.source.current().versionId;
    });
    expect(seen).toBe(ROTATION_ID);
  });

  it('closes its session where the work fails', async () => {
    await using agent = await SessionCase.make();
    const failing = withSession({ ...agent.options, pact }, () => {
      throw new Error('a bug');
    });
    await expect(failing).rejects.toThrow('a bug');
    expect([...agent.store.all.values()]).toMatchObject([{ closedAt: expect.any(String) }]);
  });

  it('works also where there is room for no other session, which Rekey takes for missing proof', async () => {
    await using agent = await SessionCase.make();
    const seenAt = toInstant(NOW);
    for (let index = 0; index < MAX_RUNNING_SESSIONS; index++)
      await agent.store.openSession({
        agent: AGENT,
        id: `s-${index}`,
        instance: `i-${index}`,
        key: { kind: 'sealed', sealed: '' },
        thumbprint: '',
        openedAt: seenAt,
        seenAt,
        holds: [],
        keptUntil: '9999-12-31T23:59:59.999Z',
      });
    const session = await withSession({ ...agent.options, pact }, ({ id }) => id ?? 'none');
    expect(session).toBe('none');
    expect(agent.problems).toEqual(['open: ERR_REFUSED']);
    expect(isFull(await agent.store.sessions(AGENT), NOW)).toBe(true);
  });

  it('works also where the agent API is out', async () => {
    await using agent = await SessionCase.make();
    agent.server.mode = 'down';
    const working = withSession(agent.options, () => agent.source.current().versionId);
    await agent.time.pass(10);
    expect(await working).toBe(ID);
  });

  it('doesn’t begin without a session where it must not lose its value, and tries a few times before', async () => {
    await using agent = await SessionCase.make();
    agent.server.mode = 'down';
    let began = false;
    const refused = withSession({ ...agent.options, pact, whenUnlisted: 'refuse' }, () => {
      began = true;
    }).catch((error: unknown) => error);
    await agent.time.pass(60);
    expect(await refused).toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(began).toBe(false);
    expect(agent.problems).toEqual(['open: ERR_UNAVAILABLE']);
  });

  it('begins where the agent API comes back in time', async () => {
    await using agent = await SessionCase.make();
    agent.server.mode = 'down';
    const working = withSession({ ...agent.options, pact, whenUnlisted: 'refuse' }, ({ id }) => id);
    await agent.time.pass(2);
    agent.server.mode = 'up';
    await agent.time.pass(30);
    expect(await working).toEqual(expect.any(String));
  });
});
