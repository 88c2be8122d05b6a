import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createPublishedKeys, createTokenVerifier } from '../../../client/src/verify.ts';
import { dueOf } from '../../../shared/domain/calendar.ts';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { Credential, Key } from '../../../shared/domain/credential.ts';
import { endingCheck, outageCheck, outageOf, outagesCheck } from '../../../shared/domain/outage.ts';
import { x509Provider } from '../../../shared/providers/x509/provider.ts';
import type { CredentialProvider } from '../../../shared/providers/provider.ts';
import { accepts, opaqueCase } from '../../contract/cases/opaque.ts';
import { jwksCase, signedWith } from '../../contract/cases/jwks.ts';
import { ServedDirectory } from '../../support/directory.ts';
import { credentialOf, rotationOf } from '../api/fakes.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const TOKEN = '00000000-0000-4000-8000-000000000001';
const START = Date.parse('2026-11-26T00:00:00.000Z');

afterEach(() => {
  vi.useRealTimers();
});

/** All clocks of this process, the verifiers' and the directory's among them, say the same; timers and sockets are real. */
function clockAt(now: number): void {
  vi.useFakeTimers({ toFake: ['Date'], now });
}

/** A credential of a provider that was issued just now, as the ledger has it, and what its agents have. */
async function issued<T, M>(
  served: ServedDirectory,
  provider: CredentialProvider<T, M>,
  declared: { readonly name: string } & Readonly<Record<string, unknown>>,
  intervalSeconds: number,
): Promise<{ credential: Credential; target: T; material: M }> {
  served.clock = () => Date.now();
  const target = provider.target(declared);
  const ctx = { ...served.context(), generation: 1, intervalSeconds };
  const { handle, material } = await provider.issue(target, TOKEN, ctx);
  await provider.activate?.(target, TOKEN, { handle, material }, ctx);
  const issuedAt = toInstant(Date.now());
  const endsAt = provider.endsAt?.(target, issuedAt, intervalSeconds);
  const current: Key = {
    handle,
    versionId: TOKEN,
    fingerprint: 'sha256:1',
    issuedAt,
    ...(endsAt === undefined ? {} : { endsAt }),
  };
  const { type, provider: name } = provider;
  const credential = credentialOf({
    type,
    provider: name,
    name: declared.name,
    target,
    policy: { ...credentialOf().policy, intervalSeconds },
    current,
  });
  return { credential, target, material: material.reveal() };
}

/** The last moment at which the planner would have rotated it. */
function deadlineOf(credential: Credential): number {
  return Date.parse(dueOf(credential)?.deadline ?? '');
}

