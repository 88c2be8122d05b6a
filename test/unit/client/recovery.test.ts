import { describe, expect, it } from 'vitest';
import { FakeUpstream, sourceCase } from '../../support/client.ts';

type Case = Awaited<ReturnType<typeof sourceCase>>;

/** Uses the upstream with whatever the source gives. */
const call = ({ source }: Case, upstream: FakeUpstream): Promise<string> =>
  source.use(async (credential) => upstream.call(credential.reveal()));

describe('use', () => {
  it('runs the work once where the upstream takes the credential', async () => {
    const one = await sourceCase();
    const upstream = new FakeUpstream('one');
    expect(await call(one, upstream)).toBe('done with one');
    expect([upstream.seen, one.vault.reads]).toEqual([['one'], ['AWSCURRENT']]);
  });

  it('passes on what is no refusal, and repeats nothing', async () => {
    const { source, vault } = await sourceCase();
    let runs = 0;
    const work = async (): Promise<never> => {
      runs++;
      throw new Error('out of memory');
    };
    await expect(source.use(work)).rejects.toThrow('out of memory');
    expect([runs, vault.calls]).toEqual([1, 1]);
  });

  it('repeats the work with the value that the vault has by now, and moves to it', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    const upstream = new FakeUpstream('two');
    expect(await call(one, upstream)).toBe('done with two');
    expect(upstream.seen).toEqual(['one', 'two']);
    expect(one.source.current().reveal()).toBe('two');
  });

  it('asks the vault once for a thousand callers that are refused together', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    const upstream = new FakeUpstream('two');
    const done = await Promise.all(Array.from({ length: 1_000 }, () => call(one, upstream)));
    expect(new Set(done)).toEqual(new Set(['done with two']));
    expect(one.vault.calls).toBe(2);
    expect(one.vault.reads.length).toBeLessThan(6);
  });

  it('takes the caller’s word for what a refusal is', async () => {
    const { source, vault } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    const work = async (credential: { reveal(): string }): Promise<string> => {
      if (credential.reveal() === 'one') throw new Error('bad handshake');
      return 'done';
    };
    const isFailure = (error: unknown): boolean =>
      error instanceof Error && error.message === 'bad handshake';
    expect(await source.use(work, isFailure)).toBe('done');
  });
});

describe('an upstream with a single user', () => {
  it('takes only the pending value between setSecret and finishSecret: use finds it, current() never is it', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSPENDING');
    const upstream = new FakeUpstream('two');
    expect(await call(one, upstream)).toBe('done with two');
    expect(one.source.current().reveal()).toBe('one');
  });

  it('is not asked with the refused value again and again: what works is tried first for a while', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSPENDING');
    const upstream = new FakeUpstream('two');
    for (let turn = 0; turn < 20; turn++) await call(one, upstream);
    expect(upstream.seen.filter((value) => value === 'one')).toHaveLength(1);
  });

  it('is moved to soon after finishSecret, without another refusal', async () => {
    const one = await sourceCase();
    const two = one.vault.put('two', 'AWSPENDING');
    await call(one, new FakeUpstream('two'));
    one.vault.promote(two);
    await one.time.pass(5.1);
    expect(one.source.current().reveal()).toBe('two');
  });

  it('that goes back to the value before, since the rotation was aborted, is followed', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSPENDING');
    const upstream = new FakeUpstream('two');
    await call(one, upstream);
    one.vault.strip('AWSPENDING');
    upstream.live.delete('two');
    upstream.live.add('one');
    expect(await call(one, upstream)).toBe('done with one');
  });

  it('that lags behind takes only the previous value', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    await one.time.pass(76);
    const upstream = new FakeUpstream('one');
    expect(await call(one, upstream)).toBe('done with one');
    expect(one.source.current().reveal()).toBe('two');
    upstream.live.add('two');
    await one.time.pass(5);
    upstream.seen.length = 0;
    await call(one, upstream);
    expect(upstream.seen).toEqual(['two']);
  });

  it('that changes over between two tries is met all the same', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    await one.time.pass(76);
    const upstream = new FakeUpstream('one');
    one.vault.before = () => {
      // It has refused the current value; before the previous one is tried, it has caught up.
      upstream.live.clear();
      upstream.live.add('two');
    };
    expect(await call(one, upstream)).toBe('done with two');
    expect(upstream.seen).toEqual(['two', 'one', 'two']);
  });

  it('loses no call in a rotation, whatever the moment: label by label, with two rotations at once', async () => {
    const one = await sourceCase();
    const upstream = new FakeUpstream('one');
    for (let turn = 2; turn < 12; turn++) {
      const next = one.vault.put(`value ${turn}`, 'AWSPENDING');
      await call(one, upstream);
      upstream.live.clear();
      upstream.live.add(`value ${turn}`);
      await call(one, upstream);
      // finishSecret comes between the two looks of a client.
      one.vault.before = (stage) => {
        if (stage !== 'AWSCURRENT') return;
        one.vault.promote(next);
        one.vault.strip('AWSPENDING');
      };
      await call(one, upstream);
      one.vault.before = () => undefined;
      one.vault.promote(next);
    }
    expect(upstream.seen.length).toBeGreaterThan(20);
  });

  it('whose pending label goes while the client looks is met under its next label', async () => {
    const one = await sourceCase();
    const two = one.vault.put('two', 'AWSPENDING');
    one.vault.before = (stage) => {
      if (stage !== 'AWSPENDING') return;
      one.vault.promote(two);
      one.vault.strip('AWSPENDING');
    };
    expect(await call(one, new FakeUpstream('two'))).toBe('done with two');
  });
});

