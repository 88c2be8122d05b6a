import { describe, expect, it } from 'vitest';
import type { Swap } from '../../../client/src/listeners.ts';
import { atRest } from '../../fakes/fake-time.ts';
import { FakeUpstream, sourceCase } from '../../support/client.ts';

const named = ({ next, previous }: Swap): string => `${previous.versionId} to ${next.versionId}`;

describe('a swap', () => {
  it('counts as done when every listener has ended', async () => {
    const { vault, source } = await sourceCase();
    const heard: string[] = [];
    let drained = (): void => undefined;
    source.on('swap', async () => {
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    });
    source.on('swapped', (swap) => heard.push(named(swap)));
    vault.put('two', 'AWSCURRENT');
    expect((await source.refreshNow()).reveal()).toBe('two');
    await atRest();
    expect(heard).toEqual([]);
    drained();
    await atRest();
    expect(heard).toEqual(['v1 to v2']);
  });

  it('is told at once, also while the one before is not done', async () => {
    const { vault, source } = await sourceCase();
    const heard: string[] = [];
    source.on('swap', async (swap) => {
      heard.push(named(swap));
      await new Promise(() => undefined);
    });
    vault.put('two', 'AWSCURRENT');
    await source.refreshNow();
    vault.put('three', 'AWSCURRENT');
    await source.refreshNow();
    expect(heard).toEqual(['v1 to v2', 'v2 to v3']);
    expect(source.current().reveal()).toBe('three');
  });

  it('is not done where a listener fails or takes too long, and says so', async () => {
    const { vault, time, source } = await sourceCase({ swapTimeoutSeconds: 10 });
    const heard: unknown[] = [];
    source.on('listenerFailed', ({ error }) => heard.push(error));
    source.on('swapped', () => heard.push('swapped'));
    const off = source.on('swap', () => {
      throw new Error('no drain');
    });
    vault.put('two', 'AWSCURRENT');
    await source.refreshNow();
    await atRest();
    expect(heard).toMatchObject([{ message: 'no drain' }]);
    off();
    source.on('swap', async () => new Promise(() => undefined));
    vault.put('three', 'AWSCURRENT');
    await source.refreshNow();
    await time.pass(11);
    expect(heard[1]).toMatchObject({ code: 'ERR_TIMEOUT' });
    expect(source.current().reveal()).toBe('three');
  });
});

describe('a listener that fails', () => {
  it('disturbs neither the source nor the others, and is not passed over in silence', async () => {
    const heard: string[] = [];
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
    const { vault, time, source } = await sourceCase();
    source.on('refreshFailed', () => {
      throw new Error('at once');
    });
    source.on('refreshFailed', async () => {
      throw new Error('later');
    });
    source.on('refreshFailed', ({ failures }) => heard.push(`failed ${failures}`));
    vault.fault = 'fails';
    await time.pass(75.2);
    expect(await warned).toMatchObject({ name: 'RekeyClientWarning' });
    source.on('listenerFailed', ({ event, error }) => {
      heard.push(`${event}: ${String(error)}`);
      throw new Error('here too');
    });
    await time.pass(0.6);
    expect(heard).toEqual([
      'failed 1',
      'failed 2',
      'refreshFailed: Error: at once',
      'refreshFailed: Error: later',
    ]);
    expect(source.current().reveal()).toBe('one');
  });
});

describe('refreshNow', () => {
  it('never answers with a look that began before it', async () => {
    const { vault, time, source } = await sourceCase();
    let once = true;
    vault.before = () => {
      // The label moves when the look ahead of time has passed it.
      if (once) setImmediate(() => setImmediate(() => vault.put('two', 'AWSCURRENT')));
      once = false;
    };
    vault.fault = 'hangs';
    const passing = time.pass(76);
    await atRest();
    const asked = Promise.all([source.refreshNow(), source.refreshNow(), source.refreshNow()]);
    vault.fault = undefined;
    await passing;
    await time.pass(30);
    expect((await asked).map((credential) => credential.reveal())).toEqual(['two', 'two', 'two']);
    // One look for all three, after the one that was under way.
    expect(vault.calls).toBe(3);
  });

  it('says what the vault says', async () => {
    const { vault, source } = await sourceCase();
    vault.fault = 'fails';
    await expect(source.refreshNow()).rejects.toMatchObject({ code: 'ERR_UNAVAILABLE' });
    expect(source.current().reveal()).toBe('one');
  });
});

