import type { AuditDraft } from '../domain/audit.ts';
import {
  dueOf,
  dutiesOf,
  nextLook,
  notPlanned,
  plannedToken,
  PLANNER,
  planOf,
  reasonOf,
  type Duties,
} from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import { goesAfter, putOff, waitOf } from '../domain/order.ts';
import type { Trigger } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { dependantsUnderWay, orderOf, type Dependants, type Order } from './order.ts';
import { announce } from './start.ts';
import { untilCommitted } from './state.ts';

/** Most credentials that one run looks at: those that fail must not keep the others from their turn. */
const MAX_LOOKS = 500;

/** Credentials that are compared with the calendar at once. */
const REALIGN_AT_ONCE = 8;

/** What a run may take; the rest is for the next one. */
export interface PlanBudget {
  readonly maxStarts: number;
  /** Pause after each start, so that many due at once don't meet the quotas of AWS and the targets at once. */
  readonly paceMs: number;
  readonly pause: (ms: number) => Promise<unknown>;
  /** Epoch milliseconds at which the run ends. */
  readonly until: number;
}

/** What a run did. */
export interface PlanAnswer {
  readonly started: readonly string[];
  /** Something was recorded about them: overdue, escalated, findings. */
  readonly recorded: readonly string[];
  /** Ids with the code of what went wrong. */
  readonly failed: readonly { readonly credentialId: string; readonly code: string }[];
  /** Due ones that this run didn't come to. */
  readonly left: number;
}

/**
 * One run of the planner (P1): whatever the calendar has for now, the earliest first. Each credential is decided on its
 * head and committed under its version, so that two planners at once, or one that died at any line and comes again, begin
 * one rotation for one due date. What fails is told at the end and comes again with the next run.
 */
export async function planDue(deps: EngineDeps, budget: PlanBudget): Promise<PlanAnswer> {
  const due = await deps.ledger.due(toInstant(deps.clock()), MAX_LOOKS);
  const dependants = dependantsUnderWay(deps);
  const started: string[] = [];
  const recorded: string[] = [];
  const failed: { credentialId: string; code: string }[] = [];
  let looks = 0;
  for (const credentialId of due) {
    if (started.length >= budget.maxStarts || deps.clock() >= budget.until) break;
    looks++;
    try {
      const done = await planOne(deps, credentialId, dependants);
      if (done.recorded) recorded.push(credentialId);
      if (done.started) {
        started.push(credentialId);
        await budget.pause(budget.paceMs);
      }
    } catch (error) {
      failed.push({ credentialId, code: isRekeyError(error) ? error.code : 'ERR_INTERNAL' });
    }
  }
  return { started, recorded, failed, left: due.length - looks };
}

function planOne(
  deps: EngineDeps,
  credentialId: string,
  dependants: Dependants,
): Promise<{ recorded: boolean; started: boolean }> {
  return untilCommitted(async () => {
    const found = await deps.ledger.credential(credentialId);
    if (found === undefined) return { recorded: false, started: false };
    const duties = dutiesOf(found, deps.clock());
    const order = duties.start ? await orderOf(deps, found, dependants) : undefined;
    const waitsFor = order && goesAfter(found, order.obstacles, deps.clock());
    const waiting =
      waitsFor === undefined ? found : { ...found, plan: putOff(found, waitsFor, deps.clock()) };
    const credential = await record(deps, waiting, duties);
    const recorded = credential !== waiting;
    const started = order !== undefined && waitsFor === undefined;
    if (started) await start(deps, credential, order);
    else if (!recorded && waitsFor !== undefined) await deps.ledger.attach(waiting);
    else if (!recorded) await realign(deps, credential);
    return { recorded, started };
  });
}

async function start(deps: EngineDeps, credential: Credential, order: Order): Promise<void> {
  let attempt = planOf(credential).attempts;
  // One that a version before aborted didn't count itself: its token is spent.
  while ((await deps.ledger.rotation(credential.id, plannedToken(credential, attempt))) !== undefined)
    attempt++;
  const reason = reasonOf(credential, deps.clock());
  const token = plannedToken(credential, attempt);
  const { rotation } = await announce(deps, credential, token, { ...trigger, reason }, order);
  // Where the process dies here, the reconciler finds the announced rotation and drives it.
  await deps.workflow.startLifecycle(
    { credentialId: credential.id, rotationId: rotation.id, type: credential.type },
    0,
  );
}

const trigger: Trigger = { kind: 'planner', actor: PLANNER };

