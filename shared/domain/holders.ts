import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';

/** What every holder has, whatever its kind. */
interface Named {
  readonly name: string;
  /** How many instances share the credential; counts for the blast radius. */
  readonly agents?: number;
  /** ARN of the role or user that it reads the secret as: reads by anybody else are told apart (docs/holders.md). */
  readonly principal?: string;
}

/** Reads the secret again and again. */
export interface PollingHolder extends Named {
  readonly kind: 'polling';
  /** Longest time, in seconds, that the holder may keep a value after it has changed. */
  readonly ttlSeconds: number;
}

/** An ECS service into whose tasks the value is injected when they start: only a new task has the new one. */
export interface EcsRestartHolder extends Named {
  readonly kind: 'ecs-restart';
  readonly cluster: string;
  readonly service: string;
}

/** A Lambda function. Its sandboxes freeze, and timers with them, so that only an invocation tells how old a value is. */
export interface LambdaHolder extends Named {
  readonly kind: 'lambda';
  /** Name as its callers use it, with the alias where they use one: `orders:live`. */
  readonly function: string;
  /** The function asks the age of its value at each invocation; absent where it reads the value once per sandbox. */
  readonly ttlSeconds?: number;
}

/** Moves by hand; a person confirms it. */
export interface ManualHolder extends Named {
  readonly kind: 'manual';
}

/** Somebody who uses the credential, and by what kind of proof Rekey knows that they have moved. */
export type Holder = PollingHolder | EcsRestartHolder | LambdaHolder | ManualHolder;

/** Longest that one invocation may last, and with it the use of a value read before it (Lambda quotas). */
export const LAMBDA_MAX_SECONDS = 900;

/** What was last seen of a holder since a window opened. That of another window says nothing about this one. */
export type HolderEvidence = {
  readonly holder: string;
  /** The window, by its opening. */
  readonly opensAt: Instant;
  readonly observedAt: Instant;
  /** Why the last look failed, in words. What was seen before it still counts. */
  readonly trouble?: string;
} & (
  | {
      readonly kind: 'ecs-restart';
      /** Tasks that were started before the window opened and have not stopped yet; absent before the first look. */
      readonly olderTasks?: number;
      /** State of the service's newest deployment; absent where ECS tells none. */
      readonly deployment?: string;
      /** When Rekey decided to redeploy the service: recorded before it does, and once per window. */
      readonly restartIntendedAt?: Instant;
    }
  | {
      readonly kind: 'lambda';
      /** First look that found what callers reach made after the opening; absent before. */
      readonly refreshedSeenAt?: Instant;
    }
  | {
      readonly kind: 'manual';
      /** ARN of who confirmed that the holder has moved. */
      readonly actor: string;
    }
);

/** A service of ECS as far as the proof needs it. */
export interface EcsService {
  readonly deployments: readonly {
    readonly createdAt: Instant;
    readonly primary: boolean;
    /** `rolloutState`; services that another controller deploys have none. */
    readonly state?: string;
  }[];
  /** When each task that has not stopped was created, those on their way out included. */
  readonly tasks: readonly Instant[];
}

/** A function as its callers reach it. */
export interface LambdaFunction {
  /** When the configuration or version behind the name was made; absent while an update is under way. */
  readonly modifiedAt?: Instant;
  /** Why nothing can be said about it, e.g. an alias that splits its traffic. */
  readonly unclear?: string;
}

/** Twice the longest TTL among `holders`, in seconds (Z2: a 15-minute TTL takes 30 minutes, a 1-hour TTL two hours). */
export function requiredWindowSeconds(holders: readonly Holder[]): number {
  return 2 * Math.max(0, ...holders.map((holder) => ('ttlSeconds' in holder ? (holder.ttlSeconds ?? 0) : 0)));
}

/** Whether Rekey has to look elsewhere for a holder's proof: time alone proves the others. */
export function needsLook(holder: Holder): holder is EcsRestartHolder | LambdaHolder {
  return holder.kind === 'ecs-restart' || (holder.kind === 'lambda' && holder.ttlSeconds === undefined);
}

/** What is known of `holder` since the window opened that `opensAt` names. */
export function evidenceOf(
  evidence: readonly HolderEvidence[] | undefined,
  holder: Holder,
  opensAt: Instant,
): HolderEvidence | undefined {
  return evidence?.find(
    (each) => each.holder === holder.name && each.kind === holder.kind && each.opensAt === opensAt,
  );
}

