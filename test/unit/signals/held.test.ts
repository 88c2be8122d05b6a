import { describe, expect, it, vi } from 'vitest';
import { RekeyError } from '../../../shared/domain/errors.ts';
import { fingerprint } from '../../../shared/domain/fingerprint.ts';
import { Redacted } from '../../../shared/domain/redacted.ts';
import { receiveSignal } from '../../../shared/engine/signals/receive.ts';
import { voteOnSignal, type VoteRequest } from '../../../shared/engine/signals/vote.ts';
import { SignalWorld } from '../../support/signal-world.ts';

const value = (name: string): string => `the-value-of-${name}-0123456789abcdef`;
const role = (name: string): string => `arn:aws:sts::1:assumed-role/rekey-dev-responder/${name}`;

const DAY = 24 * 3600_000;

/** A signal that waits: its credential is held by more agents than a signal may halt. */
async function waiting(): Promise<{
  one: SignalWorld;
  id: string;
  vote: (by: string, more?: Partial<VoteRequest>) => Promise<string>;
}> {
  const one = await SignalWorld.start();
  one.add('shared', value('shared'), { holders: SignalWorld.holders(340) });
  const { outcomes } = await one.send(await one.signed('siem', value('shared'), 1));
  expect(outcomes).toMatchObject([{ act: 'hold', credentials: ['shared'] }]);
  const id = outcomes[0]?.id ?? '';
  const vote = async (actor: string, more: Partial<VoteRequest> = {}): Promise<string> =>
    (await voteOnSignal(one.services.deps, { id, verdict: 'approve', actor, reason: 'seen it', ...more }))
      .status;
  return { one, id, vote };
}

describe('a signal above its cap', () => {
  it('is held, says so in the trail, and revokes nothing', async () => {
    const { one, id } = await waiting();
    expect(one.emergencies).toEqual([]);
    expect(one.records).toEqual(['signal-held']);
    expect(one.kept.get(id)).toMatchObject({
      status: 'held',
      reporter: 'signal:siem',
      why: expect.stringContaining('340 agents'),
    });
  });

  it('starts one emergency, under its id, once two responders have approved it', async () => {
    const { one, id, vote } = await waiting();
    expect(await vote(role('alice'))).toBe('held');
    expect(one.emergencies).toEqual([]);
    expect(await vote(role('bob'))).toBe('approved');
    expect(one.emergencies).toMatchObject([
      { id, actor: role('bob'), credentials: [{ credentialId: 'id-shared' }] },
    ]);
    expect(one.records).toEqual(['signal-held', 'signal-approved', 'signal-approved']);
    // An answer was lost: the same again joins.
    expect(await vote(role('bob'))).toBe('approved');
    expect(new Set(one.emergencies.map((each) => each.id))).toEqual(new Set([id]));
    expect(one.records.length).toBe(3);
  });

  it.each([
    ['the same session', role('alice')],
    ['another role under the same name', 'arn:aws:sts::1:assumed-role/AWSReservedSSO_Responder_1/Alice'],
    ['the same user without a role', 'arn:aws:iam::1:user/people/alice'],
  ])('takes no second approval of one person: %s', async (_what, again) => {
    const { one, vote } = await waiting();
    await vote(role('alice'));
    expect(await vote(again)).toBe('held');
    expect(one.emergencies).toEqual([]);
  });

  it('is not approved by whoever has reported it', async () => {
    const { one, id, vote } = await waiting();
    const held = one.kept.get(id);
    if (held === undefined) throw new Error('nothing is held');
    one.kept.set(id, { ...held, reporter: role('alice') });
    await expect(vote(role('alice'))).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
    one.now += 3600_000;
    await expect(vote(role('alice'), { glass: true })).rejects.toMatchObject({ code: 'ERR_FORBIDDEN' });
  });

  it('is approved by one alone once its time has passed, not before, and loudly', async () => {
    const { one, vote } = await waiting();
    await expect(vote(role('alice'), { glass: true })).rejects.toMatchObject({
      code: 'ERR_FORBIDDEN',
      field: 'breakGlass',
    });
    expect(one.emergencies).toEqual([]);
    one.now += 1800_000;
    expect(await vote(role('alice'), { glass: true })).toBe('approved');
    expect(one.records.at(-1)).toBe('glass-broken');
    expect(one.emergencies.length).toBe(1);
  });

  it('ends with one denial, after which nobody approves it; an approved one is not denied', async () => {
    const { one, vote } = await waiting();
    expect(await vote(role('alice'), { verdict: 'deny' })).toBe('denied');
    await expect(vote(role('bob'))).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(one.emergencies).toEqual([]);
    const other = await waiting();
    await other.vote(role('alice'));
    await other.vote(role('bob'));
    await expect(other.vote(role('carol'), { verdict: 'deny' })).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
    });
  });

  it('is not approved once its value has ended: an emergency would revoke the next one', async () => {
    const { one, vote } = await waiting();
    await vote(role('alice'));
    const head = one.credentials.get('id-shared');
    if (head?.current === undefined) throw new Error('there is no such credential');
    const handle = { id: 'user-shared', generation: 2 };
    one.credentials.set(head.id, {
      ...head,
      live: [handle],
      current: { ...head.current, handle, fingerprint: fingerprint(new Redacted(value('next'))) },
    });
    await expect(vote(role('bob'))).rejects.toMatchObject({ code: 'ERR_CONFLICT' });
    expect(one.emergencies).toEqual([]);
    expect(await vote(role('bob'), { verdict: 'deny' })).toBe('denied');
  });

  it('is approved however long it has waited, while its value lives', async () => {
    const { one, id, vote } = await waiting();
    one.now += 400 * DAY;
    await vote(role('alice'));
    expect(await vote(role('bob'))).toBe('approved');
    expect(one.emergencies).toMatchObject([{ id, credentials: [{ credentialId: 'id-shared' }] }]);
  });

  it('is joined for 90 days after it was approved; later nobody knows its emergency, and none is begun in its name', async () => {
    const { one, vote } = await waiting();
    await vote(role('alice'));
    await vote(role('bob'));
    one.now += 90 * DAY - 1;
    expect(await vote(role('carol'))).toBe('approved');
    const begun = one.emergencies.length;
    one.now += 1;
    await expect(vote(role('carol'))).rejects.toMatchObject({
      code: 'ERR_CONFLICT',
      remedy: expect.stringContaining('rekey revoke') as unknown,
    });
    expect(one.emergencies).toHaveLength(begun);
  });

  it('is not known by any other id', async () => {
    const { vote } = await waiting();
    await expect(vote(role('alice'), { id: 'another' })).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });
});

