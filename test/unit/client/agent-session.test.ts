import { describe, expect, it } from 'vitest';
import { openAgentSession } from '../../../client/src/agent.ts';
import { createCredentialSource } from '../../../client/src/create.ts';
import { FakeVault } from '../../fakes/fake-vault.ts';
import { ID, ROTATION_ID, credentialOf } from '../api/fakes.ts';
import { AGENT, holder, pactOf, SIBLING } from '../../support/agent-api.ts';
import { SessionCase } from '../../support/agent-session.ts';

const PARTNER = '7a2f4a3e-1d0b-4d43-8c5a-2b3c4d5e6f70';

const never = (): never => {
  throw new Error('a case has a fetch of its own');
};
const passwordOf = ({ source }: SessionCase): string => source.current().field('password');

describe('a session', () => {
  it('is opened with the pact, and says what it holds and that nothing was used', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    expect(session.id).toBeDefined();
    expect(agent.server.calls.map(({ what, status }) => [what, status])).toEqual([
      ['pact', 200],
      ['sessions', 201],
      ['heartbeat', 200],
      ['uses', 200],
    ]);
    expect(agent.held).toEqual([ID]);
    expect(agent.store.reported).toMatchObject([{ versionId: ID, succeeded: 0, refused: 0 }]);
  });

  it('beats once in the time that the server names, and asks for nothing else while nothing comes', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    const before = agent.server.calls.length;
    await agent.time.pass(600);
    const kinds = agent.server.calls.slice(before).map(({ what }) => what);
    expect(new Set(kinds)).toEqual(new Set(['heartbeat', 'uses']));
    const beats = kinds.filter((kind) => kind === 'heartbeat').length;
    expect(beats).toBeGreaterThanOrEqual(10);
    expect(beats).toBeLessThanOrEqual(13);
  });

  it('moves in a window and proves it; nothing that it sends has the value', async () => {
    await using agent = await SessionCase.make();
    const swaps: string[] = [];
    await agent.open({
      onSwap: ({ credential, next }) => void swaps.push(`${credential} ${next.versionId}`),
    });
    await agent.openWindow();
    await agent.time.pass(60);
    expect(passwordOf(agent)).toBe('correct horse battery staple');
    expect(swaps).toEqual([`orders-db ${ROTATION_ID}`]);
    expect(agent.acknowledged).toMatchObject([{ instance: 'host-1', versionId: ROTATION_ID }]);
    expect(JSON.stringify(agent.server.calls)).not.toContain('correct horse');
    await agent.time.pass(120);
    expect(agent.server.of('acknowledgements')).toHaveLength(1);
    expect(agent.problems).toEqual([]);
  });

  it('holds both versions while a pool drains, and acknowledges only then', async () => {
    await using agent = await SessionCase.make();
    let drained = (): void => undefined;
    agent.source.on(
      'swap',
      async () =>
        new Promise<void>((resolve) => {
          drained = resolve;
        }),
    );
    await agent.open();
    await agent.openWindow();
    // Longer than the listeners of a swap may take.
    await agent.time.pass(400);
    expect(agent.held).toEqual([ROTATION_ID, ID]);
    expect(agent.acknowledged).toEqual([]);
    drained();
    await agent.time.pass(1);
    expect(agent.held).toEqual([ROTATION_ID]);
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('holds both versions while work in `use` runs with the old one, and acknowledges only then', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    let end = (): void => undefined;
    const work = agent.source.use(
      async () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    const failing = agent.source.use(() => Promise.reject(new Error('busy'))).catch(() => undefined);
    await agent.openWindow();
    await agent.time.pass(400);
    await failing;
    expect(agent.held).toEqual([ROTATION_ID, ID]);
    expect(agent.acknowledged).toEqual([]);
    end();
    await work;
    await agent.time.pass(130);
    expect(agent.held).toEqual([ROTATION_ID]);
    // Nor does what it reports of that work contradict it.
    expect(agent.acknowledged).toHaveLength(1);
    expect(agent.store.said).toHaveLength(1);
  });

  it('whose opening was done without an answer is closed all the same', async () => {
    await using agent = await SessionCase.make();
    agent.server.lost.add('sessions');
    const session = await agent.open();
    expect(session.id).toBeUndefined();
    await session.close();
    expect([...agent.store.all.values()]).toMatchObject([{ closedAt: expect.any(String) }]);
  });

  it('that has asked for no opening closes without a call', async () => {
    await using agent = await SessionCase.make();
    agent.server.mode = 'down';
    const session = await agent.open();
    await session.close();
    expect(agent.problems).toEqual(['open: ERR_UNAVAILABLE']);
  });

  it('that fails to hand over does not acknowledge', async () => {
    await using agent = await SessionCase.make({ on: { listenerFailed: () => undefined } });
    await agent.open({
      onSwap: () => {
        throw new Error('the worker is gone');
      },
    });
    await agent.openWindow();
    await agent.time.pass(120);
    expect(passwordOf(agent)).toContain('correct horse');
    expect(agent.held).toContain(ID);
    expect(agent.acknowledged).toEqual([]);
  });

  it('acknowledges only what would survive a restart', async () => {
    await using agent = await SessionCase.make();
    let stored = false;
    await agent.open({ persisted: () => stored });
    await agent.openWindow();
    await agent.time.pass(60);
    expect(agent.acknowledged).toEqual([]);
    stored = true;
    await agent.time.pass(11);
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('outside the canary cohort stays on the old version until it is to move', async () => {
    await using agent = await SessionCase.make();
    agent.world.ledger.add(
      credentialOf({
        holders: [holder()],
        policy: { ...credentialOf().policy, canary: { percent: 0, seconds: 1200 } },
      }),
    );
    await agent.open();
    await agent.openWindow();
    await agent.time.pass(590);
    // The source itself has read the vault meanwhile.
    await agent.source.refreshNow();
    expect(passwordOf(agent)).toBe('old');
    // Its time has come, but nobody has looked yet at how those do who went first.
    await agent.time.pass(15);
    expect(passwordOf(agent)).toBe('old');
    await agent.openWindow({ canary: { at: agent.world.at(0), outcome: 'quiet' } });
    // Each has a moment of its own within a minute.
    await agent.time.pass(75);
    expect(passwordOf(agent)).toContain('correct horse');
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('is told of a rotation once, and writes its checkpoint in time', async () => {
    await using agent = await SessionCase.make();
    const heard: string[] = [];
    const log = (word: string) => (): void => void heard.push(`${word} ${agent.time.monotonic() / 1000}`);
    await agent.open({ onAnnounced: log('announced'), checkpoint: log('checkpoint') });
    agent.rotation(
      { phase: 'announced', startedAt: new Date(agent.world.now).toISOString() },
      { announceSeconds: 900 },
    );
    await agent.time.pass(895);
    // At 900 minus five minutes, a minute before that.
    expect(heard).toEqual([expect.stringMatching(/^announced [1-6]?\d(\.\d+)?$/), 'checkpoint 540']);
    await agent.openWindow();
    await agent.time.pass(20);
    expect(agent.acknowledged).toHaveLength(1);
    expect(heard).toHaveLength(2);
  });

  it('waits for a checkpoint before it moves, but not for ever', async () => {
    await using agent = await SessionCase.make();
    await agent.open({ checkpoint: async () => new Promise(() => undefined), checkpointTimeoutSeconds: 30 });
    await agent.openWindow();
    await agent.time.pass(75);
    expect(passwordOf(agent)).toBe('old');
    await agent.time.pass(30);
    expect(passwordOf(agent)).toContain('correct horse');
    expect(agent.problems).toEqual(['checkpoint: ERR_TIMEOUT']);
  });

  it('stops where its credential was revoked, and goes on with what replaces it', async () => {
    await using agent = await SessionCase.make();
    const heard: string[] = [];
    await agent.open({ onHalt: () => heard.push('halt'), onResume: () => heard.push('resume') });
    agent.world.ledger.add(credentialOf({ holders: [holder()], status: 'halted' }));
    await agent.time.pass(120);
    expect(() => agent.source.current()).toThrow(expect.objectContaining({ code: 'ERR_HALTED' }));
    const next = agent.vault.put(JSON.stringify({ username: 'orders_c', password: 'new' }), 'AWSCURRENT');
    const { current } = credentialOf();
    if (current === undefined) throw new Error('it has one');
    agent.world.ledger.add(credentialOf({ holders: [holder()], current: { ...current, versionId: next } }));
    await agent.time.pass(60);
    expect(passwordOf(agent)).toBe('new');
    expect(heard).toEqual(['halt', 'resume']);
  });

  it('is told that its credential is suspended and that it is restored, once each, writes a checkpoint and goes on with the same value', async () => {
    await using agent = await SessionCase.make();
    const heard: string[] = [];
    await agent.open({
      onSuspended: ({ state }) => heard.push(`suspended ${state}`),
      onRestored: () => heard.push('restored'),
      onHalt: () => heard.push('halt'),
      checkpoint: () => heard.push('checkpoint'),
    });
    const suspended = [{ signal: 's-1', handle: { id: 'orders_a', generation: 1 } }];
    agent.world.ledger.add(credentialOf({ holders: [holder()], suspended }));
    await agent.time.pass(60);
    expect(heard).toEqual(['suspended steady', 'checkpoint']);
    const [reads, calls] = [agent.vault.calls, agent.server.calls.length];
    await agent.time.pass(600);
    // Neither the vault nor Rekey is asked more often for it.
    expect(agent.vault.calls - reads).toBeLessThanOrEqual(1);
    expect(agent.server.calls.slice(calls).filter(({ what }) => what !== 'uses').length).toBeLessThanOrEqual(
      13,
    );
    expect([heard.length, passwordOf(agent)]).toEqual([2, 'old']);
    agent.world.ledger.add(credentialOf({ holders: [holder()] }));
    await agent.time.pass(60);
    expect([heard.slice(2), passwordOf(agent)]).toEqual([['restored'], 'old']);
  });

  it('whose suspended credential is revoked is halted, and hears of no restoration', async () => {
    await using agent = await SessionCase.make();
    const heard: string[] = [];
    await agent.open({
      onSuspended: () => heard.push('suspended'),
      onRestored: () => heard.push('restored'),
      onHalt: () => heard.push('halt'),
      onResume: () => heard.push('resume'),
    });
    const suspended = [{ signal: 's-1', handle: { id: 'orders_a', generation: 1 } }];
    agent.world.ledger.add(credentialOf({ holders: [holder()], suspended }));
    await agent.time.pass(60);
    agent.world.ledger.add(credentialOf({ holders: [holder()], status: 'halted' }));
    await agent.time.pass(60);
    const next = agent.vault.put(JSON.stringify({ username: 'orders_c', password: 'new' }), 'AWSCURRENT');
    const { current } = credentialOf();
    if (current === undefined) throw new Error('it has one');
    agent.world.ledger.add(credentialOf({ holders: [holder()], current: { ...current, versionId: next } }));
    await agent.time.pass(60);
    expect([heard, passwordOf(agent)]).toEqual([['suspended', 'halt', 'resume'], 'new']);
  });

  it('leaves a dead version at once, without a checkpoint', async () => {
    await using agent = await SessionCase.make();
    const checkpoints: unknown[] = [];
    await agent.openWindow();
    await agent.open({ checkpoint: (notice) => checkpoints.push(notice) });
    await agent.source.refreshNow();
    await agent.time.pass(60);
    checkpoints.length = 0;
    agent.vault.promote(ID);
    agent.rotation({ phase: 'rolled-back', tombstoned: true, loser: 'next' });
    agent.world.ledger.add(credentialOf({ holders: [holder()] }));
    await agent.time.pass(60);
    expect(passwordOf(agent)).toBe('old');
    expect(checkpoints).toEqual([]);
    // Not even where a label comes back.
    agent.vault.promote(ROTATION_ID);
    await expect(agent.source.refreshNow()).rejects.toMatchObject({ code: 'ERR_TOMBSTONED' });
    expect(passwordOf(agent)).toBe('old');
  });

  it('whose acknowledgement was contradicted gives another one', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    await agent.openWindow();
    await agent.time.pass(60);
    const [said] = agent.store.said;
    if (said === undefined) throw new Error('it has acknowledged');
    await agent.store.contradict(said, agent.world.at(0));
    expect(agent.acknowledged).toEqual([]);
    await agent.time.pass(60);
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('counts what its source was used for, by version', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    await agent.openWindow();
    const refusesOld = async (): Promise<string> =>
      agent.source.use((credential) => {
        if (credential.versionId === ROTATION_ID) return 'done';
        throw Object.assign(new Error('unauthorized'), { status: 401 });
      });
    expect(await refusesOld()).toBe('done');
    await refusesOld();
    await agent.source.use(() => Promise.reject(new Error('a bug'))).catch(() => undefined);
    await agent.time.pass(60);
    const uses = agent.store.reported.filter(({ succeeded, refused }) => succeeded + refused > 0);
    expect(uses).toMatchObject([
      { versionId: ID, succeeded: 0, refused: 1 },
      { versionId: ROTATION_ID, succeeded: 2, refused: 0 },
    ]);
  });
});

describe('a session beside an agent API that fails', () => {
  it.each(['down', 'hangs', 'garbage'] as const)(
    '(%s) disturbs nobody, and is opened when it can be',
    async (mode) => {
      await using agent = await SessionCase.make();
      agent.server.mode = mode;
      const opening = agent.open();
      await agent.time.pass(15);
      const session = await opening;
      expect(session.id).toBeUndefined();
      await agent.openWindow();
      await agent.time.pass(700);
      // By the lifetime of the value, as without a session.
      expect(passwordOf(agent)).toContain('correct horse');
      expect(agent.problems.length).toBeLessThan(40);
      agent.server.mode = 'up';
      await agent.time.pass(75);
      expect(agent.acknowledged).toHaveLength(1);
    },
  );

  it('goes on where it was when the API is back', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    const { id } = session;
    agent.server.mode = 'down';
    await agent.time.pass(1_200);
    agent.server.mode = 'up';
    await agent.time.pass(61);
    expect(session.id).toBe(id);
    // Ten minutes at most of each report, and none of it refused.
    expect(agent.server.of('uses').map(({ status }) => status)).not.toContain(400);
  });

  it('is opened again where nobody knows it any more', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    const { id } = session;
    await agent.store.close({ agent: AGENT, id: id ?? '' }, agent.world.at(0));
    await agent.time.pass(70);
    expect(agent.server.of('sessions')).toHaveLength(2);
    expect(agent.server.of('heartbeat').at(-1)?.status).toBe(200);
  });

  it('is one session, one acknowledgement and one count where answers are lost', async () => {
    await using agent = await SessionCase.make();
    for (const what of ['pact', 'sessions', 'heartbeat', 'uses']) agent.server.lost.add(what);
    await agent.open();
    await agent.time.pass(120);
    expect(agent.store.all.size).toBe(1);
    const spans = agent.store.reported.map(({ from, to }) => `${from} ${to}`);
    // The lost one came twice, as it was.
    expect(new Set(spans).size).toBe(spans.length - 1);
    agent.server.lost.add('acknowledgements').add('challenges');
    await agent.openWindow();
    await agent.time.pass(120);
    expect(agent.acknowledged).toHaveLength(1);
  });

  it('numbers its openings and heartbeats upwards, through lost answers and another session', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    agent.server.lost.add('heartbeat');
    await agent.time.pass(120);
    await agent.store.close({ agent: AGENT, id: session.id ?? '' }, agent.world.at(0));
    await agent.time.pass(120);
    const numbers = agent.server.calls.flatMap(({ signed }) => signed['sequence'] ?? []);
    expect(numbers).toEqual(numbers.map((_each, index) => index + 1));
    expect(new Set(agent.server.of('heartbeat').map(({ signed }) => signed['session'])).size).toBe(2);
  });

  it('is opened although this machine’s clock is days off: the refusal tells the time', async () => {
    await using agent = await SessionCase.make();
    await agent.world.pact();
    const { pact: _operators, ...options } = agent.options;
    const session = await openAgentSession(options);
    expect(session.id).toBeDefined();
    expect(agent.server.of('sessions').map(({ status }) => status)).toEqual([409, 201]);
    expect(agent.problems).toEqual([]);
    await session.close();
  });

  it('tells of no report that its own closing has given up, and sends that then', async () => {
    await using agent = await SessionCase.make();
    let hangs = true;
    const fetch: typeof globalThis.fetch = async (url, init) => {
      if (!hangs || !(url instanceof URL && url.pathname.endsWith('/uses')))
        return agent.options.fetch?.(url, init) ?? never();
      return new Promise((_resolve, reject) => {
        init?.signal?.addEventListener('abort', () => {
          hangs = false;
          reject(new Error('aborted'));
        });
      });
    };
    const session = await agent.open({ fetch });
    await session.close();
    expect(hangs).toBe(false);
    expect(agent.problems).toEqual([]);
    expect(agent.server.of('uses')).toHaveLength(1);
  });

  it('closes although the answer is lost', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    agent.server.lost.add('close');
    const closing = session.close();
    await agent.time.pass(5);
    await closing;
    expect([...agent.store.all.values()]).toMatchObject([{ closedAt: expect.any(String) }]);
    expect(agent.server.of('close').map(({ status }) => status)).toEqual([200, 200]);
  });

  it('closes although nobody answers', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open();
    agent.server.mode = 'hangs';
    const closing = session.close();
    await agent.time.pass(60);
    await closing;
    expect(agent.problems).toContain('close: ERR_TIMEOUT');
  });

  it('closes in the middle of a swap, and says nothing afterwards', async () => {
    await using agent = await SessionCase.make();
    const session = await agent.open({ onSwap: async () => new Promise(() => undefined) });
    await agent.openWindow();
    await agent.time.pass(60);
    await session.close();
    const before = agent.server.calls.length;
    await agent.time.pass(300);
    expect(agent.server.calls).toHaveLength(before);
    expect(agent.acknowledged).toEqual([]);
    expect([...agent.store.all.values()]).toMatchObject([{ closedAt: expect.any(String) }]);
  });

  it.each([-7200, 7200])('reports right times although the clock jumps by %s seconds', async (seconds) => {
    await using agent = await SessionCase.make();
    await agent.open();
    agent.time.jump(seconds);
    await agent.time.pass(300);
    expect(agent.problems).toEqual([]);
    for (const { status } of agent.server.of('uses')) expect(status).toBe(200);
  });
});

