import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseDeclaration } from '../../../shared/domain/declaration.ts';
import { draftOf } from '../../../shared/engine/register-draft.ts';
import { providerFor } from '../../../shared/providers/registry.ts';

const docs = new URL('../../../docs/', import.meta.url);
const PAGES = [
  'adoption.md',
  'deploy-hook.md',
  'roots.md',
  ...readdirSync(new URL('providers/', docs))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `providers/${name}`),
];

/** Every declaration on a page: a list of credentials, a whole file, or its roots alone. */
function examplesOn(page: string): object[] {
  const text = readFileSync(new URL(page, docs), 'utf8');
  return [...text.matchAll(/```ya?ml\n([^]*?)```/g)].map(([, yaml = '']) => {
    const content = parse(yaml) as object;
    return { version: 1, ...(Array.isArray(content) ? { credentials: content } : content) };
  });
}

const EXAMPLES = PAGES.flatMap((page) =>
  examplesOn(page).map((example, index): [string, object] => [`docs/${page}, example ${index + 1}`, example]),
);

const NOW = Date.parse('2026-11-26T00:00:00.000Z');
const OPTIONS = {
  home: { tenant: 'default', account: '111122223333', region: 'eu-central-1' },
  stage: 'prod',
  limits: {},
  rotationFunction: (type: string) => `arn:aws:lambda:eu-central-1:111122223333:function:${type}:live`,
};

describe('a declaration that the documents show', () => {
  it('stands on the page of every provider that has one', () => {
    const without = PAGES.filter((page) => page.startsWith('providers/') && examplesOn(page).length === 0);
    expect(without).toEqual(['providers/README.md']);
  });

  it.each(EXAMPLES)(
    'is accepted as it is written, by its provider and its policy: %s',
    async (_at, example) => {
      const { credentials, roots } = parseDeclaration(example, { now: NOW, limits: {} });
      for (const entry of [...roots, ...credentials]) {
        const draft = await draftOf({ providerFor, clock: () => NOW }, OPTIONS, entry);
        expect(draft.name).toBe(entry.name);
      }
    },
  );
});
