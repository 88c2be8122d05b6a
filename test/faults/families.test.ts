import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import { familyChecks } from '../../shared/domain/diagnose-families.ts';
import { eventOf } from '../../shared/domain/events.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { Unspent } from '../../shared/domain/token-answer.ts';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import { tend } from '../../shared/engine/families/tend.ts';
import { EVENT } from '../../shared/names.ts';
import { everyFault, FamilyWorld, HALF_LIFE_MS, quiet, type FamilyCase } from '../support/family-world.ts';
import { inParallel } from '../support/in-parallel.ts';

let world: FamilyWorld;
beforeAll(async () => {
  world = await FamilyWorld.start();
});
afterAll(async () => {
  await world.stop();
});

const OPERATOR = { kind: 'operator', actor: 'arn:operator', reason: 'seen in a log' } as const;
const down = new RekeyError('ERR_UNAVAILABLE', 'no answer');

describe('a family is refreshed', () => {
  test('at half of its life: intent, answer stored, agents served, recorded', async () => {
    const one = await world.due();
    const before = await one.read();
    const labels = await one.effects(() => one.process((deps) => one.run(deps)));
    expect(labels).toEqual([
      'ledger.commit',
      'server.refresh',
      'vault.put',
      'vault.put',
      'vault.promote',
      'ledger.commit',
    ]);
    await one.assertWorks();
    expect((await one.read())['access_token']).not.toBe(before['access_token']);
    expect(await one.read()).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      scope: 'tools:read',
      expires_at: '2026-11-26T11:30:00.000Z',
    });
    expect(await one.actions()).toEqual([
      'registration-intended',
      'registered',
      'consent-given',
      'tokens-refreshed',
    ]);
    expect(one.server.refreshes).toBe(1);
    await one.minutes(2);
    expect(one.server.refreshes).toBe(1);
  });

  test('whatever call dies or fails, at every side effect, within the grace of the server: nobody consents again', async () => {
    const terms = { graceSeconds: 120 };
    const sample = await world.due(terms);
    const faults = everyFault(await sample.effects(() => sample.process((deps) => sample.run(deps))));
    await inParallel(faults, async (fault) => {
      const one = await world.due(terms);
      one.calls.arm(fault);
      await quiet(one.process((deps) => one.run(deps)));
      one.calls.disarm();
      expect(one.calls.struck, JSON.stringify(fault)).toBe(true);
      // Agents have a token all the time.
      expect(one.server.takes((await one.read())['access_token'] ?? '')).toBe(true);
      await one.minutes(4);
      await one.assertWorks();
      expect((await one.family()).tokens?.refreshedAt).not.toBe('2026-11-26T10:00:00.000Z');
    });
  });

  test('whatever call dies or fails without a grace: only a lost answer costs the consent, and that is said', async () => {
    const sample = await world.due();
    const labels = await sample.effects(() => sample.process((deps) => sample.run(deps)));
    const spent = labels.indexOf('server.refresh') + 1;
    const outcomes = new Map<string, string>();
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.due();
      one.calls.arm(fault);
      await quiet(one.process((deps) => one.run(deps)));
      one.calls.disarm();
      await one.minutes(6);
      await one.assertSound();
      const { status, needs } = await one.family();
      outcomes.set(`${fault.at} ${fault.mode}`, needs?.why ?? status);
      if (status === 'active') return one.assertWorks();
      // It is said once, and the token is spent no more.
      const { refreshes, reused } = one.server;
      await one.minutes(10);
      expect([one.server.refreshes, one.server.reused]).toEqual([refreshes, reused]);
      const told = (await one.records()).filter(({ message }) => message === 'consent-needed');
      expect(told.map((record) => eventOf(record)?.detailType)).toEqual([EVENT.failed]);
      await one.connect();
      one.server.reused = 0;
      await one.assertWorks();
    });
    const lost = [...outcomes].filter(([, outcome]) => outcome === 'lost').map(([at]) => at);
    expect(lost.toSorted()).toEqual([`${spent} after`, `${spent} lost`, `${spent + 1} before`].toSorted());
    expect(new Set(outcomes.values())).toEqual(new Set(['active', 'lost']));
  });

  test('by one of many coordinators at once, which spends the token once', async () => {
    const one = await world.due();
    const answers = await Promise.all(
      Array.from({ length: 12 }, async () => tend(one.deps, (await one.family()).id)),
    );
    const outcomes = Map.groupBy(answers, ({ outcome }) => outcome);
    expect(outcomes.get('refreshed')).toHaveLength(1);
    expect(
      [...outcomes.keys()]
        .toSorted()
        .every((each) => ['busy', 'outrun', 'refreshed', 'rested'].includes(each)),
    ).toBe(true);
    expect(one.server.refreshes).toBe(1);
    await one.assertWorks();
  });

  test('by who comes after one that stands still past its lease; the late one changes nothing', async () => {
    const labels = ['vault.put', 'vault.promote', 'ledger.commit'];
    for (const label of labels) {
      const one = await world.due({ graceSeconds: 600 });
      let second: unknown;
      one.calls.arm();
      let seen = 0;
      one.calls.between = async (at) => {
        // The intent is the first commit.
        if (at !== label || second !== undefined || (label === 'ledger.commit' && seen++ === 0)) return;
        second = 'begun';
        one.calls.disarm();
        one.now += 121_000;
        second = await tend(one.deps, (await one.family()).id);
      };
      const first = await one.process((deps) => one.run(deps));
      expect(second, label).toMatchObject({ outcome: 'refreshed' });
      expect(first).toMatchObject({ failed: [] });
      await one.assertWorks();
      one.now += HALF_LIFE_MS;
      await one.minutes(1);
      await one.assertWorks();
    }
  });
});

