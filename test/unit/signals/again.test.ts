import { describe, expect, it } from 'vitest';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import type { SignalOutcome } from '../../../shared/engine/signals/deps.ts';
import { receiveSignal } from '../../../shared/engine/signals/receive.ts';
import { voteOnSignal } from '../../../shared/engine/signals/vote.ts';
import { SignalWorld, type Sent } from '../../support/signal-world.ts';

const LEAKED = 'a-value-that-works-0123456789abcdef';
const MINUTE = 60_000;

/** A world with a signal of GitHub that is about a live value, and what comes of it. */
async function told(validity: 'active' | 'unknown' = 'active'): Promise<{
  one: SignalWorld;
  sent: Sent;
  again: (afterMinutes: number) => Promise<SignalOutcome>;
}> {
  const one = await SignalWorld.start();
  one.add('orders', LEAKED);
  const sent = await one.signed('github', LEAKED, 1);
  one.alerts.set(1, { state: 'open', secret: new Redacted(LEAKED), validity });
  const send = async (): Promise<SignalOutcome> => {
    const [outcome] = (await one.send(sent)).outcomes;
    if (outcome === undefined) throw new Error('nothing has come of it');
    return outcome;
  };
  await send();
  const again = (afterMinutes: number): Promise<SignalOutcome> => {
    one.now += afterMinutes * MINUTE;
    return send();
  };
  return { one, sent, again };
}

const ids = (one: SignalWorld): number => new Set(one.emergencies.map(({ id }) => id)).size;

describe('a signal that comes again', () => {
  it('begins nothing while what it has begun has its time, and an emergency of its own once the value has outlived that', async () => {
    const { one, again } = await told();
    expect(await again(14)).toMatchObject({ act: 'repeated' });
    expect(await again(1)).toMatchObject({ act: 'revoke', credentials: ['orders'] });
    expect(ids(one)).toBe(2);
    expect(await again(14)).toMatchObject({ act: 'repeated' });
    expect(await again(1)).toMatchObject({ act: 'revoke' });
    expect(ids(one)).toBe(3);
  });

  it('twice at the same time begins one', async () => {
    const { one, sent } = await told();
    one.now += 20 * MINUTE;
    await Promise.all([one.send(sent), one.send(sent)]);
    expect(ids(one)).toBe(2);
  });

  it('goes no further than the cap of its source', async () => {
    const { one, again } = await told();
    await again(16);
    await again(16);
    expect(await again(11)).toMatchObject({ act: 'repeated' });
    one.now += 5 * MINUTE;
    expect(await again(0)).toMatchObject({ act: 'hold' });
    expect(await again(1)).toMatchObject({ act: 'repeated' });
    // It waits for people, and does so once.
    expect(await again(60)).toMatchObject({ act: 'repeated' });
    expect([ids(one), one.kept.size]).toEqual([3, 1]);
  });

  it('is dropped once its own emergency, or anything else, has ended the value', async () => {
    const { one, again } = await told();
    one.end('orders', one.emergencies[0]?.id);
    expect(await again(60)).toMatchObject({ act: 'repeated' });
    one.end('orders');
    expect(await again(60)).toMatchObject({ act: 'repeated' });
    expect(ids(one)).toBe(1);
  });

  it('of a value that was rotated away acts once a rollback has brought that back, and not while a rotation is under way', async () => {
    const { one, again } = await told('unknown');
    expect(one.rotations.length).toBe(1);
    one.change('orders', { activeRotation: 'r-1' });
    expect(await again(60)).toMatchObject({ act: 'repeated' });
    one.change('orders', { activeRotation: undefined as never });
    expect(await again(0)).toMatchObject({ act: 'rotate' });
    expect(new Set(one.rotations).size).toBe(2);
  });

  it('waits for the person who has to end the value by hand, and does not start over', async () => {
    const { one, again } = await told();
    one.change('orders', {
      incident: {
        id: 'i',
        stage: 'intended',
        generation: 2,
        replacement: 'r',
        awaitsOperator: { since: '2026-11-26T10:00:00.000Z', handles: [], byHand: 'b', looks: 1 },
      },
    });
    expect(await again(60)).toMatchObject({ act: 'repeated' });
  });

  it('is not decided on anew once people have denied it', async () => {
    const one = await SignalWorld.start();
    one.add('shared', LEAKED, { holders: SignalWorld.holders(340) });
    const sent = await one.signed('github', LEAKED, 1);
    const [held] = (await one.send(sent)).outcomes;
    const actor = 'arn:aws:sts::1:assumed-role/responder/alice';
    await voteOnSignal(one.services.deps, { id: held?.id ?? '', verdict: 'deny', actor, reason: 'a test' });
    one.now += 60 * MINUTE;
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'repeated' }]);
  });

  it('does nothing against a denial, also where its intake died before it was remembered and the cap is free again', async () => {
    const one = await SignalWorld.start();
    for (const name of ['a', 'b', 'c', 'd']) one.add(name, `${LEAKED}-${name}`);
    const sent = await one.signed('github', `${LEAKED}-d`, 4);
    for (const [n, name] of ['a', 'b', 'c'].entries())
      await one.send(await one.signed('github', `${LEAKED}-${name}`, n + 1));
    const { deps } = one.services;
    const dying = { ...deps.signals, mark: () => Promise.reject(new Error('killed')) };
    const { signals } = deps;
    Object.assign(deps, { signals: dying });
    const before = one.emergencies.length;
    await one.send(sent);
    const [held] = [...one.kept.values()];
    Object.assign(deps, { signals });
    const actor = 'arn:aws:sts::1:assumed-role/responder/alice';
    await voteOnSignal(one.services.deps, { id: held?.id ?? '', verdict: 'deny', actor, reason: 'a test' });
    one.now += 61 * MINUTE;
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'hold' }]);
    expect(one.emergencies).toHaveLength(before);
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'repeated' }]);
  });

  it('and led nowhere is read anew: somebody may have mended that meanwhile', async () => {
    const one = await SignalWorld.start();
    one.add('orders', LEAKED);
    const sent = await one.signed('github', LEAKED, 1);
    const alert = one.alerts.get(1);
    one.alerts.clear();
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'look' }]);
    if (alert !== undefined) one.alerts.set(1, alert);
    one.now += 15 * MINUTE;
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'revoke' }]);
  });

  it('of a scanner that still finds the value acts again as well', async () => {
    const one = await SignalWorld.start();
    one.add('orders', LEAKED);
    const { perHour: _none, ...policy } = one.services.policy;
    const found = fingerprint(new Redacted(LEAKED));
    const scan = (): Promise<SignalOutcome> =>
      receiveSignal(one.services.deps, {
        signal: {
          source: 'trufflehog',
          id: 'f',
          kind: 'leak',
          fingerprints: [found],
          verified: true,
          observedAt: '2026-11-26T10:00:00.000Z',
        },
        actor: 'arn:aws:iam::1:user/alice',
        policy,
      });
    const acts: string[] = [];
    for (let day = 0; day < 3; day++) {
      acts.push((await scan()).act);
      one.now += 24 * 60 * MINUTE;
    }
    one.end('orders');
    acts.push((await scan()).act);
    expect(acts).toEqual(['revoke', 'revoke', 'revoke', 'repeated']);
  });
});
