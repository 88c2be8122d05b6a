import type { Command } from 'commander';
import { joinAudit } from '../../shared/api/audit-answer.ts';
import {
  auditAnswer,
  type AuditAnswer,
  type AuditedRotation,
  type AuditEvent,
} from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { date, examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import type { Output } from '../io.ts';
import { shortPrint, when } from '../render.ts';
import { auditArchive, type CopyOptions } from './audit-archive.ts';

/** `rekey audit`: all rotations of a span, and whether the records of it are whole. */
async function audit(
  context: Context,
  options: { from?: string; to?: string; credential?: string },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const pages: AuditAnswer[] = [];
  let page: string | undefined;
  do {
    // The first answer says which span the default is: the others must be about the same one.
    const span = { from: pages[0]?.from ?? options.from, to: pages[0]?.to ?? options.to };
    const answer = await out.waiting(
      pages.length === 0 ? 'reading the records' : `reading the records (from ${page})`,
      client.get(auditAnswer, ['audit'], {
        query: { ...span, credential: options.credential, page },
        timeoutMs: LONG_TIMEOUT_MS,
      }),
    );
    pages.push(answer);
    page = answer.next;
  } while (page !== undefined);
  const [only] = pages;
  const answer =
    pages.length === 1 && only !== undefined && only.rest === undefined ? only : joinAudit(pages);
  out.data(answer);
  render(out, answer);
  return answer.chain.faults.length === 0 ? EXIT.ok : EXIT.faults;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

function render(out: Output, { from, to, records, rotations, events, families, chain }: AuditAnswer): void {
  out.line(`Rotations from ${from} to ${to}`);
  if (rotations.length > 0) {
    out.table(
      ['ROTATED', 'CREDENTIAL', 'TRIGGER', 'ACTOR', 'OLD', 'NEW', 'OUTCOME', 'DEACTIVATED'],
      rotations.map((rotation) => [
        when(rotation.rotatedAt),
        rotation.credential,
        rotation.trigger,
        rotation.actor,
        shortPrint(rotation.oldFingerprint),
        shortPrint(rotation.newFingerprint),
        outcomeText(rotation, to),
        rotation.deactivation === 'CONFIRMED'
          ? `${out.style('green', 'CONFIRMED')} ${when(rotation.deactivatedAt)}`
          : out.style('yellow', rotation.deactivation),
      ]),
    );
  }
  const unconfirmed = rotations.filter(({ deactivation }) => deactivation !== 'CONFIRMED').length;
  out.line(
    `${count(rotations.length, 'rotation')}, ${rotations.length - unconfirmed} with the deactivation CONFIRMED, ${unconfirmed} NOT CONFIRMED.`,
  );
  renderEvents(out, events);
  renderFamilies(out, families);
  if (records === 0 && chain.faults.length === 0) {
    if (families === undefined) out.line('No record is of this span: there is no chain to check.');
    return;
  }
  if (chain.faults.length === 0) {
    out.line(
      `${out.style('green', 'The chain is whole')}: ${chain.checked} of ${count(records, 'record')} checked; ${endsText(chain)}.`,
    );
    return;
  }
  out.line(
    out.style(
      'red',
      `The chain has ${count(chain.faults.length, 'fault')} (${count(chain.checked, 'record')} checked):`,
    ),
  );
  for (const { credentialId, seq, fault } of chain.faults)
    out.line(`  ${fault} at record ${seq} of ${credentialId}`);
}

function renderEvents(out: Output, events: readonly AuditEvent[] = []): void {
  if (events.length === 0) return;
  out.line(`\n${out.style('bold', 'what else happened')}`);
  out.table(
    ['TIME', 'CREDENTIAL', 'RECORD', 'WHAT', 'ACTOR', 'WHY AND HOW'],
    events.map((event) => [
      when(event.at),
      event.credential,
      String(event.seq),
      event.action,
      event.actor,
      aboutText(event),
    ]),
  );
  out.line();
}

/** What is left out of the records of families, and where their chains are checked. */
function renderFamilies(out: Output, families: NonNullable<AuditAnswer['families']> = []): void {
  if (families.length === 0) return;
  const records = families.reduce((sum, each) => sum + each.records, 0);
  const names = families.map(({ family }) => family).toSorted();
  out.line(
    `Among it ${count(records, 'record')} of the token families ${names.join(', ')}, without refreshes by the clock;`,
  );
  out.line('the chain of one is checked by `rekey audit --credential NAME`.');
}

function aboutText({ incident, reason, deactivation, detail }: AuditEvent): string {
  const parts = [incident, reason, deactivation, detail].filter((part) => part !== undefined && part !== '');
  return parts.join('; ') || '–';
}

/** How far the ends of the chains were checked: what was removed at the end of one shows there alone. */
function endsText({ complete, chains, later = 0 }: AuditAnswer['chain']): string {
  if (chains === undefined) return `${count(complete, 'chain')} to the end`;
  const unknown = chains - complete - later;
  return [
    `${complete} of ${count(chains, 'chain')} to the end`,
    ...(later === 0 ? [] : [`${later} ${later === 1 ? 'goes' : 'go'} on after the span`]),
    ...(unknown === 0 ? [] : [`of ${unknown} nobody could say where the end is`]),
  ].join(', ');
}

/** How it ended; what ended after the span says so, since the records of the span don't show it. */
function outcomeText({ outcome, endedAt }: AuditedRotation, to: string): string {
  return endedAt !== undefined && endedAt.slice(0, 10) > to ? `${outcome}, after the span` : outcome;
}

interface Given extends CopyOptions {
  readonly from?: string;
  readonly to?: string;
  readonly credential?: string;
  readonly archive?: string;
}

/** A copy is checked as a whole, and what checks it says nothing of a deployment. */
function refuseMixed({ archive, from, to, credential, against, versions }: Given): void {
  const asked = { '--from': from, '--to': to, '--credential': credential };
  const beside = { '--against': against, '--versions': versions };
  for (const [option, value] of Object.entries(archive === undefined ? beside : asked)) {
    if (value === undefined) continue;
    throw usage(
      archive === undefined
        ? `${option} is for --archive`
        : `${option} is not for --archive, which checks a whole copy`,
    );
  }
  if (from !== undefined && to !== undefined && from > to) throw usage('--from is later than --to');
}

/** `rekey audit` on the command line. */
export const addAudit: AddCommand = (program, run) => {
  program
    .command('audit')
    .summary('all rotations of a span, with proof of deactivation')
    .description(
      'Lists every rotation of a span with its date, its actor and whether the old credential is CONFIRMED to be ' +
        'deactivated; what else happened, such as registrations, pauses, emergencies and reports of leaks, of token families ' +
        'without refreshes by the clock; and checks the hash chain of the records (of a family where it is named). With --archive it asks no deployment, and needs no login: it checks a copy of the archive ' +
        'by itself, each object and each chain. Exit code 3 where there are faults.',
    )
    .option('--from <date>', 'first day (UTC), default: a year before the last', date('--from'))
    .option('--to <date>', 'last day (UTC), default: today', date('--to'))
    .option('--credential <name>', 'only this credential or token family (name or id)')
    .option('--archive <folder>', 'check this copy of the archive instead', filled('--archive'))
    .option(
      '--against <file>',
      'with --archive: hold its chains against what `rekey audit --json` printed',
      filled('--against'),
    )
    .option(
      '--versions <file>',
      'with --archive: look for delete markers and overwritten objects in this listing of versions',
      filled('--versions'),
    )
    .addHelpText(
      'after',
      examples(
        'rekey audit',
        'rekey audit --from 2026-01-01 --to 2026-06-30 --credential orders-db',
        'rekey audit --archive copy --against ends.json --versions versions.json',
      ),
    )
    .action(async (given: Given, command: Command) => {
      refuseMixed(given);
      const { archive } = given;
      await run(command, (context) =>
        archive === undefined ? audit(context, given) : auditArchive(context, archive, given),
      );
    });
};