describe('a refusal', () => {
  test('of a token that was spent elsewhere reports the family at once, asks for consent and retries nothing', async () => {
    const one = await world.due();
    one.server.spendElsewhere();
    expect(await one.run()).toMatchObject({ consentNeeded: [(await one.family()).id], failed: [] });
    expect(await one.family()).toMatchObject({ status: 'consent-needed', needs: { why: 'refused' } });
    const { refreshes } = one.server;
    await one.minutes(30);
    expect(one.server.refreshes).toBe(refreshes);
    const record = (await one.records()).at(-1);
    expect(record).toMatchObject({ message: 'consent-needed', severity_id: 4 });
    expect(record && eventOf(record)).toMatchObject({
      detailType: EVENT.failed,
      detail: { fleets: ['tool-agents'] },
    });
    await one.connect();
    one.server.reused = 0;
    await one.assertWorks();
  });

  test('of the client is told once and tried slowly; a client secret that was rotated meanwhile is found', async () => {
    const one = await world.due();
    one.server.clientSecret = 'another';
    await one.minutes(14);
    expect((await one.actions()).filter((action) => action === 'refresh-failed')).toHaveLength(1);
    expect((await one.family()).trouble).toMatchObject({ code: 'ERR_ADMIN_DENIED', failures: 1 });
    await one.minutes(2);
    expect((await one.family()).trouble).toMatchObject({ failures: 2 });
    await one.rotateClient('another', 'AWSCURRENT');
    await one.minutes(16);
    await one.assertWorks();
    expect((await one.family()).trouble).toBeUndefined();
  });

  test.each(['AWSPENDING', 'AWSPREVIOUS'] as const)(
    'of the client’s current secret while another is %s costs nothing',
    async (stage) => {
      const one = await world.due();
      await one.rotateClient('next', 'AWSPENDING');
      if (stage === 'AWSPREVIOUS') {
        one.server.clientSecret = 'what-the-client-knows';
        await one.rotateClient('unused', 'AWSCURRENT');
        one.server.clientSecret = 'what-the-client-knows';
      }
      await one.minutes(1);
      await one.assertWorks();
      expect(await one.actions()).not.toContain('refresh-failed');
    },
  );

  test('of a server that is down is told when a quarter of the life is left; agents go on meanwhile', async () => {
    const one = await world.due();
    one.server.trouble = down;
    await one.minutes(10);
    expect(await one.actions()).not.toContain('refresh-endangered');
    expect(one.server.takes((await one.read())['access_token'] ?? '')).toBe(true);
    await one.minutes(19);
    expect((await one.actions()).filter((action) => action === 'refresh-endangered')).toHaveLength(1);
    one.server.trouble = undefined;
    await one.minutes(11);
    await one.assertWorks();
  });

  test('at the door of a server spends nothing: it is waited for as long as the server wants, and nothing counts as lost', async () => {
    const one = await world.due();
    one.server.trouble = new Unspent('ERR_UNAVAILABLE', 'answers 429', { retryAfterSeconds: 300 });
    await one.run();
    const { trouble } = await one.family();
    expect(trouble).toMatchObject({ failures: 1, lost: [], notBefore: toInstant(one.now + 300_000) });
    one.server.trouble = undefined;
    one.server.spendElsewhere();
    one.now += 300_000;
    await one.run();
    expect(await one.family()).toMatchObject({ needs: { why: 'refused' } });
  });

  test('of a look at the metadata of a server that worked is tried again soon, not told as a refusal of the family', async () => {
    const one = await world.due();
    one.server.trouble = new Unspent('ERR_REJECTED', 'publishes no metadata (404)', {});
    await one.run();
    expect(await one.family()).toMatchObject({
      trouble: { code: 'ERR_REJECTED', lost: [], told: false, notBefore: toInstant(one.now + 60_000) },
    });
    one.now += 20 * 60_000;
    await one.run();
    expect((await one.actions()).filter((action) => action.startsWith('refresh-'))).toEqual([
      'refresh-endangered',
    ]);
    one.server.trouble = undefined;
    one.now += 5 * 60_000;
    await one.run();
    await one.assertWorks();
  });

  test('is none where access tokens come to live too short: that is recorded once, and paged', async () => {
    const one = await world.due();
    one.server.lifeSeconds = 300;
    await one.run();
    one.now += 300_000;
    await one.run();
    const told = (await one.records()).filter(({ message }) => message === 'refresh-endangered');
    expect(told.map(({ entity }) => JSON.parse(entity.data.evidence || '{}') as object)).toEqual([
      expect.objectContaining({ code: 'ERR_POLICY', lifeSeconds: 300 }),
    ]);
    expect(familyChecks(await one.family(), one.now - 1000)).toContainEqual(
      expect.objectContaining({
        state: 'warn',
        detail: expect.stringContaining('lives 300 seconds') as string,
      }),
    );
    one.server.lifeSeconds = 3600;
    one.now += 300_000;
    await one.run();
    await one.assertWorks();
  });

  test('of a server that never rotates is none: the refresh token stays, and after seven days consent is due, once', async () => {
    const one = await world.working({ rotation: false });
    for (let step = 0; step < 3; step++) {
      one.now += HALF_LIFE_MS;
      await one.minutes(2);
    }
    expect(one.server.refreshes).toBe(3);
    expect(await one.actions()).not.toContain('consent-due');
    one.now += 7 * 86_400_000;
    await one.minutes(2);
    await one.assertWorks();
    one.now += HALF_LIFE_MS;
    await one.minutes(2);
    expect((await one.actions()).filter((action) => action === 'consent-due')).toHaveLength(1);
    await one.connect();
    one.now += HALF_LIFE_MS;
    await one.minutes(2);
    expect((await one.actions()).filter((action) => action === 'consent-due')).toHaveLength(1);
    await one.assertWorks();
  });
});

