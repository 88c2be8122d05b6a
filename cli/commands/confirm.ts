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
import { EXIT, Failure, usage } from '../failure.ts';
import { readCredential } from './show.ts';

/** `rekey confirm NAME`: a person has replaced an administrative credential. */
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
async function confirm(
  context: Context,
  name: string,
  holder: string,
  options: { rotation?: string; reason?: string; dryRun: boolean },
): Promise<number> {
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
    .summary('say that a holder, or a root that is replaced by hand, has moved')
    .description(
      'Records that a holder of kind manual uses the new credential only. The audit trail names you. Once every holder ' +
        'is proven and nobody uses the old credential at its source, it is retired. Without a holder: records that you have ' +
        'replaced an administrative credential (`rekey roots`), once its secret has a new value that is let in.',
    )
    .argument('<name>', 'name of the credential')
    .argument('[holder]', 'name of the holder; without it, the credential is a root')
    .option('--rotation <id>', 'id of the rotation; default: the one under way')
    .option('--reason <text>', 'how you know; stands in the audit trail', filled('--reason'))
    .option('--dry-run', 'say what would be recorded, change nothing')
    .addHelpText(
      'after',
      examples(
        'rekey confirm orders-db quarterly-report --reason "report ran with it"',
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
        await run(command, (context) => {
          if (holder !== undefined) return confirm(context, name, holder, options);
          if (options.rotation !== undefined) throw usage('--rotation is for a holder: name it');
          return confirmRoot(context, name, options);
        });
      },
    );
};
