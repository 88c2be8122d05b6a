import { describe, expect, it } from 'vitest';
import { parseEntry } from '../../../shared/domain/declaration.ts';
import type { Policy } from '../../../shared/domain/policy.ts';
import type { EngineDeps } from '../../../shared/engine/deps.ts';
import { draftOf } from '../../../shared/engine/register-draft.ts';
import { providerFor } from '../../../shared/providers/registry.ts';

const NOW = Date.parse('2026-11-26T00:00:00.000Z');
const DAY = 86_400;

async function policyOf(
  entry: { type: string; provider: string; target: object },
  policy: object,
  holders: object[] = [{ kind: 'polling', name: 'agents', ttl: '5m' }],
): Promise<Policy> {
  // Nothing else is asked of the engine's parts before a draft is whole.
  const deps = { clock: () => NOW, providerFor } as unknown as EngineDeps;
  const options = {
    home: { tenant: 'default', account: '111122223333', region: 'eu-central-1' },
    stage: 'test',
    limits: {},
    rotationFunction: () => 'arn:aws:lambda:eu-central-1:111122223333:function:rotate',
  };
  const declared = {
    name: 'one',
    secret: 'agents/one',
    ...entry,
    policy: { evidenceOfUse: 'holders', ...policy },
  };
  return (await draftOf(deps, options, parseEntry({ ...declared, holders }))).policy;
}

describe('what a signing key asks of its policy', () => {
  const key = {
    type: 'signing-key',
    provider: 'jwks',
    target: { name: 'shop', issuer: 'shop', tokenLifetimeSeconds: 3600 },
  };

  it('is a soak until the last token that it signed has expired everywhere, by default', async () => {
    expect(await policyOf(key, {})).toMatchObject({ soakSeconds: 3600 + 300 + 300, intervalSeconds: DAY });
    expect(await policyOf(key, { soak: '2h' })).toMatchObject({ soakSeconds: 7200 });
  });

  it.each(['0s', '30m', '4199s'])('and not less: a soak of %s is refused', async (soak) => {
    await expect(policyOf(key, { soak })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.soak',
      remedy: expect.stringContaining('at least 4200 s'),
    });
  });

  it('has to fit into its interval of a day', async () => {
    const long = { ...key, target: { ...key.target, tokenLifetimeSeconds: 43_200 } };
    expect(await policyOf(long, {})).toMatchObject({ soakSeconds: 43_800 });
    await expect(policyOf(key, { interval: '2d' })).rejects.toMatchObject({ field: 'policy.interval' });
    await expect(policyOf(key, { interval: '5h' })).rejects.toMatchObject({ field: 'policy.interval' });
  });

  it('is no administrative login', async () => {
    await expect(policyOf({ ...key, admin: 'admin/keys' } as never, {})).rejects.toMatchObject({
      field: 'admin',
    });
  });
});

describe('what a token that grants escalation asks of its policy', () => {
  const target = { name: 'root', agent: 'root', audience: 'iam', escalation: true };
  const token = { type: 'agent-token', provider: 'opaque', target };
  const exception = { reason: 'because', expires: '2027-12-31' };

  it('is an interval of a day, where other tokens have seven', async () => {
    expect(await policyOf(token, {})).toMatchObject({ intervalSeconds: DAY, access: 'write' });
    const plain = { ...token, target: { ...target, escalation: false } };
    expect(await policyOf(plain, {})).toMatchObject({ intervalSeconds: 7 * DAY });
  });

  it('is refused what would make it live longer, whatever exception there is, and what says that it only reads', async () => {
    await expect(policyOf(token, { interval: '7d' })).rejects.toMatchObject({ field: 'policy.interval' });
    await expect(policyOf(token, { interval: '25h', exception })).rejects.toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.interval',
      message: expect.stringContaining('root credential'),
    });
    await expect(policyOf(token, { access: 'read' })).rejects.toMatchObject({ field: 'policy.access' });
  });

  it('is one agent: a second holder, or one with two instances, is refused', async () => {
    const one = { kind: 'polling', name: 'one', ttl: '5m' };
    for (const holders of [[one, { ...one, name: 'two' }], [{ ...one, agents: 2 }]])
      await expect(policyOf(token, {}, holders)).rejects.toMatchObject({
        code: 'ERR_POLICY',
        field: 'holders',
      });
  });

  it('tells of all mistakes at once', async () => {
    const one = { kind: 'polling', name: 'one', ttl: '5m', agents: 3 };
    const failure = await policyOf(token, { interval: '3d' }, [one]).catch((error: unknown) => error);
    expect(failure).toMatchObject({ field: 'policy.interval', also: [{ field: 'holders' }] });
  });
});
