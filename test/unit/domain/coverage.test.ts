import { describe, expect, it } from 'vitest';
import { coverageChecks, keylessChecks, unregistered, type Survey } from '../../../shared/domain/coverage.ts';

const OWNER = 'openai:api.openai.com:proj_1/sa_1';
const survey = (...ids: string[]): Survey => ({ owner: OWNER, credentials: ids.map((id) => ({ id })) });

describe('what exists at an upstream', () => {
  it('belongs to no credential where none of all holds it, whichever of them saw it', () => {
    const all = [
      { held: ['key_1'], survey: survey('key_1', 'key_2', 'key_3') },
      { held: ['key_2'], survey: survey('key_1', 'key_2', 'key_3') },
    ];
    expect(unregistered(all)).toEqual([survey('key_3')]);
  });

  it('is told once for each owner, with name, age and last use where the upstream tells', () => {
    const credentials = [
      { id: 'key_1' },
      { id: 'key_2', name: 'old bot', createdAt: '2024-01-02T00:00:00.000Z', lastUsed: null },
      { id: 'key_3', lastUsed: '2026-11-20T00:00:00.000Z' },
    ];
    const [check, another] = coverageChecks([{ held: ['key_1'], survey: { owner: OWNER, credentials } }]);
    expect(check).toMatchObject({ area: 'upstream', name: OWNER, state: 'warn' });
    expect(check?.detail).toBe(
      '2 that no registered credential has: key_2 ("old bot", made 2024-01-02, never used); key_3 (last used 2026-11-20)',
    );
    expect(another).toBeUndefined();
  });

  it('is well where all of it is registered, and told in part where it is a lot', () => {
    expect(coverageChecks([{ held: ['key_1'], survey: survey('key_1') }])).toMatchObject([{ state: 'ok' }]);
    const many = Array.from({ length: 30 }, (_, index) => `key_${index}`);
    expect(coverageChecks([{ held: [], survey: survey(...many) }])[0]?.detail).toMatch(
      /key_19; and 10 more$/,
    );
  });

  it('is nobody’s to tell while what one credential holds is unknown', () => {
    const checks = coverageChecks([{ held: ['key_1'], survey: survey('key_1', 'key_2') }, {}]);
    expect(checks).toMatchObject([{ state: 'not-checked', remedy: expect.any(String) }]);
    expect(JSON.stringify(checks)).not.toContain('key_2');
  });

  it('is no matter where no upstream can be looked through', () => {
    expect(coverageChecks([{ held: ['orders_a'] }, {}])).toEqual([]);
  });
});

it('a credential that could do without a key is told so, and is well all the same', () => {
  expect(keylessChecks({ type: 'cloud-key', provider: 'aws-iam' })).toMatchObject([
    {
      name: 'keyless',
      state: 'ok',
      detail: expect.stringMatching(/^could do without a key: IAM roles.* \(docs\/providers\/aws-iam\.md\)$/),
    },
  ]);
  expect(keylessChecks({ type: 'llm-key', provider: 'openai' })).toEqual([]);
});