describe('a hold', () => {
  it('keeps the version until it is released', async () => {
    const { vault, time, source } = await sourceCase();
    source.hold(600);
    vault.put('two', 'AWSCURRENT');
    await time.pass(80);
    expect(source.current().reveal()).toBe('one');
    source.release();
    expect(source.current().reveal()).toBe('two');
  });

  it('ends by itself', async () => {
    const { vault, time, source } = await sourceCase();
    source.hold(90);
    vault.put('two', 'AWSCURRENT');
    await time.pass(89);
    expect(source.current().reveal()).toBe('one');
    await time.pass(2);
    expect(source.current().reveal()).toBe('two');
  });

  it('ends where the upstream refuses the version that is held', async () => {
    const { vault, source } = await sourceCase();
    source.hold(600);
    vault.put('two', 'AWSCURRENT');
    const upstream = new FakeUpstream('two');
    expect(await source.use(async (credential) => upstream.call(credential.reveal()))).toBe('done with two');
    expect(source.current().reveal()).toBe('two');
  });

  it('holds back nothing where the label has moved back meanwhile', async () => {
    const { vault, time, source } = await sourceCase();
    source.hold(600);
    vault.put('two', 'AWSCURRENT');
    await time.pass(80);
    vault.promote('v1');
    await time.pass(80);
    source.release();
    expect(source.current().reveal()).toBe('one');
  });

  it('needs an end', async () => {
    const { source } = await sourceCase();
    expect(() => source.hold(Infinity)).toThrow(
      expect.objectContaining({ code: 'ERR_OPTIONS', field: 'seconds' }),
    );
  });
});

describe('a halt', () => {
  it('serves nothing until it is over; then the vault is read first', async () => {
    const { vault, source } = await sourceCase();
    const heard: string[] = [];
    source.on('halted', ({ reason }) => heard.push(reason));
    source.on('resumed', () => heard.push('resumed'));
    source.halt('incident INC-1');
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_HALTED' }));
    await expect(source.get()).rejects.toMatchObject({ code: 'ERR_HALTED' });
    await expect(source.use(() => 'never')).rejects.toMatchObject({ code: 'ERR_HALTED' });
    expect(source.acceptsNewTasks).toBe(false);
    vault.put('two', 'AWSCURRENT');
    await source.resume();
    expect(source.current().reveal()).toBe('two');
    expect(heard).toEqual(['incident INC-1', 'resumed']);
  });

  it('ends also where the vault is out', async () => {
    const { vault, source } = await sourceCase();
    source.halt('incident INC-1');
    vault.fault = 'fails';
    await source.resume();
    expect(source.current().reveal()).toBe('one');
  });

  it('that comes while a refused call is repeated stops it', async () => {
    const { vault, source } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    const upstream = new FakeUpstream('two');
    const using = source.use(async (credential) => upstream.call(credential.reveal()));
    source.halt('incident INC-1');
    await expect(using).rejects.toThrow('unauthorized');
    expect(upstream.seen).toEqual(['one']);
  });
});

describe('a tombstone', () => {
  it('of a version that has become current: it is not moved to', async () => {
    const codes: string[] = [];
    const { vault, time, source } = await sourceCase({
      on: { refreshFailed: ({ error }) => codes.push(error.code) },
    });
    source.tombstone(vault.put('two', 'AWSCURRENT'));
    await time.pass(75.2);
    expect([source.current().reveal(), codes]).toEqual(['one', ['ERR_TOMBSTONED']]);
  });

  it('of the version that is served: no new tasks, and the vault is read at once', async () => {
    const { vault, source } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    await source.refreshNow();
    vault.promote('v1');
    source.tombstone('v2');
    expect(source.acceptsNewTasks).toBe(false);
    await atRest();
    expect(source.current().reveal()).toBe('one');
    expect(source.acceptsNewTasks).toBe(true);
  });

  it('of the version that is held back: it is not moved to at the release', async () => {
    const { vault, source } = await sourceCase();
    source.hold(600);
    vault.put('two', 'AWSCURRENT');
    await source.refreshNow();
    source.tombstone('v2');
    source.release();
    expect(source.current().reveal()).toBe('one');
  });
});
