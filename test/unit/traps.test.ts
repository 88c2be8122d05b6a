import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'traps.md'), 'utf8');

/** Sections of which every trap must have a test: what Rekey does today meets each of them. */
const COMPLETE = ['Secrets Manager protocol', 'Databases', 'Windows, state machines, events', 'Signing keys'];

interface Row {
  readonly trap: string;
  readonly tests: readonly { readonly title: string; readonly file: string }[];
}

/** The table of a section. */
function rowsOf(section: string): Row[] {
  const [, text = ''] = page.split(`\n## ${section}\n`);
  const [own = ''] = text.split('\n## ');
  return own
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(2)
    .map((line) => {
      const [, trap = '', tests = ''] = line.split('|').map((cell) => cell.trim());
      const named = [...tests.matchAll(/`([^`]+)` \(`([^`]+)`\)/g)];
      return { trap, tests: named.map(([, title = '', file = '']) => ({ title, file })) };
    });
}

/** Whether a file declares a test of this title that runs: the first argument of a call that is not skipped. */
function declares(source: string, title: string): boolean {
  const literals = [`'${title.replaceAll("'", String.raw`\'`)}'`, `"${title}"`, `\`${title}\``];
  return literals.some((literal) => {
    const escaped = literal.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
    return new RegExp(String.raw`(?<!\.(?:skip|todo))\(\s*${escaped},`).test(source);
  });
}

describe('docs/traps.md', () => {
  it.each(COMPLETE)('names a test for every trap of the section %s', (section) => {
    const rows = rowsOf(section);
    expect(rows.length).toBeGreaterThan(4);
    expect(rows.filter(({ tests }) => tests.length === 0)).toEqual([]);
  });

  it.each(COMPLETE)('names only tests that exist: %s', (section) => {
    const missing = rowsOf(section)
      .flatMap(({ tests }) => tests)
      .filter(({ title, file }) => {
        const path = join(root, file);
        return !existsSync(path) || !declares(readFileSync(path, 'utf8'), title);
      });
    expect(missing).toEqual([]);
  });

  it('is held against titles as they are, not as they were or as something else quotes them', () => {
    expect(declares("test('a trap', async () => {})", 'a trap')).toBe(true);
    expect(declares("test.each(\n  [1])(\n  'a trap %s',\n  (n) => n)", 'a trap %s')).toBe(true);
    expect(declares('it("it isn\'t", () => {})', "it isn't")).toBe(true);
    expect(declares("test('a trap that was renamed', () => {})", 'a trap')).toBe(false);
    expect(declares("test.skip('a trap', () => {})", 'a trap')).toBe(false);
    expect(declares("// 'a trap'", 'a trap')).toBe(false);
  });
});
