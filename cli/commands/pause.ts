import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import {
  familyPaused,
  pauseAnswer,
  type CredentialView,
  type FamilyPaused,
  type FamilyView,
  type PauseAnswer,
} from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, failureAt, Failures, usage } from '../failure.ts';
import { familiesAmong, isUnknown, readFamilies } from '../families.ts';
import type { Output } from '../io.ts';
import { pausedBy } from '../render.ts';
import { readAll, readCredential } from './show.ts';

type Verb = 'pause' | 'unpause';

interface Options {
  readonly all: boolean;
  readonly dryRun: boolean;
  readonly reason?: string;
}

/** One credential's turn. */
interface Done {
  readonly name: string;
  readonly answer?: PauseAnswer;
  /** Of a token family. */
  readonly family?: FamilyPaused;
  readonly failure?: Failure;
}

const AT_ONCE = 4;

/** The four steps take seconds; where they take longer, the command is to be repeated. */
const STEPS_MS = 60_000;

const WORDS = {
  pause: { doing: 'pausing', done: 'paused', already: 'paused already', would: 'would be paused' },
  unpause: { doing: 'unpausing', done: 'unpaused', already: 'not paused', would: 'would be unpaused' },
} as const;

/** `rekey pause NAME… | --all` and `rekey unpause NAME… | --all` */
async function run(
  context: Context,
  verb: Verb,
  names: readonly string[],
  options: Options,
): Promise<number> {
  const { out } = context;
  if (options.all === names.length > 0)
    throw usage(options.all ? '--all goes without names' : 'name credentials, or say --all');
  const client = await context.client();
  const listed = options.all
    ? { credentials: await readAll(out, client), families: await readFamilies(client) }
    : undefined;
  const all = listed && [...listed.credentials, ...listed.families];
  const wanted = all?.map(({ name }) => name) ?? [...new Set(names)];
  if (options.dryRun) return preview(out, verb, listed ?? (await read(out, client, wanted)));
  const done = await each(context, client, verb, wanted, options.reason);
  const failures = done.flatMap(({ failure }) => failure ?? []);
  out.data({ credentials: done.map(inJson) });
  if (wanted.length === 0) out.line('Nothing is registered: there is nothing to do.');
  else if (wanted.length > 1) out.line(summary(verb, done));
  if (verb === 'pause' && failures.length < wanted.length)
    out.line('Emergencies (rekey revoke) and rollbacks work on. `rekey unpause` ends it.');
  if (failures.length > 0)
    throw new Failures(failures, 'the others are done; run the command again for these');
  return EXIT.ok;
}

