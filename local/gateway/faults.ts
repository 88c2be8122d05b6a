import type { CallKind } from './classify.ts';

/** What to do to a call that a rule matches. */
export type FaultAction =
  | { readonly kind: 'delay'; readonly ms: number }
  /** Refused as AWS throttles, without reaching the service. */
  | { readonly kind: 'throttle' }
  /** Answered with a server error, without reaching the service. */
  | { readonly kind: 'error'; readonly status?: number | undefined }
  /** Refused under a name and text of the service's own, without reaching it. */
  | { readonly kind: 'refuse'; readonly code: string; readonly message: string }
  /** The call is made, then the connection is cut before the answer. */
  | { readonly kind: 'lose-answer' }
  /** The connection is cut before the call is made. */
  | { readonly kind: 'drop' };

/** A rule; fields of `match` that are absent match everything, `*` at the end of one matches any rest. */
export interface FaultRule {
  readonly id?: string | undefined;
  readonly match?: { readonly [field in (typeof matchFields)[number]]?: string | undefined } | undefined;
  /** Only the nth matching call, from 1. */
  readonly nth?: number | undefined;
  /** At most so many calls. */
  readonly times?: number | undefined;
  readonly action: FaultAction;
}

/** What the rules together do to one call: delays add up, of the others the first counts. */
export interface Verdict {
  readonly delayMs: number;
  readonly action?: Exclude<FaultAction, { kind: 'delay' }>;
}

const matchFields = ['service', 'operation', 'function', 'resource'] as const;
const maxRules = 1_000;

/** The rules in force, and how often each was met. */
export class Faults {
  #rules: { readonly rule: FaultRule; met: number; applied: number }[] = [];

  /** Adds a rule and returns a function that takes it away again. */
  add(rule: FaultRule): () => void {
    if (this.#rules.length >= maxRules) throw new RangeError(`At most ${maxRules} fault rules`);
    const entry = { rule, met: 0, applied: 0 };
    this.#rules.push(entry);
    return () => {
      this.#rules = this.#rules.filter((other) => other !== entry);
    };
  }

  clear(): void {
    this.#rules = [];
  }

  list(): readonly { rule: FaultRule; met: number; applied: number }[] {
    return this.#rules.map((entry) => ({ ...entry }));
  }

  /** Decides what happens to a call and counts it. */
  judge(call: CallKind): Verdict {
    let delayMs = 0;
    let action: Verdict['action'];
    for (const entry of this.#rules) {
      if (!matches(entry.rule, call)) continue;
      entry.met++;
      const { nth, times } = entry.rule;
      if ((nth !== undefined && entry.met !== nth) || (times !== undefined && entry.applied >= times))
        continue;
      if (entry.rule.action.kind === 'delay') delayMs += entry.rule.action.ms;
      else if (action === undefined) action = entry.rule.action;
      else continue;
      entry.applied++;
    }
    return action === undefined ? { delayMs } : { delayMs, action };
  }
}

function matches(rule: FaultRule, call: CallKind): boolean {
  return matchFields.every((field) => {
    const wanted = rule.match?.[field];
    if (wanted === undefined) return true;
    const actual = call[field];
    if (actual === undefined) return false;
    return wanted.endsWith('*') ? actual.startsWith(wanted.slice(0, -1)) : actual === wanted;
  });
}
