import type { Pact } from './agents.ts';
import { dueOf, nextStart, notPlanned, planOf, type Planned } from './calendar.ts';
import { fromInstant, plusSeconds, toInstant } from './clock.ts';
import { pauseText, type Credential, type PlanState } from './credential.ts';
import type { Rotation } from './rotation.ts';

/** How long a rotation that another one goes before is put off each time. */
const ORDER_SECONDS = 15 * 60;

/** Names of the credentials that `pact` has beside `credential`, where it can change neither of them while it works. */
export function staggeredWith(pact: Pact | undefined, credential: string): string[] {
  const fixed = (pact?.credentials ?? [])
    .filter(({ refresh }) => refresh === 'between-sessions')
    .map((each) => each.credential);
  return fixed.includes(credential) ? fixed.filter((name) => name !== credential) : [];
}

/** Another credential, with its rotation where one is under way. */
export interface Neighbour {
  readonly credential: Credential;
  readonly rotation?: Rotation | undefined;
}

/** Other credentials that the start of a rotation depends on. */
export interface Neighbours {
  /** The credential that administers its target, where that is registered. */
  readonly master?: Neighbour | undefined;
  /** The master is administered by its own dependant, directly or not: neither goes first. */
  readonly circular?: boolean;
  /** Other credentials of an agent that changes them between its sessions only. */
  readonly staggered?: readonly (Neighbour & { readonly agent: string })[];
  /** Credentials under way whose targets it administers. */
  readonly dependants?: readonly Neighbour[];
}

/** What stands against the start of a rotation. */
export interface Obstacle {
  /** Nothing but a person breaks a `stagger`; an `order` is kept until the deadline of whoever waits. */
  readonly kind: 'stagger' | 'order';
  /** Which other credential, since when and why, in words. */
  readonly text: string;
}

/**
 * What stands against the start of a rotation now: a master goes before its dependants and never beside them, and an
 * agent that needs a gap between its sessions meets one rotation at a time.
 */
export function obstaclesOf(
  { master, circular = false, staggered = [], dependants = [] }: Neighbours,
  now: number,
): Obstacle[] {
  const mates = staggered.filter(isUnderWay).map(({ agent, ...mate }) => ({
    kind: 'stagger' as const,
    text: `${agent} changes credentials between its sessions, and ${rotating(mate)}`,
  }));
  const [first, ...others] = dependants;
  const more = others.length === 0 ? '' : `, and ${others.length} more`;
  const order = [
    ...(master === undefined ? [] : mastersTurn(master, circular, now)),
    ...(first === undefined ? [] : [`it is the administrative login of others: ${rotating(first)}${more}`]),
  ];
  return [...mates, ...order.map((text) => ({ kind: 'order' as const, text }))];
}

/**
 * Why the planner puts a start off, in words; undefined where it doesn't. Past the deadline an order no longer counts: a step
 * that meets a login in the middle of its change is repeated (`underMaster`).
 */
export function goesAfter(
  credential: Credential,
  obstacles: readonly Obstacle[],
  now: number,
): string | undefined {
  const deadline = dueOf(credential)?.deadline;
  const isLate = deadline !== undefined && fromInstant(deadline) <= now;
  return obstacles.find(({ kind }) => kind === 'stagger' || !isLate)?.text;
}

/** Whether a rotation of it is under way. */
export function isUnderWay({ credential }: Neighbour): boolean {
  return credential.activeRotation !== undefined;
}

function mastersTurn(master: Neighbour, circular: boolean, now: number): string[] {
  const { credential } = master;
  if (isUnderWay(master)) return [`its administrative login ${rotating(master)}`];
  if (credential.status === 'halted') {
    return [`its administrative login ${credential.name} is revoked and not replaced yet`];
  }
  return !circular && isDue(credential, now)
    ? [`its administrative login ${credential.name} is due, and goes first`]
    : [];
}

/** One that is put off itself is due all the while: those that it goes before would keep it waiting without end. */
function isDue(credential: Credential, now: number): boolean {
  const starts = nextStart(credential);
  return (
    starts !== undefined && (fromInstant(starts) <= now || waitOf(credential, now).waitsFor !== undefined)
  );
}

/** A wait that was looked at is the same one for so long after it was to be looked at again; longer, and something ended it. */
const SAME_WAIT_SECONDS = 60 * 60;

/** What is planned where another rotation goes first: this one comes again, and its deadline stays what it was. */
export function putOff(credential: Planned, waitsFor: string, now: number): PlanState {
  const plan = planOf(credential);
  const { waitsSince, notBefore } = plan;
  // A pause, another mode or a longer interval between two waits makes them two.
  const isSame = notBefore !== undefined && now < fromInstant(notBefore) + SAME_WAIT_SECONDS * 1000;
  const at = toInstant(now);
  return {
    ...plan,
    notBefore: plusSeconds(at, ORDER_SECONDS),
    waitsFor,
    waitsSince: isSame && waitsSince !== undefined ? waitsSince : at,
  };
}

/** For what a credential is put off, and since when; nothing where it isn't to start now, whatever it once waited for. */
export function waitOf(credential: Planned, now: number): Pick<PlanState, 'waitsFor' | 'waitsSince'> {
  const { waitsFor, waitsSince } = planOf(credential);
  const due = dueOf(credential);
  const isPutOff =
    due !== undefined && notPlanned(credential) === undefined && fromInstant(due.startsAt) <= now;
  if (!isPutOff || waitsFor === undefined) return {};
  return waitsSince === undefined ? { waitsFor } : { waitsFor, waitsSince };
}

function rotating({ credential: { name, paused }, rotation }: Neighbour): string {
  const about = [
    ...(rotation === undefined ? [] : [`since ${rotation.startedAt}`]),
    ...(rotation?.stuck === true ? ['needs a person'] : []),
    ...(paused === undefined ? [] : [pauseText(paused)]),
  ];
  return `${name} is being rotated${about.length === 0 ? '' : ` (${about.join('; ')})`}`;
}
