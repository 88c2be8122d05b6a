import { describe, expect, it } from 'vitest';
import { InstanceKey } from '../../../client/src/agent/instance-key.ts';
import { ServerClock } from '../../../client/src/agent/server-clock.ts';
import { UseCounts } from '../../../client/src/agent/uses.ts';
import { MAX_AGENT_BODY_BYTES } from '../../../shared/api/agent-messages.ts';
import { FakeTime } from '../../fakes/fake-time.ts';
import { SessionCase } from '../../support/agent-session.ts';
import { ID } from '../api/fakes.ts';

describe('uses', () => {
  it('of many versions go in reports that the agent API reads whole, signature and all', () => {
    const time = new FakeTime(() => Promise.resolve());
    const uses = new UseCounts(time, new ServerClock(time));
    const names = Array.from({ length: 120 }, (_each, index) => String(index).padStart(63, 'c'));
    for (const name of names) uses.count(name, 'v'.repeat(64), false);
    const key = new InstanceKey();
    const sent: string[] = [];
    const sizes: number[] = [];
    for (let due = uses.due([]); sent.length < names.length; due = uses.due([])) {
      sizes.push(due.length);
      const body = JSON.stringify({ uses: key.sign({ session: 's'.repeat(80), uses: due }) });
      expect(body.length).toBeLessThan(MAX_AGENT_BODY_BYTES);
      sent.push(...due.map(({ credential }) => credential));
      uses.settle(due);
    }
    expect([sizes, sent]).toEqual([[50, 50, 20], names]);
  });

  it('of a version that nobody gives out any more are passed over, and the rest counts', async () => {
    await using agent = await SessionCase.make();
    await agent.open();
    agent.server.mode = 'down';
    agent.vault.put('{}', 'AWSCURRENT', 'unheard-of');
    await agent.source.refreshNow();
    await agent.source.use(() => undefined);
    agent.vault.promote(ID);
    await agent.source.refreshNow();
    await agent.source.use(() => undefined);
    await agent.time.pass(30);
    agent.server.mode = 'up';
    await agent.time.pass(120);
    const statuses = agent.server.of('uses').map(({ status }) => status);
    expect(statuses.filter((status) => status === 400)).toEqual([]);
    expect(statuses.at(-1)).toBe(200);
    expect(agent.store.reported.filter(({ succeeded }) => succeeded > 0)).toMatchObject([
      { versionId: ID, succeeded: 1 },
    ]);
  });
});
