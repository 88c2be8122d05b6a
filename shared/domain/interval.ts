import { fromInstant, toInstant, type Instant } from './clock.ts';
import type { Credential } from './credential.ts';
import { agentsOf, boundsOf, computedIntervalSeconds, exceptionEnds, SHARING_LIMIT } from './policy.ts';

/** What the interval of a credential follows from. */
export type Governed = Pick<Credential, 'type' | 'policy' | 'holders'>;

/** Something about a policy that somebody should look at. */
export interface Finding {
  /** Known to the audit trail by it: the same finding again is no news. */
  readonly key: string;
  readonly text: string;
}

interface Limits {
  readonly max: number;
  readonly computed: number;
  readonly agents: number;
}

function limitsOf({ type, policy, holders }: Governed): Limits {
  const agents = agentsOf(holders);
  return {
    max: boundsOf(type).maxIntervalSeconds(policy.access, policy.sensitivity),
    computed: computedIntervalSeconds(type, { ...policy, agents }),
    agents,
  };
}

/** When the exception that lets a policy exceed its type's maximum ends; undefined where it needs none. */
export function exceptionEndsAt(governed: Governed): number | undefined {
  const { intervalSeconds, exception } = governed.policy;
  if (intervalSeconds <= limitsOf(governed).max) return undefined;
  return exception === undefined ? 0 : exceptionEnds(exception);
}

/** The interval that counts at a time: what is declared, or the type's maximum once an exception has ended. */
export function effectiveIntervalSeconds(governed: Governed, now: number): number {
  const ends = exceptionEndsAt(governed);
  return ends !== undefined && now >= ends ? limitsOf(governed).max : governed.policy.intervalSeconds;
}

/**
 * When a credential that was issued then has to be rotated: the first moment at which it is older than the interval that
 * counts at that moment. An exception that ends meanwhile pulls it forward, but never before its own end.
 */
export function deadlineOf(governed: Governed, issuedAt: Instant): Instant {
  const issued = fromInstant(issuedAt);
  const declared = issued + governed.policy.intervalSeconds * 1000;
  const ends = exceptionEndsAt(governed);
  if (ends === undefined || declared <= ends) return toInstant(declared);
  return toInstant(Math.max(ends, issued + limitsOf(governed).max * 1000));
}

/** What stands out about a policy at a time (requirements: exceptions are recorded, sharing above a limit is flagged). */
export function findingsOf(governed: Governed, now: number): Finding[] {
  const { policy } = governed;
  const { max, computed, agents } = limitsOf(governed);
  const findings: Finding[] = [];
  const limit = SHARING_LIMIT[policy.sensitivity];
  if (agents > limit) {
    findings.push({
      key: 'shared',
      text: `${agents} agents share it, more than ${limit}: give each fleet a credential of its own`,
    });
  }
  const until = policy.exception?.expires ?? 'never';
  if (policy.intervalSeconds > max) {
    findings.push(
      now < (exceptionEndsAt(governed) ?? 0)
        ? {
            key: `exception until ${until}`,
            text: `exception from the maximum of ${spanText(max)} until ${until}: ${policy.exception?.reason ?? ''}`,
          }
        : {
            key: `exception expired ${until}`,
            text: `the exception for ${spanText(policy.intervalSeconds)} expired on ${until}: ${spanText(max)} count`,
          },
    );
  } else if (policy.intervalSeconds > computed) {
    findings.push({
      key: 'looser',
      text: `${spanText(policy.intervalSeconds)} are declared, ${spanText(computed)} are computed for ${exposureText(governed)}`,
    });
  }
  return findings;
}

/** What set the interval that counts at a time, in words. */
export function intervalText(governed: Governed, now: number): string {
  const { policy } = governed;
  const { max, computed } = limitsOf(governed);
  const every = `every ${spanText(effectiveIntervalSeconds(governed, now))}`;
  const ends = exceptionEndsAt(governed);
  if (ends !== undefined) {
    return now < ends
      ? `${every}: exception until ${policy.exception?.expires ?? ''} (${policy.exception?.reason ?? ''})`
      : `${every}: the maximum of its type, since the exception has expired`;
  }
  if (policy.intervalSeconds === computed) return `${every}: computed for ${exposureText(governed)}`;
  const order = policy.intervalSeconds < computed ? 'tighter' : 'looser';
  const atMost = policy.intervalSeconds === max ? ', the maximum of its type' : '';
  return `${every}: declared${atMost}, ${order} than the ${spanText(computed)} computed for ${exposureText(governed)}`;
}

function exposureText({ policy, holders }: Governed): string {
  const agents = agentsOf(holders);
  const who = agents === 0 ? 'no known agent' : agents === 1 ? '1 agent' : `${agents} agents`;
  return `${policy.access} access to ${policy.sensitivity} data by ${who}`;
}

const SPANS = [
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const;

/** A span in the largest unit that divides it: `30 days`, `36 hours`. */
export function spanText(seconds: number): string {
  const [unit, size] = SPANS.find(([, each]) => seconds % each === 0) ?? (['second', 1] as const);
  const count = Math.round(seconds / size);
  return `${count} ${unit}${count === 1 ? '' : 's'}`;
}
