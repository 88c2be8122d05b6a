import type { Command } from 'commander';
import {
  confirmRootAnswer,
  rotationAnswer,
  type CredentialView,
  type RotationView,
} from '../../shared/api/messages.ts';
import { LONG_TIMEOUT_MS } from '../client.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure } from '../failure.ts';
import { readCredential } from './show.ts';

interface Options {
  readonly rotation?: string;
  readonly reason?: string;
  readonly dryRun: boolean;
}

/** `rekey confirm NAME`: a root is replaced, or what only a person can end is ended. */
async function confirmDone(context: Context, name: string, options: Options): Promise<number> {
  const client = await context.client();
  const { credential } = await context.out.waiting('reading', readCredential(client, name));
  const isReplaced = credential.root !== undefined && credential.rotation === undefined;
  return isReplaced && options.rotation === undefined
    ? confirmRoot(context, name, options)
    : confirmEnd(context, credential, options);
}

/** What only a person can end is ended. The upstream is asked, whatever is said here. */
async function confirmEnd(context: Context, credential: CredentialView, options: Options): Promise<number> {
  const { out } = context;
  const { name } = credential;
  const client = await context.client();
  if (credential.emergency?.awaitsOperator !== undefined) throw looksItself(credential);
  const { id, awaitsOperator } = underWay(credential);
  if (options.rotation === undefined && awaitsOperator === undefined) throw nothingAwaited(credential);
  const rotationId = options.rotation ?? id;
  if (options.dryRun) {
    out.data({ dryRun: true, credential: name, rotation: rotationId, awaitsOperator });
    out.line(`The upstream would be asked whether it refuses what was to be ended (rotation ${rotationId}).`);
    if (awaitsOperator !== undefined) out.line(`To do before: ${awaitsOperator.byHand}`);
    out.line('Nothing was changed.');
    return EXIT.ok;
  }
  const { rotation } = await out.waiting(
    'asking the upstream',
    client.post(rotationAnswer, ['credentials', name, 'rotations', rotationId, 'confirmations'], {
      body: options.reason === undefined ? {} : { reason: options.reason },
    }),
  );
  out.data({ rotation });
  out.line(
    `${out.style('green', 'confirmed')}: the upstream refuses it now (rotation ${rotationId} of ${name})`,
  );
  return EXIT.ok;
}

function looksItself({ name }: CredentialView): Failure {
  return new Failure('ERR_CONFLICT', `the emergency of ${name} looks by itself, every ten minutes at least`, {
    remedy: `to have it look now, run its \`rekey revoke\` again; \`rekey show ${name}\` says what to delete`,
  });
}

function nothingAwaited({ name, holders }: CredentialView): Failure {
  const manual = holders.filter(({ kind }) => kind === 'manual').map((holder) => holder.name);
  return new Failure('ERR_CONFLICT', `nothing of "${name}" waits for a person to end it`, {
    field: 'holder',
    remedy:
      manual.length === 0
        ? `\`rekey show ${name}\` shows where it stands`
        : `to say that a holder has moved, name it: ${manual.join(', ')}`,
  });
}

