import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CAPABILITIES, capabilitiesOf, type ProviderKey } from '../shared/domain/capabilities.ts';

/** What each upstream goes through on the deployed stack, in the order of the table. */
export const COLUMNS = [
  'register',
  'window',
  'rotate',
  'roll back',
  'lost answer',
  'revoke',
  'audit',
] as const;
export type Passed = (typeof COLUMNS)[number];

/** One run of the end-to-end test of keys. */
export interface UpstreamRun {
  /** On which day (UTC). */
  readonly day: string;
  /** By type and provider, or by variant. */
  readonly passes: Readonly<Record<string, readonly Passed[]>>;
  /** What was counted under load and without Rekey, a line each. */
  readonly counts?: readonly string[];
}

/** Upstreams that other tests lead through the same. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  'database/postgresql':
    '`main-job` and `operations` (roll back) beside it, lost answers in `test/integration/postgresql.int.test.ts`',
  'root/by-hand':
    '`keys`, where one comes due and is confirmed, and `test/faults/roots.test.ts`: a person does what else there is',
};

/** The row of OAuth token families, which no provider rotates. */
export const FAMILIES = 'token families';

/** What there is of them: a refresh has no window, and nothing to roll back to. */
const OF_FAMILIES: ReadonlySet<Passed> = new Set<Passed>([
  'register',
  'rotate',
  'lost answer',
  'revoke',
  'audit',
]);

/** What is run beside the one of each upstream: of which it is one, and how its credential is told from that. */
export const VARIANTS = {
  'signing-key/jwks, held in KMS': { key: 'signing-key/jwks', name: 'kms' },
} as const satisfies Readonly<Record<string, { readonly key: ProviderKey; readonly name: string }>>;
export type Variant = keyof typeof VARIANTS;

const FILE = join(import.meta.dirname, '..', '.cache', 'upstreams.json');

/** Keeps a run for those who print it. */
export async function keepRun(run: UpstreamRun): Promise<void> {
  await mkdir(dirname(FILE), { recursive: true });
  await writeFile(FILE, JSON.stringify(run, null, 2));
}

/** The last run that was kept; undefined where there was none. */
export async function lastRun(): Promise<UpstreamRun | undefined> {
  const text = await readFile(FILE, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as UpstreamRun);
}

/** So that nobody takes a former run for this one. */
export async function forgetRun(): Promise<void> {
  await rm(FILE, { force: true });
}

/** What ends a key: by hand where only a person can. */
const ENDS: ReadonlySet<Passed> = new Set<Passed>(['rotate', 'roll back', 'lost answer', 'revoke']);

function isManual(key: string): boolean {
  const [type = '', provider = ''] = key.split('/');
  return capabilitiesOf(type, provider)?.revocation === 'manual';
}

/** Every row of the table: upstreams, each with its variants after it, and token families. */
export function rowNames(): string[] {
  const variants = Object.entries(VARIANTS);
  const upstreams = Object.keys(CAPABILITIES).flatMap((key) => [
    key,
    ...variants.flatMap(([variant, of]) => (of.key === key ? [variant] : [])),
  ]);
  return [...upstreams, FAMILIES];
}

/** A row for every upstream that there is, and one for token families, whether it was in the run or not. */
export function rowsOf({ passes }: UpstreamRun): string[][] {
  return [
    ['upstream', ...COLUMNS],
    ...rowNames().map((key) => [
      key,
      ...COLUMNS.map((column) => {
        if (ELSEWHERE[key] !== undefined) return 'elsewhere';
        if (key === FAMILIES && !OF_FAMILIES.has(column)) return '–';
        if (passes[key]?.includes(column) !== true) return 'NO';
        return isManual(key) && ENDS.has(column) ? 'manual' : 'yes';
      }),
    ]),
  ];
}

/** The rows with aligned columns. */
export function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
