import { createHash } from 'node:crypto';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import { pauseText, type Credential, type Key, type PlanState } from './credential.ts';
import {
  deadlineOf,
  exceptionEndsAt,
  findingsOf,
  intervalText,
  type Finding,
  type Governed,
} from './interval.ts';
import { MAX_INTERVAL_DAYS, type Policy } from './policy.ts';
import { isTask } from './roots.ts';
import type { Rotation } from './rotation.ts';

/** Who stands in the audit trail for a rotation that was due. */
export const PLANNER = 'plan-rotations';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Longest lead (P1: 24 to 48 hours before the deadline), and its share of an interval too short for that. */
const MAX_LEAD_SECONDS = 48 * HOUR;
const LEAD_SHARE = 1 / 4;

/** How long before the deadline whoever has to do it by hand is told, and the share of an interval too short for that. */
const TASK_LEAD_SECONDS = 7 * DAY;

/** How long before the end of what ends by itself somebody is told (C5), and the share of a life too short for that. */
const ENDING_LEAD_SECONDS = 14 * DAY;

/** Pauses after the first failed attempts; from then on the last one (P5). */
const BACKOFF_SECONDS = [15 * MINUTE, HOUR, 4 * HOUR, 12 * HOUR] as const;

/** Failed attempts after which a person is told. */
export const ESCALATE_AFTER = 3;

/** A credential as the calendar sees it. */
export type Planned = Pick<
  Credential,
  | 'id'
  | 'type'
  | 'policy'
  | 'holders'
  | 'mode'
  | 'status'
  | 'current'
  | 'activeRotation'
  | 'paused'
  | 'plan'
  | 'flagged'
  | 'registeredAt'
>;

/** Where the next rotation stands in the calendar. */
export interface Due {
  /** The planner starts then, which announces it. */
  readonly startsAt: Instant;
  /** The announcement ends. */
  readonly rotatesAt: Instant;
  /** By then the policy wants it to have happened. */
  readonly deadline: Instant;
}

/** How long before the deadline a rotation happens, so that there is time left where it fails. */
export function leadSeconds(intervalSeconds: number): number {
  return Math.min(MAX_LEAD_SECONDS, intervalSeconds * LEAD_SHARE);
}

/** The next rotation of a credential, whatever keeps it from being planned; undefined where agents have none. */
export function dueOf(
  credential: Governed & { readonly current?: Pick<Key, 'issuedAt' | 'endsAt'> },
): Due | undefined {
  if (credential.current === undefined) return undefined;
  const { issuedAt, endsAt } = credential.current;
  const declared = deadlineOf(credential, issuedAt);
  // What ends by itself is renewed by half of its life, whatever interval has been declared since it was issued.
  const deadline = endsAt === undefined ? declared : earlier(declared, halfway(issuedAt, endsAt));
  const age = (fromInstant(deadline) - fromInstant(issuedAt)) / 1000;
  const startAge = startAfterSeconds(age, credential.policy);
  return {
    startsAt: plusSeconds(issuedAt, startAge),
    rotatesAt: plusSeconds(issuedAt, startAge + credential.policy.announceSeconds),
    deadline,
  };
}

function earlier(one: Instant, other: Instant): Instant {
  return one < other ? one : other;
}

function halfway(from: Instant, to: Instant): Instant {
  return toInstant((fromInstant(from) + fromInstant(to)) / 2);
}

/**
 * Age at which the planner starts: lead and announcement before the deadline, but not in the first half of the interval,
 * unless the announcement alone wants it.
 */
function startAfterSeconds(
  ageAtDeadline: number,
  { announceSeconds }: Pick<Policy, 'announceSeconds'>,
): number {
  const latest = ageAtDeadline - announceSeconds;
  const wanted = latest - leadSeconds(ageAtDeadline);
  return Math.max(0, Math.min(latest, Math.max(wanted, ageAtDeadline / 2)));
}