/** Commits what is to be told of a credential; the very credential where that is nothing. */
async function record(deps: EngineDeps, credential: Credential, duties: Duties): Promise<Credential> {
  const plan = planOf(credential);
  const { findings } = duties;
  const waits = waitOf(credential, deps.clock());
  const about = { deadline: dueOf(credential)?.deadline, attempts: plan.attempts };
  const drafts = [
    ...(findings === undefined
      ? []
      : [draftOf(deps, credential, 'policy-findings', { findings, before: credential.flagged ?? [] })]),
    ...(duties.announce
      ? [draftOf(deps, credential, 'task-announced', { ...about, ...credential.root })]
      : []),
    ...(duties.escalate ? [draftOf(deps, credential, 'rotation-escalated', about)] : []),
    ...(duties.overdue
      ? [
          draftOf(deps, credential, 'rotation-overdue', {
            ...about,
            ...credential.root,
            ...waits,
            notPlanned: notPlanned(credential),
          }),
        ]
      : []),
    ...(duties.ending
      ? [
          draftOf(deps, credential, 'credential-ending', {
            ...about,
            endsAt: credential.current?.endsAt,
            notPlanned: notPlanned(credential),
          }),
        ]
      : []),
  ];
  const [first, ...others] = drafts;
  if (first === undefined) return credential;
  return deps.ledger.commit({
    before: credential,
    after: {
      ...credential,
      ...(findings === undefined ? {} : { flagged: findings.map(({ key }) => key) }),
      ...(duties.announce || duties.escalate || duties.overdue || duties.ending
        ? {
            plan: {
              ...plan,
              ...(duties.announce ? { announced: true } : {}),
              ...(duties.escalate ? { escalated: true } : {}),
              ...(duties.overdue ? { overdue: true } : {}),
              ...(duties.ending ? { ending: true } : {}),
            },
          }
        : {}),
    },
    records: [first, ...others],
  });
}

function draftOf(
  deps: EngineDeps,
  credential: Credential,
  action:
    'policy-findings' | 'task-announced' | 'rotation-escalated' | 'rotation-overdue' | 'credential-ending',
  evidence: object,
): AuditDraft {
  return {
    action,
    time: toInstant(deps.clock()),
    trigger,
    // The rotation that should have happened: the one under way, else the next.
    correlationId: credential.activeRotation ?? plannedToken(credential, planOf(credential).attempts),
    holders: credential.holders.map((holder) => holder.name),
    ...(credential.current === undefined ? {} : { oldFingerprint: credential.current.fingerprint }),
    evidence,
  };
}

/** Puts a credential where its head says, where the calendar has it elsewhere; says whether that was needed. */
async function realign(deps: EngineDeps, credential: Credential): Promise<boolean> {
  if (await isAligned(deps, credential)) return false;
  await deps.ledger.attach(credential, undefined, await keysOf(deps, credential));
  return true;
}

/** The keys of a credential that may work and that its head and its last rotation tell of. */
async function keysOf(
  deps: EngineDeps,
  { id, current, activeRotation }: Credential,
): Promise<readonly Key[]> {
  if (current === undefined) return [];
  const last = await deps.ledger.rotation(id, activeRotation ?? current.versionId);
  const keys = [current, last?.old, last?.next].filter((key) => key !== undefined);
  return [...new Map(keys.map((key) => [key.fingerprint, key])).values()];
}

/** Whether calendar and fingerprints have what the head says: one that an older version has written lacks them. */
async function isAligned(deps: EngineDeps, credential: Credential): Promise<boolean> {
  const { id, current } = credential;
  const [look, known] = await Promise.all([
    deps.ledger.lookAt(id),
    current === undefined || deps.ledger.knows(id, current.fingerprint),
  ]);
  return look === nextLook(credential) && known;
}

/**
 * Holds every credential against the calendar and the fingerprints: heads that a version without them has written have no
 * items there (hard decision 6). Walks the group of credentials page by page, never the table.
 */
export async function realignAll(
  deps: EngineDeps,
  until: number,
): Promise<{ looked: number; moved: number; complete: boolean }> {
  let looked = 0;
  let moved = 0;
  let page: string | undefined;
  do {
    const { items, next } = await deps.ledger.list(page);
    for (let at = 0; at < items.length; at += REALIGN_AT_ONCE) {
      if (deps.clock() >= until) return { looked, moved, complete: false };
      const some = items.slice(at, at + REALIGN_AT_ONCE);
      const answers = await Promise.all(some.map((listed) => realignOne(deps, listed)));
      looked += some.length;
      moved += answers.filter(Boolean).length;
    }
    page = next;
  } while (page !== undefined);
  return { looked, moved, complete: true };
}

async function realignOne(deps: EngineDeps, listed: Credential): Promise<boolean> {
  if (await isAligned(deps, listed)) return false;
  // The list comes from the index, which lags.
  return untilCommitted(async () => {
    const credential = await deps.ledger.credential(listed.id);
    return credential !== undefined && realign(deps, credential);
  });
}
