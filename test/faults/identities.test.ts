import { describe, expect, test } from 'vitest';
import { describeIdentityLife } from '../contract/describe-identity-life.ts';

const identities = describeIdentityLife('signing keys', { kind: 'jwks' });

describe('signing keys', () => {
  test('their endpoint is down: agents and verifiers go on, a person is paged, and once it answers all is done', async () => {
    const one = await identities.registered();
    const before = await one.login();
    one.agents.start();
    await one.agents.probe('before it goes down');
    one.served.trouble = { status: 503 };
    const token = await one.rotate();
    const { phase, stuck } = await one.rotation(token);
    expect([phase, stuck, await one.login()]).toEqual(['activating', true, before]);
    expect(await one.actions()).toContain('stuck');
    one.served.trouble = undefined;
    await one.requestRollback(token);
    await one.settle();
    expect((await one.rotation(token)).phase).toBe('aborted');
    one.pass();
    await one.rotate();
    one.agents.stop();
    expect(await one.login()).not.toEqual(before);
    expect(await one.faults()).toEqual([]);
  });

  test('their endpoint is slow: it is asked again, and the rotation is done under load', async () => {
    const one = await identities.registered();
    one.agents.start();
    one.served.trouble = { delayMs: 500 };
    await one.rotate();
    one.agents.stop();
    expect((await one.credential()).generation).toBe(2);
    expect(await one.faults()).toEqual([]);
  });

  test('another deployment has the set already: registration is refused, by name, and nothing is left of it', async () => {
    const one = await identities.registered();
    const live = one.entries.length;
    const other = identities.newCase();
    other.share(one);
    const { target } = one.declaration;
    await expect(other.tryRegister({ ...other.declaration, target })).rejects.toMatchObject({
      code: 'ERR_CAPACITY',
      field: 'target.name',
      remedy: expect.stringContaining('declare another name'),
    });
    expect(one.entries).toHaveLength(live);
  });
});