/** Why the planner doesn't rotate a credential, in words; undefined where it does once it is due. */
export function notPlanned(credential: Planned): string | undefined {
  if (credential.status !== 'active') return `it is ${credential.status}`;
  if (isTask(credential)) return 'its owner replaces it by hand; rekey confirm says that it is done';
  if (credential.mode === 'observe') return 'mode observe: Rekey only looks at it';
  if (credential.current === undefined) return 'no current version is known';
  if (credential.paused !== undefined) return pauseText(credential.paused);
  if (credential.activeRotation !== undefined) return 'a rotation is under way';
  if (planOf(credential).rolledBack === true) {
    return 'its rotation was rolled back: rotate it by hand once the cause is removed';
  }
  return undefined;
}

/** What the planner knows about the version that is current now. */
export function planOf({ plan, current }: Pick<Planned, 'plan' | 'current'>): PlanState {
  const of = current?.versionId ?? '';
  return plan?.of === of ? plan : { of, attempts: 0 };
}

/** The plan without what it waited for. */
export function notWaiting({ waitsFor: _what, waitsSince: _when, ...plan }: PlanState): PlanState {
  return plan;
}

/** When the next attempt comes at the earliest; undefined where none will. */
export function nextStart(credential: Planned): Instant | undefined {
  const due = dueOf(credential);
  if (due === undefined || notPlanned(credential) !== undefined) return undefined;
  return later(due.startsAt, planOf(credential).notBefore);
}

/** What the planner has to do about a credential at a time. */
export interface Duties {
  readonly start: boolean;
  /** Whoever has to do it by hand is to be told. */
  readonly announce: boolean;
  /** The deadline has passed without a rotation. */
  readonly overdue: boolean;
  /** It ends soon by itself, although it was to be rotated long before. */
  readonly ending: boolean;
  /** Attempts have failed too often. */
  readonly escalate: boolean;
  /** The findings that hold now, where the audit trail has others. */
  readonly findings?: readonly Finding[];
}

/** Decides what is to be done now. Pure: the same head and time give the same answer. */
export function dutiesOf(credential: Planned, now: number): Duties {
  const past = (instant: Instant | undefined): boolean =>
    instant !== undefined && fromInstant(instant) <= now;
  const findings = findingsOf(credential, now);
  const known = isActive(credential) && sameKeys(findings, credential.flagged ?? []);
  return {
    start: past(nextStart(credential)),
    announce: past(announceAt(credential)),
    overdue: past(overdueAt(credential)),
    ending: past(endingAt(credential)),
    escalate: past(escalateAt(credential)),
    ...(known || !isActive(credential) ? {} : { findings }),
  };
}

/**
 * When the planner has to look at a credential: the sort key of its item in the calendar. It follows from the head alone,
 * so that it is written with the head; `dutiesOf` finds something to do from that instant on, and nothing before.
 * Undefined where only a change of the head can bring work.
 */
export function nextLook(credential: Planned): Instant | undefined {
  if (!isActive(credential)) return undefined;
  const looks = [
    nextStart(credential),
    announceAt(credential),
    overdueAt(credential),
    endingAt(credential),
    escalateAt(credential),
    findingsChangeAt(credential),
  ];
  return looks.filter((look) => look !== undefined).toSorted()[0];
}

function isActive({ status }: Planned): boolean {
  return status === 'active';
}

/** When the owner of what is replaced by hand is told; undefined where that was done, or Rekey rotates it itself. */
function announceAt(credential: Planned): Instant | undefined {
  return planOf(credential).announced === true ? undefined : taskSince(credential);
}

/** From when on a person is to replace a credential by hand; undefined where Rekey rotates it itself. */
export function taskSince(credential: Planned): Instant | undefined {
  const due = dueOf(credential);
  if (due === undefined || !isActive(credential) || !isTask(credential)) return undefined;
  const interval =
    (fromInstant(due.deadline) - fromInstant(credential.current?.issuedAt ?? due.deadline)) / 1000;
  return plusSeconds(due.deadline, -Math.min(TASK_LEAD_SECONDS, interval * LEAD_SHARE));
}

/** A pause or a rotation under way don't move the deadline; in mode observe it is nobody's promise, unless a person's task. */
function overdueAt(credential: Planned): Instant | undefined {
  if (!isActive(credential) || (credential.mode === 'observe' && !isTask(credential))) return undefined;
  return planOf(credential).overdue === true ? undefined : dueOf(credential)?.deadline;
}

