import { errorsOf, RekeyError, throwAll } from './errors.ts';
import { requiredWindowSeconds, type ClientHolder, type Holder } from './holders.ts';

/** Whether Rekey may rotate at all, and whether it ends the old credential (design: users' seats). */
export type Mode = 'observe' | 'overlap' | 'enforce';

/** What happens when the deadline of a window passes and somebody still uses the old credential. */
export type AtDeadline = 'extend' | 'revoke';

/** An exception from a type's maximum, with an end (requirements: frequency follows sensitivity). */
export interface PolicyException {
  readonly reason: string;
  /** Date (YYYY-MM-DD) after which the exception no longer counts. */
  readonly expires: string;
}

/** All durations in seconds. */
export interface Policy {
  readonly intervalSeconds: number;
  readonly windowSeconds: number;
  /** The window's deadline; the window closes earlier once the proof is complete. */
  readonly deadlineSeconds: number;
  /** How far `extend` may go beyond the opening of the window. */
  readonly capSeconds: number;
  /** Between suspension (reversible) and revocation (final). */
  readonly soakSeconds: number;
  readonly announceSeconds: number;
  readonly atDeadline: AtDeadline;
  readonly access: 'read' | 'write';
  readonly sensitivity: 'normal' | 'sensitive';
  readonly exception?: PolicyException;
  /** Agents of kind `client` that move first; absent: all at once. */
  readonly canary?: Canary;
  /**
   * What counts as "no longer used" where the upstream tells of no use, or later than a window lasts: `holders`, what they
   * prove. Absent: that is missing proof (hard decision 8).
   */
  readonly evidenceOfUse?: 'holders';
}

/** A part of the instances that moves first; where their authentication errors rise, the rotation is rolled back. */
export interface Canary {
  readonly percent: number;
  /** How long the others stay on their version. */
  readonly seconds: number;
}

/**
 * Longest extension and longest soak: with the looks that they take, the history of the lifecycle stays under 10,000
 * events (hard decision 5; `secondsBetweenLooks`). A soak is one wait; certificates of two days ask for a little more than that.
 */
const MAX_CAP_SECONDS = 7 * 86_400;
const MAX_SOAK_SECONDS = 3 * 86_400;

/** Longest interval, whatever exception there is: Secrets Manager's own schedule takes 1,000 days at most. */
export const MAX_INTERVAL_DAYS = 1000;

/** Bounds for one credential type, in seconds. */
export interface TypeBounds {
  readonly maxIntervalSeconds: (access: Policy['access'], sensitivity: Policy['sensitivity']) => number;
  readonly window: { readonly min: number; readonly max: number; readonly default: number };
}

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Z2: 15 minutes to 4 hours, whatever the type. */
const WINDOW: TypeBounds['window'] = { min: 15 * MINUTE, max: 4 * HOUR, default: 30 * MINUTE };

/** C9: their owner's choice, as a person may have to do it; 90 days at most. */
const ROOT: TypeBounds = { maxIntervalSeconds: () => 90 * DAY, window: WINDOW };

const BOUNDS: Readonly<Record<string, TypeBounds>> = {
  /** C4: shorter for agents that write to sensitive tables. */
  database: {
    maxIntervalSeconds: (access, sensitivity) =>
      access === 'write' && sensitivity === 'sensitive' ? 7 * DAY : 30 * DAY,
    window: WINDOW,
  },
  /** C1. */
  'llm-key': { maxIntervalSeconds: () => 30 * DAY, window: WINDOW },
  /** C8: who may write can poison what every agent reads. */
  'vector-database-key': {
    maxIntervalSeconds: (access) => (access === 'write' ? 14 * DAY : 30 * DAY),
    window: WINDOW,
  },
  /** C3. */
  'cloud-key': { maxIntervalSeconds: () => 30 * DAY, window: WINDOW },
  /** C6; Z2's four hours don't bind signing keys (hard decision 10). */
  'signing-key': { maxIntervalSeconds: () => DAY, window: { ...WINDOW, max: 12 * HOUR } },
  /** C7. */
  'agent-token': { maxIntervalSeconds: () => 7 * DAY, window: WINDOW },
  /** C5: a CA signs for 30 days at most. It lives on while its leaves do, which Z2's four hours don't bind (hard decision 10). */
  'certificate-authority': { maxIntervalSeconds: () => 30 * DAY, window: { ...WINDOW, max: 7 * DAY } },
  /** C2: what a client says who it is with, apart from the tokens that it gets. */
  'oauth-client': { maxIntervalSeconds: () => 30 * DAY, window: WINDOW },
  root: ROOT,
  'database-root': ROOT,
};

