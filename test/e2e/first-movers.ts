// Rotations in which a part of the agents moves first: one that is quiet, and one in which the new login is refused.
import { expect, test } from 'vitest';
import { tryLogin } from '../../local/demo/database.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { follow } from '../../local/demo/scenario.ts';
import type { FleetAgent } from './agent-fleet.ts';
import { CANARY_SECONDS, type Cohorts } from './cohorts.ts';
import { quiet as untold, type Deployed } from './deployed.ts';
import { recordsOf } from './records.ts';

interface Given extends Deployed {
  readonly quiet: Cohorts;
  readonly risen: Cohorts;
  /** Both rotations, once their windows are open. */
  readonly first: Promise<{ readonly quiet: string; readonly risen: string }>;
  /** The new login of `risen`, which is let in no more. */
  readonly shutOut: Awaited<ReturnType<typeof readLogin>>;
}

/** The uses of the new version that a record counts. */
function usesIn(record: Record<string, unknown> | undefined): { succeeded: number; refused: number } {
  const { canary } = record as { canary: { uses: { succeeded: number; refused: number } } };
  return canary.uses;
}

/** Tests of what comes of both rotations; they stop the agents. */
export function testFirstMovers(given: () => Given): void {
  test('a part moves first, the others when it has been quiet, and then the old one is ended', async () => {
    const { world, quiet, first } = given();
    const id = (await first).quiet;
    const old = quiet.instances[0]?.versions[0] ?? '';
    const ended = await follow(world, quiet.credential, id, untold, 240_000);
    expect(ended).toMatchObject({ phase: 'completed', canary: { outcome: 'quiet' } });
    const { canary, rest } = quiet.parts(id);
    await quiet.stop();
    const movedAt = ({ uses }: FleetAgent): number =>
      uses.find(({ versionId }) => versionId !== old)?.at ?? 0;
    const othersFrom = Date.parse(ended.window?.opensAt ?? '') + CANARY_SECONDS * 1000;
    expect(Math.max(...canary.map(movedAt))).toBeLessThan(othersFrom);
    expect(Math.min(...rest.map(movedAt))).toBeGreaterThanOrEqual(othersFrom);
    const [observed] = await recordsOf(world, id, 'canary-observed');
    expect(observed).toMatchObject({ canary: { outcome: 'quiet', uses: { refused: 0 } } });
    expect(usesIn(observed).succeeded).toBeGreaterThan(canary.length);
    const [intended] = await recordsOf(world, id, 'revocation-intended', 'suspension-intended');
    expect(intended).toMatchObject({ stragglers: [] });
    expect(quiet.instances.flatMap(({ refusals, troubles }) => [...refusals, ...troubles])).toEqual([]);
  });

  test('where those who move first are refused, Rekey rolls back, and nobody was without a login', async () => {
    const { world, vault, risen, first, shutOut } = given();
    const id = (await first).risen;
    const ended = await follow(world, risen.credential, id, untold, 300_000);
    expect(ended.phase).toBe('rolled-back');
    expect(ended.rollback?.reason).toMatch(/those who moved first are refused: [1-9]\d* of \d+ uses/);
    const [intended] = await recordsOf(world, id, 'rollback-intended');
    expect(intended).toMatchObject({ canary: { outcome: 'risen', before: { refused: 0 } } });
    const { canary, rest } = risen.parts(id);
    await risen.stop();
    expect(usesIn(intended).refused).toBeGreaterThanOrEqual(canary.length);
    // The client fell back to the old login; those who were not to move first never met the new one.
    for (const { name, refusals } of canary) expect(refusals.length, name).toBeGreaterThan(0);
    expect(rest.length).toBeGreaterThan(0);
    expect(rest.flatMap(({ refusals }) => refusals)).toEqual([]);
    for (const { name, versions } of risen.instances) expect(versions, name).toHaveLength(1);
    expect(risen.instances.flatMap(({ troubles }) => troubles)).toEqual([]);
    expect(await tryLogin(world.server, await readLogin(vault, 'agents/risen'))).toBe('accepted');
    expect(await tryLogin(world.server, shutOut)).toBe('refused');
  });
}
