import type { IncidentReport } from '../shared/api/incident-report.ts';
import { about, clockTable, credentialTables, LIMITS, summaryOf, type ReportTable } from './report-texts.ts';

/** A report as Markdown. What stands in a cell was written by others: it makes no markup. */
export function markdownOf(report: IncidentReport): string {
  const lines = [
    `# Incident ${literal(report.incident)}`,
    '',
    literal(about(report)),
    '',
    ...report.unread.flatMap(({ credential, why }) => [
      `**Not in this report: ${literal(credential)}: ${literal(why)}**`,
      '',
    ]),
    ...table(clockTable(report), '##'),
    ...report.credentials.flatMap((credential) => [
      `## ${literal(credential.name)}`,
      '',
      literal(`${summaryOf(credential)}; id ${credential.id}`),
      '',
      ...credentialTables(credential).flatMap((each) => table(each, '###')),
    ]),
    '## What this report does not say',
    '',
    ...LIMITS.map((limit) => `- ${limit}`),
  ];
  return `${lines.join('\n')}\n`;
}

function table({ title, none, heading, rows }: ReportTable, level: string): string[] {
  if (rows.length === 0) return [`${level} ${title}`, '', none, ''];
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    `${level} ${title}`,
    '',
    row(heading),
    row(heading.map(() => '---')),
    ...rows.map((cells) => row(cells.map(literal))),
    '',
  ];
}

/**
 * What viewers make links of without any markup: addresses with a scheme, of the web and of e-mail, bare names of hosts,
 * mentions and numbers of issues. They do so behind a backslash too, so that such a word stands as code.
 */
const LINKED = /[@#]|\/\/|www|\.\p{L}/iu;

/** The text in one line, in which no character means anything but itself, and no word is a link. */
function literal(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .split(/(\s+|[`|])/u)
    .map((part) => (LINKED.test(part) ? `\`${part}\`` : part.replace(/[\\`*_{}[\]<>()|!~&$]/g, '\\$&')))
    .join('');
}
