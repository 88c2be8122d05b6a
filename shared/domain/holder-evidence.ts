import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Holder } from './holders.ts';
import type { Named } from './named.ts';

/** Longest that one invocation may last, and with it the use of a value read before it (Lambda quotas). */
export const LAMBDA_MAX_SECONDS = 900;

/** How long a deployment that was asked for may stay unseen before it is asked for again. */
const UNSEEN_SECONDS = 20;

interface Seen {
  readonly holder: string;
  /** The window, by its opening: evidence of one window says nothing about another. */
  readonly opensAt: Instant;
  readonly observedAt: Instant;
  /** Why the last look failed or shows nothing, in words. What was seen before it still counts. */
  readonly trouble?: string;
}

export interface EcsEvidence extends Seen {
  readonly kind: 'ecs-restart';
  /** Tasks that were started before the window opened and have not stopped yet; absent before the first look. */
  readonly olderTasks?: number;
  /** State of the service's newest deployment; absent where ECS tells none. */
  readonly deployment?: string;
  /** When Rekey decided to redeploy the service: recorded before it does. */
  readonly restartIntendedAt?: Instant;
  /** A deployment has begun since the opening, whoever asked for it: Rekey asks for no other. */
  readonly redeployed?: boolean;
}

export interface LambdaEvidence extends Seen {
  readonly kind: 'lambda';
  /** First look that found what callers reach made after the opening; absent before. */
  readonly refreshedSeenAt?: Instant;
}

export interface ManualEvidence extends Seen {
  readonly kind: 'manual';
  /** ARN of who confirmed that the holder has moved. */
  readonly actor: string;
}

/** Uses that agents have reported. */
export interface Uses {
  readonly succeeded: number;
  /** Refused by the upstream as unauthenticated. */
  readonly refused: number;
}

/** Authentication errors of late, beside those of as long a time before the window opened (P4). */
export interface Authentication extends Uses {
  readonly from: Instant;
  readonly to: Instant;
  readonly before: Uses;
  readonly risen: boolean;
  /** Agents that have said that they report, and have reported nothing although they are in session. */
  readonly silent: Named;
}

/**
 * What an agent and its sub-agents have said and shown, at the look; never stored, since each decision looks anew. The
 * acknowledgements themselves are items of their own: by `rotation` and `opensAt` (hard decision 13).
 */
export interface ClientEvidence extends Seen {
  readonly kind: 'client';
  readonly rotation: string;
  /** Version of each pact, by agent. */
  readonly pacts: Readonly<Record<string, number>>;
  /** Longest `ttl` in these pacts. */
  readonly ttlSeconds: number;
  /** Sessions that were open in the window, and those of them that have moved or ended. */
  readonly sessions: number;
  readonly moved: number;
  /** Instances that haven't acknowledged. */
  readonly waiting: Named;
  /** Instances that are silent and may still work. */
  readonly lost: Named;
  /** Instances that were seen with another version after they had acknowledged. */
  readonly contradicted: Named;
  readonly acknowledgements: number;
  /** SHA-256 over the acknowledgements as canonical JSON (RFC 8785), by agent and session. */
  readonly digest: string;
  readonly authentication?: Authentication;
  /** Why it hasn't moved, in words; empty where that is proven. */
  readonly missing: readonly string[];
}

/** What was last seen of a holder since a window opened. */
export type HolderEvidence = EcsEvidence | LambdaEvidence | ManualEvidence | ClientEvidence;

/** A service of ECS as far as the proof needs it. */
export interface EcsService {
  readonly deployments: readonly {
    readonly createdAt: Instant;
    readonly primary: boolean;
    /** `rolloutState`; services that another controller deploys have none. */
    readonly state?: string;
  }[];
  /** When each task was created whose containers may still run, those on their way out included. */
  readonly tasks: readonly Instant[];
}

/** A function as its callers reach it. */
export interface LambdaFunction {
  /** When the configuration or version behind the name was made; absent while an update is under way. */
  readonly modifiedAt?: Instant;
  /** Why nothing can be said about it, e.g. an alias that splits its traffic. */
  readonly unclear?: string;
}

/** A look: at whom, in which window, when. */
export interface Look {
  readonly holder: string;
  readonly opensAt: Instant;
  readonly now: number;
}

/** What is known of `holder` since the window opened that `opensAt` names. */
export function evidenceOf<K extends HolderEvidence['kind']>(
  evidence: readonly HolderEvidence[] | undefined,
  holder: { readonly kind: K; readonly name: string },
  opensAt: Instant,
): Extract<HolderEvidence, { kind: K }> | undefined {
  return evidence?.find(
    (each): each is Extract<HolderEvidence, { kind: K }> =>
      each.kind === holder.kind && each.holder === holder.name && each.opensAt === opensAt,
  );
}

