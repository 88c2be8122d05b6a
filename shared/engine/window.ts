import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Usage } from '../domain/evidence.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, loserOf, overtakenBy, type Rotation } from '../domain/rotation.ts';
import {
  decideWindow,
  MAX_LOOKS,
  MAX_WAKE_UPS,
  secondsBetweenLooks,
  type WindowDecision,
  type WindowFacts,
} from '../domain/window.ts';
import { beforeCanary, canarySeen, risenText, type CanarySeen } from '../domain/canary-look.ts';
import { evidenceNow } from './clients.ts';
import type { EngineDeps } from './deps.ts';
import { drive } from './drive.ts';
import { underMaster } from './master.ts';
import { reconcileAt } from './promote.ts';
import { observeSessions } from './readers.ts';
import { requestRollback } from './rollback.ts';
import { commit, load, secondsUntil, untilCommitted, upstream, type Loaded } from './state.ts';

/** What the lifecycle machine does next after a look at the window. */
export interface VerifyAnswer {
  readonly decision: 'wait' | 'extend' | 'retire' | 'keep' | 'hold' | 'over' | 'rolling-back';
  readonly waitSeconds: number;
}

interface TaskRef {
  readonly credentialId: string;
  readonly rotationId: string;
}

/**
 * Leaves the task token of the waiting state in the ledger, so that a rollback, an emergency or (later) complete proof
 * can answer it. What happened before the token was there is answered at once.
 */
export function awaitWindow(deps: EngineDeps, ref: TaskRef & { taskToken: string }): Promise<void> {
  return untilCommitted(async () => {
    const { credential, rotation } = await load(deps, ref.credentialId, ref.rotationId);
    const answer = (outcome: 'over' | 'rolling-back' | 'verify') =>
      deps.workflow.answer(ref.taskToken, { outcome, waitSeconds: 0 });
    // The rollback may have been asked for while nobody waited.
    const overtaken = overtakenBy(rotation, credential);
    if (overtaken !== undefined) return answer(overtaken);
    if (rotation.awaitsOperator?.confirmedAt !== undefined) return answer('verify');
    await deps.ledger.attach(credential, {
      ...rotation,
      callback: { awaiting: 'window', taskToken: ref.taskToken },
    });
  });
}

/** Looks at the window: reads the evidence at the source, decides, records. */
export function verifyWindow(deps: EngineDeps, ref: TaskRef): Promise<VerifyAnswer> {
  return underMaster(deps, (watched) => verifyUnder(watched, ref));
}

function verifyUnder(deps: EngineDeps, ref: TaskRef): Promise<VerifyAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    const overtaken = overtakenBy(rotation, credential);
    if (overtaken !== undefined) return { decision: overtaken, waitSeconds: 1 };
    if (rotation.phase === 'suspending') return soaking(deps, state);
    if (rotation.phase === 'revoking') return { decision: 'retire', waitSeconds: 1 };
    if (rotation.window === undefined)
      return { decision: 'wait', waitSeconds: deps.timing.stuckAfterSeconds };
    const decision = decideWindow(await factsOf(deps, state));
    if (decision.kind !== 'roll-back') return record(deps, state, decision);
    await requestRollback(deps, {
      ...ref,
      trigger: { kind: 'planner', actor: VERIFIER, reason: risenText(decision.canary) },
      evidence: { canary: decision.canary },
    });
    return { decision: 'rolling-back', waitSeconds: 1 };
  });
}

/** Who stands in the audit trail for a rollback that nobody asked for. */
const VERIFIER = 'verify-window';

/** What the end of a window is decided on, with the evidence read at its source now. */
export async function factsOf(deps: EngineDeps, state: Loaded): Promise<WindowFacts> {
  const { credential, rotation } = state;
  const { window, phase, wakeUps } = rotation;
  if (window === undefined) throw new RekeyError('ERR_CONFLICT', 'there is no window to close');
  const { policy, holders } = credential;
  const usage = await usageOf(deps, state);
  const holderEvidence = await evidenceNow(deps, credential, rotation);
  // The way back always ends with the loser's revocation, whatever the mode: it misbehaved.
  const mode = phase === 'rolling-back' ? 'enforce' : credential.mode;
  const canary = await canaryNow(deps, state);
  return { now: deps.clock(), window, policy, mode, holders, holderEvidence, usage, wakeUps, canary };
}

/** What the instances that move first show; nothing on the way back, which is everybody's at once. */
async function canaryNow(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
): Promise<CanarySeen | undefined> {
  const { window, phase, canary: observed } = rotation;
  const { canary } = credential.policy;
  if (canary === undefined || window === undefined || phase !== 'window' || observed !== undefined)
    return undefined;
  const { opensAt } = window;
  const then = beforeCanary(canary, opensAt);
  const [recent, before] = await Promise.all([
    deps.agents.uses(credential.id, opensAt, toInstant(deps.clock())),
    deps.agents.uses(credential.id, then.from, then.to),
  ]);
  return canarySeen(canary, rotation, opensAt, { recent, before });
}

