import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { remindHeld } from '../../../shared/engine/signals/remind.ts';
import { voteOnSignal } from '../../../shared/engine/signals/vote.ts';
import { SignalWorld } from '../../support/signal-world.ts';

const HOUR = 3600_000;
const value = (name: string): string => `the-value-of-${name}-0123456789abcdef`;

/** Signals that wait, one for each name; their ids. */
async function waiting(one: SignalWorld, ...names: readonly string[]): Promise<string[]> {
  const ids: string[] = [];
  for (const name of names) {
    one.add(name, value(name), { holders: SignalWorld.holders(340) });
    const { outcomes } = await one.send(await one.signed('siem', value(name), one.kept.size));
    ids.push(outcomes[0]?.id ?? '');
  }
  return ids;
}

const remind = (one: SignalWorld): Promise<readonly string[]> => remindHeld(one.services.deps);

describe('a signal that waits for people', () => {
  it('is told of again every hour, as it was at first, and after a day no more', async () => {
    const one = await SignalWorld.start();
    const [id] = await waiting(one, 'shared');
    const told: number[] = [];
    // As the planner looks, every minute.
    for (let minute = 1; minute <= 30 * 60; minute++) {
      one.now += 60_000;
      if ((await remind(one)).length > 0) told.push(minute / 60);
    }
    expect(told).toEqual(Array.from({ length: 24 }, (_none, n) => n + 1));
    expect(one.drafts).toHaveLength(25);
    expect(one.drafts[1]).toMatchObject({
      action: 'signal-held',
      correlationId: id,
      trigger: { kind: 'signal', actor: 'signal:siem' },
      evidence: { reminder: 1, why: expect.stringContaining('340 agents') },
    });
  });

  it('is told of no more once somebody has decided, and a vote that is given meanwhile counts', async () => {
    const one = await SignalWorld.start();
    const [id = ''] = await waiting(one, 'shared');
    const vote = (name: string, verdict: 'approve' | 'deny') =>
      voteOnSignal(one.services.deps, {
        id,
        verdict,
        actor: `arn:aws:sts::1:assumed-role/r/${name}`,
        reason: 'x',
      });
    await vote('alice', 'approve');
    one.now += HOUR;
    expect(await remind(one)).toEqual([id]);
    expect(one.kept.get(id)).toMatchObject({ approvals: [{ reason: 'x' }], reminded: { times: 1 } });
    await vote('bob', 'approve');
    one.now += HOUR;
    expect(await remind(one)).toEqual([]);
    expect(one.emergencies).toHaveLength(1);
  });

  it('keeps nobody from hearing of others: ten an hour at most, what was told longest ago first', async () => {
    const one = await SignalWorld.start();
    const ids = await waiting(one, ...Array.from({ length: 14 }, (_none, n) => `db-${n}`));
    one.now += HOUR;
    expect(await remind(one)).toEqual(ids.slice(0, 10));
    one.now += 60_000;
    expect(await remind(one)).toEqual([]);
    one.now += HOUR;
    expect((await remind(one)).slice(0, 4)).toEqual(ids.slice(10));
  });

  it('whose credential was let go of is passed over', async () => {
    const one = await SignalWorld.start();
    const [gone = '', id] = await waiting(one, 'gone', 'shared');
    one.credentials.delete('id-gone');
    one.now += HOUR;
    expect(await remind(one)).toEqual([id]);
    expect(one.kept.get(gone)?.reminded).toBeUndefined();
  });

  it('is told of, and decided, in the trail of the next credential where its first was let go of', async () => {
    const one = await SignalWorld.start();
    const [id = ''] = await waiting(one, 'gone', 'shared');
    const found = one.kept.get(id);
    const other = [...one.kept.values()].find((each) => each.id !== id);
    if (found === undefined || other === undefined) throw new Error('two signals wait');
    one.kept.set(id, { ...found, credentials: [...found.credentials, ...other.credentials] });
    one.credentials.delete('id-gone');
    one.now += HOUR;
    expect(await remind(one)).toContain(id);
    expect(one.kept.get(id)?.reminded?.times).toBe(1);
    await voteOnSignal(one.services.deps, {
      id,
      verdict: 'deny',
      actor: 'arn:aws:sts::1:assumed-role/r/ann',
      reason: 'a test value',
    });
    expect(one.kept.get(id)?.status).toBe('denied');
  });

  it('is told of in the next run where the ledger has not answered', async () => {
    const one = await SignalWorld.start();
    const [id] = await waiting(one, 'shared');
    one.now += HOUR;
    const { ledger } = one.services.deps;
    const { commit } = ledger;
    Object.assign(ledger, { commit: () => Promise.reject(new RekeyError('ERR_UNAVAILABLE', 'no answer')) });
    await expect(remind(one)).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    Object.assign(ledger, { commit });
    expect(await remind(one)).toEqual([id]);
  });
});