/**
 * How the number of agents that share a credential shortens the interval that is computed for it (ADR 015): the blast
 * radius of a leak grows with it, so the time in which a leak may go unnoticed shrinks.
 */
const SHARING = [
  { upTo: 5, divisor: 1 },
  { upTo: 20, divisor: 2 },
  { upTo: Number.POSITIVE_INFINITY, divisor: 4 },
] as const;

/** More agents than this on one credential are flagged (requirements: isolation). */
export const SHARING_LIMIT: Readonly<Record<Policy['sensitivity'], number>> = { normal: 20, sensitive: 5 };

/** How many agents share a credential: its blast radius. Who only verifies has none. */
export function agentsOf(
  holders: readonly (Pick<Holder, 'agents'> & Partial<Pick<ClientHolder, 'verifies'>>)[],
): number {
  return holders.reduce((sum, { agents = 1, verifies }) => sum + (verifies === true ? 0 : agents), 0);
}

/** What the interval follows from, beside what is declared. */
export type Exposure = Pick<Policy, 'access' | 'sensitivity'> & { readonly agents: number };

/**
 * The interval that the policy engine computes: the type's maximum for that access and sensitivity, shorter where many
 * share it; whole days, at least one.
 */
export function computedIntervalSeconds(type: string, exposure: Exposure): number {
  const max = boundsOf(type).maxIntervalSeconds(exposure.access, exposure.sensitivity);
  const divisor = SHARING.find(({ upTo }) => exposure.agents <= upTo)?.divisor ?? 1;
  return divisor === 1 ? max : Math.max(DAY, Math.floor(max / divisor / DAY) * DAY);
}

/**
 * Only the local stage sets this: it divides the lower bounds of windows, so that a demo ends in minutes. The
 * settings of AWS stages refuse it; no decision depends on it otherwise.
 */
export interface PolicyLimits {
  /** Smallest window in seconds where shorter than the type's own minimum. */
  readonly minWindowSeconds?: number;
}

/** How far an upstream's view of use runs behind (`Usage.lagSeconds`): a window that is to see it lasts longer. */
export const LAG_MARGIN_SECONDS = 5 * MINUTE;

/** Bounds of `type`; ERR_DECLARATION where the type is unknown. */
export function boundsOf(type: string): TypeBounds {
  const bounds = BOUNDS[type];
  if (bounds === undefined) {
    throw new RekeyError('ERR_DECLARATION', `unknown credential type "${type}"`, {
      field: 'type',
      remedy: `use one of: ${Object.keys(BOUNDS).join(', ')}`,
    });
  }
  return bounds;
}

/** What a declaration may say; everything else has a default. Seconds throughout. */
export interface PolicyInput {
  readonly intervalSeconds?: number | undefined;
  readonly windowSeconds?: number | undefined;
  readonly deadlineSeconds?: number | undefined;
  readonly capSeconds?: number | undefined;
  readonly soakSeconds?: number | undefined;
  readonly announceSeconds?: number | undefined;
  readonly atDeadline?: AtDeadline | undefined;
  readonly access?: Policy['access'] | undefined;
  readonly sensitivity?: Policy['sensitivity'] | undefined;
  readonly exception?: PolicyException | undefined;
  readonly canary?: Canary | undefined;
  readonly evidenceOfUse?: 'source' | 'holders' | undefined;
}

