import { describe, expect, it } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { SignalPolicy } from '../../../shared/domain/signals/decide.ts';
import { remindHeld } from '../../../shared/engine/signals/remind.ts';
import { voteOnSignal, type VoteRequest } from '../../../shared/engine/signals/vote.ts';
import { TERMS } from '../../support/families.ts';
import { SignalWorld } from '../../support/signal-world.ts';

const value = (name: string): string => `the-value-of-${name}-0123456789abcdef`;

/** Where `suspendHeld` agents an hour may be stopped for what is held. */
async function worldOf(suspendHeld: number): Promise<SignalWorld> {
  const one = await SignalWorld.start();
  const policy: SignalPolicy = { ...one.services.policy, suspendHeld };
  Object.assign(one.services, { policy });
  return one;
}

const outcome = async (one: SignalWorld, name: string, n: number): Promise<string | undefined> =>
  (await one.send(await one.signed('siem', value(name), n))).outcomes[0]?.act;

describe('what is held above a cap', () => {
  it('is suspended meanwhile, under the id of its signal, and its emergency is final', async () => {
    const one = await worldOf(500);
    one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    expect(await outcome(one, 'shared', 1)).toBe('hold');
    const [[id, input] = ['', undefined]] = [...one.suspensions];
    expect(input).toMatchObject({
      action: 'suspend',
      signalId: id,
      values: [{ credentialId: 'id-shared', type: 'database', handle: { id: 'user-shared', generation: 1 } }],
    });
    expect(one.kept.get(id)).toMatchObject({ suspends: true });
    // On record before.
    expect(one.writes.indexOf('commit')).toBeLessThan(one.writes.indexOf('suspension'));
    const vote = (actor: string, more: Partial<VoteRequest> = {}) =>
      voteOnSignal(one.services.deps, { id, verdict: 'approve', actor, reason: 'seen it', ...more });
    await vote('arn:aws:sts::1:assumed-role/r/alice');
    await vote('arn:aws:sts::1:assumed-role/r/bob');
    expect(one.emergencies.map((each) => each.id)).toEqual([id]);
    expect([...one.suspensions.keys()]).toEqual([id]);
  });

  it('is restored by one denial, which is joined where its answer was lost', async () => {
    const one = await worldOf(500);
    one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    await outcome(one, 'shared', 1);
    const [id = ''] = one.suspensions.keys();
    const actor = 'arn:aws:sts::1:assumed-role/r/alice';
    for (let time = 1; time <= 2; time++)
      await voteOnSignal(one.services.deps, { id, verdict: 'deny', actor, reason: 'a test value' });
    expect([...one.suspensions.values()]).toMatchObject([
      { action: 'suspend', signalId: id },
      { action: 'restore', signalId: id, actor },
    ]);
  });

  it('is restored again where a denial is repeated later: the first restoration may have failed', async () => {
    const one = await worldOf(500);
    one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    await outcome(one, 'shared', 1);
    const [id = ''] = one.suspensions.keys();
    const actor = 'arn:aws:sts::1:assumed-role/r/alice';
    for (let time = 1; time <= 2; time++) {
      await voteOnSignal(one.services.deps, { id, verdict: 'deny', actor, reason: 'a test value' });
      one.now += 5 * 60_000;
    }
    const restorations = [...one.suspensions.values()].filter(({ action }) => action === 'restore');
    expect(restorations).toHaveLength(2);
  });

  it('takes nothing of the cap for token families, which are not suspended', async () => {
    const one = await worldOf(500);
    await one.addFamily(
      'crm',
      { access: value('access'), refresh: value('refresh') },
      {
        terms: { ...TERMS, holders: SignalWorld.holders(400) },
      },
    );
    one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    expect(await outcome(one, 'refresh', 1)).toBe('hold');
    const [ofFamily] = [...one.kept.values()];
    expect([ofFamily?.families?.length, ofFamily?.suspends]).toEqual([1, undefined]);
    expect(await outcome(one, 'shared', 2)).toBe('hold');
    expect([...one.suspensions.values()]).toMatchObject([{ values: [{ credentialId: 'id-shared' }] }]);
  });

  it('takes nothing of the cap for what can not be suspended, and says that it works', async () => {
    const one = await worldOf(500);
    const holders = SignalWorld.holders(340);
    one.add('vendor-key', value('vendor-key'), { holders, type: 'llm-key', provider: 'openai' });
    one.add('shared', value('shared'), { holders });
    for (const [n, name] of ['vendor-key', 'shared'].entries())
      expect(await outcome(one, name, n)).toBe('hold');
    expect([...one.suspensions.values()]).toMatchObject([{ values: [{ credentialId: 'id-shared' }] }]);
    one.now += 3600_000;
    await remindHeld(one.services.deps);
    const told = one.drafts.filter(({ action }) => action === 'signal-held').map(({ evidence }) => evidence);
    const [works, suspended] = [
      { meanwhile: 'NOT suspended, works until somebody decides: vendor-key.' },
      { meanwhile: 'Suspended until somebody decides: shared.' },
    ];
    expect(told).toMatchObject([works, suspended, works, suspended]);
  });

  it('takes one of the cap for each value at least, whose holders may not be declared', async () => {
    const one = await worldOf(10);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) one.add(name, value(name));
    const fingerprints = names.map((name) => fingerprint(new Redacted(value(name))));
    for (const id of ['1', '2']) {
      const sent = one.hmac('siem', { signals: [{ id, fingerprints, verified: true }] });
      expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'hold' }]);
    }
    expect([one.kept.size, one.suspensions.size]).toEqual([2, 1]);
  });

  it('is begun again by a repetition where its intake died before it was suspended', async () => {
    const one = await worldOf(500);
    one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    const { workflow } = one.services.deps;
    const { startSuspension } = workflow;
    Object.assign(workflow, { startSuspension: () => Promise.reject(new Error('killed')) });
    await outcome(one, 'shared', 1);
    expect([one.kept.size, one.suspensions.size]).toEqual([1, 0]);
    Object.assign(workflow, { startSuspension });
    await outcome(one, 'shared', 1);
    expect([one.kept.size, one.suspensions.size]).toEqual([1, 1]);
  });

  it('stops no more agents in an hour than the cap of its source says, whoever holds its key', async () => {
    const one = await worldOf(500);
    for (const name of ['a', 'b', 'c', 'd'])
      one.add(name, value(name), { holders: SignalWorld.holders(200) });
    for (const [n, name] of ['a', 'b', 'c', 'd'].entries()) expect(await outcome(one, name, n)).toBe('hold');
    expect(one.kept.size).toBe(4);
    expect(one.suspensions.size).toBe(2);
    one.now += 3600_000;
    one.add('e', value('e'), { holders: SignalWorld.holders(501) });
    expect(await outcome(one, 'e', 5)).toBe('hold');
    expect(one.suspensions.size).toBe(2);
  });

  it('is not suspended where that is switched off, or nobody has proven it', async () => {
    const off = await worldOf(0);
    off.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
    expect(await outcome(off, 'shared', 1)).toBe('hold');
    const unproven = await worldOf(500);
    unproven.add('orders', value('orders'));
    unproven.refuseRotations = new RekeyError('ERR_PAUSED', 'paused');
    const found = fingerprint(new Redacted(value('orders')));
    const sent = unproven.hmac('siem', { signals: [{ id: 's-1', fingerprints: [found] }] });
    expect((await unproven.send(sent)).outcomes).toMatchObject([{ act: 'hold' }]);
    expect([off.suspensions.size, unproven.suspensions.size]).toEqual([0, 0]);
  });
});
