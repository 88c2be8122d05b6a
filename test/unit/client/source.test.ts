import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { createCredentialSource, createCredentialSources } from '../../../client/src/create.ts';
import type { RefreshFailure } from '../../../client/src/listeners.ts';
import type { VaultVersion } from '../../../client/src/vault.ts';
import { atRest, FakeTime } from '../../fakes/fake-time.ts';
import { FakeVault } from '../../fakes/fake-vault.ts';
import { sourceCase } from '../../support/client.ts';

const timing = { lifetimeSeconds: 100, staleLimitSeconds: 1_000 };

describe('the first value', () => {
  it('is waited for, through failures of the vault', async () => {
    const vault = new FakeVault();
    const time = new FakeTime();
    vault.put('one', 'AWSCURRENT');
    vault.fault = 'throttles';
    const heard: number[] = [];
    const on = { refreshFailed: ({ failures }: RefreshFailure) => heard.push(failures) };
    const opening = createCredentialSource({ secretId: 's', vault, time, ...timing, on });
    await time.pass(5);
    vault.fault = undefined;
    await time.pass(10);
    expect((await opening).current().reveal()).toBe('one');
    expect(heard.length).toBeGreaterThan(1);
  });

  it('that does not come in time is an error, and nothing goes on', async () => {
    const vault = new FakeVault();
    const time = new FakeTime();
    vault.fault = 'hangs deaf';
    const options = { secretId: 's', vault, time, ...timing, firstValueSeconds: 20 };
    const opening = Promise.allSettled([createCredentialSource(options)]);
    await time.pass(20);
    expect(await opening).toMatchObject([{ reason: { code: 'ERR_TIMEOUT' } }]);
    await atRest();
    expect(time.timers).toBe(0);
  });

  it('of a secret that is not there is an error at once', async () => {
    const opening = createCredentialSource({
      secretId: 's',
      vault: new FakeVault(),
      time: new FakeTime(),
      ...timing,
    });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
  });

  it.each([
    ['versionId', { value: 'pw-1', stages: ['AWSCURRENT'], createdAt: 1 }],
    ['versionId', { versionId: '', value: 'pw-1', stages: ['AWSCURRENT'], createdAt: 1 }],
    ['versionId', 'pw-1'],
    ['versionId', null],
    ['value', { versionId: 'v1', SecretString: 'pw-1', stages: ['AWSCURRENT'], createdAt: 1 }],
    ['createdAt', { versionId: 'v1', value: 'pw-1', stages: ['AWSCURRENT'], createdAt: new Date(1) }],
    ['stages', { versionId: 'v1', value: 'pw-1', createdAt: 1 }],
  ])(
    'without a usable %s is an error at once that names the field and quotes nothing',
    async (field, answer) => {
      // What a vault that somebody wrote in JavaScript may answer.
      const vault = { read: async () => answer as unknown as VaultVersion };
      const opening = createCredentialSource({ secretId: 's', vault, time: new FakeTime(), ...timing });
      const error: unknown = await opening.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'ERR_VALUE', field, remedy: expect.stringContaining(field) });
      expect(inspect(error)).not.toContain('pw-1');
    },
  );

  it('is read by one call for each secret, whoever asks how often', async () => {
    const vault = new FakeVault();
    vault.put('one', 'AWSCURRENT');
    const sources = await createCredentialSources(
      { db: 'a', llm: 'b' },
      { vault, time: new FakeTime(), ...timing },
    );
    await Promise.all(Array.from({ length: 1_000 }, () => sources.db.get()));
    expect([sources.db.current().reveal(), sources.llm.secretId, vault.calls]).toEqual(['one', 'b', 2]);
  });

  it('of several secrets is missing: none of the others is left open', async () => {
    const vault = new FakeVault();
    const time = new FakeTime();
    vault.put('one', 'AWSCURRENT');
    const one = { read: vault.read.bind(vault) };
    one.read = async (secretId, stage, signal) =>
      secretId === 'gone' ? undefined : vault.read(secretId, stage, signal);
    const opening = createCredentialSources({ here: 'here', gone: 'gone' }, { vault: one, time, ...timing });
    await expect(opening).rejects.toMatchObject({ code: 'ERR_NOT_FOUND' });
    expect(time.timers).toBe(0);
  });
});

