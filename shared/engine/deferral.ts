import { inTheWay, latestStart, LOOKS_PER_EXECUTION, nextDeferredLook } from '../domain/deferral.ts';
import { toInstant } from '../domain/clock.ts';
import type { KnownAgent } from '../domain/client-evidence.ts';
import type { Credential } from '../domain/credential.ts';
import { isPaused, type Deferral, type Rotation, type Trigger, type Undeferred } from '../domain/rotation.ts';
import { agentsOfCredential } from './clients.ts';
import type { EngineDeps } from './deps.ts';
import { drive } from './drive.ts';
import { reconcileAt } from './promote.ts';
import {
  answerCallback,
  answered,
  commit,
  load,
  secondsUntil,
  untilCommitted,
  type Loaded,
} from './state.ts';

/** What becomes of a rotation that is about to begin. */
export type Deferred =
  | { readonly outcome: 'begins'; readonly state: Loaded }
  | { readonly outcome: 'deferred'; readonly waitSeconds: number }
  /** Another execution goes on with it. */
  | { readonly outcome: 'over'; readonly waitSeconds: number };

/**
 * Puts a rotation off while agents are in session that can't change the value within one (T2), up to its latest start;
 * then it begins all the same, which is on record, and so is a person's decision not to wait. Once it has begun it waits
 * for nobody: RotateSecret may have been called.
 */
export async function defer(deps: EngineDeps, state: Loaded): Promise<Deferred> {
  const { credential, rotation } = state;
  const { deferred, trigger, phase, undeferred, urgent } = rotation;
  const begun = urgent === true || (deferred === undefined && undeferred !== undefined);
  // Waits don't fit into the four steps (hard decision 4).
  if (phase !== 'announced' || trigger.kind === 'vault' || begun) return { outcome: 'begins', state };
  const agents = await whoIsInTheWay(deps, credential);
  const now = deps.clock();
  const waiting = {
    ...(deferred ?? { since: toInstant(now), until: latestStart(credential, trigger, agents, now) }),
    agents: agents.map(({ name }) => name),
  };
  const why =
    agents.length === 0
      ? 'gap'
      : (undeferred?.why ?? (toInstant(now) < waiting.until ? undefined : 'deadline'));
  if (why === undefined) return putOff(deps, state, waiting);
  // What nobody was in the way of has nothing to tell.
  const silent = why === 'gap' && deferred === undefined;
  return { outcome: 'begins', state: silent ? state : await end(deps, state, why, waiting.agents) };
}

async function putOff(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  waiting: Deferral,
): Promise<Deferred> {
  const wakeUps = waiting.wakeUps ?? 0;
  const look = nextDeferredLook(waiting, deps.clock());
  const deferred = { ...waiting, wakeUps: wakeUps + 1 };
  const next = { ...answered(rotation), deferred, checkAt: reconcileAt(deps, look) };
  const state =
    rotation.deferred === undefined
      ? await commit(deps, credential, {
          rotation: next,
          record: {
            action: 'rotation-deferred',
            evidence: { agents: deferred.agents, until: deferred.until },
          },
        })
      : { credential: await deps.ledger.attach(credential, next), rotation: next };
  if (deferred.wakeUps % LOOKS_PER_EXECUTION === 0) {
    await drive(deps, state);
    return { outcome: 'over', waitSeconds: 1 };
  }
  return { outcome: 'deferred', waitSeconds: secondsUntil(deps, look) };
}

function end(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  why: Undeferred['why'],
  inSession: readonly string[],
): Promise<Loaded> {
  const { deferred, ...rest } = rotation;
  return commit(deps, credential, {
    rotation: { ...rest, undeferred: { at: toInstant(deps.clock()), why } },
    record: {
      action: 'deferral-ended',
      evidence: { why, inSession, ...(deferred && { since: deferred.since }) },
    },
  });
}

/**
 * Leaves the task token of the state that waits for the gap, so that the last session that closes can answer it. What
 * happened before the token was there is answered at once.
 */
export function awaitGap(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string; taskToken: string },
): Promise<void> {
  return untilCommitted(async () => {
    const { credential, rotation } = await load(deps, ref.credentialId, ref.rotationId);
    const answer = () => deps.workflow.answer(ref.taskToken, { outcome: 'rotate', waitSeconds: 0 });
    if (!isDeferred(rotation) || rotation.epoch !== credential.epoch || isPaused(rotation, credential))
      return answer();
    await deps.ledger.attach(credential, {
      ...rotation,
      callback: { awaiting: 'rotate', taskToken: ref.taskToken },
    });
    // Whoever closed a session before has found no token.
    if (rotation.undeferred !== undefined || (await whoIsInTheWay(deps, credential)).length === 0)
      return answer();
  });
}

/** A person's decision that an announced rotation doesn't wait for sessions, on record; the same again is success. */
export async function skipDeferral(deps: EngineDeps, state: Loaded, trigger: Trigger): Promise<Rotation> {
  const { credential, rotation } = state;
  if (rotation.phase !== 'announced') return rotation;
  const skipped =
    rotation.undeferred === undefined
      ? (
          await commit(deps, credential, {
            rotation: { ...rotation, undeferred: { at: toInstant(deps.clock()), why: 'skipped' } },
            record: { action: 'deferral-skipped', trigger },
          })
        ).rotation
      : rotation;
  if (isDeferred(skipped)) await answerCallback(deps, skipped, 'rotate', 0);
  return skipped;
}

/** Whether a rotation waits for a gap between sessions. */
function isDeferred({ phase, deferred }: Rotation): boolean {
  return phase === 'announced' && deferred !== undefined;
}

async function whoIsInTheWay(deps: EngineDeps, credential: Credential): Promise<KnownAgent[]> {
  return inTheWay(await agentsOfCredential(deps, credential), credential.name, deps.clock());
}
