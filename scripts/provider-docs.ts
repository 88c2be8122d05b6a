import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { CAPABILITIES, type Capabilities } from '../shared/domain/capabilities.ts';
import { durationText } from '../shared/domain/duration.ts';
import { ELSEWHERE, FAMILIES, lastRun, rowsOf, type UpstreamRun } from './upstream-run.ts';

/** Writes the tables of docs/providers/README.md: `npm run docs:providers`, after a run of the end-to-end tests. */
export const README = join(import.meta.dirname, '..', 'docs', 'providers', 'README.md');

const FACTS: Readonly<Record<string, Capabilities>> = CAPABILITIES;

/** The page with the table of facts, and with that of the run where there is one. */
export async function withTables(page: string, run: UpstreamRun | undefined): Promise<string> {
  const facts = between(page, 'facts', factsTable());
  const filled = run === undefined ? facts : between(facts, 'run', runTable(run));
  return format(filled, { ...(await resolveConfig(README)), parser: 'markdown' });
}

function between(page: string, name: string, content: string): string {
  const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/providers/README.md has no place for "${name}"`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}

function factsTable(): string {
  const rows = Object.entries(FACTS).map(([key, facts]) => [
    pageOf(key),
    isTask(facts) ? '' : overlapText(facts),
    facts.canCreate ? 'yes' : isTask(facts) ? 'no: a person' : 'no: a pool',
    facts.canSuspend ? 'yes' : 'no',
    facts.mayRefuse === undefined ? facts.revocation : `${facts.revocation}, may be refused`,
    isTask(facts) ? '' : durationText(facts.revocationDelaySeconds),
    isTask(facts) ? '' : durationText(facts.propagationSeconds),
    lastUseText(facts),
    meteringText(facts),
    facts.maxKeys === undefined ? '' : String(facts.maxKeys),
    facts.keyless ?? '',
  ]);
  return markdown([
    [
      'upstream',
      'old and new',
      'makes new ones',
      'suspends',
      'revoked by',
      'dead within',
      'new one works within',
      'last use',
      'uses by key',
      'keys at most',
      'without a key',
    ],
    ...rows,
  ]);
}

function isTask({ task }: Capabilities): boolean {
  return task === true;
}

function overlapText({ overlap }: Capabilities): string {
  switch (overlap.kind) {
    case 'dual':
      return `${overlap.maxLive} live`;
    case 'grace':
      return `old ends after ${durationText(overlap.seconds)}`;
    case 'none':
      return `cut at ${overlap.cutsAt}`;
  }
}

function lastUseText({ lastUsedLagSeconds: lag }: Capabilities): string {
  if (lag === undefined) return 'not told';
  return lag === 0 ? 'at once' : `${durationText(lag)} later`;
}

function meteringText({ metering }: Capabilities): string {
  if (metering === undefined) return 'not told';
  return `${metering.tells}, by ${metering.by}, ${durationText(metering.lagSeconds)} later`;
}

function runTable(run: UpstreamRun): string {
  const [heading = [], ...rows] = rowsOf(run);
  const linked = rows.map(([key = '', ...cells]) => [pageOf(key), ...cells]);
  const others = Object.entries(ELSEWHERE).map(([key, where]) => `\`${key}\` in ${where}`);
  const table = `Last run on ${run.day}. Elsewhere: ${others.join(', ')}.\n\n${markdown([heading, ...linked])}`;
  const counts = run.counts?.map((line) => `- ${line}`) ?? [];
  return counts.length === 0 ? table : `${table}\n\n${counts.join('\n')}`;
}

/** A database's page is the architecture's. */
function pageOf(row: string): string {
  if (row === FAMILIES) return `[${row}](../oauth.md)`;
  const [key = '', ...variant] = row.split(', ');
  const [type = '', provider = ''] = key.split('/');
  const page = type === 'database' ? `\`${key}\`` : `[\`${key}\`](${provider}.md)`;
  return [page, ...variant].join(', ');
}

function markdown([heading = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(heading), line(heading.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.main) {
  const run = await lastRun();
  await writeFile(README, await withTables(await readFile(README, 'utf8'), run));
  console.log(
    run === undefined ? 'facts are written; there was no run' : `facts and the run of ${run.day} are written`,
  );
}