/** What ends by itself is renewed by half of its life: whoever is told of its end was told before that it is overdue. */
function endingAt(credential: Planned): Instant | undefined {
  return planOf(credential).ending === true ? undefined : endsSoonFrom(credential);
}

/** From when on a credential counts as ending soon by itself; undefined where it has no end, or Rekey only looks at it. */
export function endsSoonFrom(credential: Pick<Planned, 'status' | 'mode' | 'current'>): Instant | undefined {
  const { issuedAt, endsAt } = credential.current ?? {};
  if (issuedAt === undefined || endsAt === undefined) return undefined;
  if (credential.status !== 'active' || credential.mode === 'observe') return undefined;
  const life = (fromInstant(endsAt) - fromInstant(issuedAt)) / 1000;
  return plusSeconds(endsAt, -Math.min(ENDING_LEAD_SECONDS, life * LEAD_SHARE));
}

function escalateAt(credential: Planned): Instant | undefined {
  const { attempts, escalated } = planOf(credential);
  return isActive(credential) && attempts >= ESCALATE_AFTER && escalated !== true
    ? credential.registeredAt
    : undefined;
}

/** At once where the trail has other findings than hold; else when the exception ends. */
function findingsChangeAt(credential: Planned): Instant | undefined {
  const flagged = credential.flagged ?? [];
  const ends = exceptionEndsAt(credential);
  const holdAt = (now: number): boolean => sameKeys(findingsOf(credential, now), flagged);
  if (ends === undefined) return holdAt(0) ? undefined : credential.registeredAt;
  if (holdAt(ends)) return undefined;
  return holdAt(ends - 1) ? toInstant(ends) : credential.registeredAt;
}

function sameKeys(findings: readonly Finding[], flagged: readonly string[]): boolean {
  return findings.length === flagged.length && findings.every(({ key }) => flagged.includes(key));
}

/**
 * The token of the next planned rotation, hence its id: a UUID (RFC 9562, version 8) that is the same for the same
 * version and attempt, whichever planner computes it.
 */
export function plannedToken(credential: Pick<Planned, 'id' | 'plan' | 'current'>, attempt: number): string {
  const { of } = planOf(credential);
  const hex = createHash('sha256').update(`${credential.id} ${of} ${attempt}`).digest('hex');
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `8${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}

/** Why a rotation that is due starts, in the words of the audit trail. */
export function reasonOf(credential: Planned, now: number): string {
  return `due by ${dueOf(credential)?.deadline ?? ''}; ${intervalText(credential, now)}`;
}

/** What the head says after a rotation was aborted; one that wasn't planned is its owner's to repeat. */
export function afterAbort(
  credential: Planned,
  { trigger }: Pick<Rotation, 'trigger'>,
  now: Instant,
): { plan?: PlanState } {
  if (trigger.kind !== 'planner') return {};
  const plan = planOf(credential);
  const pause = BACKOFF_SECONDS[plan.attempts] ?? BACKOFF_SECONDS.at(-1) ?? DAY;
  return { plan: { ...notWaiting(plan), attempts: plan.attempts + 1, notBefore: plusSeconds(now, pause) } };
}

/** What the head says after a rollback: a repetition by itself could harm the agents once more. */
export function afterRollback(credential: Planned): { plan: PlanState } {
  return { plan: { ...planOf(credential), rolledBack: true } };
}

/**
 * Days after which Secrets Manager's own schedule rotates (hard decision 11): the interval less a day, so that it fires
 * only where the planner hasn't. The service counts days in UTC and may rotate at any hour of the last one, hence up to a
 * day early; intervals under eight days, whose lead is shorter than two, get that day back.
 */
export function backstopDays({ policy }: Pick<Credential, 'policy'>): number {
  const { intervalSeconds, announceSeconds } = policy;
  const rotates = startAfterSeconds(intervalSeconds, policy) + announceSeconds;
  const days = Math.max(Math.floor(intervalSeconds / DAY) - 1, Math.ceil(rotates / DAY) + 1);
  return Math.min(MAX_INTERVAL_DAYS, days);
}

function later(one: Instant, other: Instant | undefined): Instant {
  return other === undefined || other < one ? one : other;
}
