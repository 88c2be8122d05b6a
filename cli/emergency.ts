import { setTimeout as sleep } from 'node:timers/promises';
import { emergencyAnswer, type EmergencyAnswer } from '../shared/api/messages.ts';
import type { ApiClient } from './client.ts';
import { readCredential } from './commands/show.ts';
import type { Context } from './context.ts';
import { EXIT, failureOf } from './failure.ts';
import type { Output } from './io.ts';

/** The options of `rekey revoke`. */
export interface RevokeOptions {
  readonly incident: string;
  readonly reason: string;
  readonly yes: boolean;
  readonly wait: boolean;
  readonly dryRun: boolean;
  readonly replace: boolean;
}

const PATIENCE_MS = 120_000;

/** What an emergency does to each of its credentials. */
export function consequences({ replace }: Pick<RevokeOptions, 'replace'>): string[] {
  return [
    'every working credential of it is revoked at the target at once, and open sessions are ended',
    'agents that hold it are told to halt; work in progress fails',
    'a rotation under way is given up for good',
    ...(replace
      ? ['a new credential is made, tested and stored; then agents may resume']
      : [
          'nothing replaces it (--no-replace): agents stay halted until somebody runs the command again without it',
        ]),
    'it stands in the audit trail with your ARN and the reason; events go out on the bus (revoked, halt, its end)',
  ];
}

/** What ends an emergency that revokes only. */
export function staysHalted(names: readonly string[], { incident }: Pick<RevokeOptions, 'incident'>): string {
  return (
    'Agents stay halted and rotations are refused until a replacement is made. Once one is wanted: ' +
    `rekey revoke ${names.join(' ')} --incident ${incident} --reason …`
  );
}

/** Polls between two looks at what the credentials wait for. */
const LOOK_EVERY = 5;

/** Waits for the end of an emergency, and says on the way what it waits for a person to do to `names`. */
export async function followEmergency(
  context: Context,
  client: ApiClient,
  id: string,
  names: readonly string[] = [],
): Promise<EmergencyAnswer> {
  const { out } = context;
  out.note('waiting for its end; Ctrl-C ends the waiting, not the emergency');
  let answeredAt = out.io.now();
  const told = new Set<string>();
  for (let polls = 1; ; polls++) {
    try {
      const emergency = await client.get(emergencyAnswer, ['emergencies', id]);
      answeredAt = out.io.now();
      if (emergency.status !== 'RUNNING') return emergency;
      if (polls % LOOK_EVERY === 0) await tellAwaited(out, client, names, told);
      out.status(`emergency ${id} is under way since ${emergency.startedAt}`);
    } catch (error) {
      const failure = failureOf(error);
      // The machine is found a moment after its start.
      const passing =
        failure.exit === EXIT.unreachable || ['ERR_UNAVAILABLE', 'ERR_NOT_FOUND'].includes(failure.code);
      if (!passing || out.io.now() - answeredAt > PATIENCE_MS) throw failure;
    }
    await sleep(Math.min(context.pollMs, 1000));
  }
}

/** Says once of each credential what only a person can end. Whether that can be read delays nothing. */
async function tellAwaited(
  out: Output,
  client: ApiClient,
  names: readonly string[],
  told: Set<string>,
): Promise<void> {
  const left = names.filter((name) => !told.has(name));
  const shown = await Promise.allSettled(left.map(async (name) => readCredential(client, name)));
  for (const [at, found] of shown.entries()) {
    const awaited =
      found.status === 'fulfilled' ? found.value.credential.emergency?.awaitsOperator : undefined;
    const name = left[at] ?? '';
    if (awaited === undefined) continue;
    told.add(name);
    out.line(
      `${out.style('red', 'TO DO BY HAND')} for ${name}, and the emergency waits for it: ${awaited.byHand}`,
    );
  }
}

/** Tells how an emergency ended; the exit code says it too. */
export function conclude(out: Output, emergency: EmergencyAnswer): number {
  const ended = emergency.endedAt === undefined ? '' : ` at ${emergency.endedAt}`;
  if (emergency.status === 'SUCCEEDED') {
    out.line(`${out.style('green', 'done')}: emergency ${emergency.id} ended${ended}`);
    return EXIT.ok;
  }
  out.line(
    `${out.style('red', emergency.status.toLowerCase())}: emergency ${emergency.id} ended${ended}; agents may still be halted`,
  );
  for (const { credentialId, byHand } of emergency.results) {
    if (typeof byHand !== 'string') continue;
    out.line(
      `${out.style('red', 'NOT REVOKED')}: Rekey has let go of ${credentialId} meanwhile. By hand, now:`,
    );
    out.line(byHand);
  }
  out.line('`rekey show NAME` says of each credential how it stands, `rekey audit` what is confirmed.');
  return EXIT.unhappy;
}
