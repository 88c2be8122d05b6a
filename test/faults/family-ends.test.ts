import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RekeyError } from '../../shared/domain/errors.ts';
import { lifeOf } from '../../shared/domain/family-refresh.ts';
import { keptText, type Kept } from '../../shared/domain/family-secret.ts';
import { Redacted } from '../../shared/domain/redacted.ts';
import { pauseFamily, unpauseFamily, unregisterFamily } from '../../shared/engine/families/leave.ts';
import { applyFamily } from '../../shared/engine/families/register.ts';
import { revokeFamily } from '../../shared/engine/families/revoke.ts';
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

describe('an emergency', () => {
  const revoke = (one: FamilyCase, deps = one.deps) =>
    revokeFamily(deps, { name: one.name, incidentId: 'INC-1', trigger: OPERATOR });

  async function assertEnded(one: FamilyCase, tokens: readonly string[]): Promise<void> {
    await one.assertSound();
    const family = await one.family();
    expect(family).toMatchObject({
      status: 'consent-needed',
      needs: { why: 'revoked' },
      incident: { id: 'INC-1', pending: [], outcome: 'revoked' },
    });
    for (const token of tokens) expect(one.server.takes(token)).toBe(false);
    for (const stage of ['AWSCURRENT', 'AWSPREVIOUS', 'AWSPENDING'] as const)
      expect(await one.read(stage)).not.toHaveProperty('access_token');
    expect((await one.actions()).filter((action) => action === 'emergency-revoked')).toHaveLength(1);
    expect(one.published.some(({ detailType }) => detailType === EVENT.halt)).toBe(true);
  }

  test('takes the token from agents, halts them, then revokes at the server, which may let one wait; a consent brings them back', async () => {
    const one = await world.working();
    const { access_token: token = '' } = await one.read();
    const labels = await one.effects(() => one.process((deps) => revoke(one, deps)));
    expect(labels.slice(0, 6)).toEqual([
      'ledger.commit',
      'vault.put',
      'vault.put',
      'vault.stripPending',
      'events.publish',
      'server.revoke',
    ]);
    one.now += 121_000;
    await one.minutes(1);
    await assertEnded(one, [token]);
    expect(one.published.map(({ detailType }) => detailType)).toEqual([EVENT.halt]);
    expect(one.published[0]?.detail).toMatchObject({ fleets: ['tool-agents'], incidentId: 'INC-1' });
    const record = (await one.records()).find(({ message }) => message === 'emergency-revoked');
    expect(record?.entity.data.deactivation).toBe('CONFIRMED');
    one.now += 3_600_000;
    await one.minutes(3);
    await assertEnded(one, [token]);
    await one.connect();
    await one.assertWorks();
    expect(one.published.at(-1)?.detailType).toBe(EVENT.resume);
    expect((await one.actions()).slice(-2)).toEqual(['consent-given', 'agents-resumed']);
  });

  test('dies or fails at every side effect: it is completed by the schedule', async () => {
    const sample = await world.working();
    const labels = await sample.effects(() => sample.process((deps) => revoke(sample, deps)));
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.working();
      const { access_token: token = '' } = await one.read();
      one.calls.arm(fault);
      const first = await quiet(one.process((deps) => revoke(one, deps)));
      one.calls.disarm();
      // Before its intent is there, only whoever asked knows of it.
      if ((await one.family()).incident === undefined) {
        expect([first instanceof Error, first]).toContainEqual(first instanceof Error ? true : 'killed');
        await revoke(one);
      }
      await one.minutes(4);
      await assertEnded(one, [token]);
    });
  });

  test('comes in the middle of a refresh, at every side effect: what that brings is revoked too', async () => {
    const sample = await world.due();
    const labels = await sample.effects(() => sample.process((deps) => sample.run(deps)));
    await inParallel(
      labels.map((_label, index) => index + 1),
      async (at) => {
        const one = await world.due();
        const { access_token: token = '' } = await one.read();
        let seen = 0;
        one.calls.arm();
        one.calls.between = async () => {
          if (++seen !== at) return;
          one.calls.disarm();
          await revoke(one);
        };
        await quiet(one.process((deps) => one.run(deps)));
        expect(seen).toBeGreaterThanOrEqual(at);
        await one.minutes(4);
        const live = one.server.families.flatMap((family) => (family.dead ? [] : [...family.live]));
        await assertEnded(one, [token, ...live]);
      },
    );
  });

  test('ends what a lost attempt stores after its lease, whichever it was', async () => {
    const one = await world.due();
    const { id, refreshSecretName } = await one.family();
    one.calls.arm({ at: 'server.refresh', mode: 'after' });
    await one.process((deps) => tend(deps, id));
    one.calls.disarm();
    const { attempt } = await one.family();
    one.now += 121_000;
    one.server.trouble = down;
    await one.run();
    one.server.trouble = undefined;
    const [there] = one.server.families;
    const late = [there?.refresh ?? '', [...(there?.live ?? [])].at(-1) ?? ''] as const;
    const [refreshToken, accessToken] = late.map((token) => new Redacted(token));
    const life = lifeOf(3600, one.now);
    const text = keptText({ refreshToken, accessToken, tokenType: 'Bearer', ...life } as Kept);
    await one.vault.put(refreshSecretName, attempt?.id ?? '', text, 'AWSPENDING');
    await revoke(one);
    expect(one.server.revoked).toEqual(expect.arrayContaining([...late]));
    await assertEnded(one, late);
  });

  test.each(['before its secrets are there', 'before its first token'])(
    'of a client that acts for itself, %s, lets it get none until somebody connects it',
    async (when) => {
      const one = await world.fresh({ grant: 'client_credentials' });
      if (when.includes('secrets')) {
        one.calls.arm({ at: 'vault.create', mode: 'before' });
        await one.process((deps) =>
          applyFamily(deps, one.options, {
            name: one.name,
            terms: one.terms,
            trigger: OPERATOR,
            dryRun: false,
          }),
        );
        one.calls.disarm();
      } else await one.apply();
      await revoke(one);
      await revoke(one);
      await one.apply();
      await one.minutes(10);
      expect(one.server.revoked).toEqual([]);
      expect(await one.read()).toEqual({ error: 'consent_needed', since: expect.any(String) });
      expect(await one.family()).toMatchObject({
        status: 'consent-needed',
        needs: { why: 'revoked' },
        incident: { id: 'INC-1', pending: [], outcome: 'none' },
      });
      const intended = (await one.actions()).filter((action) => action.startsWith('emergency-'));
      expect(intended).toEqual(['emergency-intended']);
      await one.assertSound();
      await one.connect();
      await one.assertWorks();
      expect((await one.family()).ended).toBeUndefined();
    },
  );

  test('at a server that can’t revoke, or doesn’t answer, is told to a person and not taken for done', async () => {
    const silent = await world.working();
    silent.server.trouble = down;
    await revoke(silent);
    expect(await silent.family()).toMatchObject({ incident: { pending: [expect.any(String)] } });
    expect(await silent.read()).not.toHaveProperty('access_token');
    await silent.minutes(5);
    const failed = (await silent.records()).filter(
      ({ message }) => message === 'emergency-revocation-failed',
    );
    expect(failed).toHaveLength(1);
    expect(failed[0]?.entity.data.evidence).toContain('tools-fleet');
    silent.server.trouble = undefined;
    await silent.minutes(15);
    await assertEnded(silent, []);

    const unable = await world.working();
    unable.server.canRevoke = false;
    await revoke(unable);
    await unable.minutes(1);
    expect((await unable.family()).incident).toMatchObject({ pending: [], outcome: 'unsupported' });
    const ends = (await unable.records())
      .slice(-2)
      .map(({ message, entity }) => [message, entity.data.deactivation]);
    expect(ends).toEqual([
      ['emergency-revocation-failed', 'NOT CONFIRMED'],
      ['agents-halted', ''],
    ]);
  });
});

