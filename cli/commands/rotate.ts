import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { impactAnswer, rotateAnswer, rotationAnswer, type RotationView } from '../../shared/api/messages.ts';
import { examples, filled, type AddCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { EXIT, Failure } from '../failure.ts';
import { orFamily, refreshFamily } from '../families.ts';
import type { Output } from '../io.ts';
import { renderImpact } from '../render-impact.ts';
import { askedBy, rotationLine, when } from '../render.ts';
import { watchRotation } from '../watch.ts';
import { latest, readCredential, readRotation } from './show.ts';

/** `rekey rotate NAME` */
async function rotate(
  context: Context,
  name: string,
  options: { reason?: string; wait: boolean; dryRun: boolean; now: boolean },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  if (options.dryRun) {
    const path = ['credentials', name, 'impact'];
    return renderImpact(out, await out.waiting('reading', client.get(impactAnswer, path)));
  }
  const work = client.post(rotateAnswer, ['credentials', name, 'rotations'], {
    body: {
      ...(options.reason === undefined ? {} : { reason: options.reason }),
      ...(options.now ? { now: true } : {}),
    },
    idempotencyKey: randomUUID(),
  });
  const { rotation, joined, beside = [] } = await out.waiting(`asking for a rotation of ${name}`, work);
  out.line(`${out.style('green', joined ? 'joined' : 'started')} rotation ${rotation.id} of ${name}`);
  for (const text of beside) out.line(`${out.style('yellow', 'beside another')}: ${text}`);
  if (options.wait) return watchRotation(out, client, name, rotation, context.pollMs);
  out.data({ rotation, joined, beside });
  out.line(
    'A new credential is made, tested and stored; agents then move to it while the old one still works.',
  );
  out.line(
    `Follow it: rekey show ${name} --watch    Undo it while its window is open: rekey rollback ${name}`,
  );
  return EXIT.ok;
}

/** `rekey rollback NAME [ROTATION]` */
async function rollback(
  context: Context,
  name: string,
  rotationId: string | undefined,
  options: { reason?: string; dryRun: boolean; wait: boolean },
): Promise<number> {
  const { out } = context;
  const client = await context.client();
  const found = await out.waiting('reading', find(context, name, rotationId));
  const already = found.loser === 'next' && found.phase !== 'preempted';
  if (options.dryRun) return already ? underWay(out, name, found) : previewRollback(out, name, found);
  const { rotation } = await out.waiting(
    `asking for the rollback of ${name}`,
    client.post(rotationAnswer, ['credentials', name, 'rotations', found.id, 'rollback'], {
      body: options.reason === undefined ? {} : { reason: options.reason },
    }),
  );
  if (already) out.line(alreadyAsked(rotation, name));
  else out.line(`${out.style('green', 'rolling back')} rotation ${rotation.id} of ${name}`);
  if (options.wait) {
    await watchRotation(out, client, name, rotation, context.pollMs);
    return (await readRotation(client, name, rotation.id)).rotation.phase === 'rolled-back'
      ? EXIT.ok
      : EXIT.unhappy;
  }
  out.data({ rotation, ...(already ? { already } : {}) });
  if (rotation.over) return EXIT.ok;
  out.line('The old credential becomes current again; the new one is revoked once everybody has moved back.');
  out.line(`Follow it: rekey show ${name} ${rotation.id} --watch`);
  return EXIT.ok;
}

async function find(context: Context, name: string, id: string | undefined): Promise<RotationView> {
  const client = await context.client();
  if (id !== undefined) return (await readRotation(client, name, id)).rotation;
  const rotation = latest(await readCredential(client, name));
  if (rotation !== undefined && !rotation.over) return rotation;
  throw new Failure(
    'ERR_NOT_FOUND',
    rotation === undefined
      ? `"${name}" has never been rotated: there is nothing to roll back`
      : `no rotation of "${name}" is under way; the last one (${rotation.phase}) ended ${when(rotation.updatedAt)}`,
    { remedy: `what is over can't be undone; \`rekey rotate ${name}\` replaces the credential` },
  );
}

function alreadyAsked({ id, over, rollback: request }: RotationView, name: string): string {
  const by = request === undefined ? '' : ` by ${askedBy(request)}`;
  return `the rollback of rotation ${id} of ${name} was asked for already${by}; it ${over ? 'is done' : 'goes on'}`;
}

function underWay(out: Output, name: string, rotation: RotationView): number {
  out.data({ dryRun: true, rotation, allowed: true, already: true });
  out.line(alreadyAsked(rotation, name));
  out.line(`It is ${rotationLine(out, rotation, out.io.now())}. Nothing was changed.`);
  return EXIT.ok;
}

function previewRollback(out: Output, name: string, rotation: RotationView): number {
  const refusal = rotation.canRollBack
    ? undefined
    : new Failure(
        'ERR_POINT_OF_NO_RETURN',
        `rotation ${rotation.id} can't be rolled back in phase ${rotation.phase}`,
        {
          remedy: `\`rekey rotate ${name}\` replaces the credential once this one is over`,
        },
      );
  out.data({ dryRun: true, rotation, allowed: refusal === undefined, ...(refusal && { error: refusal }) });
  if (refusal !== undefined) throw refusal;
  out.line(`Rotation ${rotation.id} of ${name} is ${rotationLine(out, rotation, out.io.now())}`);
  out.line('A rollback would make the old credential current again, give holders time to move back,');
  out.line('and then revoke the new one. Nothing was changed.');
  return EXIT.ok;
}

/** `rekey rotate` on the command line. */
export const addRotate: AddCommand = (program, run) => {
  program
    .command('rotate')
    .summary('rotate a credential now')
    .description(
      'Starts a rotation: a new credential is made, tested and stored; agents move to it while the old one still ' +
        'works; then the old one is retired as the policy says. Refused while another rotation is under way.',
    )
    .argument('<name>', 'name of the credential; a token family of that name is refreshed')
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--now', 'do not wait for the gap between sessions; a rotation that waits for it begins')
    .option('--wait', 'follow it until it is over')
    .option('--dry-run', 'say who would be hit, when, and what could not be undone; change nothing')
    .addHelpText(
      'after',
      examples('rekey rotate orders-db', 'rekey rotate orders-db --reason "a colleague left" --wait'),
    )
    .action(
      async (
        name: string,
        given: { reason?: string; wait?: true; dryRun?: true; now?: true },
        command: Command,
      ) => {
        const { wait = false, dryRun = false, now = false } = given;
        await run(command, (context) =>
          orFamily(
            context,
            name,
            () => rotate(context, name, { ...given, wait, dryRun, now }),
            (client, family) => refreshFamily(context, client, family, { ...given, dryRun }),
          ),
        );
      },
    );
};

/** `rekey rollback` on the command line. */
export const addRollback: AddCommand = (program, run) => {
  program
    .command('rollback')
    .summary('bring the old credential back while its window is open')
    .description(
      'Asks for the rollback of the rotation under way: the old credential becomes current again, holders move back, ' +
        'then the new one is revoked. Possible until the old one is being revoked.',
    )
    .argument('<name>', 'name of the credential')
    .argument('[rotation]', 'id of the rotation; default: the one under way')
    .option('--reason <text>', 'why; stands in the audit trail', filled('--reason'))
    .option('--wait', 'follow it until it is over; exit code 0 once it is rolled back')
    .option('--dry-run', 'say whether it is possible, change nothing')
    .addHelpText('after', examples('rekey rollback orders-db --reason "permission errors"'))
    .action(
      async (
        name: string,
        rotation: string | undefined,
        given: { reason?: string; wait?: true; dryRun?: true },
        command: Command,
      ) => {
        const flags = { wait: given.wait ?? false, dryRun: given.dryRun ?? false };
        await run(command, (context) => rollback(context, name, rotation, { ...given, ...flags }));
      },
    );
};
