import { boundedHolders, boundedMissing, type LeftOut } from './bounded-proof.ts';
import type { CanarySeen } from './canary-look.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Usage } from './evidence.ts';
import { stillMissing, type HolderEvidence } from './holder-evidence.ts';
import type { Holder } from './holders.ts';
import type { Mode, Policy } from './policy.ts';
import type { Window } from './rotation.ts';

/** Timed wake-ups that a window may use before its deadline (hard decision 5: windows don't poll). */
export const MAX_WAKE_UPS = 3;

/**
 * Looks that the longest extension may take. Each is up to 25 events in the history of the lifecycle (evidence of the
 * holders, decision, at worst a step of the retirement), which must stay under 10,000 (hard decision 5).
 */
export const MAX_LOOKS = 360;

/** Time between two looks in an extension: a window's length, or more where the cap is far away. */
export function secondsBetweenLooks({ windowSeconds, capSeconds }: Policy): number {
  return Math.max(windowSeconds, Math.ceil(capSeconds / MAX_LOOKS));
}

/** The window that opens at `opensAt` under `policy` (Z2). */
export function openWindow(policy: Policy, opensAt: Instant): Window {
  return {
    opensAt,
    earliestClose: plusSeconds(opensAt, policy.windowSeconds),
    deadline: plusSeconds(opensAt, policy.deadlineSeconds),
    cap: plusSeconds(opensAt, policy.capSeconds),
  };
}

/** When a window is looked at first: once those who move first have moved, where some do, else when it may close. */
export function firstLook({ canary }: Policy, { opensAt, earliestClose }: Window): Instant {
  return canary === undefined ? earliestClose : plusSeconds(opensAt, canary.seconds);
}

/**
 * `window` once a pause has ended at `now`: the time since `pausedAt` doesn't count, so that what was left until deadline
 * and cap is left again. Holders move and TTLs pass meanwhile as ever, so its earliest end stays.
 */
export function withoutPause<W extends Pick<Window, 'opensAt' | 'deadline' | 'cap'>>(
  window: W,
  pausedAt: Instant,
  now: number,
): W {
  const lost = (now - Math.max(fromInstant(pausedAt), fromInstant(window.opensAt))) / 1000;
  if (lost <= 0) return window;
  return { ...window, deadline: plusSeconds(window.deadline, lost), cap: plusSeconds(window.cap, lost) };
}

export interface WindowFacts {
  readonly now: number;
  readonly window: Window;
  readonly policy: Policy;
  readonly mode: Mode;
  readonly holders: readonly Holder[];
  /** What was seen of them; absent in what older versions wrote, and where time alone proves them. */
  readonly holderEvidence?: readonly HolderEvidence[] | undefined;
  /** Use of the loser, read at its source. */
  readonly usage: Usage;
  readonly wakeUps: number;
  /** What the instances that move first show; absent where nobody does, and once it has been observed. */
  readonly canary?: CanarySeen | undefined;
}

/** What was known when the decision was taken; goes into the audit record. */
export interface Proof {
  readonly complete: boolean;
  readonly usage: Usage;
  /** What was seen of the holders in this window, where any had to be looked at. */
  readonly holders?: readonly HolderEvidence[];
  /** Those of whom a record has no room for more. */
  readonly left?: LeftOut;
  /** Why the proof is incomplete, in words; empty when complete. */
  readonly missing: readonly string[];
}

export type WindowDecision =
  | { readonly kind: 'retire'; readonly proof: Proof; readonly stragglers: boolean }
  /** `canary`: their time is over, and what they show is to be recorded before anything else is decided. */
  | { readonly kind: 'wait'; readonly until: Instant; readonly proof: Proof; readonly canary?: CanarySeen }
  /** Those who moved first are refused: the others shall not move at all. */
  | { readonly kind: 'roll-back'; readonly canary: CanarySeen; readonly proof: Proof }
  /** Mode `overlap`: the old credential stays alive and the rotation is over. */
  | { readonly kind: 'keep'; readonly proof: Proof }
  /** Past the deadline with `extend`: somebody is paged once, the window stays open until the cap. */
  | { readonly kind: 'extend'; readonly until: Instant; readonly proof: Proof }
  /** Past the cap, or nothing that Rekey may decide: only an operator ends it. */
  | { readonly kind: 'hold'; readonly proof: Proof };

type EndDecision = Exclude<WindowDecision, { kind: 'keep' | 'roll-back' }>;

/**
 * Decides what a window does now. Pure: the same facts give the same answer.
 * Rules: Z1–Z3, P4, hard decisions 5, 8 and 10; a credential without a known holder is unproven, never proven.
 */
export function decideWindow(facts: WindowFacts): WindowDecision {
  const proof = proveMoved(facts);
  const until = earliestEnd(facts);
  const { now, canary } = facts;
  if (canary !== undefined) return lookAtFirst(canary, now, until, proof);
  if (now < fromInstant(until)) return { kind: 'wait', until, proof };
  if (facts.mode !== 'enforce') return { kind: 'keep', proof };
  return decideEnd(facts, proof);
}

/** Whose uses are refused more often since: somebody may need what is suspended now. */
function refusedSince({ holderEvidence, window }: WindowFacts): string[] {
  return (holderEvidence ?? []).flatMap((each) =>
    each.kind === 'client' && each.opensAt === window.opensAt && each.authentication?.risen === true
      ? [`${each.holder}: authentication errors have risen`]
      : [],
  );
}

