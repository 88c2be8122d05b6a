import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { recorded } from '../../shared/domain/place.ts';
import type { AnyProvider } from '../../shared/providers/provider.ts';
import { EngineWorld, type EngineCase } from '../support/engine-world.ts';

let world: EngineWorld;
beforeAll(async () => {
  world = await EngineWorld.start();
});
afterAll(async () => {
  await world.stop();
});

/** The upstream as one that says something of where its credentials live. */
function telling(one: EngineCase, place: NonNullable<AnyProvider['place']>): void {
  one.change = (deps) => ({
    ...deps,
    providerFor: async (type, name) => ({ ...(await deps.providerFor(type, name)), place }),
  });
}

/** What the records of a case say of it, by what was done. */
async function toldOf(one: EngineCase): Promise<Record<string, unknown>> {
  const told = (await one.records()).flatMap(({ message, entity }) => {
    const evidence = JSON.parse(entity.data.evidence || '{}') as { place?: unknown };
    return evidence.place === undefined ? [] : [[message, evidence.place] as const];
  });
  return Object.fromEntries(told);
}

describe('where a credential lives', () => {
  test('stands in the records of the new one and of the end of the old one, each with its own facts', async () => {
    const one = await world.registered();
    telling(one, async (_target, { generation }) =>
      Promise.resolve({ account: 'org-1', allowlist: [`10.0.0.${generation}`], tier: undefined }),
    );
    await one.rotate();
    const { current } = await one.credential();
    const next = current?.handle.generation ?? 0;
    expect(await toldOf(one)).toEqual({
      'promotion-intended': { account: 'org-1', allowlist: [`10.0.0.${next}`] },
      retired: { account: 'org-1', allowlist: [`10.0.0.${next - 1}`] },
    });
    expect(await one.faults()).toEqual([]);
  });

  test('stands beside what is known of the rights of the new one: the same as before, or unknown', async () => {
    const one = await world.registered();
    const rightsOf = async () =>
      (await one.records()).flatMap(({ message, entity }) =>
        message === 'promotion-intended'
          ? [(JSON.parse(entity.data.evidence) as { permissions?: string }).permissions]
          : [],
      );
    await one.rotate();
    one.change = (deps) => ({
      ...deps,
      providerFor: async (type, name) => ({
        ...(await deps.providerFor(type, name)),
        comparePermissions: async () => Promise.resolve('unknown' as const),
      }),
    });
    await one.rotate();
    expect(await rightsOf()).toEqual(['same', 'unknown']);
  });

  test.each([
    ['may not be told', async () => Promise.reject(new Error('out of order'))],
    ['does not come in time', async () => new Promise<never>(() => {})],
  ])('is unknown where it %s, and holds no rotation up', async (_why, place) => {
    const one = await world.registered();
    telling(one, place);
    const token = await one.rotate();
    expect((await one.rotation(token)).phase).toBe('completed');
    expect(await toldOf(one)).toEqual({ 'promotion-intended': 'unknown', retired: 'unknown' });
    expect(await one.faults()).toEqual([]);
  });

  test('is not spoken of where the upstream has no such thing', async () => {
    const one = await world.registered();
    await one.rotate();
    expect(await toldOf(one)).toEqual({});
  });

  test('is kept short, whatever an upstream writes', () => {
    const place = recorded({
      project: 'p'.repeat(500),
      spendLimit: null,
      rateLimits: Array.from({ length: 25 }, (_, index) => `model ${index}`),
    });
    expect(place.project).toHaveLength(121);
    expect(place.spendLimit).toBeNull();
    expect(place.rateLimits?.slice(19)).toEqual(['model 19', 'and 5 more']);
    expect('account' in place).toBe(false);
  });
});
