import type { Rule, RuleTarget } from '../domain/subscription.ts';

/** The rules of Rekey's bus that are subscriptions. Each call may be repeated. */
export interface Rules {
  /** How many rules the bus has, of whomever. */
  count(): Promise<number>;
  /** A page of the subscriptions' rules. */
  list(page?: string): Promise<{ rules: readonly Rule[]; next?: string }>;
  find(name: string): Promise<Rule | undefined>;
  /** Makes the rule, or brings it to this. */
  put(rule: Rule): Promise<void>;
  /** Targets of a rule; none where there is no such rule. */
  targets(rule: string): Promise<readonly RuleTarget[]>;
  /** @throws RekeyError ERR_REQUEST where EventBridge doesn't take the target. */
  putTarget(rule: string, target: RuleTarget): Promise<void>;
  /** Takes the rule away, with its targets; gone already is success. */
  remove(rule: string): Promise<void>;
}
