import type { AuditAction, AuditDraft } from '../../domain/audit.ts';
import { toInstant } from '../../domain/clock.ts';
import { RekeyError } from '../../domain/errors.ts';
import {
  credentialsIn,
  familiesIn,
  type CredentialMatch,
  type Decision,
  type SignalMatch,
} from '../../domain/signals/decide.ts';
import { heldOf, meanwhile, type HeldSignal } from '../../domain/signals/held.ts';
import { incidentOf, reasonOf, tokenOf } from '../../domain/signals/signal.ts';
import { loadFamily } from '../families/deps.ts';
import { aboutToken } from '../families/leak.ts';
import { retrying } from '../patience.ts';
import { describeHandle, loadCredential } from '../state.ts';
import type { Received, SignalDeps } from './deps.ts';
import { recordFamilies, type SignalFamilies } from './families.ts';
import { maySuspend, startSuspension } from './suspend.ts';

/**
 * The signal waits, and the trail of the first credential, or family, says so, in one transaction. Those of the others say before
 * that what of them was found.
 */
export async function hold(
  deps: SignalDeps,
  received: Received,
  decision: Extract<Decision, { act: 'hold' }>,
): Promise<void> {
  const { signal, actor, policy } = received;
  const suspends = await maySuspend(deps, { signal, policy }, decision.of);
  const waiting = heldOf(signal, decision, actor, policy, deps.clock(), suspends);
  const { credentials, families } = waiting;
  // Whose trail `commitHeld` takes.
  const [first, ...others] = [...credentialsIn(decision.of), ...familiesIn(decision.of)];
  if (first === undefined) return;
  if ((await deps.signals.held(waiting.id)) === undefined) await recordEach(deps, received, others, 'held');
  const stands = await retrying(async () => {
    // Somebody may have decided on it since: a repetition opens nothing again.
    const found = await deps.signals.held(waiting.id);
    if (found !== undefined) return found;
    await commitHeld(deps, waiting, {
      action: 'signal-held',
      time: waiting.heldAt,
      trigger: { kind: 'signal', actor, reason: reasonOf(signal) },
      correlationId: waiting.id,
      incidentId: incidentOf(waiting.id),
      ...('family' in first ? { oldFingerprint: first.token.fingerprint } : aboutKey(first.key)),
      evidence: {
        why: waiting.why,
        credentials,
        families,
        glassAt: waiting.glassAt,
        meanwhile: meanwhile(waiting),
        ...('family' in first ? aboutToken(first.token) : {}),
      },
    });
    return waiting;
  });
  if (stands.status === 'held')
    await startSuspension(deps, stands, 'suspend', { actor, reason: reasonOf(signal) });
}

/**
 * Commits what is held, with a record in the trail of the first credential that it is about and that is still registered, or else of
 * the first family.
 * @throws RekeyError ERR_NOT_FOUND where all of them are gone
 */
export async function commitHeld(
  {
    ledger,
    families,
  }: Pick<SignalDeps, 'ledger'> & {
    readonly families: Pick<SignalFamilies, 'families'>;
  },
  held: HeldSignal,
  record: AuditDraft,
): Promise<void> {
  for (const { credentialId } of held.credentials) {
    const before = await ledger.credential(credentialId);
    if (before === undefined) continue;
    await ledger.commit({ before, after: before, held, records: [record] });
    return;
  }
  const [family] = held.families ?? [];
  if (family === undefined)
    throw new RekeyError('ERR_NOT_FOUND', 'nothing that the signal is about is registered');
  const before = await loadFamily(families, family.familyId);
  await families.families.commit({ before, after: before, held, records: [record] });
}

/** What a signal has found and what is done about it, in the trail of each. */
export async function recordEach(
  deps: SignalDeps,
  received: Received,
  matches: readonly SignalMatch[],
  outcome: string,
  action: AuditAction = 'leak-reported',
): Promise<void> {
  const about = aboutSignal(received, outcome);
  for (const { credential, key } of credentialsIn(matches)) {
    await retrying(async () => {
      const before = await loadCredential(deps, credential.id);
      await deps.ledger.commit({
        before,
        after: before,
        records: [{ action, time: toInstant(deps.clock()), ...aboutKey(key), ...about }],
      });
    });
  }
  await recordFamilies(deps.families, familiesIn(matches), about);
}

/** A signal as the records about it have it. */
export function aboutSignal({ signal, actor }: Received, outcome: string) {
  const { source, verified, observedAt } = signal;
  const id = tokenOf(signal);
  return {
    trigger: { kind: 'signal', actor, reason: reasonOf(signal) },
    correlationId: id,
    incidentId: incidentOf(id),
    evidence: { outcome, source, verified, observedAt },
  } as const;
}

function aboutKey(key: CredentialMatch['key']): { oldFingerprint?: string; oldHandle?: string } {
  return key === undefined ? {} : { oldFingerprint: key.fingerprint, oldHandle: describeHandle(key.handle) };
}