describe('a version that was given up', () => {
  it('is not fallen back to: AWSCURRENT moved back, and AWSPREVIOUS names it', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    await one.time.pass(76);
    one.vault.promote('v1');
    await one.time.pass(76);
    const upstream = new FakeUpstream('two');
    await expect(call(one, upstream)).rejects.toThrow('unauthorized');
    expect(upstream.seen).toEqual(['one']);
  });

  it('is not fallen back to by a client that started after the rollback: it is newer than the current one', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    one.vault.promote('v1');
    const upstream = new FakeUpstream('two');
    await expect(call(one, upstream)).rejects.toThrow('unauthorized');
    expect(upstream.seen).toEqual(['one']);
  });

  it('is not fallen back to while it still carries AWSPENDING, by who saw it as current', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSPENDING');
    one.vault.promote('v2');
    await one.time.pass(76);
    one.vault.promote('v1');
    await one.time.pass(76);
    const upstream = new FakeUpstream('two');
    await expect(call(one, upstream)).rejects.toThrow('unauthorized');
    expect(upstream.seen).toEqual(['one']);
  });

  it('is not fallen back to where a leftover AWSPENDING is older than the current one', async () => {
    const one = await sourceCase();
    one.vault.put('left over', 'AWSPENDING');
    one.vault.put('three', 'AWSCURRENT');
    await one.time.pass(76);
    const upstream = new FakeUpstream('left over');
    await expect(call(one, upstream)).rejects.toThrow('unauthorized');
    expect(upstream.seen).not.toContain('left over');
  });

  it('by somebody’s word is not fallen back to, even as pending', async () => {
    const one = await sourceCase();
    one.source.tombstone(one.vault.put('two', 'AWSPENDING'));
    const upstream = new FakeUpstream('two');
    await expect(call(one, upstream)).rejects.toThrow('unauthorized');
    expect(upstream.seen).toEqual(['one']);
  });

  it('by somebody’s word is left in the middle of a detour', async () => {
    const one = await sourceCase();
    const two = one.vault.put('two', 'AWSPENDING');
    const upstream = new FakeUpstream('two');
    await call(one, upstream);
    one.source.tombstone(two);
    upstream.live.add('one');
    expect(await call(one, upstream)).toBe('done with one');
  });

  it('and is made current again by somebody is served: labels that only look like it bind nobody', async () => {
    const one = await sourceCase();
    one.vault.put('two', 'AWSCURRENT');
    await one.time.pass(76);
    one.vault.promote('v1');
    await one.time.pass(76);
    one.vault.promote('v2');
    await one.time.pass(76);
    expect(one.source.current().reveal()).toBe('two');
  });
});

describe('an upstream that takes nothing', () => {
  it('costs a few looks at the vault and one attempt a call, not a storm', async () => {
    const one = await sourceCase();
    one.vault.put('zero', 'AWSCURRENT');
    one.vault.put('two', 'AWSCURRENT');
    one.vault.put('three', 'AWSPENDING');
    const upstream = new FakeUpstream();
    let refused = 0;
    for (let second = 0; second < 300; second++) {
      for (let turn = 0; turn < 10; turn++) await call(one, upstream).catch(() => refused++);
      await one.time.pass(1);
    }
    expect(refused).toBe(3_000);
    // The pause grows to 15 seconds here (30 at most): about 25 times two looks of three reads.
    expect(one.vault.reads.length).toBeLessThan(160);
    expect(upstream.seen.length).toBeLessThan(3_150);
  });

  it('and recovers is used again at once', async () => {
    const one = await sourceCase();
    const upstream = new FakeUpstream();
    for (let turn = 0; turn < 50; turn++) await call(one, upstream).catch(() => undefined);
    upstream.live.add('one');
    expect(await call(one, upstream)).toBe('done with one');
  });

  it('throws its own refusal, also where the vault is out', async () => {
    const one = await sourceCase();
    one.vault.fault = 'fails';
    await expect(call(one, new FakeUpstream())).rejects.toThrow('unauthorized');
  });

  it('and a vault that hangs: the caller waits for a look, not for ever', async () => {
    const one = await sourceCase();
    one.vault.fault = 'hangs deaf';
    const calling = Promise.allSettled([call(one, new FakeUpstream())]);
    await one.time.pass(61);
    expect(await calling).toMatchObject([{ reason: { message: 'unauthorized' } }]);
  });
});
