import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import {
  unregisterAnswer,
  type CredentialView,
  type ShowAnswer,
  type UnregisterAnswer,
} from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS, type ApiClient } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure, failureOf, usage } from '../failure.ts';
import { orFamily, unregisterFamily } from '../families.ts';
import type { Output } from '../io.ts';
import { readCredential } from './show.ts';

interface Options {
  readonly reason: string;
  readonly unconfirmed: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
}

/** `rekey unregister NAME`: looks first at what the API would refuse, says what follows, asks, then lets go. */
async function unregister(context: Context, name: string, options: Options): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const shown = await out.waiting('reading', readIfThere(client, name));
  const would = await out.waiting('checking', request(client, name, { ...options, dryRun: true }));
  const steps = consequences(would, shown, options);
  if (options.dryRun) {
    out.data({ ...would, steps });
    describe(out, would, steps);
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  if (!options.yes) await confirm(out, would, steps);
  // By its id: once it is done, the name is not known any more, and a repeated request would be told so.
  const answer = await out.waiting(`unregistering ${name}`, request(client, would.id, options));
  out.data(answer);
  if (answer.outcome === 'unchanged') out.line(`${answer.name} was unregistered before`);
  else out.line(`${out.style('green', 'unregistered')}: ${answer.name}; ${whatStays(answer, shown)}`);
  out.line(
    `Take its entry out of your declaration file. Its audit trail: rekey audit --credential ${answer.id}`,
  );
  return EXIT.ok;
}

function request(
  client: ApiClient,
  name: string,
  { reason, dryRun, unconfirmed }: Pick<Options, 'reason' | 'dryRun' | 'unconfirmed'>,
): Promise<UnregisterAnswer> {
  return client.post(unregisterAnswer, ['credentials', name, 'unregister'], {
    // An API of the version before doesn't know the field, and has no need of it elsewhere.
    body: { reason, dryRun, ...(unconfirmed ? { unconfirmed } : {}) },
    timeoutMs: LONG_TIMEOUT_MS,
    idempotencyKey: randomUUID(),
  });
}

/** Nothing of one whose unregistering was interrupted: the API completes it. */
async function readIfThere(client: ApiClient, name: string): Promise<ShowAnswer | undefined> {
  try {
    return await readCredential(client, name);
  } catch (error) {
    if (failureOf(error).code === 'ERR_NOT_FOUND') return undefined;
    throw error;
  }
}

function consequences(
  { alive, unconfirmed = [] }: UnregisterAnswer,
  shown: ShowAnswer | undefined,
  options: Pick<Options, 'unconfirmed'>,
): string[] {
  const credential = shown?.credential;
  const perhapsAlive = unconfirmed.map(
    ({ id, generation }) =>
      `${id} (generation ${generation}) MAY GO ON WORKING: an emergency was to end it, nobody has confirmed that, and nobody ` +
      `will be told of it any more; ${byHand(shown, id)}`,
  );
  if (credential === undefined) return ['what an interrupted attempt has left is completed', ...perhapsAlive];
  const { secret, adoption } = credential;
  return [
    ...perhapsAlive,
    ...(options.unconfirmed && unconfirmed.length === 0
      ? ['nothing of it is unconfirmed: --unconfirmed changes nothing here']
      : []),
    `the secret ${secret.name} stays, with its value; ${worksOn(credential, unconfirmed.length > 0)}`,
    ...(adoption === 'observed'
      ? ['Rekey has put nothing on it, and changes nothing']
      : [
          `nothing rotates it any more: the schedule of Secrets Manager is cancelled, ${adoption === undefined ? "and Rekey's tags" : 'and the tag rekey:credential'} taken off`,
          '`rekey revoke` does not know it any more: in an emergency somebody revokes it by hand',
        ]),
    ...alive.map(
      ({ id, generation }) => `${id} (generation ${generation}) works on as well: ${byHand(shown, id)}`,
    ),
    'name, secret and users are free to be registered again; its audit trail stays',
    'an entry that still declares it registers it again with the next `rekey apply`, or is refused',
  ];
}

function worksOn({ current, status }: CredentialView, mayWork: boolean): string {
  if (mayWork) return 'whether it logs in is not known';
  if (status === 'halted') return 'what it holds was revoked in an emergency and does not work';
  return current === undefined ? 'Rekey has never read it' : `its login ${current.handle.id} works on`;
}

function whatStays({ unconfirmed = [] }: UnregisterAnswer, shown: ShowAnswer | undefined): string {
  if (unconfirmed.length > 0)
    return `its secret stays, and ${unconfirmed.map(({ id }) => id).join(', ')} may go on working: end it by hand once its upstream answers`;
  return shown?.credential.status === 'halted'
    ? 'its secret stays; what it holds was revoked'
    : 'its secret and its login work on';
}

function byHand(shown: ShowAnswer | undefined, id: string): string {
  const text = shown?.manualRevocation?.find(({ handle }) => handle.id === id)?.text;
  return text === undefined ? 'nothing of Rekey ends it' : `to end it: ${text}`;
}

function describe(out: Output, { name }: UnregisterAnswer, steps: readonly string[]): void {
  out.line(`Rekey lets go of ${out.style('bold', name)}:`);
  for (const step of steps) out.line(`  - ${step}`);
}

async function confirm(out: Output, would: UnregisterAnswer, steps: readonly string[]): Promise<void> {
  if (!out.io.stdinIsTty || out.json)
    throw usage('unregistering needs confirmation, and nobody can be asked here', 'add --yes');
  describe(out, would, steps);
  const answer = await out.io.ask(`Unregister ${would.name} now? Type yes: `);
  if (answer.trim().toLowerCase() === 'yes') return;
  throw new Failure('ERR_CANCELLED', 'cancelled; nothing was changed');
}

/** `rekey unregister` on the command line. */
export const addUnregister: AddCommand = (program, run) => {
  program
    .command('unregister')
    .summary('let go of a credential; its secret and login work on')
    .description(
      'Takes a credential out of Rekey: its schedule, a dangling AWSPENDING and the tags that Rekey set are taken off the ' +
        'secret, its name is free again. Value, login, secret and audit trail stay. Refused while a rotation or an ' +
        'emergency is under way, and where nobody could confirm that an emergency has ended its logins. Run again, it ' +
        'completes what was interrupted.',
    )
    .argument('<name>', 'name or id of the credential, or name of the token family')
    .requiredOption('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--unconfirmed', 'also where logins that an emergency was to end may go on working')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'say what would happen, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey unregister orders-db --reason "decommissioned" --dry-run',
        'rekey unregister orders-db --reason "decommissioned" --yes',
        'rekey unregister orders-db --unconfirmed --reason "INC-7: its server was destroyed"',
      ),
    )
    .action(async (name: string, given: Given, command: Command) => {
      const { reason, unconfirmed = false, yes = false, dryRun = false } = given;
      await run(command, (context) =>
        orFamily(
          context,
          name,
          () => unregister(context, name, { reason, unconfirmed, yes, dryRun }),
          (client, family) => unregisterFamily(context, client, family, { reason, yes, dryRun }),
        ),
      );
    });
};

interface Given {
  readonly reason: string;
  readonly unconfirmed?: true;
  readonly yes?: true;
  readonly dryRun?: true;
}