describe('options', () => {
  it.each([
    ['lifetimeSeconds', { lifetimeSeconds: 0 }],
    ['lifetimeSeconds', { lifetimeSeconds: Number.NaN }],
    ['lifetimeSeconds', { lifetimeSeconds: 30 * 86_400 }],
    ['staleLimitSeconds', { staleLimitSeconds: 99 }],
    ['fetchTimeoutSeconds', { fetchTimeoutSeconds: -1 }],
    ['secretId', { secretId: '' }],
  ])('are refused with their name: %s', async (field, wrong) => {
    const options = { secretId: 's', vault: new FakeVault(), time: new FakeTime(), ...timing, ...wrong };
    await expect(createCredentialSource(options)).rejects.toMatchObject({ code: 'ERR_OPTIONS', field });
  });
});

describe('reading ahead', () => {
  it.each([
    ['never later than at 75 % of the lifetime', 0, 75],
    ['up to a tenth of that earlier', 1, 67.5],
  ])('comes %s', async (_when, chance, seconds) => {
    const vault = new FakeVault();
    const time = new FakeTime();
    time.chance = chance;
    vault.put('one', 'AWSCURRENT');
    await createCredentialSource({ secretId: 's', vault, time, ...timing });
    await time.pass(seconds - 0.1);
    expect(vault.calls).toBe(1);
    await time.pass(0.1);
    expect(vault.calls).toBe(2);
  });

  it('brings the next version without anybody asking, and nobody waits at the expiry', async () => {
    const { vault, time, source } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    await time.pass(76);
    const calls = vault.calls;
    expect(source.current().reveal()).toBe('two');
    await Promise.all(Array.from({ length: 100 }, () => source.get()));
    expect(vault.calls).toBe(calls);
  });

  it('goes on for ever', async () => {
    const { vault, time } = await sourceCase();
    await time.pass(7_500);
    expect(vault.calls).toBe(101);
  });

  it('is not disturbed by a wall clock that jumps', async () => {
    const { vault, time, source } = await sourceCase();
    time.jump(-86_400);
    await time.pass(76);
    time.jump(2 * 86_400);
    await time.pass(75);
    expect(vault.calls).toBe(3);
    expect(source.current().reveal()).toBe('one');
  });

  it('of a value that dies sooner comes at 75 % of what is left', async () => {
    const dies = Date.parse('2026-11-25T12:00:40Z');
    const { vault, time } = await sourceCase({ expiresAt: () => dies });
    await time.pass(30);
    expect(vault.calls).toBe(2);
  });
});

describe('while the vault is out', () => {
  it.each(['fails', 'throttles', 'hangs', 'hangs deaf', 'garbage'] as const)(
    'the value is served up to the limit, then no more: it %s',
    async (fault) => {
      const failures: number[] = [];
      const { vault, time, source } = await sourceCase({
        on: { refreshFailed: (e) => failures.push(e.failures) },
      });
      vault.fault = fault;
      for (let second = 0; second < 999; second += 9) {
        await time.pass(9);
        expect(source.current().reveal()).toBe('one');
        expect((await source.get()).reveal()).toBe('one');
      }
      await time.pass(2);
      expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_STALE' }));
      expect(failures.slice(0, 3)).toEqual([1, 2, 3]);
      // With a pause that grows: about one try a minute at most.
      expect(failures.length).toBeLessThan(40);
    },
  );

  it('says at the limit that nothing is served, once', async () => {
    const heard: string[] = [];
    const { vault, time } = await sourceCase({ on: { stale: ({ code }) => heard.push(code) } });
    vault.fault = 'fails';
    await time.pass(3_000);
    expect(heard).toEqual(['ERR_STALE']);
  });

  it('a get past the limit waits for the look under way, and asks for none of its own', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'hangs';
    await time.pass(1_001);
    const calls = vault.calls;
    const asking = Promise.allSettled(Array.from({ length: 100 }, () => source.get()));
    await time.pass(61);
    expect((await asking).every(({ status }) => status === 'rejected')).toBe(true);
    expect(vault.calls - calls).toBeLessThan(3);
  });

  it('is over, the value is served again, with what is new', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'fails';
    await time.pass(1_001);
    vault.fault = undefined;
    vault.put('two', 'AWSCURRENT');
    await time.pass(61);
    expect(source.current().reveal()).toBe('two');
    expect(source.acceptsNewTasks).toBe(true);
  });

  it('no new tasks are begun with less than 120 seconds to the limit', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'fails';
    await time.pass(879);
    expect(source.acceptsNewTasks).toBe(true);
    await time.pass(2);
    expect([source.acceptsNewTasks, source.current().reveal()]).toEqual([false, 'one']);
  });

  it('a look is given up after 30 seconds, and the next one is made', async () => {
    const codes: string[] = [];
    const { vault, time } = await sourceCase({
      on: { refreshFailed: ({ error }) => codes.push(error.code) },
    });
    vault.fault = 'hangs deaf';
    await time.pass(75 + 29.9);
    expect(codes).toEqual([]);
    await time.pass(0.2);
    expect(codes).toEqual(['ERR_TIMEOUT']);
    await time.pass(2);
    expect(vault.calls).toBe(3);
  });
});

