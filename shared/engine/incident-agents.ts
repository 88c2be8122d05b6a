import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { concerned } from '../domain/events.ts';
import type { Holder } from '../domain/holders.ts';
import { EVENT } from '../names.ts';
import type { EventPublisher } from '../ports/events.ts';
import type { Snapshots } from '../ports/snapshots.ts';
import type { EngineDeps } from './deps.ts';
import type { Revocation } from '../domain/evidence.ts';
import { enter, note } from './incident-commit.ts';
import { holds, isLater, keyOf, reached, supersededError, type Emergency } from './incident.ts';
import { inTime, LEDGER_PATIENCE_MS } from './patience.ts';
import { loadCredential, unknownCredential } from './state.ts';

/** What orders to agents need: whom they concern is known while the ledger is down as well. */
export type OrderDeps = EngineDeps & {
  readonly events: EventPublisher;
  readonly snapshots: Pick<Snapshots, 'read'>;
};

/**
 * Halt: tells the agents before the ledger, since the bus may be up where the ledger isn't. Only where the ledger says at
 * once that a later emergency holds the credential, or that it is unregistered, are they left alone. `unrecorded` is what
 * Record could not write. Whom it concerns is read beside the ledger, from the copy of the head; where both are silent
 * everybody is told.
 */
export async function halt(deps: OrderDeps, emergency: Emergency, unrecorded?: Revocation): Promise<void> {
  const copy = inTime(deps.snapshots.read(emergency.credentialId), LEDGER_PATIENCE_MS);
  const seen = await seenAtOnce(deps, emergency);
  if (seen !== undefined && emergency.emergencyId !== undefined && !holds(emergency, seen)) {
    if (unrecorded === undefined || isLater(emergency, seen, unrecorded)) {
      throw supersededError(emergency, seen.name);
    }
  }
  await tell(deps, EVENT.halt, emergency, (seen ?? (await copy))?.holders);
  // Where the revocation could not be recorded, that comes first: the halt after it has the record.
  if (unrecorded !== undefined) return;
  const credential = await loadCredential(deps, emergency.credentialId);
  const { incident } = credential;
  // What is not on record as revoked is still to be recorded: the incident stays at its stage.
  if (incident !== undefined && holds(emergency, credential) && !reached(incident, 'revoked'))
    await note(deps, emergency, 'agents-halted', { recorded: false });
  else await enter(deps, emergency, 'halted', 'agents-halted', {});
}

/**
 * The credential, undefined where the ledger doesn't say at once.
 * @throws RekeyError ERR_NOT_FOUND where it was unregistered meanwhile: nothing would ever tell its agents to resume
 */
export async function seenAtOnce(
  { ledger }: EngineDeps,
  { credentialId }: Emergency,
): Promise<Credential | undefined> {
  const reading = ledger.credential(credentialId).then((found) => found ?? ('gone' as const));
  const seen = await inTime(reading, LEDGER_PATIENCE_MS);
  if (seen === 'gone') throw unknownCredential(credentialId);
  return seen;
}

/** Resume: agents may work again, with the replacement. */
export async function resume(
  deps: EngineDeps & { readonly events: EventPublisher },
  emergency: Emergency,
): Promise<void> {
  await enter(deps, emergency, 'resumed', 'agents-resumed', {});
  const { holders } = await loadCredential(deps, emergency.credentialId);
  await tell(deps, EVENT.resume, emergency, holders);
}

/** Says it on the bus to the fleets of `holders`, to all where none is known; the same again has the same id. */
export function tell(
  deps: Pick<OrderDeps, 'events' | 'clock'>,
  detailType: string,
  emergency: Emergency,
  holders: readonly Holder[] = [],
): Promise<void> {
  const { credentialId, incidentId, reason } = emergency;
  return deps.events.publish(detailType, {
    id: `${keyOf(emergency)}-${credentialId}-${detailType === EVENT.halt ? 'halt' : 'resume'}`,
    time: toInstant(deps.clock()),
    credentialId,
    incidentId,
    reason,
    ...concerned(holders),
  });
}
