import { setTimeout as sleep } from 'node:timers/promises';
import { rotationAnswer, type RotationView, type StagedStep } from '../shared/api/messages.ts';
import type { ApiClient } from './client.ts';
import { readAll } from './commands/show.ts';
import type { Context } from './context.ts';
import { EXIT, failureOf } from './failure.ts';
import type { Output } from './io.ts';
import { endedWell, rotationLine } from './render.ts';

/** How long an API that has stopped answering is put up with while watching. */
const PATIENCE_MS = 120_000;

/**
 * Waits for the end of many rotations: a line for each that is over or needs a person, and how many are left.
 * @returns the exit code
 */
export async function watchAll(
  { out, pollMs }: Context,
  client: ApiClient,
  steps: readonly StagedStep[],
): Promise<number> {
  const left = new Map(steps.map((step) => [step.credentialId, step]));
  let exit: number = EXIT.ok;
  let answeredAt = out.io.now();
  out.note(`waiting for ${left.size} rotations; Ctrl-C ends the waiting, not the rotations`);
  for (;;) {
    try {
      for (const [id, { credential, rotation }] of await ended(out, client, left)) {
        left.delete(id);
        out.line(`${out.style('bold', credential)}  ${rotationLine(out, rotation, out.io.now())}`);
        out.event({ credential, rotation });
        if (!endedWell(rotation)) exit = EXIT.unhappy;
      }
      answeredAt = out.io.now();
    } catch (error) {
      const failure = failureOf(error);
      const passing = failure.exit === EXIT.unreachable || failure.code === 'ERR_UNAVAILABLE';
      if (!passing || out.io.now() - answeredAt > PATIENCE_MS) throw failure;
    }
    if (left.size === 0) return exit;
    out.progress(`${steps.length - left.size} of ${steps.length} rotations are over`);
    await sleep(pollMs);
  }
}

type Ended = readonly [id: string, { readonly credential: string; readonly rotation: RotationView }];

/** Those of `left` that are over or need a person. The list tells of all at once what is under way. */
async function ended(
  out: Output,
  client: ApiClient,
  left: ReadonlyMap<string, StagedStep>,
): Promise<Ended[]> {
  const all = await readAll(out, client);
  const active = new Map(all.map(({ id, rotation }) => [id, rotation]));
  const found: Ended[] = [];
  for (const [id, { credential, rotation: wanted = '' }] of left) {
    const now = active.get(id);
    const rotation =
      now?.id === wanted
        ? now
        : (await client.get(rotationAnswer, ['credentials', id, 'rotations', wanted])).rotation;
    // The list trails what has just begun.
    if (rotation.over || needsPerson(rotation)) found.push([id, { credential, rotation }]);
  }
  return found;
}

function needsPerson({ stuck, awaitsOperator }: RotationView): boolean {
  return stuck || awaitsOperator !== undefined;
}