describe('a day without Rekey', () => {
  it('signing keys: what agents sign is taken by jose and by the client the whole day, however late it began', async () => {
    await using served = await ServedDirectory.start();
    clockAt(START);
    const { credential, target, material } = await issued(
      served,
      jwksCase().provider,
      { name: 'shop-agents', issuer: 'https://agents.shop.example' },
      86_400,
    );
    const { issuer } = target;
    const url = new URL(`${served.url}/jwks/shop-agents`);
    const jose = createRemoteJWKSet(url, { cacheMaxAge: 300_000 });
    const ours = createPublishedKeys({ directory: served.url, set: 'shop-agents', time: wall() });
    const began = deadlineOf(credential);
    expect(outageOf(credential, undefined, began)).toEqual({ why: 'nothing ends it by itself' });
    for (let now = began; now <= began + DAY_MS; now += HOUR_MS) {
      clockAt(now);
      const token = await signedWith(material);
      await expect(jwtVerify(token, jose, { issuer })).resolves.toBeDefined();
      await expect(jwtVerify(token, ours, { issuer })).resolves.toBeDefined();
    }
  });

  it.each([5 * 3600, 86_400, 7 * 86_400])(
    'tokens with an interval of %i s: taken the whole day, and refused from when on it was said',
    async (intervalSeconds) => {
      await using served = await ServedDirectory.start();
      clockAt(START);
      const { provider } = opaqueCase();
      const declared = { name: 'shop-agent', agent: 'shop', audience: 'orders' };
      const { credential, target, material } = await issued(served, provider, declared, intervalSeconds);
      const { token } = material;
      const verifier = createTokenVerifier({
        directory: served.url,
        set: 'shop-agent',
        audience: 'orders',
        sign: async ({ headers }) => Promise.resolve(headers),
        time: wall(),
      });
      const taken = async (now: number): Promise<readonly boolean[]> => {
        clockAt(now);
        return [(await verifier.verify(token)) !== undefined, await accepts(served.url, 'shop-agent', token)];
      };
      const began = deadlineOf(credential);
      expect(outageCheck(credential, outageOf(credential, undefined, began), began).state).toBe('ok');
      for (let now = began; now < began + DAY_MS; now += HOUR_MS)
        expect(await taken(now)).toEqual([true, true]);
      const { failsAt = '' } = outageOf(credential, undefined, began);
      const ends = Date.parse(failsAt) + target.clockSkewSeconds * 1000;
      expect(await taken(ends - 1)).toEqual([true, true]);
      expect(await taken(ends)).toEqual([false, false]);
    },
  );

  it.each([
    [undefined, 30],
    [30, 9],
    [7, 1.5],
  ])(
    'certificate authorities that live for %s days and sign for %s: the end is told, and none is due any sooner for it',
    (days, interval) => {
      const declared = {
        name: 'shop',
        trustDomain: 'shop.example',
        leafSeconds: 86_400,
        ...(days && { caSeconds: days * 86_400 }),
      };
      const target = x509Provider.target(declared);
      const intervalSeconds = interval * 86_400;
      const issuedAt = toInstant(START);
      const endsAt = x509Provider.endsAt?.(target, issuedAt, intervalSeconds);
      const base = credentialOf({ type: 'certificate-authority', provider: 'x509', target });
      const credential = {
        ...base,
        policy: { ...base.policy, intervalSeconds },
        current: { ...base.current!, issuedAt, ...(endsAt && { endsAt }) },
      };
      const { endsAt: _end, ...endless } = credential.current;
      expect(dueOf(credential)).toEqual(dueOf({ ...credential, current: endless }));
      const began = deadlineOf(credential);
      const outage = outageOf(credential, undefined, began);
      // What it has signed is renewed at half of a day: it bears half a day of nobody issuing, and is told so.
      expect(outage.failsAt).toBe(toInstant(began + DAY_MS / 2));
      expect(outage.why).toContain('live for 1d, of which 12h are left at least');
      expect(outageCheck(credential, outage, began)).toMatchObject({
        state: 'warn',
        remedy: expect.stringContaining('without target.leafSeconds, or with 172800'),
      });
      const itself = outageOf({ ...credential, target: {} }, undefined, began);
      expect(outageCheck(credential, itself, began).state).toBe('ok');
      // From its making, an interval before, to its end it lives for caSeconds.
      const ends = START - intervalSeconds * 1000 + target.caSeconds * 1000;
      expect(Date.parse(itself.failsAt ?? '')).toBeLessThan(ends);
    },
  );

  it('certificates bear a day of nobody issuing, by default', () => {
    const target = x509Provider.target({ name: 'shop', trustDomain: 'shop.example' });
    const credential = credentialOf({ type: 'certificate-authority', provider: 'x509', target });
    const outage = outageOf(credential, undefined, START);
    expect(outage.failsAt).toBe(toInstant(START + DAY_MS));
    expect(outageCheck(credential, outage, START).state).toBe('ok');
  });

  it('a longer interval that is declared later cuts nobody off: what ends by itself is due by half of its life', () => {
    const base = credentialOf();
    const current = { ...base.current!, issuedAt: toInstant(START), endsAt: toInstant(START + 60 * DAY_MS) };
    const deadline = (days: number): number =>
      (deadlineOf({ ...base, current, policy: { ...base.policy, intervalSeconds: days * 86_400 } }) - START) /
      DAY_MS;
    expect([deadline(7), deadline(30), deadline(90)]).toEqual([7, 30, 30]);
  });
});

