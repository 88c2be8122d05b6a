import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { README, withTables } from '../../../scripts/provider-docs.ts';
import { aligned, COLUMNS, ELSEWHERE, FAMILIES, rowNames, rowsOf } from '../../../scripts/upstream-run.ts';
import { CAPABILITIES, type Capabilities } from '../../../shared/domain/capabilities.ts';
import { errorsOf } from '../../../shared/domain/errors.ts';
import { classify } from '../../../shared/domain/inventory.ts';
import { boundsOf } from '../../../shared/domain/policy.ts';
import { providerFor } from '../../../shared/providers/registry.ts';
import { PROVIDERS } from '../../../shared/providers/types/all.ts';
import { UPSTREAMS } from '../../e2e/upstreams/all.ts';
import { isRoot } from '../../../shared/domain/roots.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const keys = Object.keys(CAPABILITIES).toSorted();
const run = { day: '2026-11-26', passes: { 'llm-key/openai': ['register', 'rotate'] } } as const;

describe('the providers of the registry', () => {
  it('have each their facts, the bounds of their type and their case on the deployed stack', () => {
    expect(Object.keys(PROVIDERS).toSorted()).toEqual(keys);
    expect([...Object.keys(UPSTREAMS), ...Object.keys(ELSEWHERE)].toSorted()).toEqual(keys);
    for (const key of keys) expect(boundsOf(key.split('/')[0] ?? '')).toBeDefined();
  });

  it('have each a page, that of databases apart', async () => {
    const pages = await readdir(join(root, 'docs', 'providers'));
    const wanted = keys.filter((key) => !key.startsWith('database/')).map((key) => `${key.split('/')[1]}.md`);
    expect(pages.toSorted()).toEqual(['README.md', ...wanted].toSorted());
  });

  it('do what their facts say', async () => {
    for (const [key, facts] of Object.entries<Capabilities>(CAPABILITIES)) {
      const [type = '', name = ''] = key.split('/');
      const provider = await providerFor(type, name);
      expect({
        key: `${provider.type}/${provider.provider}`,
        overlap: provider.overlap,
        revocation: provider.revocation,
        canSuspend: provider.suspension !== undefined,
        lag: provider.usage === undefined ? undefined : (provider.usageLagSeconds ?? 0),
        needsAdmin: provider.needsAdmin,
        meters: provider.meter !== undefined,
      }).toEqual({
        key,
        overlap: facts.overlap,
        revocation: facts.revocation,
        canSuspend: facts.canSuspend,
        lag: facts.lastUsedLagSeconds,
        needsAdmin: facts.needsAdmin,
        meters: facts.metering !== undefined,
      });
    }
  });

  it('are known to an import where they can take over: it names the fields that a target needs', async () => {
    for (const key of keys) {
      const [type = '', name = ''] = key.split('/');
      const provider = await providerFor(type, name);
      const facts = { name: 'agents/found', arn: '', tags: {}, registered: false } as const;
      const found = classify({ ...facts, shape: { kind: 'json', keys: ['apiKey'] } }, `${type}/${name}`);
      // Administrative secrets are declared as roots, never proposed as credentials of agents.
      if (provider.adoption === undefined || isRoot(type)) {
        expect({ key, verdict: found.verdict }).toEqual({ key, verdict: 'left-out' });
        continue;
      }
      if (found.verdict !== 'proposed') throw new Error(`${key} is ${found.verdict}`);
      const missing = errorsOf(() => provider.target(found.entry.target)).map(({ field }) => field ?? '');
      const named = found.notes.flatMap((note) => note.match(/target\.\w+/g) ?? []);
      expect({ key, named }).toEqual({ key, named: expect.arrayContaining(missing) });
      expect(missing.length).toBeGreaterThan(0);
    }
  });
});

describe('docs/providers/README.md', () => {
  it('has the form of a label once: every page with one links it', async () => {
    const folder = join(root, 'docs', 'providers');
    const pages = (await readdir(folder)).filter((name) => name !== 'README.md');
    const texts = await Promise.all(pages.map(async (name) => readFile(join(folder, name), 'utf8')));
    const labelled = texts.filter((text) => /^\| `label`/m.test(text));
    expect(labelled.length).toBeGreaterThan(10);
    expect(labelled.filter((text) => !text.includes('(README.md#labels)'))).toEqual([]);
    expect(await readFile(README, 'utf8')).toContain('\n## Labels\n');
  });

  it('has the facts as they are: npm run docs:providers writes them', async () => {
    const page = await readFile(README, 'utf8');
    expect(await withTables(page, undefined)).toBe(page);
  });

  it('leaves no upstream out of the table of what was run', async () => {
    const page = await readFile(README, 'utf8');
    const table = page.slice(page.indexOf('<!-- run -->'), page.indexOf('<!-- /run -->'));
    const cells = table
      .split('\n')
      .flatMap((line) => (line.startsWith('|') ? [line.split('|').slice(1, -1)] : []));
    const rows = cells.slice(2).map(([row = '']) => row.replaceAll(/[[`\]]|\(.*?\)/g, '').trim());
    expect(rows).toEqual(rowNames());
    expect(cells[0]?.map((each) => each.trim())).toEqual(['upstream', ...COLUMNS]);
  });
});

describe('the table of a run', () => {
  it('has a row for every upstream, and says what one has not passed', () => {
    const rows = rowsOf(run);
    const names = rows.slice(1).map(([name = '']) => name);
    expect(names).toEqual(rowNames());
    expect(names).toEqual(expect.arrayContaining(keys));
    expect(rows.find(([key]) => key === FAMILIES)).toEqual([
      FAMILIES,
      'NO',
      '–',
      'NO',
      '–',
      'NO',
      'NO',
      'NO',
    ]);
    expect(rows.find(([key]) => key === 'llm-key/openai')).toEqual([
      'llm-key/openai',
      'yes',
      'NO',
      'yes',
      'NO',
      'NO',
      'NO',
      'NO',
    ]);
    expect(rows.find(([key]) => key === 'llm-key/mistral')?.includes('yes')).toBe(false);
  });

  it('has variants after their upstream, and what was counted below', async () => {
    const names = rowNames();
    const at = names.indexOf('signing-key/jwks');
    expect(names[at + 1]).toBe('signing-key/jwks, held in KMS');
    const page = await withTables(await readFile(README, 'utf8'), { ...run, counts: ['0 of 10 failed'] });
    expect(page).toMatch(/\| \[`signing-key\/jwks`\]\(jwks\.md\), held in KMS +\|/);
    expect(page).toContain('\n- 0 of 10 failed\n');
  });

  it('is written into the page in the place of the former one', async () => {
    const page = await readFile(README, 'utf8');
    const once = await withTables(page, run);
    expect(once).toContain('Last run on 2026-11-26.');
    expect(await withTables(once, run)).toBe(once);
    await expect(withTables('# No place', run)).rejects.toThrow('no place for "facts"');
  });

  it('has aligned columns', () => {
    expect(
      aligned([
        ['a', 'b'],
        ['long', 'c'],
      ]),
    ).toEqual(['a     b', 'long  c']);
  });
});