describe('a consent', () => {
  test('dies or fails at every side effect: it is given again, and a family that works goes on meanwhile', async () => {
    const sample = await world.working();
    const connect = (one: FamilyCase) =>
      one.process((deps) =>
        connectFamily(deps, { name: one.name, consent: one.server.code(), trigger: OPERATOR }),
      );
    const labels = await sample.effects(() => connect(sample));
    expect(labels).toContain('server.exchange');
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.working();
      one.calls.arm(fault);
      await quiet(connect(one));
      one.calls.disarm();
      expect(one.server.takes((await one.read())['access_token'] ?? '')).toBe(true);
      await one.minutes(4);
      await one.assertWorks();
      await connect(one);
      await one.assertWorks();
    });
  });

  test('that brings no refresh token, or tokens too short for the vault, is refused and given back', async () => {
    const one = await world.registered();
    one.server.refreshable = false;
    await expect(one.connect()).rejects.toMatchObject({ code: 'ERR_POLICY', field: 'scopes' });
    one.server.refreshable = true;
    one.server.lifeSeconds = 300;
    await expect(one.connect()).rejects.toMatchObject({ code: 'ERR_POLICY', field: 'server' });
    expect(one.server.families.map(({ live, dead }) => dead || live.size === 0)).toEqual([true, true]);
    expect(await one.family()).toMatchObject({ status: 'consent-needed', needs: { why: 'first' } });
    expect(await one.read()).toEqual({ error: 'consent_needed', since: expect.any(String) });
    one.server.lifeSeconds = 3600;
    await one.connect();
    await one.assertWorks();
  });

  test('that is refused while the family works ends nothing at the server, which may have one grant for each person', async () => {
    const one = await world.working();
    one.server.refreshable = false;
    await expect(one.connect()).rejects.toMatchObject({ field: 'scopes' });
    one.server.refreshable = true;
    one.server.lifeSeconds = 300;
    await expect(one.connect()).rejects.toMatchObject({ field: 'server' });
    expect(one.server.families.map(({ live, dead }) => !dead && live.size > 0)).toEqual([true, true, true]);
    one.server.lifeSeconds = 3600;
    await one.assertWorks();
  });

  test('waits for a refresh under way, and isn’t spent on a family that is being ended', async () => {
    const one = await world.due();
    one.calls.arm({ at: 'server.refresh', mode: 'before' });
    await one.process((deps) => one.run(deps));
    one.calls.disarm();
    await expect(one.connect()).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    one.now += 120_000;
    await one.connect();
    await one.assertWorks();
    await expect(connectFamily(one.deps, { name: one.name, trigger: OPERATOR })).rejects.toMatchObject({
      code: 'ERR_REQUEST',
    });
  });

  test('of no person: a client that acts for itself gets its tokens by itself, again and again', async () => {
    const one = await world.registered({ grant: 'client_credentials' });
    await one.minutes(1);
    await one.assertWorks();
    one.now += HALF_LIFE_MS;
    await one.minutes(1);
    await one.assertWorks();
    expect((await one.actions()).filter((action) => action === 'tokens-refreshed')).toHaveLength(2);
    await one.connect();
    await one.assertWorks();
  });
});
