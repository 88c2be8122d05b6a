import type { Instant } from '../domain/clock.ts';
import type { Interval, Source } from '../domain/forensics/facts.ts';
import { common, merged } from '../domain/forensics/intervals.ts';
import { ADDRESSES_KEPT } from '../domain/seen-addresses.ts';
import { useSourceOf } from '../domain/use-sources.ts';
import type { ReportedUse, ToldCoverage, TraceAnswer } from './messages.ts';
import { nameOf, READS, SESSIONS } from './traced-uses.ts';

/** What whoever operates the upstream has, and Rekey has as far as a source tells it. */
const UPSTREAM = "the upstream's own log";
/** An agent reports with each heartbeat, every minute. */
const SLACK_MS = 90_000;

/** Every source that there could be, with the times of which it tells: what none covers is a gap. */
export function sourcesOf(
  { credential, holders, holes, since, readers }: TraceAnswer,
  told: {
    readonly uses: readonly ReportedUse[];
    readonly coverage: readonly ToldCoverage[];
    readonly keptSince: Instant;
  },
  now: Instant,
): Source[] {
  return [
    ...holders.map((holder) => reportsOf(holder, told)),
    {
      name: READS,
      covers: [],
      why: 'nothing shows that each of them was told: they are where a trail delivers, by the minute for 35 days, and the first and the last of each reader for 90',
    },
    {
      name: SESSIONS,
      covers: [],
      why: [
        'the source is looked at while a rotation goes on, and only some sources show sessions',
        ...readers
          .filter(({ addressesLost }) => addressesLost === true)
          .map(
            (reader) => `${nameOf(reader)} came from more than the ${ADDRESSES_KEPT} addresses that are kept`,
          ),
      ].join('; '),
    },
    ...upstreamOf(credential, told, now),
    {
      name: 'audit records',
      covers: outside(holes, since, now),
      why: 'records are missing, or not as they were written',
    },
  ];
}

function reportsOf(
  { name, kind, uses: reports }: TraceAnswer['holders'][number],
  { uses, keptSince }: { readonly uses: readonly ReportedUse[]; readonly keptSince: Instant },
): Source {
  const source = { name: `reports of ${name}` };
  if (kind !== 'client') return { ...source, covers: [], why: `a holder of kind ${kind} reports nothing` };
  const why =
    reports === 'reported'
      ? `it was not in session or did not report; reports that ended before ${keptSince} are in the archive only`
      : 'its pact does not say that it reports its uses';
  const of = uses.filter(({ agent }) => agent === name);
  return { ...source, covers: merged(of, SLACK_MS), why };
}

/** The log of the upstream, as far as a source tells of what is in it; and what that never tells. */
function upstreamOf(
  { type, provider }: TraceAnswer['credential'],
  { coverage, keptSince }: { readonly coverage: readonly ToldCoverage[]; readonly keptSince: Instant },
  now: Instant,
): Source[] {
  const facts = useSourceOf(type, provider);
  if (facts === undefined)
    return [
      {
        name: UPSTREAM,
        covers: [],
        why: 'Rekey does not read it: whoever stole the value and uses it directly shows there alone',
      },
    ];
  // Of which times a day has told is kept until its last use is forgotten: uses of its morning are gone before.
  const told = coverage
    .filter(({ source }) => source === facts.source)
    .flatMap((each) => common(each, { from: keptSince, to: now }) ?? []);
  const kept = `what was told before ${keptSince} is in the archive only`;
  return [
    {
      name: UPSTREAM,
      covers: merged(told, facts.quietSeconds * 1000),
      why: `${facts.silence}; ${kept}`,
    },
    ...(facts.beyond === undefined ? [] : [{ ...facts.beyond, covers: [] }]),
  ];
}

/** All the time but `holes`. */
function outside(holes: readonly Interval[], since: Instant, now: Instant): Interval[] {
  const sorted = merged(holes);
  const ends = [since, ...sorted.map(({ to }) => to)];
  const starts = [...sorted.map(({ from }) => from), now];
  return ends.map((from, index) => ({ from, to: starts[index] ?? now }));
}
