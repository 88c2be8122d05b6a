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
}

/** What was known when the decision was taken; goes into the audit record. */
export interface Proof {
  readonly complete: boolean;
  readonly usage: Usage;
  /** What was seen of the holders in this window, where any had to be looked at. */
  readonly holders?: readonly HolderEvidence[];
  /** Why the proof is incomplete, in words; empty when complete. */
  readonly missing: readonly string[];
}

export type WindowDecision =
  | { readonly kind: 'retire'; readonly proof: Proof; readonly stragglers: boolean }
  | { readonly kind: 'wait'; readonly until: Instant; readonly proof: Proof }
  /** Mode `overlap`: the old credential stays alive and the rotation is over. */
  | { readonly kind: 'keep'; readonly proof: Proof }
  /** Past the deadline with `extend`: somebody is paged once, the window stays open until the cap. */
  | { readonly kind: 'extend'; readonly until: Instant; readonly proof: Proof }
  /** Past the cap, or nothing that Rekey may decide: only an operator ends it. */
  | { readonly kind: 'hold'; readonly proof: Proof };

/**
 * Decides what a window does now. Pure: the same facts give the same answer.
 * Rules: Z1–Z3, P4, hard decisions 5, 8 and 10; a credential without a known holder is unproven, never proven.
 */
export function decideWindow(facts: WindowFacts): WindowDecision {
  const proof = proveMoved(facts);
  const { now, window } = facts;
  if (now < fromInstant(window.earliestClose)) return { kind: 'wait', until: window.earliestClose, proof };
  if (facts.mode !== 'enforce') return { kind: 'keep', proof };
  return decideEnd(facts, proof);
}

/**
 * Decides what follows the soak of a suspended credential. Whoever came in between the proof and the suspension works
 * on in a session, so the source is asked again; nobody can have come since, so TTLs no longer count. The deadline
 * means what it means for the window (hard decision 10).
 */
export function decideSoaked(facts: WindowFacts): Exclude<WindowDecision, { kind: 'keep' }> {
  const missing = stillUsed(facts.usage);
  return decideEnd(facts, { complete: missing.length === 0, usage: facts.usage, missing });
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

function decideEnd(facts: WindowFacts, proof: Proof): Exclude<WindowDecision, { kind: 'keep' }> {
  const { now, window } = facts;
  if (proof.complete) return { kind: 'retire', proof, stragglers: false };
  if (now < fromInstant(window.deadline)) return { kind: 'wait', until: nextWakeUp(facts), proof };
  if (givesUpStragglers(facts)) return { kind: 'retire', proof, stragglers: true };
  if (now < fromInstant(window.cap)) return { kind: 'extend', until: window.cap, proof };
  return { kind: 'hold', proof };
}

function proveMoved({ now, window, holders, holderEvidence, usage }: WindowFacts): Proof {
  const missing: string[] = [];
  if (holders.length === 0) missing.push('no holder is known: an empty set proves nothing');
  missing.push(...stillMissing(holders, window.opensAt, holderEvidence, now));
  missing.push(...stillUsed(usage));
  const seen = (holderEvidence ?? []).filter(({ opensAt }) => opensAt === window.opensAt);
  return {
    complete: missing.length === 0,
    usage,
    ...(seen.length === 0 ? {} : { holders: seen }),
    missing,
  };
}

function stillUsed(usage: Usage): string[] {
  if (usage === 'unknown') return ['use at the source is unknown, which is not "unused"'];
  if ((usage.sessions ?? 0) > 0) return [`${usage.sessions} sessions are still open at the source`];
  if (usage.lastSeen === null) return [];
  const quiet = (fromInstant(usage.observedAt) - fromInstant(usage.lastSeen)) / 1000;
  return quiet > usage.lagSeconds
    ? []
    : [`seen at the source ${Math.round(quiet)} s ago (lag ${usage.lagSeconds} s)`];
}

/** Spreads the wake-ups that are left over the time to the deadline; the last one is the deadline itself. */
function nextWakeUp({ now, window, wakeUps }: WindowFacts): Instant {
  const deadline = fromInstant(window.deadline);
  const left = Math.max(1, MAX_WAKE_UPS - wakeUps);
  return toInstant(Math.min(deadline, now + Math.ceil((deadline - now) / left)));
}