/** A few at a time, in the order of the names; one that fails doesn't keep the others from their turn. */
async function each(
  context: Context,
  client: ApiClient,
  verb: Verb,
  names: readonly string[],
  reason: string | undefined,
): Promise<Done[]> {
  const { out } = context;
  const done: Done[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let at = next++; at < names.length; at = next++) {
      const name = names[at] ?? '';
      const one = await ask(context, client, verb, name, reason);
      done.push(one);
      tell(context, verb, one);
      if (names.length > 1) out.status(`${WORDS[verb].doing} … ${done.length} of ${names.length}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  out.clearStatus();
  return done.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Asks until the schedule of Secrets Manager follows, too. */
async function ask(
  { out, pollMs }: Context,
  client: ApiClient,
  verb: Verb,
  name: string,
  reason: string | undefined,
): Promise<Done> {
  const until = out.io.now() + STEPS_MS;
  try {
    let changed = false;
    for (;;) {
      const work = client.post(pauseAnswer, ['credentials', name, verb], {
        body: reason === undefined ? {} : { reason },
        timeoutMs: LONG_TIMEOUT_MS,
      });
      const answer = await out.waiting(`${WORDS[verb].doing} ${name}`, work);
      changed ||= answer.changed;
      if (answer.backstop !== 'later') return { name, answer: { ...answer, changed } };
      if (out.io.now() >= until)
        return { name, answer: { ...answer, changed }, failure: unscheduled(verb, name) };
      await sleep(pollMs);
    }
  } catch (error) {
    if (isUnknown(error) && (await familiesAmong(client, [name])).length > 0)
      return askFamily(client, verb, name, reason);
    return { name, failure: failureAt(name, error) };
  }
}

async function askFamily(
  client: ApiClient,
  verb: Verb,
  name: string,
  reason: string | undefined,
): Promise<Done> {
  try {
    const body = reason === undefined ? {} : { reason };
    const path = ['families', name, verb];
    return { name, family: await client.post(familyPaused, path, { body, timeoutMs: LONG_TIMEOUT_MS }) };
  } catch (error) {
    return { name, failure: failureAt(name, error) };
  }
}

function unscheduled(verb: Verb, name: string): Failure {
  return new Failure(
    'ERR_ROTATION_UNDER_WAY',
    `${name} is ${WORDS[verb].done}, but the four steps of its rotation are still under way, so that Secrets Manager's own schedule is as it was`,
    {
      field: name,
      remedy: `\`rekey show ${name}\` has the rotation; run the command again once they are over`,
    },
  );
}

function tell({ out }: Context, verb: Verb, { name, answer, family, failure }: Done): void {
  if (family !== undefined) {
    const { changed } = family;
    return out.line(
      changed ? `${out.style('green', WORDS[verb].done)}: ${name}` : `${name}: ${WORDS[verb].already}`,
    );
  }
  if (answer === undefined)
    return out.line(`${out.style('red', '!')} ${name}: ${failure?.code ?? ''}, see below`);
  const { changed, credential } = answer;
  if (!changed) return out.line(`${name}: ${WORDS[verb].already}${detail(credential)}`);
  out.line(`${out.style('green', WORDS[verb].done)}: ${name}${stopped(verb, credential)}`);
}

function detail({ paused }: Pick<CredentialView, 'paused'>): string {
  return paused === undefined ? '' : `, since ${pausedBy(paused)}`;
}

/** What becomes of the rotation under way. */
function stopped(verb: Verb, { rotation }: CredentialView): string {
  if (rotation === undefined) return '';
  const { id, phase } = rotation;
  if (verb === 'unpause') return ` (rotation ${id} goes on: ${phase})`;
  return ['announced', 'window', 'suspending', 'rolling-back'].includes(phase)
    ? ` (rotation ${id} stands still: ${phase})`
    : ` (rotation ${id} ends what it has begun: ${phase})`;
}

function inJson({ name, answer, family, failure }: Done): object {
  return {
    name,
    ...(answer === undefined ? {} : { ...answer }),
    ...family,
    ...(failure === undefined ? {} : { error: failure.toJSON() }),
  };
}

function summary(verb: Verb, done: readonly Done[]): string {
  const count = (changed: boolean): number =>
    done.filter(({ answer, family }) => (answer ?? family)?.changed === changed).length;
  const failed = done.filter(({ failure }) => failure !== undefined).length;
  const parts = [`${count(true)} ${WORDS[verb].done}`, `${count(false)} ${WORDS[verb].already}`];
  return [...parts, ...(failed === 0 ? [] : [`${failed} failed`])].join(', ');
}

/** What is to be looked at. */
interface Found {
  readonly credentials: readonly CredentialView[];
  readonly families: readonly FamilyView[];
}

async function read(out: Output, client: ApiClient, names: readonly string[]): Promise<Found> {
  const credentials: CredentialView[] = [];
  const families: FamilyView[] = [];
  for (const name of names) {
    try {
      credentials.push((await out.waiting('reading', readCredential(client, name))).credential);
    } catch (error) {
      const found = isUnknown(error) ? await familiesAmong(client, [name]) : [];
      if (found.length === 0) throw error;
      families.push(...found);
    }
  }
  return { credentials, families };
}

function preview(out: Output, verb: Verb, { credentials, families }: Found): number {
  const would = ({ paused }: CredentialView | FamilyView): boolean =>
    (paused === undefined) === (verb === 'pause');
  const found = [...credentials, ...families];
  out.data({ dryRun: true, credentials: found.map((one) => ({ name: one.name, changed: would(one) })) });
  const words = WORDS[verb];
  for (const one of credentials) {
    const then = would(one) ? words.would + stopped(verb, one) : words.already + detail(one);
    out.line(`${one.name}: ${then}`);
  }
  for (const one of families)
    out.line(`${one.name}: ${would(one) ? words.would : words.already + detail(one)}`);
  out.line('Nothing was changed.');
  return EXIT.ok;
}

type Given = { all?: true; reason?: string; dryRun?: true };

const act =
  (verb: Verb, start: Parameters<AddCommand>[1]) =>
  async (names: string[], given: Given, command: Command): Promise<void> => {
    const { all = false, dryRun = false } = given;
    await start(command, (context) => run(context, verb, names, { ...given, all, dryRun }));
  };

/** `rekey pause` on the command line. */
export const addPause: AddCommand = (program, start) => {
  program
    .command('pause')
    .summary('stop rotations, windows and the schedule for a while')
    .description(
      'Nothing of it rotates or retires until it is unpaused: no rotation is planned or taken, an announced one does not ' +
        'begin, an open window keeps both credentials and no deadline acts, and the schedule of Secrets Manager is ' +
        'cancelled. Steps that are under way end. Emergencies and rollbacks are never paused.',
    )
    .argument('[names...]', 'names of credentials and token families')
    .option('--all', 'every registered credential and token family')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey pause orders-db --reason "the database moves on Saturday"',
        'rekey pause --all --reason "change freeze"',
      ),
    )
    .action(act('pause', start));
};

/** `rekey unpause` on the command line. */
export const addUnpause: AddCommand = (program, start) => {
  program
    .command('unpause')
    .summary('end a pause')
    .description(
      'Ends a pause: what stood still goes on, after a new look at holders and source, and the time of the pause does not ' +
        'count for the deadline of a window. What is due by now starts within minutes.',
    )
    .argument('[names...]', 'names of credentials and token families')
    .option('--all', 'every registered credential and token family')
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples('rekey unpause orders-db', 'rekey unpause --all --reason "freeze is over"'),
    )
    .action(act('unpause', start));
};
