import { setTimeout as sleep } from 'node:timers/promises';
import { rotationAnswer, type RotationView } from '../shared/api/messages.ts';
import { toInstant } from '../shared/domain/clock.ts';
import type { ApiClient } from './client.ts';
import { EXIT, Failure, failureOf } from './failure.ts';
import type { Output } from './io.ts';
import { endedWell, rotationLine, when } from './render.ts';

/** How long an API that has stopped answering is put up with while watching. */
const PATIENCE_MS = 120_000;

/**
 * Follows a rotation until it is over or needs a person; a line for each change, with the time at which it was seen, and a
 * running countdown on a terminal.
 * @returns the exit code
 */
export async function watchRotation(
  out: Output,
  client: ApiClient,
  name: string,
  first: RotationView,
  everyMs: number,
): Promise<number> {
  let rotation = first;
  let shown = '';
  let answeredAt = out.io.now();
  out.note(`watching rotation ${first.id} of ${name}; Ctrl-C ends the watching, not the rotation`);
  for (;;) {
    const { phase, stuck, paused, window, deferred, clients, awaitsOperator } = rotation;
    const waits = [deferred?.agents, clients, awaitsOperator];
    const state = JSON.stringify([phase, stuck, paused, window, rotation.failure, ...waits]);
    if (state !== shown) {
      shown = state;
      const now = out.io.now();
      out.line(`${when(toInstant(now))}  ${rotationLine(out, rotation, now)}`);
      out.event({ credential: name, rotation });
    }
    if (rotation.over) return endedWell(rotation) ? EXIT.ok : EXIT.unhappy;
    if (rotation.stuck) {
      out.note(
        `this rotation needs a person: the alarm links to the runbook, \`rekey show ${name}\` has the details`,
      );
      return EXIT.unhappy;
    }
    out.status(rotationLine(out, rotation, out.io.now()));
    await sleep(everyMs);
    try {
      ({ rotation } = await client.get(rotationAnswer, ['credentials', name, 'rotations', first.id]));
      answeredAt = out.io.now();
    } catch (error) {
      const failure = failureOf(error);
      const passing = failure.exit === EXIT.unreachable || failure.code === 'ERR_UNAVAILABLE';
      if (!passing || out.io.now() - answeredAt > PATIENCE_MS) throw lost(failure);
      out.status(`${failure.message}; trying again`);
    }
  }
}

function lost(failure: Failure): Failure {
  return new Failure(failure.code, `${failure.message}; the rotation goes on without being watched`, {
    exit: failure.exit,
    field: failure.field,
    remedy: failure.remedy,
    cause: failure,
  });
}
