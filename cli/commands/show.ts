import type { Command } from 'commander';
import {
  emergencyAnswer,
  listAnswer,
  rotationAnswer,
  showAnswer,
  type CredentialView,
  type EmergencyAnswer,
  type RotationView,
  type ShowAnswer,
} from '../../shared/api/messages.ts';
import type { ApiClient } from '../client.ts';
import { examples, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { readDeclaration } from '../declaration-file.ts';
import { EXIT, Failure } from '../failure.ts';
import { orFamily, readFamilies, showFamily, tableOf } from '../families.ts';
import type { Output } from '../io.ts';
import { readOutputs } from '../outputs-file.ts';
import { renderEmergency } from '../render-emergency.ts';
import { renderReaders } from '../render-readers.ts';
import {
  day,
  distance,
  endedWell,
  renderCredential,
  renderRotation,
  rotationState,
  statusText,
  waitText,
  when,
  isPast,
} from '../render.ts';
import { watchRotation } from '../watch.ts';

/** `rekey list [--not-in FILE…]` */
async function list(context: Context, { notIn }: { notIn?: readonly string[] }): Promise<number> {
  const { out } = context;
  const declared = notIn === undefined ? undefined : await namesIn(out, notIn);
  const client = await context.client();
  const all = await readAll(out, client);
  const isOther = ({ name }: { name: string }): boolean => declared?.has(name) !== true;
  const credentials = all.filter(isOther);
  const families = (await out.waiting('reading families', readFamilies(client))).filter(isOther);
  out.data({ credentials, families });
  if (credentials.length === 0) {
    tableOf(out, families);
    if (families.length > 0) return EXIT.ok;
    out.line(
      all.length === 0
        ? 'No credential is registered yet: `rekey apply -f rekey.yaml` registers them.'
        : `Every registered credential is declared there (${all.length}).`,
    );
    return EXIT.ok;
  }
  const now = out.io.now();
  out.table(
    ['NAME', 'TYPE', 'MODE', 'STATUS', 'ISSUED', 'NEXT DUE', 'HOLDERS', 'ROTATION'],
    credentials.map((credential) => [
      credential.name,
      credential.type,
      credential.mode,
      statusText(out, credential),
      day(credential.current?.issuedAt),
      due(credential.dueAt, now, (text) => out.style('red', text)),
      String(credential.holders.length),
      credential.rotation === undefined ? '–' : rotationState(out, credential.rotation),
    ]),
  );
  for (const credential of credentials) {
    const { name, dueAt, findings = [] } = credential;
    const waits = waitText(credential);
    if (waits !== undefined) out.line(`${out.style(isPast(dueAt, now) ? 'red' : 'yellow', name)}: ${waits}`);
    for (const { text } of findings) out.line(`${out.style('yellow', name)}: ${text}`);
  }
  tableOf(out, families);
  return EXIT.ok;
}

/** Names that declaration files declare, or stacks have emitted (`.json`). */
async function namesIn(out: Output, files: readonly string[]): Promise<Set<string>> {
  const { cwd } = out.io;
  const now = out.io.now();
  const read = files.map((file) =>
    file.endsWith('.json') ? readOutputs(file, cwd, now) : readDeclaration(file, cwd, now),
  );
  return new Set(
    (await Promise.all(read)).flatMap(({ credentials, roots, families }) =>
      [...credentials, ...roots, ...families].map(({ name }) => name),
    ),
  );
}

/** Every registered credential, page by page, by name. */
export async function readAll(out: Output, client: ApiClient): Promise<CredentialView[]> {
  const credentials: CredentialView[] = [];
  let page: string | undefined;
  do {
    const answer = await out.waiting('reading', client.get(listAnswer, ['credentials'], { query: { page } }));
    credentials.push(...answer.credentials);
    page = answer.next;
  } while (page !== undefined);
  return credentials.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

function due(dueAt: string | undefined, now: number, overdue: (text: string) => string): string {
  if (dueAt === undefined) return '–';
  const text = `${day(dueAt)} (${distance(dueAt, now)})`;
  return Date.parse(dueAt) < now ? overdue(text) : text;
}

/** `rekey show NAME [ROTATION] [--watch]` */
async function show(
  context: Context,
  name: string,
  rotationId: string | undefined,
  options: { watch: boolean },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  if (options.watch) return watch(context, client, name, rotationId);
  if (rotationId !== undefined) {
    const answer = await out.waiting('reading', readRotation(client, name, rotationId));
    out.data(answer);
    renderRotation(out, answer.rotation, out.io.now());
    return EXIT.ok;
  }
  const answer = await out.waiting('reading', readCredential(client, name));
  const emergency = await out.waiting('reading the emergency', readEmergency(client, answer.credential));
  out.data({ ...answer, ...(emergency === undefined ? {} : { emergency }) });
  renderCredential(out, answer.credential, out.io.now());
  renderEmergency(out, answer.credential, emergency);
  renderReaders(out, answer);
  renderByHand(out, answer);
  if (answer.credential.rotation !== undefined) {
    out.line(`\n${out.style('bold', 'under way')}`);
    renderRotation(out, answer.credential.rotation, out.io.now());
  }
  const past = answer.rotations.filter(({ over }) => over);
  if (past.length > 0) {
    out.line(`\n${out.style('bold', 'earlier rotations')}`);
    out.table(
      ['ROTATION', 'STARTED', 'STATE', 'TRIGGER', 'ACTOR'],
      past.map((rotation) => [
        rotation.id,
        when(rotation.startedAt),
        rotationState(out, rotation),
        rotation.trigger.kind,
        rotation.trigger.actor,
      ]),
    );
  }
  return EXIT.ok;
}

/** For the day on which Rekey is down; what is only observed has its own words above. */
function renderByHand(out: Output, { credential, manualRevocation = [] }: ShowAnswer): void {
  if (manualRevocation.length === 0 || credential.adoption === 'observed') return;
  out.line(`\n${out.style('bold', 'revoking by hand')}, should Rekey be down (it ends agents at work):`);
  for (const { text } of manualRevocation) out.line(text);
}

async function watch(
  context: Context,
  client: ApiClient,
  name: string,
  id: string | undefined,
): Promise<number> {
  const rotation =
    id === undefined
      ? latest(await readCredential(client, name))
      : (await readRotation(client, name, id)).rotation;
  if (rotation === undefined) {
    throw new Failure('ERR_NOT_FOUND', `"${name}" has never been rotated`, {
      remedy: `\`rekey rotate ${name} --wait\` starts a rotation and watches it`,
    });
  }
  if (!rotation.over) return watchRotation(context.out, client, name, rotation, context.pollMs);
  context.out.note(`no rotation of "${name}" is under way; this one is over`);
  context.out.event({ credential: name, rotation });
  renderRotation(context.out, rotation, context.out.io.now());
  return endedWell(rotation) ? EXIT.ok : EXIT.unhappy;
}

export function readCredential(client: ApiClient, name: string): Promise<ShowAnswer> {
  return client.get(showAnswer, ['credentials', name]);
}

/** How the emergency that has halted it stands; nothing where it can't be read, which is no reason to show less. */
async function readEmergency(
  client: ApiClient,
  { emergency }: CredentialView,
): Promise<EmergencyAnswer | undefined> {
  if (emergency?.id === undefined) return undefined;
  return client.get(emergencyAnswer, ['emergencies', emergency.id]).catch(() => undefined);
}

export function readRotation(
  client: ApiClient,
  name: string,
  id: string,
): Promise<{ rotation: RotationView }> {
  return client.get(rotationAnswer, ['credentials', name, 'rotations', id]);
}

/** The rotation under way, else the newest. */
export function latest({ credential, rotations }: ShowAnswer): RotationView | undefined {
  return credential.rotation ?? rotations.find(({ over }) => !over) ?? rotations[0];
}

/** `rekey list` on the command line. */
export const addList: AddCommand = (program, run) => {
  program
    .command('list')
    .summary('list the registered credentials')
    .description(
      'Lists the registered credentials with their age, their next rotation and what is under way.',
    )
    .option(
      '--not-in <files...>',
      'only what none of these declares: declaration files, or (.json) what stacks have emitted',
    )
    .addHelpText(
      'after',
      examples(
        'rekey list',
        'rekey list --not-in rekey.yaml team-b/rekey.yaml',
        'rekey list --json | jq -r ".credentials[].name"',
      ),
    )
    .action(async (given: { notIn?: string[] }, command: Command) => {
      await run(command, (context) => list(context, given));
    });
};

/** `rekey show` on the command line. */
export const addShow: AddCommand = (program, run) => {
  program
    .command('show')
    .summary('show a credential, or follow its rotation')
    .description(
      'Shows a credential with its policy, holders and rotations, or one of its rotations. ' +
        'With --watch: follows the rotation under way until it is over; exit code 4 where it did not end well.',
    )
    .argument('<name>', 'name or id of the credential, or name of the token family')
    .argument('[rotation]', 'id of a rotation')
    .option('--watch', 'print every change until the rotation is over')
    .addHelpText('after', examples('rekey show orders-db', 'rekey show orders-db --watch'))
    .action(async (name: string, rotation: string | undefined, given: { watch?: true }, command: Command) => {
      await run(command, (context) =>
        orFamily(
          context,
          name,
          () => show(context, name, rotation, { watch: given.watch ?? false }),
          (_client, family) => Promise.resolve(showFamily(context, family)),
        ),
      );
    });
};
