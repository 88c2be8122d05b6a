import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import { fingerprint } from '../../shared/domain/fingerprint.ts';
import { familyTrailOf } from '../../shared/domain/forensics/family-trail.ts';
import { candidatesOf } from '../../shared/domain/leak.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import { reportFamilyLeak, type FamilyLeak } from '../../shared/engine/families/leak.ts';
import { unregisterFamily } from '../../shared/engine/families/leave.ts';
import { revokeFamily } from '../../shared/engine/families/revoke.ts';
import { everyFault, FamilyWorld, HALF_LIFE_MS, quiet, type FamilyCase } from '../support/family-world.ts';
import { inParallel } from '../support/in-parallel.ts';

let world: FamilyWorld;
beforeAll(async () => {
  world = await FamilyWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const OPERATOR = { kind: 'operator', actor: 'arn:operator', reason: 'r' } as const;

/** One report of a text that was found, as the API's function makes it; the coordinator is in the same process. */
async function report(
  one: FamilyCase,
  text: string,
  { token = randomUUID(), dryRun = false, deps = one.deps } = {},
): Promise<readonly FamilyLeak[]> {
  return reportFamilyLeak(
    {
      families: deps.families,
      clock: deps.clock,
      revokeFamily: async (emergency) => ({ family: await revokeFamily(deps, emergency) }),
    },
    {
      fingerprints: candidatesOf(new Redacted(text)),
      incidentId: 'INC-9',
      reason: 'seen in a chat',
      actor: 'arn:responder',
      replace: true,
      token,
      dryRun,
    },
  );
}

const known = async (one: FamilyCase, token: string): Promise<string[]> =>
  (await one.families.byFingerprint(fingerprint(new Redacted(token)))).map(({ kind }) => kind);

/** The tokens that the server has given and takes. */
const alive = (one: FamilyCase): string[] =>
  one.server.families.flatMap(({ dead, live, refresh }) => (dead ? [] : [...live, refresh]));

/** What agents read, as somebody finds it. */
const agentsText = async (one: FamilyCase): Promise<string> => JSON.stringify(await one.read());

describe('every token that works is known by its fingerprint', () => {
  test.each(['refresh', 'consent'] as const)(
    'whatever call of a %s dies or fails, once what it brought is the family’s',
    async (kind) => {
      const begin = (): Promise<FamilyCase> =>
        kind === 'refresh' ? world.due({ graceSeconds: 120 }) : world.registered({ graceSeconds: 120 });
      const work = (one: FamilyCase) =>
        one.process(async (deps) => {
          if (kind === 'refresh') return one.run(deps);
          return connectFamily(deps, { name: one.name, consent: one.server.code(), trigger: OPERATOR });
        });
      const sample = await begin();
      await inParallel(everyFault(await sample.effects(() => work(sample))), async (fault) => {
        const one = await begin();
        one.calls.arm(fault);
        await quiet(work(one));
        one.calls.disarm();
        await one.minutes(4);
        if ((await one.family()).status !== 'active') await one.connect();
        await one.assertWorks();
        const { access_token: access = '' } = await one.read();
        expect(await known(one, access), JSON.stringify(fault)).toEqual(['access']);
        const stored = await one.vault.read((await one.family()).refreshSecretName, { stage: 'AWSCURRENT' });
        const { refresh_token: refresh } = JSON.parse(stored?.reveal() ?? '{}') as { refresh_token: string };
        expect(await known(one, refresh), JSON.stringify(fault)).toEqual(['refresh']);
      });
    },
  );
});

describe('a token that was found', () => {
  test('ends its family, whichever of its tokens it is, also one that was refreshed since', async () => {
    const finds: Readonly<Record<string, (one: FamilyCase) => Promise<string>>> = {
      'what agents read': agentsText,
      'the refresh token': async (one) => one.server.families[0]?.refresh ?? '',
      'one that was spent': async (one) => {
        const spent = one.server.families[0]?.refresh ?? '';
        one.now += HALF_LIFE_MS;
        await one.minutes(1);
        return spent;
      },
      'one of a consent that was replaced': async (one) => {
        const former = one.server.families[0]?.refresh ?? '';
        one.now += 60_000;
        await one.connect();
        return former;
      },
    };
    for (const [what, find] of Object.entries(finds)) {
      const one = await world.working();
      const text = await find(one);
      const { seq } = await one.family();
      expect(await report(one, text, { dryRun: true }), what).toMatchObject([{ outcome: 'live' }]);
      expect((await one.family()).seq, what).toBe(seq);
      expect(await report(one, text), what).toMatchObject([
        { outcome: 'live', family: { name: one.name }, revocation: expect.stringMatching(/revoked|pending/) },
      ]);
      expect(alive(one), what).toEqual([]);
      await one.minutes(3);
      expect((await one.family()).incident, what).toMatchObject({ id: 'INC-9', outcome: 'revoked' });
      // Of an earlier consent the vault may have forgotten the token since.
      const outcome = what.includes('replaced') ? 'not-confirmed' : 'dead';
      expect(await report(one, text), what).toMatchObject([
        { outcome, why: expect.stringContaining('INC-9') },
      ]);
      expect((await one.actions()).filter((action) => action === 'leak-reported')).toHaveLength(2);
      // A consent since has nothing to do with it.
      await one.connect();
      expect(await report(one, text, { dryRun: true }), what).toMatchObject([{ outcome }]);
      await one.assertWorks();
    }
  });

  test('dies or fails at every side effect: reported again under the same key it ends all, and is recorded once', async () => {
    const sample = await world.working();
    const text = await agentsText(sample);
    const labels = await sample.effects(() => sample.process((deps) => report(sample, text, { deps })));
    expect([labels[0], labels.at(-1)]).toEqual(['ledger.commit', 'ledger.commit']);
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.working();
      const [leaked, token] = [await agentsText(one), randomUUID()];
      one.calls.arm(fault);
      await quiet(one.process((deps) => report(one, leaked, { token, deps })));
      one.calls.disarm();
      expect(one.calls.struck, JSON.stringify(fault)).toBe(true);
      await report(one, leaked, { token });
      await one.minutes(4);
      await one.assertSound();
      expect(alive(one), JSON.stringify(fault)).toEqual([]);
      expect(await one.family()).toMatchObject({
        incident: { id: 'INC-9', pending: [], outcome: 'revoked' },
      });
      const actions = await one.actions();
      for (const action of ['leak-reported', 'emergency-intended', 'emergency-revoked'])
        expect(
          actions.filter((each) => each === action),
          `${action} ${JSON.stringify(fault)}`,
        ).toHaveLength(1);
    });
  });

  test('is not called dead where nobody can tell, and what is to be done is said', async () => {
    const unable = await world.working();
    unable.server.canRevoke = false;
    const text = await agentsText(unable);
    await report(unable, text);
    await unable.minutes(3);
    expect(await report(unable, text)).toMatchObject([
      { outcome: 'not-confirmed', why: expect.stringContaining('never confirmed') },
    ]);
    const left = await world.working();
    const found = await agentsText(left);
    await unregisterFamily(left.deps, { name: left.name, trigger: OPERATOR, dryRun: false });
    expect(await report(left, found)).toMatchObject([
      { outcome: 'not-confirmed', why: expect.stringContaining('no longer registered') },
    ]);
    const old = await world.working();
    const expired = await agentsText(old);
    old.now += 2 * HALF_LIFE_MS;
    expect(await report(old, expired)).toMatchObject([
      { outcome: 'not-confirmed', why: expect.stringContaining('gave it until') },
    ]);
    expect((await old.family()).status).toBe('active');
    expect(await report(old, 'a value of nobody, of which nothing is kept')).toEqual([]);
  });

  test('is not called revoked where the coordinator does not answer', async () => {
    const one = await world.working();
    const [found] = await reportFamilyLeak(
      {
        families: one.families,
        clock: one.deps.clock,
        revokeFamily: () => Promise.reject(new Error('no answer')),
      },
      {
        fingerprints: candidatesOf(new Redacted(await agentsText(one))),
        incidentId: 'INC-9',
        reason: 'r',
        actor: 'arn:responder',
        replace: true,
        token: randomUUID(),
        dryRun: false,
      },
    );
    expect(found).toMatchObject({ outcome: 'not-confirmed', why: expect.stringContaining('may work') });
  });
});