describe('registration', () => {
  const apply = (one: FamilyCase, deps = one.deps) =>
    applyFamily(deps, one.options, { name: one.name, terms: one.terms, trigger: OPERATOR, dryRun: false });

  test('dies or fails at every side effect: applied again, it is complete; the two secrets are nobody else’s', async () => {
    const sample = await world.fresh();
    const labels = await sample.effects(() => sample.process((deps) => apply(sample, deps)));
    expect(labels).toEqual(['ledger.create', 'vault.create', 'vault.create', 'ledger.commit']);
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.fresh();
      one.calls.arm(fault);
      await quiet(one.process((deps) => apply(one, deps)));
      one.calls.disarm();
      await apply(one);
      await one.assertSound();
      expect(await one.actions()).toEqual(['registration-intended', 'registered']);
      await one.connect();
      await one.assertWorks();
    });
  });

  test('again changes what is declared, and never the client', async () => {
    const one = await world.working();
    expect(await apply(one)).toMatchObject({ outcome: 'unchanged', changes: [] });
    const terms = { ...one.terms, owner: 'another team', graceSeconds: 60 };
    const changed = await applyFamily(one.deps, one.options, {
      name: one.name,
      terms,
      trigger: OPERATOR,
      dryRun: false,
    });
    expect(changed).toMatchObject({
      outcome: 'updated',
      changes: [
        { field: 'owner', from: 'tools team', to: 'another team' },
        { field: 'refresh.grace', from: '0s', to: '1m' },
      ],
    });
    const other = { ...one.terms, client: { ...one.terms.client, id: 'another' } };
    await expect(
      applyFamily(one.deps, one.options, { name: one.name, terms: other, trigger: OPERATOR, dryRun: false }),
    ).rejects.toMatchObject({ code: 'ERR_DECLARATION', field: 'client.id' });
    const elsewhere = { ...one.terms, server: { tokenEndpoint: 'https://elsewhere.example/token' } };
    await expect(one.apply(elsewhere)).rejects.toMatchObject({
      code: 'ERR_DECLARATION',
      field: 'server.tokenEndpoint',
    });
    await one.assertWorks();
  });

  test('of a name whose secret is somebody else’s is refused', async () => {
    const one = await world.fresh();
    await world.aws.json('secretsmanager', 'CreateSecret', {
      Name: `${one.options.secretPrefix}families/${one.name}`,
      SecretString: 'theirs',
    });
    await expect(apply(one)).rejects.toMatchObject({ code: 'ERR_SECRET_EXISTS' });
  });
});

