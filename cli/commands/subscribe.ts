import { randomUUID } from 'node:crypto';
import { Option, type Command } from 'commander';
import {
  endSubscriptionAnswer,
  subscribeAnswer,
  subscriptionsAnswer,
  type CredentialView,
  type SubscribeAnswer,
  type SubscriptionView,
} from '../../shared/api/messages.ts';
import { EVENT_WORDS, FOR_AGENTS } from '../../shared/domain/subscription.ts';
import { EVERY_FLEET } from '../../shared/domain/holders.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, usage } from '../failure.ts';
import type { Output } from '../io.ts';
import { when } from '../render.ts';
import { readAll } from './show.ts';

interface Which {
  readonly all?: true;
  readonly dryRun?: true;
}

interface SubscribeOptions extends Which {
  readonly to: string;
  readonly events?: readonly string[];
  readonly deadLetter?: string;
}

/** `rekey subscribe FLEET --to ARN` */
async function subscribe(
  context: Context,
  given: string | undefined,
  options: SubscribeOptions,
): Promise<number> {
  const { out } = context;
  const fleet = fleetOf(given, options);
  const client = await context.client();
  const { to, events, deadLetter, dryRun = false } = options;
  const answer = await out.waiting(
    `subscribing ${named(fleet)}`,
    client.post(subscribeAnswer, ['subscriptions'], {
      body: {
        fleet,
        to,
        ...(events === undefined ? {} : { events }),
        ...(deadLetter === undefined ? {} : { deadLetter }),
        dryRun,
      },
      timeoutMs: LONG_TIMEOUT_MS,
      idempotencyKey: randomUUID(),
    }),
  );
  out.data(answer);
  tell(out, answer);
  if (!out.json && fleet !== EVERY_FLEET) await warnOfNobody(out, client, fleet);
  return EXIT.ok;
}

const DONE: Readonly<Record<string, string>> = {
  subscribed: 'subscribed',
  completed: 'subscribed: an attempt before had been interrupted, or switched off',
  changed: 'changed',
  unchanged: 'unchanged',
};

function tell(out: Output, { outcome, dryRun, subscription, needs }: SubscribeAnswer): void {
  const { fleet, to, events, deadLetter } = subscription;
  const done = dryRun ? `would be ${outcome}` : out.style('green', DONE[outcome] ?? outcome);
  out.line(`${done}: ${named(fleet)} to ${to}`);
  out.line(`  events: ${events.join(', ')}`);
  if (deadLetter !== undefined) out.line(`  what can't be delivered goes to ${deadLetter}`);
  for (const { of, text, statement } of needs) {
    out.line();
    out.line(`${of}: ${text}`);
    if (statement !== undefined) out.line(JSON.stringify(statement, null, 2));
  }
  if (dryRun) out.line('Nothing was changed.');
}

/** A misspelt fleet would be silent for ever. */
async function warnOfNobody(out: Output, client: ApiClient, fleet: string): Promise<void> {
  const credentials = await readAll(out, client);
  const its = credentials.filter((credential) => concerns(credential, fleet)).map(({ name }) => name);
  if (its.length === 0)
    out.note(`No credential has a holder of the fleet ${fleet} yet: no event concerns it.`);
  else out.line(`Credentials of this fleet: ${its.join(', ')}`);
}

function concerns({ holders }: CredentialView, fleet: string): boolean {
  return holders.some((holder) => (holder.fleet ?? holder.name) === fleet);
}

/** `rekey subscriptions [FLEET]` */
async function list(context: Context, fleet: string | undefined): Promise<number> {
  const { out } = context;
  const found = await readSubscriptions(out, await context.client(), fleet);
  out.data({ subscriptions: found });
  if (found.length === 0) {
    out.line('There is no such subscription: `rekey subscribe` makes one.');
    return EXIT.ok;
  }
  out.table(
    ['FLEET', 'TO', 'EVENTS', 'STATE', 'SINCE', 'BY'],
    found.map((each) => [
      each.fleet === '' ? `? (rule subscription-${each.id})` : named(each.fleet),
      each.to,
      each.events.join(', '),
      each.state === 'delivering' ? each.state : out.style('yellow', each.state),
      each.since === undefined ? '–' : when(each.since),
      each.by ?? '–',
    ]),
  );
  if (found.some(({ state }) => state !== 'delivering'))
    out.note(
      'What is incomplete or disabled delivers nothing: subscribe it again, or unsubscribe it. What is altered was changed by hand.',
    );
  return EXIT.ok;
}

/** `rekey unsubscribe FLEET [--to ARN]` */
async function unsubscribe(
  context: Context,
  given: string | undefined,
  options: Which & { readonly to?: string },
): Promise<number> {
  const { out } = context;
  const fleet = fleetOf(given, options);
  const { to, dryRun = false } = options;
  const client = await context.client();
  const its = await readSubscriptions(out, client, fleet);
  const { id } = one(
    its.filter((each) => to === undefined || each.to === to),
    fleet,
  );
  const answer = await out.waiting(
    `unsubscribing ${named(fleet)}`,
    client.post(endSubscriptionAnswer, ['subscriptions', id, 'end'], {
      body: { dryRun },
      timeoutMs: LONG_TIMEOUT_MS,
      idempotencyKey: randomUUID(),
    }),
  );
  out.data(answer);
  const target = its.find((each) => each.id === id)?.to ?? '';
  out.line(
    `${dryRun ? 'would be unsubscribed' : out.style('green', 'unsubscribed')}: ${named(fleet)} from ${target}`,
  );
  out.line(dryRun ? 'Nothing was changed.' : 'Its statement in the policy of the target can go as well.');
  return EXIT.ok;
}

