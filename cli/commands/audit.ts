import type { Command } from 'commander';
import { joinAudit } from '../../shared/api/audit-answer.ts';
import { auditAnswer, type AuditAnswer, type AuditedRotation } from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { date, examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';
import type { Output } from '../io.ts';
import { shortPrint, when } from '../render.ts';

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

function render(out: Output, { from, to, records, rotations, chain }: AuditAnswer): void {
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
  if (chain.faults.length === 0) {
    out.line(
      `${out.style('green', 'The chain is whole')}: ${chain.checked} of ${records} records checked, ${count(chain.complete, 'chain')} up to the newest record.`,
    );
    return;
  }
  out.line(
    out.style(
      'red',
      `The chain has ${count(chain.faults.length, 'fault')} (${chain.checked} records checked):`,
    ),
  );
  for (const { credentialId, seq, fault } of chain.faults)
    out.line(`  ${fault} at record ${seq} of ${credentialId}`);
}

/** How it ended; what ended after the span says so, since the records of the span don't show it. */
function outcomeText({ outcome, endedAt }: AuditedRotation, to: string): string {
  return endedAt !== undefined && endedAt.slice(0, 10) > to ? `${outcome}, after the span` : outcome;
}

/** `rekey audit` on the command line. */
export const addAudit: AddCommand = (program, run) => {
  program
    .command('audit')
    .summary('all rotations of a span, with proof of deactivation')
    .description(
      'Lists every rotation of a span with its date, its actor and whether the old credential is CONFIRMED to be ' +
        'deactivated, and checks the hash chain of the records. Exit code 3 where the chain has faults.',
    )
    .option('--from <date>', 'first day (UTC), default: a year before the last', date('--from'))
    .option('--to <date>', 'last day (UTC), default: today', date('--to'))
    .option('--credential <name>', 'only this credential (name or id)')
    .addHelpText(
      'after',
      examples('rekey audit', 'rekey audit --from 2026-01-01 --to 2026-06-30 --credential orders-db'),
    )
    .action(async (given: { from?: string; to?: string; credential?: string }, command: Command) => {
      if (given.from !== undefined && given.to !== undefined && given.from > given.to) {
        throw usage('--from is later than --to');
      }
      await run(command, (context) => audit(context, given));
    });
};
