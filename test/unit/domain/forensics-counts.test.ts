import { describe, expect, it } from 'vitest';
import { toInstant } from '../../../shared/domain/clock.ts';
import type { TracedUse } from '../../../shared/domain/forensics/facts.ts';
import { investigate, type ClassedUse } from '../../../shared/domain/forensics/investigate.ts';

const START = Date.parse('2026-11-22T10:00:00.000Z');
const at = (minute: number): string => toInstant(START + minute * 60_000);

const counted = (minute: number, succeeded: number, id = 'key_1'): TracedUse => ({
  source: 'usage that the provider counts',
  who: 'proj_1/sa_1',
  of: { kind: 'key', id },
  from: at(minute),
  to: at(minute + 1),
  succeeded,
});
const reported = (minute: number, succeeded: number, refused = 0, versionId = 'v-1'): TracedUse => ({
  source: 'reports of shop',
  who: 'shop',
  declaredAs: 'shop',
  of: { kind: 'version', versionId },
  from: at(minute),
  to: at(minute),
  succeeded,
  refused,
});

/** What uses that an upstream has counted come to. */
function judged(uses: readonly TracedUse[], silent: readonly string[] = []): ClassedUse[] {
  const key = { fingerprint: 'sha256:1', handle: 'key_1#1', versionIds: ['v-1'], madeAt: at(-600) };
  const found = investigate({
    keys: [key],
    uses,
    sources: [],
    ordinary: { addresses: new Map() },
    silent,
    since: at(-600),
    now: at(600),
  });
  return found.uses.filter(({ of }) => of.kind === 'key');
}
const textsOf = (uses: readonly ClassedUse[]): (string | undefined)[] =>
  uses.map(({ findings }) => findings.find(({ aspect }) => aspect === 'count')?.text);

describe('what an upstream has counted of a value', () => {
  it('is expected where agents have reported as much in that hour, whichever minute each has it in', () => {
    const uses = [counted(0, 3), counted(20, 5), reported(-1, 3), reported(25, 4, 1)];
    expect(judged(uses).map((use) => use.class)).toEqual(['expected', 'expected']);
  });

  it('is expected where one report covers the end of that hour and the start of the next', () => {
    const across = { ...reported(55, 100), to: at(64) };
    expect(judged([counted(57, 40), counted(62, 60), across]).map((use) => use.class)).toEqual([
      'expected',
      'expected',
    ]);
    expect(judged([counted(62, 101), across]).map((use) => use.class)).toEqual(['suspect']);
  });

  it('is suspect where it is more, by how many', () => {
    const uses = [counted(5, 500), counted(40, 400), reported(5, 390, 10), counted(65, 2), reported(65, 2)];
    const found = judged(uses);
    expect(found.map((use) => use.class)).toEqual(['suspect', 'suspect', 'expected']);
    expect(textsOf(found)[0]).toContain('has counted 900, 500 more than agents have reported');
  });

  it('is suspect where no agent has reported anything at all', () => {
    expect(judged([counted(5, 1)])[0]?.class).toBe('suspect');
  });

  it('is no sign where some holders report nothing, and it says who', () => {
    const [use] = judged([counted(5, 9), reported(5, 4)], ['billing']);
    expect(use?.class).toBe('unexplained');
    expect(textsOf(judged([counted(5, 9), reported(5, 4)], ['billing']))[0]).toContain(
      '5 more than agents have reported; of billing nothing is reported',
    );
  });

  it('is not explained by reports of another value, another hour, or another key', () => {
    const uses = [
      counted(5, 4),
      counted(5, 90, 'key_2'),
      reported(5, 4, 0, 'v-2'),
      reported(65, 4),
      reported(-3, 4),
    ];
    expect(judged(uses).map((use) => use.class)).toEqual(['suspect']);
  });
});
