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

/** The text in one line, in which no character means anything but itself. */
function literal(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/[\\`*_{}[\]<>()#|!~&]/g, (mark) => `\\${mark}`)
    .replace(/:\/\//g, ':\\//');
}
