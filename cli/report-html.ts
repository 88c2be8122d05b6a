import type { IncidentReport } from '../shared/api/incident-report.ts';
import { about, clockTable, credentialTables, LIMITS, summaryOf, type ReportTable } from './report-texts.ts';

/** Nothing is loaded from anywhere and nothing runs: a report is opened where its texts must do no harm. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 2px solid var(--line); } h3 { margin-bottom: .4rem; }
.about { color: GrayText; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { border: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; overflow-wrap: anywhere; min-width: 5em; }
th { background: var(--soft); }
tr.suspect td:first-child { background: #c6282833; font-weight: bold; }
tr.unexplained td:first-child { background: #f9a82533; }
tr.expected td:first-child { background: #2e7d3222; }
.warning { border-left: 4px solid #c62828; padding-left: .8rem; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } table { font-size: 9px; } tr, h2, h3 { break-inside: avoid; break-after: auto; } .scroll { overflow: visible; } }
`;

/** A report as one page of HTML that needs nothing beside it. Every text in it is escaped. */
export function htmlOf(report: IncidentReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<meta name="viewport" content="width=device-width">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no">
<title>Incident ${escaped(report.incident)}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Incident ${escaped(report.incident)}</h1>
<p class="about">${escaped(about(report))}</p>
${report.unread.map(({ credential, why }) => `<p class="warning">Not in this report: <b>${escaped(credential)}</b>: ${escaped(why)}</p>`).join('\n')}
${table(clockTable(report), 'h2')}
${report.credentials
  .map((credential) =>
    [
      `<h2>${escaped(credential.name)}</h2>`,
      `<p>${escaped(`${summaryOf(credential)}; id ${credential.id}`)}</p>`,
      ...credentialTables(credential).map((each) => table(each, 'h3')),
    ].join('\n'),
  )
  .join('\n')}
<h2>What this report does not say</h2>
<ul>${LIMITS.map((limit) => `<li>${escaped(limit)}</li>`).join('')}</ul>
</body>
</html>
`;
}

function table({ title, none, heading, rows }: ReportTable, level: 'h2' | 'h3'): string {
  const caption = `<${level}>${escaped(title)}</${level}>`;
  if (rows.length === 0) return `${caption}\n<p>${escaped(none)}</p>`;
  const head = heading.map((cell) => `<th scope="col">${escaped(cell)}</th>`).join('');
  const body = rows.map(
    (cells) => `<tr${classOf(cells)}>${cells.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`,
  );
  return `${caption}\n<div class="scroll"><table><thead><tr>${head}</tr></thead>\n<tbody>${body.join('\n')}</tbody></table></div>`;
}

/** A row of uses is coloured by its class, which its first cell begins with. */
function classOf([first = '']: readonly string[]): string {
  const found = /^(suspect|unexplained|expected)\b/.exec(first)?.[1];
  return found === undefined ? '' : ` class="${found}"`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ')
    .replace(/[&<>"']/g, (mark) => ESCAPES[mark] ?? '');
}