describe('signals of one source, each with one value', () => {
  it('revoke as many credentials within an hour as one may, and the next one waits', async () => {
    const one = await SignalWorld.start();
    for (let n = 0; n < 5; n++) {
      one.add(`db-${n}`, value(`db-${n}`));
      await one.send(await one.signed('siem', value(`db-${n}`), n));
    }
    expect(one.emergencies.length).toBe(3);
    expect(one.kept.size).toBe(2);
  });
});

describe('signals of one source that each halt few agents', () => {
  it('halt as many within an hour as one may, wherever the hour begins, and the next one waits', async () => {
    const one = await SignalWorld.start();
    one.now = Date.parse('2026-11-26T10:50:00.000Z');
    const send = async (n: number, agents: number) => {
      one.add(`db-${n}`, value(`db-${n}`), { holders: SignalWorld.holders(agents) });
      return (await one.send(await one.signed('siem', value(`db-${n}`), n))).outcomes;
    };
    expect(await send(1, 30)).toMatchObject([{ act: 'revoke' }]);
    one.now += 15 * 60_000;
    expect(await send(2, 21)).toMatchObject([{ act: 'hold' }]);
    expect([...one.kept.values()]).toMatchObject([
      { why: 'with it signals of siem would halt more than 50 agents within the hour' },
    ]);
    expect(await send(3, 20)).toMatchObject([{ act: 'revoke' }]);
    one.now += 46 * 60_000;
    expect(await send(4, 30)).toMatchObject([{ act: 'revoke' }]);
  });
});

describe('a signal of two values that is delivered twice', () => {
  const twice = async () => {
    const one = await SignalWorld.start();
    for (const name of ['a', 'b']) one.add(name, value(name));
    const fingerprints = ['a', 'b'].map((name) => fingerprint(new Redacted(value(name))));
    return { one, sent: one.hmac('siem', { signals: [{ id: '1', fingerprints, verified: true }] }) };
  };

  it('at once counts once, and is not held beside its emergency', async () => {
    const { one, sent } = await twice();
    const both = await Promise.all([one.send(sent), one.send(sent)]);
    expect(both.flatMap(({ outcomes }) => outcomes.map(({ act }) => act))).toEqual(['revoke', 'revoke']);
    expect([new Set(one.emergencies.map(({ id }) => id)).size, one.kept.size]).toEqual([1, 0]);
  });

  it('after it could not be recorded counts once as well', async () => {
    const { one, sent } = await twice();
    const ledger = vi.spyOn(one.services.deps.ledger, 'commit');
    ledger.mockRejectedValueOnce(new RekeyError('ERR_UNAVAILABLE', 'no answer'));
    expect((await one.send(sent)).response.statusCode).toBe(503);
    expect((await one.send(sent)).outcomes).toMatchObject([{ act: 'revoke' }]);
    expect(one.kept.size).toBe(0);
    // Another one still finds what is left: one of three.
    one.add('c', value('c'));
    one.add('d', value('d'));
    await one.send(await one.signed('siem', value('c'), 2));
    expect((await one.send(await one.signed('siem', value('d'), 3))).outcomes).toMatchObject([
      { act: 'hold' },
    ]);
  });
});

