import { toInstant } from '../domain/clock.ts';
import type { CredentialHandle } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { EVENT } from '../names.ts';
import type { EngineDeps } from './deps.ts';
import type { Revocation } from '../domain/evidence.ts';
import type { ByHandDeps } from './heir.ts';
import { seenAtOnce, tell, type OrderDeps } from './incident-agents.ts';
import { draft, enter, intend, note } from './incident-commit.ts';
import { holds, isLater, reached, supersededError, type Emergency } from './incident.ts';
import { inTime, LEDGER_PATIENCE_MS } from './patience.ts';
import { describeHandle, loadCredential, untilCommitted } from './state.ts';

/** Record: what was revoked, with the evidence. The intent is caught up on where it could not be written in time. */
export async function recordRevocation(
  deps: EngineDeps,
  emergency: Emergency,
  revocation: Revocation,
): Promise<void> {
  const taken = await intend(deps, emergency, { isLeft: (found) => isLater(emergency, found, revocation) });
  const { name, live, incident } = taken;
  if (!holds(emergency, taken)) {
    await note(deps, emergency, 'emergency-revoked', { revocation, supersededBy: incident?.execution });
    throw supersededError(emergency, name);
  }
  const escaped = live.find((handle) => !covers(revocation, handle));
  if (escaped !== undefined && incident !== undefined && !reached(incident, 'revoked')) {
    throw new RekeyError('ERR_ESCAPED', `${describeHandle(escaped)} came to life during the revocation`, {
      remedy: `start the emergency again for the same incident: rekey revoke ${name}`,
    });
  }
  await enter(deps, emergency, 'revoked', 'emergency-revoked', {
    credential: { live: [] },
    ...(revocation.handles.length === 0
      ? { evidence: { revocation, found: 'nothing was live' } }
      : { evidence: { revocation }, deactivation: 'CONFIRMED' }),
  });
}

/** Whether `revocation` has ended `handle`. */
function covers(revocation: Revocation, handle: CredentialHandle): boolean {
  return (
    handle.generation <= revocation.generation &&
    revocation.handles.some(({ handle: dead }) => dead.startsWith(`${handle.id}#`))
  );
}

/**
 * A revocation that failed for good is recorded and published; agents are told to halt all the same, before the ledger,
 * as in `halt`. Where a later emergency holds the credential, everything that lived is that one's to kill, and what it
 * has replaced is not halted again: the failure only joins the record, late (hard decision 3). `revocation` is what has died
 * nevertheless.
 */
export async function recordFailedRevocation(
  deps: OrderDeps,
  emergency: Emergency,
  cause: string,
  revocation?: Revocation,
): Promise<void> {
  const copy = inTime(deps.snapshots.read(emergency.credentialId), LEDGER_PATIENCE_MS);
  const seen = await seenAtOnce(deps, emergency);
  if (seen === undefined || !isLater(emergency, seen))
    await tell(deps, EVENT.halt, emergency, (seen ?? (await copy))?.holders);
  const now = seen ?? (await loadCredential(deps, emergency.credentialId));
  if (now.adoption === 'observed') {
    // Nothing is taken over: an emergency holds what is Rekey's own.
    return note(deps, emergency, 'emergency-revocation-failed', { cause, byHand: now.byHand });
  }
  const taken = await intend(deps, emergency, { isLeft: (found) => isLater(emergency, found) });
  const supersededBy = holds(emergency, taken) ? undefined : taken.incident?.execution;
  await note(deps, emergency, 'emergency-revocation-failed', { cause, revocation, supersededBy });
}

/**
 * A revocation that only a person can perform: agents are told to halt at once, before the ledger, as in `halt`, and the person
 * is told what to do, once. Nothing is revoked by anybody's word: the machine goes on asking the upstream.
 */
export async function recordAwaitedOperator(
  deps: OrderDeps & ByHandDeps,
  emergency: Emergency,
): Promise<void> {
  const copy = inTime(deps.snapshots.read(emergency.credentialId), LEDGER_PATIENCE_MS);
  const seen = await seenAtOnce(deps, emergency);
  if (seen === undefined || !isLater(emergency, seen))
    await tell(deps, EVENT.halt, emergency, (seen ?? (await copy))?.holders);
  await intend(deps, emergency, { isLeft: (found) => isLater(emergency, found) });
  await untilCommitted(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    const { incident } = before;
    if (incident === undefined || !holds(emergency, before)) return;
    if (incident.awaitsOperator !== undefined || reached(incident, 'revoked')) return;
    const asked = await deps.revocationsByHand(before);
    const byHand = asked.map(({ text }) => text).join('; ');
    const since = toInstant(deps.clock());
    const handles = asked.map(({ handle }) => handle);
    await deps.ledger.commit({
      before,
      after: { ...before, incident: { ...incident, awaitsOperator: { since, handles, byHand, looks: 1 } } },
      records: [
        {
          ...draft(deps, before, emergency, 'operator-awaited', { byHand }),
          deactivation: 'NOT CONFIRMED',
        },
      ],
    });
  });
}

/** A replacement that failed leaves the agents halted; the machine fails, which pages. */
export function recordFailedReplacement(
  deps: EngineDeps,
  emergency: Emergency,
  failure: { step: string; cause: string },
): Promise<void> {
  return note(deps, emergency, 'replacement-failed', failure);
}

/**
 * How a credential stands for an emergency that a later one has superseded: `superseded` once the later one has replaced
 * it, `halted` until then, which is as far as this emergency has come itself.
 */
export async function superseded(
  deps: EngineDeps,
  emergency: Emergency,
): Promise<{ status: 'superseded' | 'halted' }> {
  const credential = await loadCredential(deps, emergency.credentialId);
  const { incident } = credential;
  const replaced = incident !== undefined && !holds(emergency, credential) && reached(incident, 'replaced');
  return { status: replaced ? 'superseded' : 'halted' };
}