describe('opening a session', () => {
  it('fails where another try is pointless', async () => {
    await using agent = await SessionCase.make();
    agent.server.caller = SIBLING;
    await expect(agent.open()).rejects.toMatchObject({ code: 'ERR_DENIED', status: 403 });
    await using other = await SessionCase.make();
    await expect(other.open({ pact: pactOf({}, { ttl: '16m' }) })).rejects.toMatchObject({
      code: 'ERR_REFUSED',
      problem: 'ERR_PACT',
      field: 'credentials[0].ttl',
    });
  });

  it('waits while a rotation uses the gap between sessions', async () => {
    await using agent = await SessionCase.make();
    agent.rotation({ phase: 'activating', updatedAt: agent.world.at(0) });
    const opening = agent.open({ pact: pactOf({}, { refresh: 'between-sessions' }) });
    await agent.time.pass(100);
    expect(agent.server.of('sessions').every(({ status }) => status === 409)).toBe(true);
    await agent.time.pass(30);
    expect((await opening).id).toBeDefined();
    expect(agent.problems).toEqual([]);
  });

  it('is one for several credentials, each of which moves by itself', async () => {
    await using agent = await SessionCase.make();
    const vault = new FakeVault();
    vault.put('key-1', 'AWSCURRENT', 'key-1');
    const options = { secretId: 'agents/partner', vault, time: agent.time, lifetimeSeconds: 900 };
    await using partner = await createCredentialSource(options);
    const { current, ...rest } = credentialOf({ id: PARTNER, name: 'partner-api', holders: [holder()] });
    if (current === undefined) throw new Error('it has one');
    agent.world.ledger.add({ ...rest, current: { ...current, versionId: 'key-1' } });
    const [terms] = (pactOf() as { credentials: object[] }).credentials;
    await agent.open({
      credentials: { 'orders-db': agent.source, 'partner-api': partner },
      pact: { ...pactOf(), credentials: [terms, { ...terms, credential: 'partner-api' }] },
    });
    await agent.openWindow();
    await agent.time.pass(60);
    expect(agent.held).toEqual([ROTATION_ID, 'key-1']);
    expect(agent.acknowledged).toHaveLength(1);
    expect(agent.problems).toEqual([]);
  });

  it('says which credential Rekey knows nothing of', async () => {
    await using agent = await SessionCase.make();
    await agent.open({ credentials: { 'orders-db': agent.source, payroll: agent.source } });
    expect(agent.problems).toEqual(['open: ERR_OPTIONS']);
    expect(agent.held).toEqual([ID]);
  });
});