describe('a value that dies by itself', () => {
  it('is not served past its end, and begins no task 120 seconds before', async () => {
    const dies = Date.parse('2026-11-25T12:10:00Z');
    const { vault, time, source } = await sourceCase({ expiresAt: () => dies });
    vault.fault = 'fails';
    await time.pass(479);
    expect(source.acceptsNewTasks).toBe(true);
    await time.pass(2);
    expect(source.acceptsNewTasks).toBe(false);
    await time.pass(120);
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_STALE' }));
  });
});

describe('a value that nobody can use', () => {
  it('is not moved to: the current one stays, and the refresh counts as failed', async () => {
    const errors: Error[] = [];
    const { vault, time, source } = await sourceCase({
      validate: (credential) => {
        if (credential.reveal() === 'broken') throw new Error('broken is no key');
      },
      on: { refreshFailed: ({ error }) => errors.push(error) },
    });
    vault.put('broken', 'AWSCURRENT');
    await time.pass(75.2);
    expect(source.current().reveal()).toBe('one');
    expect(errors).toMatchObject([{ code: 'ERR_VALUE' }]);
    // What a check says may quote the value.
    expect(errors[0]?.cause).toBeUndefined();
    expect(inspect(errors)).not.toContain('broken');
  });
});

describe('in a sandbox that freezes', () => {
  it('a value that is due by the wall clock is read before it is used', async () => {
    const { vault, time, source } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    expect((await source.freshAtInvocation()).reveal()).toBe('one');
    time.jump(3_600);
    expect((await source.freshAtInvocation()).reveal()).toBe('two');
    expect(vault.calls).toBe(2);
    await source.freshAtInvocation();
    expect(vault.calls).toBe(2);
  });

  it('a value past its limit is never served, where the vault is out', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'fails';
    time.jump(3_600);
    await expect(source.freshAtInvocation()).rejects.toMatchObject({ code: 'ERR_STALE' });
  });

  it('a value within its limit is served where the vault is out, without a try at each invocation', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'fails';
    time.jump(200);
    for (let invocation = 0; invocation < 20; invocation++) {
      expect((await source.freshAtInvocation()).reveal()).toBe('one');
    }
    expect(vault.calls).toBe(2);
  });

  it('what was under way before the freeze is not waited for', async () => {
    const { vault, time, source } = await sourceCase();
    vault.fault = 'hangs deaf';
    await time.pass(76);
    vault.fault = undefined;
    vault.put('two', 'AWSCURRENT');
    time.jump(600);
    expect((await source.freshAtInvocation()).reveal()).toBe('two');
  });

  it('a wall clock that was set back does not make an old value young', async () => {
    const { vault, time, source } = await sourceCase();
    vault.put('two', 'AWSCURRENT');
    time.jump(-86_400);
    time.stall(76);
    expect((await source.freshAtInvocation()).reveal()).toBe('two');
  });
});

describe('closing', () => {
  it('in the middle of a look leaves no timer, and what comes late changes nothing', async () => {
    const failures: unknown[] = [];
    const { vault, time, source } = await sourceCase({ on: { refreshFailed: (e) => failures.push(e) } });
    vault.fault = 'hangs deaf';
    await time.pass(76);
    await source[Symbol.asyncDispose]();
    expect(time.timers).toBe(0);
    expect(() => source.current()).toThrow(expect.objectContaining({ code: 'ERR_CLOSED' }));
    await expect(source.get()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(source.refreshNow()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await time.pass(500);
    expect([failures, vault.calls]).toEqual([[], 2]);
    await source[Symbol.asyncDispose]();
  });
});