describe('the exposure of a family in an incident', () => {
  const traced = async (one: FamilyCase) =>
    familyTrailOf(await one.records(), 'INC-9', { head: await one.family(), now: toInstant(one.now) });
  const minute = (clock: string): string => `2026-11-26T${clock}:00.000Z`;
  const refreshed = async (one: FamilyCase, clock: string): Promise<void> => {
    one.now = Date.parse(minute(clock));
    await one.run();
  };

  test('is each value from the attempt that has brought it to the revocation that its server has confirmed', async () => {
    const one = await world.working();
    const spent = one.server.families[0]?.refresh ?? '';
    for (const clock of ['10:30', '11:00', '11:30']) await refreshed(one, clock);
    const text = await agentsText(one);
    one.now = Date.parse(minute('11:40'));
    await report(one, text);
    const { keys, haltedAt, holes, since } = await traced(one);
    const { access_token: access = '' } = JSON.parse(text) as Record<string, string>;
    const [newest, before] = keys;
    expect(keys.map(({ madeAt, endedAt }) => [madeAt, endedAt])).toEqual([
      // The access token of 11:00 had twenty minutes left.
      [minute('11:00'), minute('11:40')],
      [minute('11:30'), minute('11:40')],
      [minute('11:30'), minute('11:40')],
    ]);
    expect([newest?.versionIds.length, before?.versionIds.length]).toEqual([1, 1]);
    expect(keys.at(-1)).toMatchObject({
      fingerprint: fingerprint(new Redacted(access)),
      versionIds: before?.versionIds,
    });
    expect([haltedAt, holes, since]).toEqual([minute('11:40'), [], minute('10:00')]);
    // What a later consent brings has nothing to do with it.
    one.now += 60_000;
    await one.connect();
    expect((await traced(one)).keys).toEqual(keys);
    // One that is found later is reported, though it was dead by then.
    await report(one, spent);
    expect((await traced(one)).keys.map(({ madeAt }) => madeAt)).toContain(minute('10:00'));
  });

  test.each([
    ['ended where its version was there to be revoked', [], minute('11:20')],
    // The vault of the local stack forgets versions without a label.
    ['open where it was not', ['11:15'], undefined],
  ] as const)(
    'has what an earlier consent gave, %s, and a refresh token that is kept from its beginning on',
    async (_what, refreshes, endedAt) => {
      const one = await world.working({ rotation: false });
      await refreshed(one, '10:30');
      one.now = Date.parse(minute('10:45'));
      await one.connect();
      for (const clock of refreshes) await refreshed(one, clock);
      one.now = Date.parse(minute('11:20'));
      await report(one, one.server.families[1]?.refresh ?? '');
      const { keys } = await traced(one);
      expect(keys.map((key) => [key.madeAt, key.endedAt, key.versionIds.length])).toEqual([
        [minute('10:00'), endedAt, 2],
        [minute('10:45'), minute('11:20'), 1 + refreshes.length],
      ]);
    },
  );

  test('is open where the server has confirmed nothing', async () => {
    const one = await world.working();
    one.server.canRevoke = false;
    await report(one, await agentsText(one));
    await one.minutes(2);
    expect((await traced(one)).keys.map(({ endedAt }) => endedAt)).toEqual([undefined, undefined]);
  });
});
