import * as prettier from 'prettier';
import { describe, expect, it } from 'vitest';
import { htmlOf } from '../../../cli/report-html.ts';
import { markdownOf } from '../../../cli/report-markdown.ts';
import type { IncidentReport } from '../../../shared/api/incident-report.ts';

const AT = '2026-11-22T10:00:00.000Z';

/** A report in which every text that comes from elsewhere is this one. */
function reportWith(text: string): IncidentReport {
  return {
    version: 1,
    incident: text,
    generatedAt: AT,
    awareAt: AT,
    awareWhy: text,
    clocks: [{ regime: text, duty: text, runsFrom: text, deadline: AT, applies: text }],
    credentials: [
      {
        name: text,
        id: text,
        type: 'postgresql',
        provider: text,
        exposures: [{ fingerprint: text, handle: text, versionIds: [text], fromWhy: text, toWhy: text }],
        exposed: {
          access: text,
          sensitivity: text,
          opens: [{ name: text, value: text }],
          holders: [{ name: text, kind: text, delegates: [text] }],
        },
        counts: { expected: 0, unexplained: 0, suspect: 1 },
        uses: [
          {
            class: 'suspect',
            source: text,
            who: text,
            session: text,
            fingerprints: [text],
            from: AT,
            to: AT,
            address: text,
            place: 'within',
            findings: [{ aspect: 'workflow', verdict: 'unknown', text }],
          },
        ],
        gaps: [{ source: text, to: AT, why: text }],
        moments: [{ at: AT, action: text, actor: text, reason: text }],
      },
    ],
    unread: [{ credential: text, why: text }],
  };
}

const HOSTILE: readonly string[] = [
  'https://evil.example/x?a=b',
  'seen at (https://evil.example), then',
  'HTTP://evil.example',
  'ftp://evil.example',
  '//evil.example',
  'www.evil.example',
  'evil.example',
  'mallory@evil.example',
  'mailto:mallory@evil.example',
  '<https://evil.example>',
  '<x>',
  '<!-- hidden',
  '<img src=//evil.example/x.png>',
  '[x](y)',
  '[x](https://evil.example "title")',
  '![x](y.png)',
  '[x]: https://evil.example',
  '[^1]',
  '`https://evil.example`',
  'a`|https://evil.example',
  '\\https://evil.example\\',
  'https://evil.example\\|x',
  'a\nhttps://evil.example\n# b',
  'ht\u200Btps://evil.example',
  '&#104;ttps://evil.example',
  '**b** _i_ ~~s~~ | cell',
  '@team, and #1',
];

/** Every node of Markdown as a parser that isn't ours reads it, with GitHub's links of bare words. */
async function nodesOf(markdown: string): Promise<{ readonly type: string; readonly value?: unknown }[]> {
  const { ast } = (await debug.parse(markdown, { parser: 'markdown' })) as { ast: Node };
  const all = (node: Node): Node[] => [node, ...(node.children ?? []).flatMap(all)];
  return all(ast);
}
interface Node {
  readonly type: string;
  readonly value?: unknown;
  readonly children?: readonly Node[];
}
// Prettier's types leave its parser out; no other parser of Markdown is among the dependencies.
const debug = (
  prettier as unknown as { __debug: { parse: (text: string, options: object) => Promise<unknown> } }
).__debug;

const ACTIVE = [
  'link',
  'linkReference',
  'image',
  'imageReference',
  'definition',
  'footnoteReference',
  'html',
];
const STYLED = ['emphasis', 'delete', 'code'];

describe('a text from outside in a report', () => {
  it('is seen by the parser of these tests where it is a link', async () => {
    const found = await nodesOf('https://evil.example and <x> and [x](y) and ![x](y)');
    expect(found.map(({ type }) => type)).toEqual(expect.arrayContaining(['link', 'html', 'image']));
  });

  it.each(HOSTILE)('makes no link, no image and no markup in Markdown: %j', async (text) => {
    const nodes = await nodesOf(markdownOf(reportWith(text)));
    const types = nodes.map(({ type }) => type);
    for (const kind of [...ACTIVE, ...STYLED]) expect(types).not.toContain(kind);
    const count = (wanted: string): number => types.filter((type) => type === wanted).length;
    expect({ headings: count('heading'), rows: count('tableRow'), cells: count('tableCell') }).toEqual(
      await shape('plain'),
    );
    // What viewers make links of by themselves stands as code, where none of them does.
    const bare = nodes.filter(({ type }) => type === 'text' || type === 'sentence' || type === 'word');
    for (const { value } of bare)
      if (typeof value === 'string') expect(value).not.toMatch(/:\/\/|www\.|@|evil\.example/i);
  });

  it.each(HOSTILE)('makes no element of its own in HTML: %j', (text) => {
    const tags = (html: string): string[] => html.match(/<[a-z!/][^>]*>/gi) ?? [];
    const page = htmlOf(reportWith(text));
    expect(tags(page)).toEqual(tags(htmlOf(reportWith('plain'))));
    expect(page).toContain('name="format-detection"');
    expect(tags(page).join('')).not.toMatch(/<(a|img|script|iframe|form|link)\b|\b(href|src)=/i);
  });

  it('can be read as it was written', () => {
    expect(markdownOf(reportWith('found at https://evil.example by mallory@evil.example'))).toContain(
      '| found at `https://evil.example` by `mallory@evil.example` |',
    );
  });
});

async function shape(text: string): Promise<Record<string, number>> {
  const types = (await nodesOf(markdownOf(reportWith(text)))).map(({ type }) => type);
  const count = (wanted: string): number => types.filter((type) => type === wanted).length;
  return { headings: count('heading'), rows: count('tableRow'), cells: count('tableCell') };
}
