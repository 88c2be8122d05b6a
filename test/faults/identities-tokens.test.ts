import { describe, expect, test } from 'vitest';
import { describeIdentityLife } from '../contract/describe-identity-life.ts';
import { emergency } from '../support/emergencies.ts';

const identities = describeIdentityLife('agent tokens', { kind: 'tokens' });

describe('agent tokens', () => {
  test('one that has ended before its rotation: that is refused with a clear error, and an emergency replaces it', async () => {
    const one = await identities.registered();
    one.pass(3 * 86_400);
    one.tellVerifiers();
    const before = await one.login();
    expect(await one.works(before)).toBe(false);
    const token = await one.requestRotation();
    await one.settle();
    const { phase, failure } = await one.rotation(token);
    expect([phase, failure?.code]).toEqual(['aborted', 'ERR_REJECTED']);
    await emergency(one);
    await one.settle();
    one.tellVerifiers();
    expect(await one.works(await one.login())).toBe(true);
    expect(await one.faults()).toEqual([]);
  });
});
