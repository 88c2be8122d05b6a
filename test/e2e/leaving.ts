// What people and agents have seen when they leave: on a deployed stack it is rotated to its end, under those who stay.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { agentRole } from '../../local/demo/agent.ts';
import { tryLogin } from '../../local/demo/database.ts';
import { databaseCredential } from '../../local/demo/declaration.ts';
import { readLogin } from '../../local/demo/fleet.ts';
import { rekey, rekeyJson } from '../../local/demo/rekey.ts';
import type { RotationView, ShowAnswer, StagedAnswer } from '../../shared/api/messages.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { Instance } from '../support/agent-api.ts';
import { assumedRole, readRecord } from '../support/cloudtrail.ts';
import { callAs } from './deployed-agent.ts';
import { type Deployed, agentsAtWork, apply } from './deployed.ts';

/** Tests of those who leave; "orders" has to be at rest. */
export function testLeaving(given: () => Deployed): void {
  /** Follows a staged order to the end of its rotations. */
  const done = async (order: readonly string[]): Promise<RotationView[]> => {
    const { status, stdout, stderr } = await rekey([...order, '--wait', '--json'], given().world.env);
    expect([status, stderr]).toEqual([0, '']);
    const [, ...ended] = stdout.trim().split('\n');
    return ended.map((line) => (JSON.parse(line) as { rotation: RotationView }).rotation);
  };
  const left = async (order: readonly string[]): Promise<StagedAnswer['steps']> =>
    (await rekeyJson<StagedAnswer>(order, given().world.env)).steps;

  test('who has read a value as a person knows it: what they leave is shown, with when, and rotated while agents work', async () => {
    const { world, vault } = given();
    const ada = readRecord('agents/orders', assumedRole('Admin', 'ada@example.com'), {
      sessionCredentialFromConsole: 'true',
    });
    await world.stack.gateway.cloudTrail({ ...ada, eventTime: toInstant(Date.now()) });
    const about = ['--known-by', 'Ada@example.com', '--incident', 'HR-77', '--reason', 'ada leaves'];
    const order = ['revoke', ...about];
    const look = async () => rekey([...order, '--dry-run', '--json'], world.env);
    let seen = await look();
    for (const end = Date.now() + 60_000; seen.status !== 0 && Date.now() < end; await sleep(250))
      seen = await look();
    expect(JSON.parse(seen.stdout)).toMatchObject({
      dryRun: true,
      steps: [
        { credential: 'orders', act: 'start', why: [expect.stringMatching(/^ada@example.com read it at /)] },
      ],
    });
    const shown = await rekeyJson<ShowAnswer>(['show', 'orders'], world.env);
    expect(shown.credential.rotation).toBeUndefined();

    const old = await readLogin(vault, 'agents/orders');
    const fleet = agentsAtWork(world);
    try {
      expect(await done(order)).toMatchObject([{ phase: 'completed' }]);
      await fleet.stop();
      expect(fleet.counts).toMatchObject({ authFailures: 0, permissionFailures: 0 });
      expect(await tryLogin(world.server, old)).toBe('refused');
      expect(await tryLogin(world.server, await readLogin(vault, 'agents/orders'))).toBe('accepted');
      expect(await left(order)).toEqual([]);
    } finally {
      await fleet.stop();
    }
  });

  test('an agent that is taken out of service has no say any more, and what it held is rotated without it', async () => {
    const { world, vault } = given();
    const nobody = ['decommission', 'nobody', '--incident', 'OPS-1', '--reason', 'gone', '--yes', '--json'];
    expect(JSON.parse((await rekey(nobody, world.env)).stderr)).toMatchObject({
      error: { code: 'ERR_NOT_FOUND' },
    });
    const principal = await agentRole(world, 'leaver');
    const declared = databaseCredential(world.server, 'handover', 'handover_app', 'stayers');
    const { holders: stayers } = declared as { holders: object[] };
    const holders = [{ kind: 'client', name: 'leaver', principal }, ...stayers];
    expect(await apply(world, { ...declared, holders })).toMatchObject({ status: 0 });
    const caller = await callAs(world, principal);
    const terms = { refresh: 'in-session', ttl: '2s', staleLimit: '10s', uses: 'unreported' };
    const credentials = [{ credential: 'handover', ...terms }];
    const register = () =>
      caller.call('PUT', '/agents/leaver/pact', {
        version: 1,
        agent: 'leaver',
        credentials,
        sessionLimit: '1h',
      });
    expect(await register()).toMatchObject({ status: 200 });
    const instance = await Instance.make(caller, 'host-1', 'HS256', 'leaver');
    expect(await instance.open()).toMatchObject({ status: 201 });

    const old = await readLogin(vault, 'agents/handover');
    const order = ['decommission', 'leaver', '--incident', 'OPS-2', '--reason', 'replaced', '--yes'];
    // Its session is open, and nothing waits for it.
    expect(await done(order)).toMatchObject([{ phase: 'completed' }]);
    for (const answered of [await instance.say('notices'), await instance.open(), await register()])
      expect(answered).toMatchObject({
        status: 403,
        body: { code: 'ERR_FORBIDDEN', detail: expect.stringContaining('taken out of service') },
      });
    expect(await tryLogin(world.server, old)).toBe('refused');
    expect(await tryLogin(world.server, await readLogin(vault, 'agents/handover'))).toBe('accepted');
    expect(await left(order)).toEqual([]);
  });
}
