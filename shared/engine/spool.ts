import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import type { Revocation } from '../domain/evidence.ts';
import type { Snapshots, Spool, SpooledIntent } from '../ports/snapshots.ts';
import type { OrderDeps } from './incident-agents.ts';
import { note } from './incident-commit.ts';
import { holds, reached, type Emergency } from './incident.ts';
import { recordFailedRevocation, recordRevocation } from './incident-outcome.ts';

/** What the spool is reconciled with. */
export type SpoolDeps = OrderDeps & { readonly spool: Spool };

/** What has become of something that was spooled. */
export type Settled =
  /** It stands in the ledger: it did before, or does now. */
  | 'settled'
  /** Its emergency is under way, and records it itself. */
  | 'under-way'
  /** The next run tries again. */
  | 'failed';

/** A run ends by then: what is left waits for the next one. */
const RUN_MS = 20_000;
const AT_ONCE = 16;

/**
 * Writes into the ledger what an emergency could not: what it has revoked, late and with its own time; of an emergency that has
 * ended without saying, that nobody knows. Each once, whenever a run dies.
 * @throws once everything else had its turn, what one has failed with that no later run mends: it keeps none from being written
 */
export async function reconcileSpool(deps: SpoolDeps): Promise<{ key: string; outcome: Settled }[]> {
  const until = deps.clock() + RUN_MS;
  const answers: { key: string; outcome: Settled }[] = [];
  const broken: unknown[] = [];
  // Whatever is known of an emergency's end comes before the question what has become of it.
  const { revoked, intended } = await deps.spool.waiting();
  for (const keys of [revoked, intended])
    for (let at = 0; at < keys.length && deps.clock() < until; at += AT_ONCE)
      answers.push(
        ...(await Promise.all(keys.slice(at, at + AT_ONCE).map((key) => settled(deps, key, broken)))),
      );
  if (broken.length > 0) throw broken[0];
  return answers;
}

async function settled(
  deps: SpoolDeps,
  key: string,
  broken: unknown[],
): Promise<{ key: string; outcome: Settled }> {
  try {
    const outcome = await settle(deps, await deps.spool.spooled(key));
    if (outcome === 'settled') await deps.spool.settle(key);
    return { key, outcome };
  } catch (error) {
    if (!isRekeyError(error)) broken.push(error);
    return { key, outcome: 'failed' };
  }
}

async function settle(deps: SpoolDeps, intent: SpooledIntent): Promise<Settled> {
  const { revocation, time, ...about } = intent;
  const emergency: Emergency = { ...about, startedAt: time };
  const credential = await deps.ledger.credential(emergency.credentialId);
  // Unregistered since: its trail is closed.
  if (credential === undefined) return 'settled';
  if (isRecorded(credential, emergency)) return 'settled';
  if (revocation === undefined && (await isUnderWay(deps, emergency))) return 'under-way';
  if (await isNoted(deps, intent)) return 'settled';
  if (revocation !== undefined) {
    await recordRevocation(deps, emergency, revocation).catch(async (error: unknown) => {
      // A later emergency holds it: that this one has revoked is in the trail by now.
      if (isRekeyError(error, 'ERR_PREEMPTED')) return;
      if (!isRekeyError(error, 'ERR_ESCAPED')) throw error;
      // It lives until a person starts the emergency again.
      await recordFailedRevocation(deps, emergency, error.message, revocation);
    });
    return 'settled';
  }
  // What was to die has been replaced since: it is told, and agents that work are left alone.
  if (isReplaced(credential, emergency, time)) await note(deps, emergency, FAILED, { cause: UNKNOWN, time });
  else await recordFailedRevocation(deps, emergency, UNKNOWN);
  return 'settled';
}

const REVOKED = 'emergency-revoked';
const FAILED = 'emergency-revocation-failed';
/** Why it counts as failed. */
const UNKNOWN = 'its emergency has ended, and the ledger has not heard what it has revoked';

function isRecorded(credential: Credential, emergency: Emergency): boolean {
  const { incident } = credential;
  return incident !== undefined && holds(emergency, credential) && reached(incident, 'revoked');
}

async function isUnderWay({ workflow }: OrderDeps, { emergencyId }: Emergency): Promise<boolean> {
  if (emergencyId === undefined) return false;
  return (await workflow.emergency(emergencyId))?.status === 'RUNNING';
}

/** Whether the trail tells of this end, whoever holds the credential by now. */
async function isNoted({ ledger }: OrderDeps, intent: SpooledIntent): Promise<boolean> {
  const { credentialId, incidentId, time, revocation } = intent;
  for await (const { message, entity, time_dt: at } of ledger.records(credentialId)) {
    const { incident, evidence } = entity.data;
    if (incident !== incidentId || at < time) continue;
    const tells = message === REVOKED || message === FAILED;
    const isOfThis = revocation === undefined || evidence.includes(JSON.stringify(revocation.revokedAt));
    if (tells && isOfThis) return true;
  }
  return false;
}

/** Whether a later value is out, or another emergency has taken it over: that this one holds it by now says nothing. */
function isReplaced(credential: Credential, emergency: Emergency, time: string): boolean {
  const { current, incident } = credential;
  const taken = holds(emergency, credential) ? undefined : incident?.began;
  const since = [current?.issuedAt, taken].filter((each) => each !== undefined);
  return since.some((each) => each > time);
}

/** Keeps what was revoked where the ledger doesn't take it: nothing else writes it down by then. */
export function spoolRevocation(
  { snapshots }: { readonly snapshots: Pick<Snapshots, 'spool'> },
  { credentialId, incidentId, emergencyId, reason, actor }: Emergency,
  revocation: Revocation,
): Promise<void> {
  return snapshots.spool({
    credentialId,
    incidentId,
    ...(emergencyId === undefined ? {} : { emergencyId }),
    reason,
    actor,
    time: revocation.revokedAt,
    revocation,
  });
}
