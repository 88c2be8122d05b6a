import type { Command } from 'commander';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../failure.ts';
import { readFamilies } from '../families.ts';
import { readHeads, readIncidentEvents } from '../incidents.ts';
import { when } from '../render.ts';
import { addIncidentApprove, addIncidentDeny, addIncidentHeld } from './incident-approve.ts';
import { addIncidentReport } from './incident-report.ts';
import { addIncidentShow } from './incident-show.ts';
import { addIncidentSignal } from './incident-signal.ts';

/** `rekey incident list`: incidents of the last year, the newest first. */
async function list(context: Context): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const [events, heads, families] = await out.waiting(
    'reading the records',
    Promise.all([readIncidentEvents(client), readHeads(client), readFamilies(client)]),
  );
  const told = [
    ...events.map(({ incident, credential, at, reason }) => ({ incident, credential, at, reason })),
    ...heads.flatMap(({ name: credential, emergency: held }) =>
      held?.began === undefined
        ? []
        : { incident: held.incident, credential, at: held.began, reason: held.reason ?? '' },
    ),
    ...families.flatMap(({ name: credential, incident: held }) =>
      held === undefined ? [] : { incident: held.id, credential, at: held.since, reason: '' },
    ),
  ];
  const incidents = [...Map.groupBy(told, ({ incident }) => incident)]
    .map(([incident, all]) => {
      const sorted = all.toSorted((a, b) => (a.at < b.at ? -1 : 1));
      const halted = [
        ...heads.filter(({ emergency }) => emergency?.incident === incident),
        ...families.filter((family) => family.incident?.id === incident),
      ];
      return {
        incident,
        credentials: [...new Set(all.map(({ credential }) => credential))].toSorted(),
        halted: halted.map(({ name }) => name),
        first: sorted[0]?.at ?? '',
        last: sorted.at(-1)?.at ?? '',
        reason: sorted.find(({ reason }) => reason !== '')?.reason ?? '',
      };
    })
    .toSorted((a, b) => (a.last > b.last ? -1 : 1));
  out.data({ incidents });
  if (incidents.length === 0) {
    out.line('Nothing of the last year tells of an incident.');
    return EXIT.ok;
  }
  out.table(
    ['INCIDENT', 'FIRST RECORD', 'LAST RECORD', 'CREDENTIALS', 'STILL HALTED', 'WHY'],
    incidents.map(({ incident, first, last, credentials, halted, reason }) => [
      incident,
      when(first),
      when(last),
      String(credentials.length),
      halted.length === 0 ? '0' : out.style('red', String(halted.length)),
      reason,
    ]),
  );
  return EXIT.ok;
}

/** In the order of the help, after `list`. */
const SUBCOMMANDS: readonly AddCommand[] = [
  addIncidentShow,
  addIncidentReport,
  addIncidentSignal,
  addIncidentHeld,
  addIncidentApprove,
  addIncidentDeny,
];

/** `rekey incident` on the command line. */
export const addIncident: AddCommand = (program, run) => {
  const group = program
    .command('incident')
    .summary('incidents: where they stand, the report, and signals of leaks')
    .description(
      'Lists incidents, shows where one stands, writes the report of one; sends signals of leaks, and decides on those that are held.',
    )
    .addHelpText(
      'after',
      examples(
        'rekey incident list',
        'rekey incident show INC-1234 --watch',
        'rekey incident report INC-1234 --format html --output INC-1234.html',
        'rekey incident report INC-1234 --aware 2026-11-22T12:00:00Z --classified 2026-11-22T14:00:00Z',
        'rekey incident report INC-1234 --known-good 2026-11-20T00:00:00Z',
      ),
    );
  group
    .command('list')
    .summary('incidents of the last year')
    .action(async (_given: object, command: Command) => {
      await run(command, list);
    });
  for (const add of SUBCOMMANDS) add(group, run);
};