/** `evidence` with entries replaced; what belongs to another window of the rotation goes. */
export function withEvidence(
  evidence: readonly HolderEvidence[] | undefined,
  entries: readonly HolderEvidence[],
  opensAt: Instant,
): HolderEvidence[] {
  const replaced = new Set(entries.map(({ holder }) => holder));
  return [
    ...(evidence ?? []).filter((each) => each.opensAt === opensAt && !replaced.has(each.holder)),
    ...entries,
  ];
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
  const before = (since: Instant, seconds: number): boolean => now < fromInstant(since) + seconds * 1000;
  switch (holder.kind) {
    case 'polling':
      return before(opensAt, holder.ttlSeconds)
        ? `${name} may still keep the old value (ttl ${holder.ttlSeconds} s)`
        : undefined;
    case 'lambda': {
      if (holder.ttlSeconds !== undefined) {
        return before(opensAt, holder.ttlSeconds + LAMBDA_MAX_SECONDS)
          ? `${name} may still work with the old value (ttl ${holder.ttlSeconds} s, and then an invocation)`
          : undefined;
      }
      const seen = evidenceOf(evidence, { kind: 'lambda', name }, opensAt);
      if (seen?.refreshedSeenAt === undefined) {
        return `${name}: the function ${holder.function} is not known to be newer than the window${because(seen)}`;
      }
      return before(seen.refreshedSeenAt, LAMBDA_MAX_SECONDS)
        ? `${name} may still run an invocation that began before the function was replaced`
        : undefined;
    }
    case 'ecs-restart': {
      const seen = evidenceOf(evidence, { kind: 'ecs-restart', name }, opensAt);
      const service = `${name}: the service ${holder.cluster}/${holder.service}`;
      if (seen?.olderTasks === undefined) {
        return `${service} has not been seen since the window opened${because(seen)}`;
      }
      if (seen.olderTasks > 0) {
        return `${service} still runs tasks from before the window (${seen.olderTasks})${because(seen)}`;
      }
      return seen.deployment === undefined || seen.deployment === 'COMPLETED'
        ? undefined
        : `${service} is being deployed (${seen.deployment})${because(seen)}`;
    }
    case 'manual':
      return evidenceOf(evidence, { kind: 'manual', name }, opensAt) === undefined
        ? `${name} moves by hand, and nobody has confirmed that it has (rekey confirm)`
        : undefined;
    case 'client': {
      const seen = evidenceOf(evidence, { kind: 'client', name }, opensAt);
      if (seen === undefined) return `${name}: nobody has looked at its sessions`;
      return seen.missing.length === 0 ? undefined : seen.missing.join('; ');
    }
  }
  // Of a newer version, which may run beside this one while it is deployed: unproven, never proven.
  return `${name} is of a kind that this version of Rekey doesn't know`;
}

/** What of `holders` is not proven yet, in words. */
export function stillMissing(
  holders: readonly Holder[],
  opensAt: Instant,
  evidence: readonly HolderEvidence[] | undefined,
  now: number,
): string[] {
  return holders.flatMap((holder) => whyNotMoved(holder, opensAt, evidence, now) ?? []);
}

/** `evidence` without what a look has to show anew; what a person has confirmed and what Rekey has done stays. */
export function withoutLooks(evidence: readonly HolderEvidence[]): HolderEvidence[] {
  return evidence.map((each) => {
    if (each.kind === 'ecs-restart') {
      const { olderTasks: _tasks, deployment: _state, ...rest } = each;
      return rest;
    }
    if (each.kind !== 'lambda') return each;
    const { refreshedSeenAt: _seen, ...rest } = each;
    return rest;
  });
}

function because(seen: Seen | undefined): string {
  return seen?.trouble === undefined ? '' : `: ${seen.trouble}`;
}

/** What a look at a service shows. ECS injects a value after it has created the task, so the creation decides. */
export function serviceSeen(look: Look, service: EcsService, known: EcsEvidence | undefined): EcsEvidence {
  const { deployments, tasks } = service;
  const state = deployments.find(({ primary }) => primary)?.state;
  const begun = deployments.some(({ createdAt }) => createdAt >= look.opensAt);
  return {
    ...seenNow(look),
    kind: 'ecs-restart',
    olderTasks: tasks.filter((createdAt) => createdAt < look.opensAt).length,
    ...(state === undefined ? {} : { deployment: state }),
    ...(known?.restartIntendedAt === undefined ? {} : { restartIntendedAt: known.restartIntendedAt }),
    ...(begun || known?.redeployed === true ? { redeployed: true } : {}),
  };
}

/**
 * Whether a service has to be redeployed: never where it runs no task from before the window, nor where a deployment
 * has begun since. `in doubt`: asked for a moment ago, and the answer was lost or comes from somebody else's look.
 */
export function redeployment(seen: EcsEvidence, now: number): 'no' | 'due' | 'in doubt' {
  if (seen.redeployed === true || seen.olderTasks === undefined || seen.olderTasks === 0) return 'no';
  if (seen.restartIntendedAt === undefined) return 'due';
  return now < fromInstant(seen.restartIntendedAt) + UNSEEN_SECONDS * 1000 ? 'in doubt' : 'due';
}

/**
 * What a look at a function shows. The instant of the look counts, not that of the change: until then callers may have
 * reached the former version.
 */
export function functionSeen(
  look: Look,
  { modifiedAt, unclear }: LambdaFunction,
  known: LambdaEvidence | undefined,
): LambdaEvidence {
  // A second of tolerance: Lambda tells the time of a version in whole seconds.
  const newer = modifiedAt !== undefined && modifiedAt > plusSeconds(look.opensAt, 1);
  const trouble =
    unclear ?? (modifiedAt === undefined ? 'an update is under way' : `it was last changed at ${modifiedAt}`);
  return {
    ...seenNow(look),
    kind: 'lambda',
    ...(newer && unclear === undefined
      ? { refreshedSeenAt: known?.refreshedSeenAt ?? toInstant(look.now) }
      : { trouble }),
  };
}

/** A look that failed: what was seen before stays, with the reason. */
export function notSeen(
  look: Look,
  kind: 'ecs-restart' | 'lambda',
  known: HolderEvidence | undefined,
  trouble: string,
): HolderEvidence {
  return { ...(known ?? { ...seenNow(look), kind }), trouble };
}

function seenNow({ holder, opensAt, now }: Look): Omit<Seen, 'trouble'> {
  return { holder, opensAt, observedAt: toInstant(now) };
}