/** Use of the credential that this rotation ends, from its source; unknown where the source can't tell. */
async function usageOf(deps: EngineDeps, { credential, rotation }: Loaded): Promise<Usage> {
  const loser = loserOf(rotation);
  const { provider, target, ctx } = await upstream(deps, credential);
  if (loser === undefined || provider.usage === undefined) return 'unknown';
  const seen = await provider.usage(target, loser.handle, ctx);
  if (seen === 'unknown') return seen;
  // Whoever is logged in stays out of the proof, hence out of the archive that nobody can delete from.
  const { clients = [], ...usage } = seen;
  await observeSessions(deps, credential.secretName, clients, usage.observedAt);
  return usage;
}

function soaking(deps: EngineDeps, { credential, rotation }: Loaded): VerifyAnswer {
  const over = plusSeconds(rotation.suspendedAt ?? rotation.updatedAt, credential.policy.soakSeconds);
  return deps.clock() < Date.parse(over)
    ? { decision: 'wait', waitSeconds: secondsUntil(deps, over) }
    : { decision: 'retire', waitSeconds: 1 };
}

/** Records a decision where it is news, and says what the lifecycle does next. */
export async function record(
  deps: EngineDeps,
  state: Loaded,
  decision: Exclude<WindowDecision, { kind: 'roll-back' }>,
): Promise<VerifyAnswer> {
  const { credential, rotation } = state;
  const woken = (until: string): Rotation => ({
    ...rotation,
    wakeUps: rotation.wakeUps + 1,
    checkAt: reconcileAt(deps, until),
  });
  switch (decision.kind) {
    case 'retire':
      // The proof goes into the record of the retirement's intent, which `retire` writes from the same evidence.
      return { decision: 'retire', waitSeconds: 1 };
    case 'wait':
      if (decision.canary !== undefined) {
        const { outcome } = decision.canary;
        await commit(deps, credential, {
          rotation: {
            ...rotation,
            canary: { at: toInstant(deps.clock()), outcome },
            checkAt: reconcileAt(deps, decision.until),
          },
          record: { action: 'canary-observed', evidence: { canary: decision.canary } },
        });
      } else if (toInstant(deps.clock()) >= (rotation.window?.earliestClose ?? '')) {
        const next = woken(decision.until);
        // Time asks so often before the deadline; whoever wakes it beside that makes no record each time.
        const looked =
          rotation.wakeUps >= MAX_WAKE_UPS
            ? { credential: await deps.ledger.attach(credential, next), rotation: next }
            : await commit(deps, credential, {
                rotation: next,
                record: {
                  action: 'window-waiting',
                  evidence: { proof: decision.proof, until: decision.until },
                },
              });
        if (await handedOver(deps, looked)) return { decision: 'over', waitSeconds: 1 };
      }
      return { decision: 'wait', waitSeconds: secondsUntil(deps, decision.until) };
    case 'extend': {
      const waitSeconds = extension(deps, secondsBetweenLooks(credential.policy), decision.until);
      // By the next look, not by the cap: a lifecycle that dies in the extension is missed then.
      const next = woken(plusSeconds(toInstant(deps.clock()), waitSeconds));
      const looked =
        rotation.window?.overdue === true
          ? { credential: await deps.ledger.attach(credential, next), rotation: next }
          : await commit(deps, credential, {
              rotation: { ...next, ...overdue(rotation) },
              record: {
                action: 'window-extended',
                evidence: { proof: decision.proof, until: decision.until },
              },
            });
      if (await handedOver(deps, looked)) return { decision: 'over', waitSeconds: 1 };
      return { decision: 'extend', waitSeconds };
    }
    case 'keep': {
      const { activeRotation: _over, ...rest } = credential;
      await commit(deps, rest, {
        rotation: advance(rotation, 'completed'),
        record: {
          action: 'kept',
          deactivation: 'NOT CONFIRMED',
          evidence: { proof: decision.proof, mode: credential.mode },
        },
      });
      return { decision: 'keep', waitSeconds: 1 };
    }
    case 'hold':
      await commit(deps, credential, {
        // The schedule looks again once a day, in case the holders have moved by then.
        rotation: { ...rotation, stuck: true, checkAt: plusSeconds(toInstant(deps.clock()), 24 * 3600) },
        record: { action: 'window-held', evidence: { proof: decision.proof } },
      });
      return { decision: 'hold', waitSeconds: 1 };
  }
}

/**
 * Gives the window another execution after so many looks: agents wake it as well as time does, and the history of one
 * execution is bounded (hard decision 5).
 */
async function handedOver(deps: EngineDeps, looked: Loaded): Promise<boolean> {
  if (looked.rotation.wakeUps % MAX_LOOKS !== 0) return false;
  await drive(deps, looked);
  return true;
}

function overdue(rotation: Rotation): Pick<Rotation, 'window'> | object {
  return rotation.window === undefined ? {} : { window: { ...rotation.window, overdue: true } };
}

/** In an extension the window is looked at again and again, so that a late holder doesn't wait for the cap. */
function extension(deps: EngineDeps, between: number, cap: string): number {
  return Math.min(secondsUntil(deps, cap), between);
}
