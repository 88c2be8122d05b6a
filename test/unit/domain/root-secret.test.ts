import { describe, expect, it } from 'vitest';
import { isPoolAlone, rootSecretOf } from '../../../shared/domain/root-secret.ts';

const HOOK = { hookToken: 'token-1', keySeeds: ['seed-2', 'seed-1'] };

describe('the secret in an administrative secret', () => {
  it.each<[string, object, object]>([
    ['an address', { apiKey: 'k', baseUrl: 'https://a' }, { baseUrl: 'https://b', apiKey: 'k' }],
    ['a longer pool', { adminKey: 'k', pool: [] }, { adminKey: 'k', pool: [{ id: 'a', value: 'v' }] }],
    ['the order of fields', HOOK, { keySeeds: HOOK.keySeeds, hookToken: HOOK.hookToken }],
    ['a former seed that was taken out', HOOK, { ...HOOK, keySeeds: ['seed-2'] }],
    ['the order of fields that nobody knows', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
  ])('is no other for %s', (_what, before, after) => {
    expect(rootSecretOf(JSON.stringify(after, null, 2))).toBe(rootSecretOf(JSON.stringify(before)));
  });

  it.each<[string, object, object]>([
    ['a key', { apiKey: 'k1', baseUrl: 'https://a' }, { apiKey: 'k2', baseUrl: 'https://a' }],
    ['a token of a hook', HOOK, { ...HOOK, hookToken: 'token-2' }],
    ['a seed in front', HOOK, { ...HOOK, keySeeds: ['seed-3', 'seed-2'] }],
    ['a field that nobody knows', { a: 1 }, { a: 2 }],
  ])('is another for %s', (_what, before, after) => {
    expect(rootSecretOf(JSON.stringify(after))).not.toBe(rootSecretOf(JSON.stringify(before)));
  });

  it('is the text where that is no JSON, without the space around it', () => {
    expect(rootSecretOf(' sk-1\n')).toBe('sk-1');
  });

  it('is not there where a pool is all', () => {
    expect(isPoolAlone('{"pool":[]}')).toBe(true);
    expect(isPoolAlone('{"pool":[],"adminKey":"k"}')).toBe(false);
    expect(isPoolAlone('sk-1')).toBe(false);
  });
});