describe('a value that two credentials share, of which one is only observed', () => {
  it.each([true, false])('calls a person to that one as well, verified: %s', async (verified) => {
    const one = await SignalWorld.start();
    one.add('ours', value('shared'));
    one.add('theirs', value('shared'), { adoption: 'observed' });
    const fingerprints = [fingerprint(new Redacted(value('shared')))];
    const { outcomes } = await one.send(one.hmac('siem', { signals: [{ id: '1', fingerprints, verified }] }));
    expect(outcomes).toMatchObject([{ act: verified ? 'revoke' : 'rotate', credentials: ['ours'] }]);
    expect(one.records.filter((action) => action === 'signal-by-hand')).toHaveLength(1);
  });
});

describe('values that somebody has made up', () => {
  it('take nothing from the budget of those that are ours, and are not looked at without end', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'));
    const madeUp = (n: number) =>
      one.partner(Array.from({ length: 500 }, (_none, at) => ({ token: `made-up-${n}-${at}`, type: 't' })));
    for (let n = 0; n < 2; n++) expect((await one.send(madeUp(n))).response.statusCode).toBe(202);
    expect((await one.send(await one.signed('github-partner', value('orders'), 1))).outcomes).toMatchObject([
      { act: 'revoke' },
    ]);
    for (let n = 2; n < 6; n++) await one.send(madeUp(n));
    expect((await one.send(madeUp(6))).response.statusCode).toBe(429);
  });
});

describe('a value that a person has found', () => {
  it('before its credential was registered is taken once it is', async () => {
    const one = await SignalWorld.start();
    const { perHour: _none, ...policy } = one.services.policy;
    const signal = {
      source: 'trufflehog',
      id: 'found-1',
      kind: 'leak',
      fingerprints: [fingerprint(new Redacted(value('later')))],
      verified: true,
      observedAt: '2026-11-26T10:00:00.000Z',
    } as const;
    const send = () => receiveSignal(one.services.deps, { signal, actor: role('alice'), policy });
    expect(await send()).toEqual({ act: 'nothing', credentials: [] });
    one.add('later', value('later'));
    expect(await send()).toMatchObject({ act: 'revoke', credentials: ['later'] });
    expect(await send()).toMatchObject({ act: 'repeated' });
  });
});

describe('a value that is found and not verified', () => {
  const found = async (one: SignalWorld) => {
    const sent = await one.signed('github', value('orders'), 1);
    const alert = one.alerts.get(1);
    if (alert !== undefined) one.alerts.set(1, { ...alert, validity: 'unknown' });
    return (await one.send(sent)).outcomes;
  };

  it('is rotated, whoever holds it', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'), { holders: SignalWorld.holders(340) });
    expect(await found(one)).toMatchObject([{ act: 'rotate' }]);
    expect([one.rotations.length, one.emergencies.length, one.kept.size]).toEqual([1, 0, 0]);
  });

  it('waits for people where it can not be rotated now', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'));
    one.refuseRotations = new RekeyError('ERR_PAUSED', 'orders is paused');
    expect(await found(one)).toMatchObject([{ act: 'hold', credentials: ['orders'] }]);
    expect([...one.kept.values()]).toMatchObject([{ why: "it can't be rotated now: orders is paused" }]);
  });

  it('is sent again, and marked as taken by nobody, where what it needs does not answer', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'));
    one.refuseRotations = new RekeyError('ERR_UNAVAILABLE', 'no answer');
    await found(one);
    expect(one.writes).not.toContain('mark');
    one.refuseRotations = undefined;
    expect(await found(one)).toMatchObject([{ act: 'rotate' }]);
  });

  it('of a credential that is only observed is for a person, in the trail', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'), { adoption: 'observed' });
    expect(await found(one)).toMatchObject([{ act: 'by-hand' }]);
    expect(one.records).toEqual(['signal-by-hand']);
  });

  it('that was ended before is noted, and starts nothing', async () => {
    const one = await SignalWorld.start();
    one.add('orders', value('orders'), { live: [], current: undefined as never });
    expect(await found(one)).toMatchObject([{ act: 'note' }]);
    expect([one.rotations.length, one.emergencies.length]).toEqual([0, 0]);
  });
});