/**
 * Those who move first are looked at before anything else is decided, however late the look comes: what nobody has looked at
 * isn't quiet. Until then the old credential lives, so that even a late rise rolls back.
 */
function lookAtFirst(canary: CanarySeen, now: number, until: Instant, proof: Proof): WindowDecision {
  if (canary.outcome === 'risen') return { kind: 'roll-back', canary, proof };
  return now < fromInstant(canary.endsAt)
    ? { kind: 'wait', until: canary.endsAt, proof }
    : { kind: 'wait', until: toInstant(Math.max(now, fromInstant(until))), proof, canary };
}

/**
 * Decides what follows the soak of a suspended credential. Whoever came in between the proof and the suspension works
 * on in a session, so the source is asked again, and agents whether they are refused more often since; nobody can have
 * come since, so TTLs no longer count. The deadline means what it means for the window (hard decision 10).
 */
export function decideSoaked(facts: WindowFacts): EndDecision {
  const missing = [...stillUsed(facts), ...refusedSince(facts)];
  return decideEnd(facts, proofOf(facts, missing));
}

/**
 * Twice the longest TTL has passed, of pacts as well that were registered or lengthened after the window had been
 * checked against them (Z2); the cap bounds it all the same.
 */
function earliestEnd({ window, holderEvidence }: WindowFacts): Instant {
  const { opensAt, earliestClose, cap } = window;
  const longest = (holderEvidence ?? [])
    .filter((each) => each.kind === 'client' && each.opensAt === opensAt)
    .reduce((most, each) => Math.max(most, each.kind === 'client' ? each.ttlSeconds : 0), 0);
  const twice = plusSeconds(opensAt, 2 * longest);
  if (twice <= earliestClose) return earliestClose;
  return twice < cap ? twice : cap;
}

/** Whether the policy has given up on those who haven't moved: only then their sessions may be ended. */
export function givesUpStragglers({
  now,
  window,
  policy,
  holders,
}: Pick<WindowFacts, 'now' | 'window' | 'policy' | 'holders'>): boolean {
  return now >= fromInstant(window.deadline) && policy.atDeadline === 'revoke' && holders.length > 0;
}

function decideEnd(facts: WindowFacts, proof: Proof): EndDecision {
  const { now, window } = facts;
  if (proof.complete) return { kind: 'retire', proof, stragglers: false };
  if (now < fromInstant(window.deadline)) return { kind: 'wait', until: nextWakeUp(facts), proof };
  if (givesUpStragglers(facts)) return { kind: 'retire', proof, stragglers: true };
  if (now < fromInstant(window.cap)) return { kind: 'extend', until: window.cap, proof };
  return { kind: 'hold', proof };
}

function proveMoved(facts: WindowFacts): Proof {
  const { now, window, holders, holderEvidence } = facts;
  const missing: string[] = [];
  if (holders.length === 0) missing.push('no holder is known: an empty set proves nothing');
  missing.push(...stillMissing(holders, window.opensAt, holderEvidence, now));
  missing.push(...stillUsed(facts));
  return proofOf(facts, missing);
}

/** With what was seen of the holders in this very window. */
function proofOf(
  { window, holderEvidence, usage }: Pick<WindowFacts, 'window' | 'holderEvidence' | 'usage'>,
  missing: readonly string[],
): Proof {
  const seen = (holderEvidence ?? []).filter(({ opensAt }) => opensAt === window.opensAt);
  return {
    complete: missing.length === 0,
    usage,
    ...(seen.length === 0 ? {} : boundedHolders(seen)),
    missing: boundedMissing(missing),
  };
}

/**
 * What the source says against the end of the old one. Unseen means quiet, since the opening at least, for longer than the
 * source's view runs behind. What the source can't tell the holders' proof may replace, by policy (hard decision 8); use
 * since the opening that it does tell of counts whatever the policy says.
 */
function stillUsed({ usage, policy, window }: Pick<WindowFacts, 'usage' | 'policy' | 'window'>): string[] {
  const isReplaced = policy.evidenceOfUse === 'holders';
  if (usage === 'unknown') return isReplaced ? [] : ['use at the source is unknown, which is not "unused"'];
  if ((usage.sessions ?? 0) > 0) return [`${usage.sessions} sessions are still open at the source`];
  const { lastSeen, observedAt, lagSeconds } = usage;
  const since = (instant: Instant): number => (fromInstant(observedAt) - fromInstant(instant)) / 1000;
  if (lastSeen !== null && lastSeen > window.opensAt && since(lastSeen) <= lagSeconds)
    return [`seen at the source ${Math.round(since(lastSeen))} s ago (lag ${lagSeconds} s)`];
  if (isReplaced || lagSeconds === 0 || since(window.opensAt) > lagSeconds) return [];
  return [`what the source shows is up to ${lagSeconds} s old: nothing of it is about this window yet`];
}

/** Spreads the wake-ups that are left over the time to the deadline; the last one is the deadline itself. */
function nextWakeUp({ now, window, wakeUps }: WindowFacts): Instant {
  const deadline = fromInstant(window.deadline);
  const left = Math.max(1, MAX_WAKE_UPS - wakeUps);
  return toInstant(Math.min(deadline, now + Math.ceil((deadline - now) / left)));
}