/**
 * Completes and checks a policy.
 * @throws RekeyError ERR_POLICY (looser than the type's maximum without a valid exception, or times that contradict
 * each other) or ERR_WINDOW_TOO_SHORT (Z2), with the field at fault; its `also` has every further contradiction.
 */
export function resolvePolicy(
  type: string,
  input: PolicyInput,
  holders: readonly Holder[],
  now: number,
  limits: PolicyLimits = {},
): Policy {
  const bounds = boundsOf(type);
  const access = input.access ?? 'write';
  const sensitivity = input.sensitivity ?? 'normal';
  const maxInterval = bounds.maxIntervalSeconds(access, sensitivity);
  const required = requiredWindowSeconds(holders);
  const minWindow = limits.minWindowSeconds ?? bounds.window.min;
  const windowSeconds =
    input.windowSeconds ?? Math.min(bounds.window.max, Math.max(bounds.window.default, required));
  const deadlineSeconds = input.deadlineSeconds ?? Math.max(2 * windowSeconds, windowSeconds + 5 * MINUTE);
  const policy: Policy = {
    intervalSeconds:
      input.intervalSeconds ??
      computedIntervalSeconds(type, { access, sensitivity, agents: agentsOf(holders) }),
    windowSeconds,
    deadlineSeconds,
    capSeconds: input.capSeconds ?? Math.max(deadlineSeconds, 4 * HOUR),
    soakSeconds: input.soakSeconds ?? 5 * MINUTE,
    announceSeconds: input.announceSeconds ?? 0,
    atDeadline: input.atDeadline ?? 'extend',
    access,
    sensitivity,
    ...(input.exception === undefined ? {} : { exception: input.exception }),
    ...(input.canary === undefined ? {} : { canary: input.canary }),
    ...(input.evidenceOfUse === 'holders' ? { evidenceOfUse: 'holders' } : {}),
  };
  throwAll(
    errorsOf(
      () => assertInterval(policy, maxInterval, now),
      () => assertWindow(policy, required, minWindow, bounds.window.max),
      () => assertOrder(policy),
      () => assertCanary(policy, holders),
    ),
  );
  return policy;
}

/**
 * Refuses a policy that takes what may write for what only reads, and so may live longer (C8). `granted` is what the
 * target lets the credential do, where that is known.
 * @throws RekeyError ERR_POLICY
 */
export function assertAccess({ access }: Policy, granted: Policy['access'] | undefined): void {
  if (access === 'write' || granted !== 'write') return;
  throw new RekeyError('ERR_POLICY', 'the policy says read, and the target lets the credential write', {
    field: 'policy.access',
    remedy: 'leave policy.access out, or declare a target that may only read',
  });
}

/** When an exception no longer counts, in epoch milliseconds: at the end of its last day (UTC). */
export function exceptionEnds({ expires }: PolicyException): number {
  const last = Date.parse(`${expires}T00:00:00.000Z`);
  // A date that doesn't exist excepts nothing.
  return Number.isFinite(last) ? last + DAY * 1000 : 0;
}

function assertInterval(policy: Policy, maxInterval: number, now: number): void {
  if (policy.intervalSeconds <= maxInterval) return;
  if (policy.intervalSeconds > MAX_INTERVAL_DAYS * DAY) {
    throw new RekeyError(
      'ERR_POLICY',
      `an interval of ${days(policy.intervalSeconds)} is longer than Secrets Manager can keep (${MAX_INTERVAL_DAYS} days)`,
      {
        field: 'policy.interval',
        remedy: `set an interval of at most ${days(maxInterval)}; with policy.exception, of at most ${MAX_INTERVAL_DAYS} days`,
      },
    );
  }
  if (policy.exception !== undefined && exceptionEnds(policy.exception) > now) return;
  throw new RekeyError(
    'ERR_POLICY',
    policy.exception === undefined
      ? `an interval of ${days(policy.intervalSeconds)} is longer than this type's maximum of ${days(maxInterval)}`
      : `the exception for the interval expired on ${policy.exception.expires}`,
    {
      field: policy.exception === undefined ? 'policy.interval' : 'policy.exception.expires',
      remedy: `set an interval of at most ${days(maxInterval)}, or record policy.exception with a reason and a date still to come`,
    },
  );
}

