import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectFamily } from '../../shared/engine/families/connect.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import { revokeFamily } from '../../shared/engine/families/revoke.ts';
import { tend } from '../../shared/engine/families/tend.ts';
import { Agents, AGENTS, ByThemselves, connected, consent, fromVault } from '../support/family-load.ts';
import { FamilyWorld, type FamilyCase } from '../support/family-world.ts';
import { OidcServer } from '../support/oidc.ts';

/** Families at a real authorization server, with rotation and detection of reuse, read by agents all the time. */
const REFRESHES = 100;
const OPERATOR = { kind: 'operator', actor: 'arn:operator' } as const;

let world: FamilyWorld;
beforeAll(async () => {
  world = await FamilyWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** A coordinator that dies with the answer of the server in its hands: nothing of it is stored. */
async function dies(one: FamilyCase, deps: FamilyDeps): Promise<void> {
  const { id } = await one.family();
  one.calls.struck = false;
  one.calls.arm({ at: 'server.refresh', mode: 'after' });
  expect(await one.process((faulty) => tend(faulty, id, { forced: true }), deps)).toBe('killed');
  one.calls.disarm();
}

describe('50 agents over 100 refreshes', () => {
  test('lose nothing: no family is revoked, two coordinators at each refresh and one killed at every tenth', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(world, oidc, 600);
    const { id } = await one.family();
    const agents = new Agents(await fromVault(one), oidc);
    let killed = 0;
    for (let refresh = 1; refresh <= REFRESHES; refresh++) {
      one.now = Math.max(one.now, Date.now());
      if (refresh % 10 === 0) {
        await dies(one, deps);
        killed++;
        one.now += 121_000;
      }
      const outcomes = await Promise.all([1, 2].map(async () => tend(deps, id, { forced: true })));
      expect(outcomes.filter(({ outcome }) => outcome === 'refreshed').length).toBeGreaterThanOrEqual(1);
      await agents.make(AGENTS / 5);
    }
    await agents.stop();
    expect(agents.failures).toEqual([]);
    expect(agents.calls).toBeGreaterThanOrEqual(AGENTS * 20);
    expect([...oidc.revokedByReuse, ...oidc.revokedOnRequest]).toEqual([]);
    expect(oidc.refreshes).toBeGreaterThanOrEqual(REFRESHES + killed);
    const family = await one.family();
    expect(family).toMatchObject({ status: 'active' });
    const records = await one.actions();
    expect(records.filter((action) => action === 'tokens-refreshed').length).toBeGreaterThanOrEqual(
      REFRESHES,
    );
    expect(records).not.toContain('consent-needed');
  }, 600_000);

  test('lose the family where each of them refreshes by itself: that is what the test can see', async () => {
    await using oidc = await OidcServer.start();
    const { one } = await connected(world, oidc, 0);
    const source = await ByThemselves.of(one);
    const agents = new Agents(source, oidc);
    source.fallDue();
    await agents.make(AGENTS * 3);
    await agents.stop();
    expect(agents.failures.length).toBeGreaterThan(0);
    expect(oidc.revokedByReuse.size).toBe(1);
  });
});

describe('a coordinator that is killed between answer and store', () => {
  test('past the grace of the server costs the consent, which is said once, and a consent brings it back', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(world, oidc, 0);
    const { id } = await one.family();
    await dies(one, deps);
    one.now += 121_000;
    expect(await tend(deps, id)).toMatchObject({ outcome: 'consent-needed' });
    expect(await one.family()).toMatchObject({ needs: { why: 'lost' } });
    expect(oidc.revokedByReuse.size).toBe(1);
    const asked = oidc.asked.length;
    for (let minute = 0; minute < 10; minute++) {
      one.now += 60_000;
      expect(await one.run(deps)).toMatchObject({ refreshed: [], failed: [] });
    }
    expect(oidc.asked).toHaveLength(asked);
    expect((await one.actions()).filter((action) => action === 'consent-needed')).toHaveLength(1);
    await connectFamily(deps, { name: one.name, consent: await consent(oidc, one.terms), trigger: OPERATOR });
    expect(await oidc.isLive((await one.read())['access_token'] ?? '')).toBe(true);
    expect(await tend(deps, id, { forced: true })).toMatchObject({ outcome: 'refreshed' });
  });
});

describe('an emergency at a real server', () => {
  test('ends all that descends from the consent, the newest tokens included', async () => {
    await using oidc = await OidcServer.start();
    const { one, deps } = await connected(world, oidc, 600);
    const { id } = await one.family();
    await tend(deps, id, { forced: true });
    const { access_token: token = '' } = await one.read();
    expect(await oidc.isLive(token)).toBe(true);
    const ended = await revokeFamily(deps, { name: one.name, incidentId: 'INC-7', trigger: OPERATOR });
    expect(ended.incident).toMatchObject({ pending: [], outcome: 'revoked' });
    expect(await oidc.isLive(token)).toBe(false);
    expect(oidc.revokedOnRequest.size).toBe(1);
    expect(await one.read()).not.toHaveProperty('access_token');
  });
});
