import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { digestOf, partsOf } from '../../../shared/domain/agent-token.ts';
import { accepts, opaqueCase } from '../../contract/cases/opaque.ts';
import { describeIdentityFaults } from '../../contract/describe-identity-faults.ts';
import { describeProvider } from '../../contract/describe-provider.ts';
import { identityHarness } from '../../contract/identity-harness.ts';

const { provider } = opaqueCase();
const TOKEN = '00000000-0000-4000-8000-000000000001';
const DAY_MS = 86_400_000;

describe('agent tokens', () => {
  describeProvider('Agent tokens', identityHarness(opaqueCase()));
  describeIdentityFaults('Agent tokens', opaqueCase());

  const harness = identityHarness(opaqueCase());
  beforeAll(async () => harness.start());
  afterAll(async () => harness.stop());

  async function issued(intervalSeconds?: number) {
    const target = await harness.freshTarget();
    const ctx = harness.context(target);
    const clock = ctx.clock();
    const issueContext = { ...ctx, clock: () => clock, generation: 1 };
    const { handle, material } = await provider.issue(target, TOKEN, {
      ...issueContext,
      ...(intervalSeconds === undefined ? {} : { intervalSeconds }),
    });
    return { target, ctx, handle, at: clock, token: material.reveal().token };
  }

  it('have a form that a scanner finds: set, id, 256 bits and a checksum', async () => {
    const { token, target, handle } = await issued();
    expect(token).toMatch(/^rkt_[a-z0-9-]+_[0-9a-f]{16}_[A-Za-z0-9_-]{43}_[0-9a-f]{8}$/);
    expect(partsOf(token)).toEqual({ set: target.name, id: handle.id });
    for (const cut of [
      token.slice(0, -1),
      `${token}0`,
      token.replace('rkt', 'rkx'),
      `${token.slice(0, 30)}${token[30] === 'x' ? 'y' : 'x'}${token.slice(31)}`,
    ])
      expect(partsOf(cut)).toBeUndefined();
  });

  it('are kept as digests: the directory has no token, sealed parts apart', async () => {
    const { token, target } = await issued();
    const { directory } = harness.served();
    const set = JSON.stringify(directory.sets.get(`tokens/${target.name}`));
    expect(set).toContain(digestOf(token));
    expect(set).not.toContain(token.slice(-52, -9));
    expect([...directory.parts.values()].join()).not.toContain(token);
  });

  it('are introspected as RFC 7662 has it', async () => {
    const { token, target, handle, at } = await issued(7 * 86_400);
    const response = await fetch(`${harness.served().url}/introspect`, {
      method: 'POST',
      body: new URLSearchParams({ token, token_type_hint: 'access_token' }),
    });
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toMatchObject({
      active: true,
      jti: handle.id,
      sub: 'agent-1',
      aud: 'orders',
      scope: 'orders:read',
      escalation: false,
      set: target.name,
      exp: Math.floor((at + 14 * DAY_MS) / 1000),
    });
  });

  it('end by themselves after twice their interval and the skew of clocks, whatever becomes of Rekey', async () => {
    const { token, target, at } = await issued(86_400);
    const { url } = harness.served();
    const ends = at + 2 * DAY_MS + target.clockSkewSeconds * 1000;
    const clock = harness.served().clock;
    try {
      harness.served().clock = () => ends - 1;
      expect(await accepts(url, target.name, token)).toBe(true);
      harness.served().clock = () => ends;
      expect(await accepts(url, target.name, token)).toBe(false);
    } finally {
      harness.served().clock = clock;
    }
  });

  it.each([5 * 3600, 86_400, 7 * 86_400])(
    'with an interval of %i s outlive a day without Rekey, however late it began',
    async (intervalSeconds) => {
      const { target, at } = await issued(intervalSeconds);
      const entry = harness
        .served()
        .directory.sets.get(`tokens/${target.name}`)
        ?.entries.find(({ state }) => state === 'live');
      // The rotation was due, and nobody came.
      expect(Date.parse(entry?.notAfter ?? '')).toBeGreaterThanOrEqual(at + intervalSeconds * 1000 + DAY_MS);
    },
  );

  it('are not active where anything else is sent, and nothing says why', async () => {
    const { token, target } = await issued();
    const other = await issued();
    const introspect = async (body: URLSearchParams | string) =>
      fetch(`${harness.served().url}/introspect`, { method: 'POST', body });
    const mixed = token.replace(target.name, other.target.name);
    for (const text of ['', 'rkt_', mixed, token.toUpperCase(), 'x'.repeat(3000)]) {
      expect(await (await introspect(new URLSearchParams({ token: text }))).json()).toEqual({
        active: false,
      });
    }
    expect((await introspect('no=token')).status).toBe(400);
    expect((await introspect(`token=${'x'.repeat(5000)}`)).status).toBe(413);
  });

  it('that grant escalation: a day at most, read-write policies only, one agent, and told', async () => {
    const declared = { name: 'a', agent: 'root-agent', audience: 'iam', escalation: true };
    const target = provider.target(declared);
    expect(provider.access?.(target)).toBe('write');
    expect(provider.demands?.(target)).toMatchObject({ maxIntervalSeconds: 86_400, maxAgents: 1 });
    expect(provider.access?.(provider.target({ ...declared, escalation: false }))).toBeUndefined();
    // Told at registration, and by `rekey doctor` for as long as it is registered.
    const ctx = harness.context(await harness.freshTarget());
    expect(await provider.preflight(target, ctx)).toMatchObject([{ field: 'target.escalation' }]);
  });
});