describe('a pause', () => {
  test('refreshes nothing until it ends; what was under way is brought to its end', async () => {
    const one = await world.due({ graceSeconds: 600 });
    one.calls.arm({ at: 3, mode: 'after' });
    await one.process((deps) => one.run(deps));
    one.calls.disarm();
    await pauseFamily(one.deps, { name: one.name, trigger: OPERATOR });
    expect(await pauseFamily(one.deps, { name: one.name, trigger: OPERATOR })).toMatchObject({
      changed: false,
    });
    await one.minutes(4);
    await one.assertWorks();
    one.now += HALF_LIFE_MS;
    await one.minutes(2);
    expect(one.server.refreshes).toBe(1);
    await unpauseFamily(one.deps, { name: one.name, trigger: OPERATOR });
    await one.minutes(1);
    expect(one.server.refreshes).toBe(2);
    await one.assertWorks();
  });
});

describe('unregistering', () => {
  test('dies or fails at every side effect: done again, the names are free, and tokens and secrets are left', async () => {
    const leave = (one: FamilyCase, deps = one.deps) =>
      unregisterFamily(deps, { name: one.name, trigger: OPERATOR, dryRun: false });
    const sample = await world.working();
    const labels = await sample.effects(() => sample.process((deps) => leave(sample, deps)));
    await inParallel(everyFault(labels), async (fault) => {
      const one = await world.working();
      const { id, secretName, refreshSecretName } = await one.family();
      const { access_token: token = '' } = await one.read();
      one.calls.arm(fault);
      await quiet(one.process((deps) => leave(one, deps)));
      one.calls.disarm();
      if ((await one.families.familyByName(one.name)) !== undefined) await leave(one);
      expect(await one.families.family(id)).toMatchObject({ status: 'unregistered' });
      for (const name of [secretName, refreshSecretName])
        expect((await one.vault.describe(name))?.tags).toEqual({});
      expect(one.server.takes(token)).toBe(true);
      one.now += HALF_LIFE_MS;
      await one.minutes(2);
      expect(one.server.refreshes).toBe(0);
    });
  });
});