function one(found: readonly SubscriptionView[], fleet: string): SubscriptionView {
  const [first, ...others] = found;
  if (first === undefined) {
    throw new Failure('ERR_NOT_FOUND', `there is no such subscription of ${named(fleet)}`, {
      remedy: '`rekey subscriptions` lists them all',
    });
  }
  if (others.length === 0) return first;
  throw new Failure('ERR_REQUEST', `${named(fleet)} has ${found.length} subscriptions`, {
    field: 'to',
    remedy: `name one with --to: ${found.map(({ to }) => to).join(', ')}`,
  });
}

async function readSubscriptions(
  out: Output,
  client: ApiClient,
  fleet: string | undefined,
): Promise<SubscriptionView[]> {
  const found: SubscriptionView[] = [];
  let page: string | undefined;
  do {
    const answer = await out.waiting(
      'reading',
      client.get(subscriptionsAnswer, ['subscriptions'], { query: { page }, timeoutMs: LONG_TIMEOUT_MS }),
    );
    found.push(...answer.subscriptions);
    page = answer.next;
  } while (page !== undefined);
  return fleet === undefined ? found : found.filter((each) => each.fleet === fleet);
}

function fleetOf(given: string | undefined, { all }: Which): string {
  if ((given === undefined) !== (all === true)) throw usage('name a fleet, or give --all, not both');
  if (given === '') throw usage('the name of the fleet is empty');
  return given ?? EVERY_FLEET;
}

function named(fleet: string): string {
  return fleet === EVERY_FLEET ? 'every fleet' : fleet;
}

function eventList(text: string): string[] {
  const words = text.split(',').map((word) => word.trim());
  const unknown = words.filter((word) => !Object.hasOwn(EVENT_WORDS, word));
  if (unknown.length === 0) return words;
  throw usage(
    `--events: there is no event "${unknown.join('", "')}"`,
    `use ${Object.keys(EVENT_WORDS).join(', ')}`,
  );
}

const ALL = ['--all', 'every fleet, also those to come'] as const;

/** `rekey subscribe` on the command line. */
export const addSubscribe: AddCommand = (program, run) => {
  program
    .command('subscribe')
    .summary('send the events of a fleet to a queue, a topic, a bus or a webhook')
    .description(
      'Makes a rule on the event bus of Rekey that sends the events of one fleet to an SQS queue, an SNS topic, another ' +
        'event bus, or an API destination of EventBridge. Prints what the owner of the target has to allow. The same ' +
        'again changes nothing and completes what was interrupted. Events hold no secrets.',
    )
    .argument('[fleet]', 'the fleet: that of holders of kind client, else the name of a holder')
    .requiredOption('--to <arn>', 'ARN of the target', filled('--to'))
    .option(...ALL)
    .addOption(
      new Option(
        '--events <list>',
        `which ones, with commas between: ${Object.keys(EVENT_WORDS).join(', ')}; default: ${FOR_AGENTS.join(', ')}`,
      ).argParser(eventList),
    )
    .option(
      '--dead-letter <arn>',
      "queue for what can't be delivered; default: the deployment's, which has an alarm",
      filled('--dead-letter'),
    )
    .option('--dry-run', 'say what would happen and what the target needs, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey subscribe shop --to arn:aws:sqs:eu-central-1:111122223333:shop-events',
        'rekey subscribe shop --to arn:aws:events:eu-central-1:111122223333:api-destination/pager/8f0c… --events halt,resume',
        'rekey subscribe --all --to arn:aws:sns:eu-central-1:111122223333:fleets --dry-run',
      ),
    )
    .action(async (fleet: string | undefined, given: SubscribeOptions, command: Command) => {
      await run(command, (context) => subscribe(context, fleet, given));
    });
};

/** `rekey subscriptions` on the command line. */
export const addSubscriptions: AddCommand = (program, run) => {
  program
    .command('subscriptions')
    .summary('who is told of events, and since when by whom')
    .description('Lists the subscriptions, those included that were interrupted and deliver nothing.')
    .argument('[fleet]', 'only those of this fleet')
    .addHelpText('after', examples('rekey subscriptions', 'rekey subscriptions shop'))
    .action(async (fleet: string | undefined, _given: object, command: Command) => {
      await run(command, (context) => list(context, fleet));
    });
};

/** `rekey unsubscribe` on the command line. */
export const addUnsubscribe: AddCommand = (program, run) => {
  program
    .command('unsubscribe')
    .summary('end a subscription')
    .description('Takes the rule of a subscription off the bus. The target itself stays as it is.')
    .argument('[fleet]', 'the fleet')
    .option(...ALL)
    .option('--to <arn>', 'ARN of the target, where the fleet has several', filled('--to'))
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText('after', examples('rekey unsubscribe shop'))
    .action(async (fleet: string | undefined, given: Which & { to?: string }, command: Command) => {
      await run(command, (context) => unsubscribe(context, fleet, given));
    });
};
