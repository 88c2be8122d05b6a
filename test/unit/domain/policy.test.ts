import { describe, expect, it } from 'vitest';
import type { Holder } from '../../../shared/domain/holders.ts';
import { boundsOf, resolvePolicy, type PolicyInput } from '../../../shared/domain/policy.ts';

const NOW = Date.parse('2026-01-01T00:00:00.000Z');
const DAY = 86_400;
const holder = (ttlSeconds: number): Holder => ({ kind: 'polling', name: `ttl-${ttlSeconds}`, ttlSeconds });
const resolve = (input: PolicyInput, holders: Holder[] = [], limits = {}) =>
  resolvePolicy('database', input, holders, NOW, limits);
const refusal = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('it was accepted');
};

describe('a policy', () => {
  it('defaults to the maximum of its type: 30 days, 7 where agents write to what is sensitive (C4)', () => {
    expect(resolve({}).intervalSeconds).toBe(30 * DAY);
    expect(resolve({ sensitivity: 'sensitive' }).intervalSeconds).toBe(7 * DAY);
    expect(resolve({ sensitivity: 'sensitive', access: 'read' }).intervalSeconds).toBe(30 * DAY);
  });

  it.for([
    ['llm-key', 30, 30],
    ['vector-database-key', 30, 14],
    ['cloud-key', 30, 30],
  ] as const)(
    'of type %s has at most %i days to read and %i to write (C1, C3, C8)',
    ([type, read, write]) => {
      for (const [access, days] of [
        ['read', read],
        ['write', write],
      ] as const) {
        for (const sensitivity of ['normal', 'sensitive'] as const) {
          const of = (intervalSeconds?: number): number =>
            resolvePolicy(type, { access, sensitivity, intervalSeconds }, [], NOW).intervalSeconds;
          expect(of()).toBe(days * DAY);
          expect(refusal(() => of(days * DAY + 1))).toMatchObject({
            code: 'ERR_POLICY',
            field: 'policy.interval',
          });
        }
      }
      expect(resolvePolicy(type, {}, [], NOW).intervalSeconds).toBe(write * DAY);
    },
  );

  it.for(['database', 'llm-key', 'vector-database-key', 'cloud-key'])(
    'of type %s has a window of 15 minutes to 4 hours (Z2)',
    (type) => {
      expect(boundsOf(type).window).toEqual({ min: 15 * 60, max: 4 * 3600, default: 30 * 60 });
    },
  );

  it('may be tighter than its type, and looser only with an exception that has a reason and is not over', () => {
    expect(resolve({ intervalSeconds: DAY }).intervalSeconds).toBe(DAY);
    expect(refusal(() => resolve({ intervalSeconds: 31 * DAY }))).toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.interval',
      remedy: expect.stringContaining('30 days'),
    });
    const exception = { reason: 'vendor outage', expires: '2026-01-01' };
    expect(resolve({ intervalSeconds: 31 * DAY, exception }).exception).toEqual(exception);
    expect(
      refusal(() =>
        resolve({ intervalSeconds: 31 * DAY, exception: { ...exception, expires: '2025-12-31' } }),
      ),
    ).toMatchObject({ code: 'ERR_POLICY', field: 'policy.exception.expires' });
  });

  it("never has an interval that Secrets Manager's schedule can't keep, whatever the exception", () => {
    const exception = { reason: 'vendor outage', expires: '2026-01-01' };
    expect(resolve({ intervalSeconds: 1000 * DAY, exception }).intervalSeconds).toBe(1000 * DAY);
    expect(refusal(() => resolve({ intervalSeconds: 1000 * DAY + 1, exception }))).toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.interval',
      remedy: expect.stringContaining('1000 days'),
    });
  });

  it.for([
    [15 * 60, 30 * 60],
    [3600, 2 * 3600],
  ] as const)('gives a TTL of %i s a window of %i s (Z2)', ([ttl, window]) => {
    expect(resolve({}, [holder(60), holder(ttl)]).windowSeconds).toBe(window);
  });

  it('refuses a window that is too short for a holder, naming field and remedy (Z2)', () => {
    expect(refusal(() => resolve({ windowSeconds: 1799 }, [holder(900)]))).toMatchObject({
      code: 'ERR_WINDOW_TOO_SHORT',
      field: 'policy.window',
      remedy: expect.stringContaining('1800 s'),
    });
  });

  it('keeps windows between 15 minutes and 4 hours; only the local stage may go lower', () => {
    for (const windowSeconds of [899, 14_401]) {
      expect(refusal(() => resolve({ windowSeconds }))).toMatchObject({
        code: 'ERR_POLICY',
        field: 'policy.window',
      });
    }
    expect(resolve({ windowSeconds: 5 }, [], { minWindowSeconds: 1 }).windowSeconds).toBe(5);
  });

  it('hard decision 10: an interval must exceed announcement + cap + soak', () => {
    const times = { windowSeconds: 3600, deadlineSeconds: 7200, capSeconds: 86_000, soakSeconds: 400 };
    expect(refusal(() => resolve({ ...times, intervalSeconds: DAY }))).toMatchObject({
      code: 'ERR_POLICY',
      field: 'policy.interval',
    });
    expect(resolve({ ...times, intervalSeconds: DAY + 1 }).intervalSeconds).toBe(DAY + 1);
  });

  it('hard decision 10: extends at the deadline unless it says otherwise', () => {
    expect(resolve({}).atDeadline).toBe('extend');
  });

  it.for([
    [{ windowSeconds: 3600, deadlineSeconds: 3599 }, 'policy.deadline'],
    [{ deadlineSeconds: 7200, capSeconds: 7199 }, 'policy.cap'],
    [{ capSeconds: 7 * DAY + 1 }, 'policy.cap'],
    [{ soakSeconds: 3 * DAY + 1 }, 'policy.soak'],
  ] as const)('refuses %j at %s', ([input, field]) => {
    expect(refusal(() => resolve(input))).toMatchObject({ code: 'ERR_POLICY', field });
  });

  it('refuses an unknown type with the known ones', () => {
    expect(refusal(() => boundsOf('floppy'))).toMatchObject({
      code: 'ERR_DECLARATION',
      remedy: expect.stringContaining('database'),
    });
  });
});
