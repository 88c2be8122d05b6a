import { randomUUID } from 'node:crypto';
import { Option, type Command } from 'commander';
import { signalAnswer, type SignalResult } from '../../shared/api/messages.ts';
import { trufflehogFindings, type Finding } from '../../shared/domain/signals/trufflehog.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, usage } from '../failure.ts';

/** What each act means to whoever has sent the finding; a person is needed where it ends in `!`. */
const WORDS: Readonly<Record<string, readonly [done: string, planned: string]>> = {
  revoke: ['revoking', 'would be revoked'],
  rotate: ['rotating', 'would be rotated'],
  hold: ['HELD for two responders', 'would be held for two responders'],
  'by-hand': ['only observed: REVOKE IT BY HAND', 'only observed: to be revoked by hand'],
  note: ['ended before', 'ended before'],
  nothing: ['not ours', 'not ours'],
  repeated: ['taken before', 'taken before'],
};

const NEEDS_A_PERSON: ReadonlySet<string> = new Set(['hold', 'by-hand']);

/** `rekey incident signal`: findings of a scanner, by fingerprints that are made here. */
async function sendSignal(context: Context, file: string, dryRun: boolean): Promise<number> {
  const { out } = context;
  if (file !== '-') throw usage(`the findings are read from standard input: write - instead of ${file}`);
  if (out.io.stdinIsTty) {
    throw usage(
      'the findings are read from standard input, and that is a terminal',
      'pipe them: trufflehog git … --json | rekey incident signal --source trufflehog -',
    );
  }
  const findings = trufflehogFindings(await out.io.input());
  if (findings.length === 0) {
    out.data({ dryRun, results: [] });
    out.line('The scan has found nothing: nothing was sent.');
    return EXIT.ok;
  }
  const client = await context.client();
  const answer = await out.waiting(
    'matching what was found',
    client.post(signalAnswer, ['signals'], {
      body: {
        source: 'trufflehog',
        findings: findings.map(({ fingerprints, verified }) => ({ fingerprints, verified })),
        dryRun,
      },
      idempotencyKey: randomUUID(),
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  );
  out.data(answer);
  answer.results.forEach((result, index) => out.line(lineOf(result, findings[index], answer.dryRun)));
  if (answer.dryRun) out.line('Nothing was changed or recorded.');
  // A word that this version doesn't know is for a person as well.
  const isDone = answer.results.every(({ act }) => act in WORDS && !NEEDS_A_PERSON.has(act));
  return isDone ? EXIT.ok : EXIT.unhappy;
}

function lineOf(
  { act, credentials, families = [], id }: SignalResult,
  finding: Finding | undefined,
  dryRun: boolean,
): string {
  const [done, planned] = WORDS[act] ?? [act, act];
  const about = [...credentials, ...families];
  const names = about.length === 0 ? '' : `: ${about.join(', ')}`;
  const what = `${finding?.detector ?? ''}${finding?.verified === true ? ' (verified)' : ''}`;
  return `${what}: ${dryRun ? planned : done}${names}${id === undefined ? '' : ` (${id})`}`;
}

/** `rekey incident signal` on the command line. */
export const addIncidentSignal: AddCommand = (program, run) => {
  program
    .command('signal')
    .summary('send what a scanner has found')
    .description(
      'Reads findings from standard input. Only SHA-256 fingerprints of the values leave this process. What matches is ' +
        'revoked where the scanner has verified it, and rotated otherwise; what is too much for one report is held. Exit ' +
        `code ${EXIT.unhappy}: something of it needs a person.`,
    )
    .argument('<file>', '-: standard input')
    .addOption(
      new Option('--source <name>', 'what has found it').choices(['trufflehog']).makeOptionMandatory(),
    )
    .option('--dry-run', 'say what would be done, change nothing')
    .addHelpText(
      'after',
      examples('trufflehog git file://. --json | rekey incident signal --source trufflehog - --dry-run'),
    )
    .action(async (file: string, { dryRun = false }: { dryRun?: boolean }, command: Command) => {
      await run(command, (context) => sendSignal(context, file, dryRun));
    });
};
