import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toInstant } from '../../shared/domain/clock.ts';
import type { KeyTarget } from '../../shared/providers/http/target.ts';
import type { ProviderContext } from '../../shared/providers/provider.ts';
import type { UsageLog } from '../fakes/usage-log.ts';
import type { Asked, FakeKeys, UpstreamServer } from '../fakes/upstream.ts';
import { keyHarness, type KeyCase } from './key-harness.ts';

/** A case whose upstream counts uses by key and minute. */
export interface MeteringCase<T extends KeyTarget> extends KeyCase<T> {
  fake(): { readonly server: UpstreamServer; readonly keys: FakeKeys; readonly usage: UsageLog };
  /** Uses a key for a request to a model, as an agent would. */
  request(value: string, model: string): Promise<unknown>;
  /** Whether a request asks for counts. */
  readonly isMetering: (asked: Asked) => boolean;
}

const MINUTE = 60_000;
const REFUSAL = { error: { message: 'No', type: 'invalid_request_error', param: null, code: 'no' } };

/** The contract of `meter`: what an upstream has counted of keys, by the minute. */
export function describeMetering<T extends KeyTarget>(name: string, its: MeteringCase<T>): void {
  describe(`${name} tells how often its keys were used`, () => {
    const { provider } = its;
    let target: T;
    let ctx: ProviderContext;
    // A minute that is over: in the one that runs a test could begin in one and end in the next.
    const now = (): number => Math.floor(Date.now() / MINUTE) * MINUTE;
    const hour = () => ({ from: toInstant(now() - 60 * MINUTE), to: toInstant(now() + MINUTE) });
    const meter = async (ids: readonly string[], span = hour(), context = ctx) => {
      const told = await provider.meter?.(target, ids, span, context);
      if (told === undefined) throw new Error(`${name} tells of no uses`);
      return told;
    };

    beforeAll(async () => {
      await its.start();
      const harness = keyHarness(its);
      target = await harness.freshTarget();
      ctx = harness.context(target);
    }, 60_000);
    afterAll(async () => its.stop(), 30_000);

    it('by key, model and minute, with what an agent has asked for', async () => {
      const { usage } = its.fake();
      const at = now() - 10 * MINUTE;
      usage.count('key_a', 'large', 3, at);
      usage.count('key_a', 'small', 2, at + 59_999);
      usage.count('key_a', 'large', 1, at + MINUTE);
      usage.count('key_b', 'large', 5, at);
      const { who, uses } = await meter(['key_a', 'key_b']);
      expect(who).not.toBe('');
      const [first, second, third] = [at, at + MINUTE, at + 2 * MINUTE].map(toInstant);
      expect(uses).toHaveLength(4);
      expect(uses).toEqual(
        expect.arrayContaining([
          { keyId: 'key_a', from: first, to: second, requests: 3, scope: 'large' },
          { keyId: 'key_a', from: first, to: second, requests: 2, scope: 'small' },
          { keyId: 'key_a', from: second, to: third, requests: 1, scope: 'large' },
          { keyId: 'key_b', from: first, to: second, requests: 5, scope: 'large' },
        ]),
      );
    });

    it('counting what agents do with a key, and still once it is gone', async () => {
      const issue = { ...ctx, generation: 1 };
      const token = '00000000-0000-4000-8000-0000000000aa';
      const { handle, material } = await provider.issue(target, token, issue);
      for (let count = 0; count < 3; count++) await its.request(material.reveal().apiKey, 'large');
      const total = async () =>
        (await meter([handle.id])).uses.reduce((sum, { requests = 0 }) => sum + requests, 0);
      expect(await total()).toBe(3);
      await provider.revoke(target, handle, { endSessions: true }, ctx);
      expect(await total()).toBe(3);
    });

    it('of these keys alone and of this time alone', async () => {
      const { usage } = its.fake();
      const at = now() - 200 * MINUTE;
      usage.count('key_c', 'large', 1, at);
      usage.count('key_d', 'large', 1, at + 5 * MINUTE);
      usage.count('key_d', 'large', 1, at + 10 * MINUTE);
      const span = { from: toInstant(at + 1), to: toInstant(at + 9 * MINUTE) };
      const { uses } = await meter(['key_d'], span);
      expect(uses.map(({ from }) => from)).toEqual([toInstant(at + 5 * MINUTE)]);
    });

    it('page by page, whatever stands on which', async () => {
      const { usage } = its.fake();
      const at = now() - 3000 * MINUTE;
      for (let minute = 0; minute < 1400; minute++) usage.count('key_e', 'large', 1, at + minute * MINUTE);
      const span = { from: toInstant(at), to: toInstant(at + 1440 * MINUTE) };
      const { uses } = await meter(['key_e'], span);
      expect(new Set(uses.map(({ from }) => from)).size).toBe(1400);
    });

    it('and of which time it has told all: not of what may still grow', async () => {
      const { from, to } = hour();
      const { covers } = await meter(['key_a'], { from, to });
      expect(covers).toHaveLength(0);
      const later = { ...ctx, clock: () => now() + 90 * MINUTE + 1 };
      expect((await meter(['key_a'], { from, to }, later)).covers).toEqual([{ from, to }]);
      const soon = { ...ctx, clock: () => now() + 30 * MINUTE };
      expect((await meter(['key_a'], { from, to }, soon)).covers).toEqual([
        { from, to: toInstant(now() - 30 * MINUTE) },
      ]);
    });

    it('later, where it counts later', async () => {
      const { usage } = its.fake();
      usage.count('key_f', 'large', 7, now() - 5 * MINUTE);
      usage.lagMs = 10 * MINUTE;
      expect((await meter(['key_f'])).uses).toEqual([]);
      usage.lagMs = 0;
      expect((await meter(['key_f'])).uses[0]?.requests).toBe(7);
    });

    it('asking nothing where no key is named', async () => {
      const before = its.fake().server.asked.length;
      expect((await meter([])).uses).toEqual([]);
      expect(its.fake().server.asked.length).toBe(before);
    });

    it.each([
      ['is refused', { kind: 'reply', status: 403, body: REFUSAL }, 'ERR_ADMIN_DENIED'],
      ['has too many calls', { kind: 'reply', status: 429, body: REFUSAL }, 'ERR_UNAVAILABLE'],
      ['fails', { kind: 'reply', status: 500, body: REFUSAL }, 'ERR_UNAVAILABLE'],
      ['does not answer', { kind: 'lost' }, 'ERR_UNAVAILABLE'],
      ['answers in another form', { kind: 'malformed' }, 'ERR_UNAVAILABLE'],
      [
        'shows no way to the rest',
        { kind: 'reply', status: 200, body: { object: 'page', data: [], has_more: true, next_page: null } },
        'ERR_UNAVAILABLE',
      ],
    ] as const)('and nothing where it %s', async (_what, fault, code) => {
      its.fake().server.fail(fault, its.isMetering);
      await expect(meter(['key_a'])).rejects.toMatchObject({ code });
      its.fake().server.heal();
    });
  });
}
