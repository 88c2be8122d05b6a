import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { exposedSince, reportOf, type IncidentReport, type Told } from '../../shared/api/incident-report.ts';
import type { ApiClient } from '../client.ts';
import { moment, type Run } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, failureOf, usage } from '../failure.ts';
import { concernedBy, readTrace, readUses, type Concerned } from '../incidents.ts';
import { htmlOf } from '../report-html.ts';
import { markdownOf } from '../report-markdown.ts';

const FORMATS = { markdown: markdownOf, html: htmlOf, json: jsonOf } as const;
type Format = keyof typeof FORMATS;

interface Given {
  readonly format?: string;
  readonly aware?: string;
  readonly classified?: string;
  readonly knownGood?: string;
  readonly output?: string;
}

const AT_ONCE = 4;

/** `rekey incident report INCIDENT`: exposure, uses, data, clocks and gaps of every credential of it. */
async function report(context: Context, incident: string, given: Given): Promise<number> {
  const { out } = context;
  const format = formatOf(given.format ?? (out.json ? 'json' : 'markdown'));
  if (out.json && given.output === undefined && format !== 'json')
    throw usage(
      `--json and --format ${format} are two forms of one answer`,
      'leave one out, or add --output',
    );
  const render = FORMATS[format];
  const { aware: awareAt, classified: classifiedAt, knownGood } = given;
  const told: Told = { awareAt, classifiedAt, knownGood };
  const client = await context.client();
  const concerned = await out.waiting('looking for its credentials', concernedBy(client, incident));
  const made = await out.waiting(
    'reading records and uses',
    gather(client, incident, concerned, told, out.io.now()),
  );
  const text = render(made);
  if (given.output === undefined) out.io.stdout(text);
  else {
    await save(resolve(out.io.cwd, given.output), text);
    out.data({ written: given.output });
    out.line(`${given.output}: ${made.credentials.length} credentials of ${incident}`);
  }
  for (const { credential, why } of made.unread) out.note(`NOT in the report: ${credential}: ${why}`);
  return made.unread.length === 0 ? EXIT.ok : EXIT.failed;
}

async function gather(
  client: ApiClient,
  incident: string,
  concerned: readonly Concerned[],
  told: Told,
  now: number,
): Promise<IncidentReport> {
  const found: { at: number; part: Parameters<typeof reportOf>[1][number] }[] = [];
  const unread: IncidentReport['unread'] = [];
  const waiting = [...concerned.entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [at, { id, name }] = next;
      try {
        const trace = await readTrace(client, id, incident);
        const uses = await readUses(client, id, { from: exposedSince(trace, told) });
        found.push({ at, part: { trace, told: uses } });
      } catch (error) {
        // What can't be read of one keeps no other from the report, which names it.
        unread.push({ credential: name, why: failureOf(error).message });
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const parts = found.toSorted((a, b) => a.at - b.at).map(({ part }) => part);
  return reportOf(incident, parts, unread, told, now);
}

function jsonOf(made: IncidentReport): string {
  return `${JSON.stringify(made, null, 2)}\n`;
}

async function save(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { mode: 0o600 });
  } catch (cause) {
    throw new Failure('ERR_USAGE', `${path} can't be written`, {
      exit: EXIT.usage,
      field: 'output',
      remedy: 'name a file in a folder that exists',
      cause,
    });
  }
}

function formatOf(text: string): Format {
  if (text === 'markdown' || text === 'html' || text === 'json') return text;
  throw usage(`there is no format "${text}"`, 'use markdown, html or json');
}

/** Adds `report` to the group of commands about incidents. */
export function addIncidentReport(group: Command, run: Run): void {
  group
    .command('report')
    .summary('exposure, every use, data, deadlines and gaps')
    .description(
      'Writes the report of an incident: when each value may have been used by others, every use that is known of it, what ' +
        'it opens, by when whom to notify, and which logs tell nothing. Exit code 1 where a credential could not be read.',
    )
    .argument('<incident>', 'id of the incident')
    .option('--format <format>', 'markdown (default), html or json; json where --json is given')
    .option(
      '--aware <time>',
      'when you became aware; default: the first record of the incident',
      moment('--aware'),
    )
    .option('--classified <time>', 'when it was classified as major (DORA)', moment('--classified'))
    .option(
      '--known-good <time>',
      'until when the values are known not to be out; default: when they were made',
      moment('--known-good'),
    )
    .option('--output <file>', 'write it there')
    .action(async (incident: string, given: Given, command: Command) => {
      await run(command, (context) => report(context, incident, given));
    });
}
