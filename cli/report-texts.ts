import type { IncidentReport, ReportedCredential } from '../shared/api/incident-report.ts';
import { when } from './render.ts';

/** A table of a report, in whichever format. */
export interface ReportTable {
  readonly title: string;
  /** What stands in its place where it has no row. */
  readonly none: string;
  readonly heading: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** What a report can't say, whatever its facts are. */
export const LIMITS: readonly string[] = [
  'Agents report their own uses. Whoever has stolen a value reports nothing: look into the log of the upstream.',
  'Expected means that a declared workflow explains a use and nothing contradicts; it proves no innocence.',
  'Whether a duty to notify applies is for a person to say. The deadlines are computed, not legal advice.',
];

/** By when whom to notify. */
export function clockTable({ clocks }: IncidentReport): ReportTable {
  return {
    title: 'Deadlines to notify',
    none: 'None.',
    heading: ['Rule', 'Duty', 'Deadline', 'Runs from', 'Applies to'],
    rows: clocks.map(({ regime, duty, deadline, runsFrom, applies }) => [
      regime,
      duty,
      when(deadline),
      runsFrom,
      applies,
    ]),
  };
}

/** What names no value: without a revocation nothing says which it was. */
const UNKNOWN_VALUE: ReadonlySet<string> = new Set(['emergency-revocation-failed', 'signal-by-hand']);

/** Everything about one credential, in the order in which somebody reads it. */
export function credentialTables(credential: ReportedCredential): ReportTable[] {
  const { exposures, exposed, uses, gaps, moments } = credential;
  return [
    {
      title: 'Exposure (from inclusive, to exclusive)',
      none: moments.some(({ action }) => UNKNOWN_VALUE.has(action))
        ? 'Rekey has revoked nothing of it, and the records do not say which of its values was exposed.'
        : 'No value of it was exposed, as far as the records tell.',
      heading: ['Fingerprint', 'At the upstream', 'From', 'Why', 'To', 'Why'],
      rows: exposures.map(({ fingerprint, handle, from, fromWhy, to, toWhy }) => [
        fingerprint,
        handle,
        from ?? 'unknown',
        fromWhy,
        to ?? 'STILL OPEN',
        toWhy,
      ]),
    },
    {
      title: 'What it opens',
      none: 'Nothing is declared.',
      heading: ['What', 'Value'],
      rows: [
        ['access', exposed.access],
        ['sensitivity', exposed.sensitivity],
        ...exposed.opens.map(({ name, value }) => [name, value]),
        ...exposed.holders.map(({ name, kind, delegates = [] }) => [
          `held by ${name}`,
          delegates.length === 0 ? kind : `${kind}; hands it to ${delegates.join(', ')}`,
        ]),
      ],
    },
    {
      title: 'Uses',
      none: 'No source tells of a use. That is no proof that there was none: see the gaps.',
      heading: ['Class', 'Who', 'From', 'To', 'Succeeded', 'Refused', 'Address', 'Told by', 'Why'],
      rows: uses.map((use) => [
        use.place === 'after' ? `${use.class}, after the end` : use.class,
        use.session === undefined ? use.who : `${use.who}, session ${use.session}`,
        use.from,
        use.to,
        String(use.succeeded ?? (use.outcome === 'worked' ? 'yes' : '–')),
        String(use.refused ?? (use.outcome === 'refused' ? 'yes' : '–')),
        use.address ?? '–',
        use.source,
        use.findings.map(({ aspect, text }) => `${aspect}: ${text}`).join('; '),
      ]),
    },
    {
      title: 'Gaps: of these times a source tells nothing',
      none: 'None.',
      heading: ['Source', 'From', 'To', 'Why'],
      rows: gaps.map(({ source, from, to, why }) => [source, from ?? 'the beginning', to, why]),
    },
    {
      title: 'What happened',
      none: 'Nothing is on record.',
      heading: ['When', 'What', 'By whom', 'Why'],
      rows: moments.map(({ at, action, actor, reason }) => [at, action, actor, reason]),
    },
  ];
}

/** One line about a credential. */
export function summaryOf({ type, provider, counts, gaps, stage }: ReportedCredential): string {
  const { expected, unexplained, suspect } = counts;
  const uses = `uses: ${suspect} suspect, ${unexplained} unexplained, ${expected} expected; ${gaps.length} gaps`;
  return `${type}, ${provider}; ${stage === undefined ? '' : `emergency: ${stage}; `}${uses}`;
}

/** When it was made, and from when the clocks run. */
export function about({ generatedAt, awareAt, awareWhy }: IncidentReport): string {
  return `Made ${when(generatedAt)} by Rekey. Aware since ${when(awareAt)} (${awareWhy}).`;
}