/** A person has replaced an administrative credential. */
async function confirmRoot(
  { out, ...context }: Context,
  name: string,
  { reason, dryRun }: { reason?: string; dryRun: boolean },
): Promise<number> {
  const client = await context.client();
  const answer = await out.waiting(
    `looking at ${name}`,
    client.post(confirmRootAnswer, ['credentials', name, 'confirmations'], {
      body: { dryRun, ...(reason === undefined ? {} : { reason }) },
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  );
  out.data(answer);
  const { outcome, credential, letIn } = answer;
  if (outcome === 'unchanged') {
    out.line(`${name} is as on record, its value of ${credential.current?.issuedAt ?? 'an unknown date'}`);
    return EXIT.ok;
  }
  const seen =
    letIn.length === 0 ? 'nobody uses it yet, so nobody was asked' : `let in for ${letIn.join(', ')}`;
  out.line(
    dryRun
      ? `It would be recorded, under your name, that ${name} is replaced (${seen}). Nothing was changed.`
      : `${out.style('green', 'confirmed')}: ${name} is replaced (${seen}); due again by ${credential.dueAt ?? 'no date'}`,
  );
  return EXIT.ok;
}

/** `rekey confirm NAME HOLDER` */
async function confirm(context: Context, name: string, holder: string, options: Options): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const { credential } = await out.waiting('reading', readCredential(client, name));
  const id = options.rotation ?? underWay(credential).id;
  assertManual(credential, holder);
  if (options.dryRun) {
    out.data({ dryRun: true, credential: name, rotation: id, holder });
    out.line(`It would be recorded, under your name, that ${holder} uses the new credential of ${name} only`);
    out.line(`(rotation ${id}). Once every holder is proven, the old one is retired. Nothing was changed.`);
    return EXIT.ok;
  }
  const { rotation } = await out.waiting(
    `confirming ${holder}`,
    client.post(rotationAnswer, ['credentials', name, 'rotations', id, 'confirmations'], {
      body: { holder, ...(options.reason === undefined ? {} : { reason: options.reason }) },
    }),
  );
  out.data({ rotation });
  out.line(`${out.style('green', 'confirmed')}: ${holder} has moved (rotation ${id} of ${name})`);
  const missing = rotation.missing ?? [];
  if (missing.length > 0) out.line(`Still waits for: ${missing.join('; ')}`);
  return EXIT.ok;
}

function underWay({ name, rotation }: CredentialView): RotationView {
  if (rotation !== undefined) return rotation;
  throw new Failure('ERR_NOT_FOUND', `no rotation of "${name}" is under way: there is nothing to confirm`, {
    remedy: 'for a credential that was kept by mode overlap, name its rotation with --rotation',
  });
}

function assertManual({ name, holders }: CredentialView, wanted: string): void {
  const found = holders.find((holder) => holder.name === wanted);
  if (found?.kind === 'manual') return;
  const manual = holders.filter(({ kind }) => kind === 'manual').map((holder) => holder.name);
  throw new Failure(
    found === undefined ? 'ERR_NOT_FOUND' : 'ERR_REQUEST',
    found === undefined
      ? `"${name}" has no holder "${wanted}"`
      : `the holder "${wanted}" is of kind ${found.kind}, which proves itself`,
    {
      field: 'holder',
      remedy:
        manual.length === 0
          ? 'only holders of kind manual are confirmed, and it has none'
          : `holders of kind manual: ${manual.join(', ')}`,
    },
  );
}

/** `rekey confirm` on the command line. */
export const addConfirm: AddCommand = (program, run) => {
  program
    .command('confirm')
    .summary('say that what is done by hand is done')
    .description(
      'With a holder: records that this holder, of kind manual, uses the new credential only. Once every holder is proven ' +
        'and nobody uses the old credential at its source, it is retired. Without one: that you have deleted what only a ' +
        'person can end (the upstream is asked, and has to refuse it), or that you have replaced an administrative ' +
        'credential (`rekey roots`), once its secret has a new value that is let in. The audit trail names you.',
    )
    .argument('<name>', 'name of the credential')
    .argument('[holder]', 'name of the holder')
    .option('--rotation <id>', 'id of the rotation; default: the one under way')
    .option('--reason <text>', 'how you know; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what would be recorded, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey confirm orders-db quarterly-report --reason "report ran with it"',
        'rekey confirm support-agent',
        'rekey confirm mistral-admin',
      ),
    )
    .action(
      async (
        name: string,
        holder: string | undefined,
        given: { rotation?: string; reason?: string; dryRun?: true },
        command: Command,
      ) => {
        const options = { ...given, dryRun: given.dryRun ?? false };
        await run(command, (context) =>
          holder === undefined
            ? confirmDone(context, name, options)
            : confirm(context, name, holder, options),
        );
      },
    );
};