function assertWindow(policy: Policy, required: number, min: number, max: number): void {
  if (policy.windowSeconds < required) {
    throw new RekeyError(
      'ERR_WINDOW_TOO_SHORT',
      `a window of ${policy.windowSeconds} s is too short for a holder that keeps a value for ${required / 2} s`,
      {
        field: 'policy.window',
        remedy: `use a window of at least ${required} s (twice the longest TTL), or shorten that holder's ttl`,
      },
    );
  }
  if (policy.windowSeconds < min || policy.windowSeconds > max) {
    throw new RekeyError(
      'ERR_POLICY',
      `a window of ${policy.windowSeconds} s is outside ${min} to ${max} s`,
      {
        field: 'policy.window',
        remedy: `use a window between ${min} and ${max} s; where a holder's TTL needs more, shorten the TTL`,
      },
    );
  }
}

/** Hard decision 4: it works inside the window, and leaves the others as much of it as it takes. */
function assertCanary({ canary, windowSeconds }: Policy, holders: readonly Holder[]): void {
  if (canary === undefined) return;
  if (!holders.some(({ kind }) => kind === 'client')) {
    throw new RekeyError('ERR_POLICY', 'nobody can move first: no holder is of kind client', {
      field: 'policy.canary',
      remedy: 'leave it out, or declare the agents that report their uses as holders of kind client',
    });
  }
  if (2 * canary.seconds <= windowSeconds) return;
  throw new RekeyError(
    'ERR_POLICY',
    `a canary of ${canary.seconds} s takes more than half of the window of ${windowSeconds} s`,
    {
      field: 'policy.canary.for',
      remedy: `use at most ${Math.floor(windowSeconds / 2)} s, or a longer window`,
    },
  );
}

function assertOrder(policy: Policy): void {
  const found: RekeyError[] = [];
  const fail = (field: string, message: string, remedy: string): void => {
    found.push(new RekeyError('ERR_POLICY', message, { field, remedy }));
  };
  if (policy.deadlineSeconds < policy.windowSeconds) {
    fail('policy.deadline', 'the deadline comes before the end of the window', 'raise policy.deadline');
  }
  if (policy.capSeconds > MAX_CAP_SECONDS) {
    fail(
      'policy.cap',
      `a cap of ${days(policy.capSeconds)} is longer than 7 days`,
      'set policy.cap to at most 7d',
    );
  }
  if (policy.soakSeconds > MAX_SOAK_SECONDS) {
    fail(
      'policy.soak',
      `a soak of ${days(policy.soakSeconds)} is longer than 3 days`,
      'set policy.soak to at most 3d',
    );
  }
  if (policy.capSeconds < policy.deadlineSeconds) {
    fail('policy.cap', 'the cap of an extension comes before the deadline', 'raise policy.cap');
  }
  // Hard decision 10: otherwise the next rotation would fall due before this one can have ended.
  const longest = policy.announceSeconds + policy.capSeconds + policy.soakSeconds;
  if (policy.intervalSeconds <= longest) {
    fail(
      'policy.interval',
      `the interval (${policy.intervalSeconds} s) must exceed announce + cap + soak (${longest} s)`,
      'lengthen policy.interval or shorten policy.cap',
    );
  }
  throwAll(found);
}

function days(seconds: number): string {
  return `${Number((seconds / DAY).toFixed(2))} days`;
}