describe('what would fail if Rekey stopped now', () => {
  const now = START;
  const ending = (endsAt: number): Credential => {
    const base = credentialOf();
    return { ...base, current: { ...base.current!, endsAt: toInstant(endsAt) } };
  };

  it('is what ends by itself within a day, with its time; later ends are named and all is well', () => {
    const soon = outageOf(ending(now + HOUR_MS), undefined, now);
    expect(outageCheck({ name: 'orders-db' }, soon, now)).toMatchObject({
      state: 'warn',
      detail: 'fails from 2026-11-26T01:00:00.000Z on: it ends by itself, and nobody makes another',
    });
    const late = outageOf(ending(now + DAY_MS), undefined, now);
    expect(outageCheck({ name: 'orders-db' }, late, now)).toMatchObject({
      state: 'ok',
      detail: expect.stringContaining('2026-11-27'),
    });
  });

  it('C5: rekey doctor says what ends within 14 days, and of nothing else', () => {
    const { name } = credentialOf();
    const told = (days: number) => endingCheck(ending(START + 60 * DAY_MS), START + days * DAY_MS);
    expect([told(45), endingCheck(credentialOf(), START + 1000 * DAY_MS)]).toEqual([[], []]);
    expect(told(46)).toMatchObject([
      {
        state: 'warn',
        name: 'end',
        detail: expect.stringContaining('ends by itself'),
        remedy: expect.stringContaining(name),
      },
    ]);
  });

  it('is agents that are halted, and not who has nothing yet or what is only looked at', () => {
    expect(outageOf(credentialOf({ status: 'halted' }), undefined, now).failsAt).toBe(toInstant(now));
    expect(outageOf(credentialOf({ status: 'registering' }), undefined, now).failsAt).toBeUndefined();
    expect(outageOf(credentialOf({ mode: 'observe' }), undefined, now)).toEqual({
      why: 'Rekey only looks at it',
    });
    const task = credentialOf({ type: 'root', provider: 'by-hand', mode: 'observe' });
    expect(outageOf(task, undefined, now)).toEqual({
      why: 'nothing ends it, but its owner is not told that it is due by 2026-12-01T00:00:00.000Z',
    });
  });

  it.each(['announced', 'issuing', 'activating', 'promoting', 'window', 'suspending', 'revoking'] as const)(
    'is nobody because of a rotation that stands still while old and new both work: %s',
    (phase) => {
      expect(outageOf(credentialOf(), rotationOf({ phase }), now).failsAt).toBeUndefined();
    },
  );

  it('names those that fail within a day, the first one first', () => {
    const outages = [
      { name: 'later', outage: { failsAt: toInstant(now + 2 * DAY_MS), why: '' } },
      { name: 'second', outage: { failsAt: toInstant(now + 2 * HOUR_MS), why: '' } },
      { name: 'never', outage: { why: '' } },
      { name: 'first', outage: { failsAt: toInstant(now + HOUR_MS), why: '' } },
    ];
    expect(outagesCheck(outages, now)).toMatchObject({
      state: 'warn',
      detail: 'first from 2026-11-26T01:00:00.000Z on; second from 2026-11-26T02:00:00.000Z on',
    });
    expect(outagesCheck(outages.slice(0, 1), now)).toMatchObject({ state: 'ok', detail: 'nothing fails' });
  });
});

/** The client's clocks on the wall clock of the test. */
function wall() {
  return {
    now: () => Date.now(),
    monotonic: () => Date.now(),
    random: () => 0.5,
    after: (ms: number, run: () => void) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  };
}