/** `evidence` with one entry replaced; entries of other windows of the rotation go. */
export function withEvidence(
  evidence: readonly HolderEvidence[] | undefined,
  entry: HolderEvidence,
): HolderEvidence[] {
  const rest = (evidence ?? []).filter(
    (each) => each.opensAt === entry.opensAt && each.holder !== entry.holder,
  );
  return [...rest, entry];
}

/**
 * Why `holder` may still use the value of before the opening, in words; undefined where it is proven that it can't.
 * Pure, and each kind by its own proof (design, "Decisions from the users' seats"; docs/holders.md).
 */
export function whyNotMoved(
  holder: Holder,
  opensAt: Instant,
  evidence: readonly HolderEvidence[] | undefined,
  now: number,
): string | undefined {
  const { name } = holder;
  const until = (since: Instant, seconds: number): boolean => now < fromInstant(since) + seconds * 1000;
  const seen = evidenceOf(evidence, holder, opensAt);
  const because = seen?.trouble === undefined ? '' : `: ${seen.trouble}`;
  switch (holder.kind) {
    case 'polling':
      return until(opensAt, holder.ttlSeconds)
        ? `${name} may still keep the old value (ttl ${holder.ttlSeconds} s)`
        : undefined;
    case 'lambda': {
      if (holder.ttlSeconds !== undefined) {
        return until(opensAt, holder.ttlSeconds + LAMBDA_MAX_SECONDS)
          ? `${name} may still work with the old value (ttl ${holder.ttlSeconds} s, then an invocation of up to ${LAMBDA_MAX_SECONDS} s)`
          : undefined;
      }
      const refreshed = seen?.kind === 'lambda' ? seen.refreshedSeenAt : undefined;
      if (refreshed === undefined) {
        return `${name}: the function ${holder.function} is not known to be newer than the window${because}`;
      }
      return until(refreshed, LAMBDA_MAX_SECONDS)
        ? `${name} may still run an invocation that began before the function was replaced`
        : undefined;
    }
    case 'ecs-restart': {
      const of = `the service ${holder.cluster}/${holder.service}`;
      if (seen?.kind !== 'ecs-restart' || seen.olderTasks === undefined) {
        return `${name}: ${of} has not been seen since the window opened${because}`;
      }
      if (seen.olderTasks > 0) {
        return `${name}: ${of} still runs ${seen.olderTasks} tasks from before the window${because}`;
      }
      return seen.deployment === undefined || seen.deployment === 'COMPLETED'
        ? undefined
        : `${name}: the deployment of ${of} is ${seen.deployment}${because}`;
    }
    case 'manual':
      return seen === undefined
        ? `${name} moves by hand, and nobody has confirmed it (rekey confirm)`
        : undefined;
  }
}

/** Whether ECS has begun to deploy `service` since the window opened, whoever asked for it. */
export function redeployedSince(service: EcsService, opensAt: Instant): boolean {
  return service.deployments.some(({ createdAt }) => createdAt >= opensAt);
}

/** What a look at a service proves. ECS injects a value after it has created the task, so the creation decides. */
export function lookAtService(
  service: EcsService,
  opensAt: Instant,
): { olderTasks: number; deployment?: string } {
  const state = service.deployments.find(({ primary }) => primary)?.state;
  return {
    olderTasks: service.tasks.filter((createdAt) => createdAt < opensAt).length,
    ...(state === undefined ? {} : { deployment: state }),
  };
}

/**
 * What a look at a function proves. The instant of the look counts, not that of the change: until then some callers may
 * have reached the former version.
 */
export function lookAtFunction(
  { modifiedAt, unclear }: LambdaFunction,
  opensAt: Instant,
  before: Instant | undefined,
  now: number,
): { refreshedSeenAt?: Instant; trouble?: string } {
  if (unclear !== undefined) return { trouble: unclear };
  if (modifiedAt === undefined) return { trouble: 'an update of it is under way' };
  // Lambda tells whole seconds at times: an instant that was cut off must not count as later than it was, nor a change
  // of the same second as newer than the window.
  if (modifiedAt <= plusSeconds(opensAt, 1)) return { trouble: `it was last changed at ${modifiedAt}` };
  return { refreshedSeenAt: before ?? toInstant(now) };
}
