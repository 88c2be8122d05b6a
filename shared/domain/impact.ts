import { nextStart, notPlanned } from './calendar.ts';
import { canSuspend, capabilitiesOf } from './capabilities.ts';
import type { KnownAgent } from './client-evidence.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Credential } from './credential.ts';
import { durationText } from './duration.ts';
import { LAMBDA_MAX_SECONDS } from './holder-evidence.ts';
import type { Holder } from './holders.ts';
import { agentsHit, predictDeferral, type AgentHit, type PredictedDeferral } from './impact-agents.ts';
import { agentsOf } from './policy.ts';
import { openWindow } from './window.ts';

/** What happens in a rotation, in words that stay. */
export type Milestone =
  | 'announcement'
  | 'deferred'
  | 'steps'
  | 'window-opens'
  | 'earliest-close'
  | 'kept'
  | 'suspension'
  | 'revocation'
  | 'deadline'
  | 'cap';

/** One instant of a rotation as predicted: its steps are taken to need no time. */
export interface PredictedMoment {
  readonly milestone: Milestone;
  readonly at: Instant;
  readonly text: string;
}

/** Somebody whom a rotation reaches. */
export interface AffectedHolder {
  readonly name: string;
  readonly kind: Holder['kind'];
  readonly agents: number;
  /** How it comes to the new credential. */
  readonly how: string;
  /** When it has moved at the latest, if the rotation started now; absent where no clock says it. */
  readonly movedBy?: Instant;
}

/** What a rotation would do, predicted from what is declared and recorded. */
export interface Impact {
  readonly at: Instant;
  readonly affected: readonly AffectedHolder[];
  /** Agents that share the credential, as declared. */
  readonly agents: number;
  /** Of kind client: who is in session now. */
  readonly inSession: readonly AgentHit[];
  /** How long it would wait for the gap between sessions, if it were asked for now. */
  readonly deferral?: PredictedDeferral;
  /** If it started now. */
  readonly now: readonly PredictedMoment[];
  /** As the planner will start it; absent where it won't, and `notPlanned` says why. */
  readonly planned?: { readonly startsAt: Instant; readonly moments: readonly PredictedMoment[] };
  readonly notPlanned?: string;
  /** What can't be undone, with the instant from which on it can't, if it started now. */
  readonly irreversible: readonly { readonly text: string; readonly from?: Instant }[];
  /** What else it does. */
  readonly also: readonly string[];
  /** What nobody knows. */
  readonly unknown: readonly string[];
}

/**
 * Who is hit by a rotation, when, and what of it stays. Pure: the same head, agents and time give the same answer.
 * `known`: the agents of kind client and their sub-agents.
 */
export function impactOf(credential: Credential, now: number, known: readonly KnownAgent[] = []): Impact {
  const { holders } = credential;
  const at = toInstant(now);
  const deferral = predictDeferral(credential, known, now);
  const moments = momentsFrom(credential, at, deferral);
  const startsAt = nextStart(credential);
  const opensAt = opening(credential, at, deferral);
  return {
    at,
    affected: holders.map((holder) => affected(credential, holder, opensAt)),
    agents: holders.length === 0 ? 0 : agentsOf(holders),
    inSession: agentsHit(credential.name, known, now),
    ...(deferral === undefined ? {} : { deferral }),
    now: moments,
    ...(startsAt === undefined
      ? { notPlanned: notPlanned(credential) ?? 'nothing is due' }
      : planned(credential, startsAt < at ? at : startsAt)),
    irreversible: irreversible(credential, moments),
    also: alsoDoes(credential),
    unknown: unknown(credential),
  };
}

function planned(credential: Credential, startsAt: Instant): Pick<Impact, 'planned'> {
  return { planned: { startsAt, moments: momentsFrom(credential, startsAt) } };
}

function opening({ policy }: Credential, startsAt: Instant, deferral?: PredictedDeferral): Instant {
  return deferral?.begins ?? plusSeconds(startsAt, policy.announceSeconds);
}

function momentsFrom(
  credential: Credential,
  startsAt: Instant,
  deferral?: PredictedDeferral,
): PredictedMoment[] {
  const { policy, holders } = credential;
  const window = openWindow(policy, opening(credential, startsAt, deferral));
  const moment = (milestone: Milestone, at: Instant, text: string) => ({ milestone, at, text });
  const { opensAt, earliestClose, deadline, cap } = window;
  const begin = [
    moment('announcement', startsAt, 'announced to the holders'),
    ...(deferral === undefined
      ? []
      : [
          moment(
            'deferred',
            plusSeconds(startsAt, policy.announceSeconds),
            `waits for the gap between the sessions of ${deferral.agents.join(', ')}, until ${deferral.until} at the latest`,
          ),
        ]),
    moment('steps', opensAt, 'a second credential is made, tested and made current'),
    moment('window-opens', opensAt, 'old and new both work; holders move'),
    moment('earliest-close', earliestClose, 'the window closes no sooner'),
  ];
  if (credential.mode !== 'enforce') {
    return [...begin, moment('kept', earliestClose, `the old one is kept: mode ${credential.mode}`)];
  }
  const gaveUp = policy.atDeadline === 'revoke' && holders.length > 0;
  const end = [
    moment(
      'deadline',
      deadline,
      gaveUp
        ? 'whoever has not moved is given up'
        : 'whoever has not moved is paged for; the window stays open',
    ),
    ...(gaveUp ? [] : [moment('cap', cap, 'from then on only a person ends the window')]),
  ];
  if (holders.length === 0) return [...begin, ...end];
  const proven = provenAt(holders, opensAt, earliestClose);
  const { soakSeconds } = policy;
  // What can't be suspended is kept for as long: what it has made outlives it.
  const isSuspended = soakSeconds > 0 && canSuspend(credential);
  return [
    ...begin,
    ...(isSuspended
      ? [moment('suspension', proven, 'the old one is suspended, no sooner: it can be restored')]
      : []),
    moment('revocation', plusSeconds(proven, soakSeconds), 'the old one is revoked, no sooner'),
    ...end,
  ].toSorted((a, b) => fromInstant(a.at) - fromInstant(b.at));
}

/** When the proof can be complete at the earliest, as far as clocks say it. */
function provenAt(holders: readonly Holder[], opensAt: Instant, earliestClose: Instant): Instant {
  const instants = holders.flatMap((holder) => movedBy(holder, opensAt) ?? []);
  return [earliestClose, ...instants].toSorted().at(-1) ?? earliestClose;
}

function movedBy(holder: Holder, opensAt: Instant): Instant | undefined {
  switch (holder.kind) {
    case 'polling':
      return plusSeconds(opensAt, holder.ttlSeconds);
    case 'lambda':
      return holder.ttlSeconds === undefined
        ? undefined
        : plusSeconds(opensAt, holder.ttlSeconds + LAMBDA_MAX_SECONDS);
    case 'ecs-restart':
    case 'manual':
    case 'client':
      return undefined;
  }
}

function affected(credential: Credential, holder: Holder, opensAt: Instant): AffectedHolder {
  const by = movedBy(holder, opensAt);
  return {
    name: holder.name,
    kind: holder.kind,
    agents: agentsOf([holder]),
    how: howItMoves(credential, holder),
    ...(by === undefined ? {} : { movedBy: by }),
  };
}

function howItMoves({ name }: Credential, holder: Holder): string {
  switch (holder.kind) {
    case 'polling':
      return `reads the secret again within its TTL of ${durationText(holder.ttlSeconds)}`;
    case 'lambda':
      return holder.ttlSeconds === undefined
        ? `once somebody has given the function ${holder.function} a new configuration or version`
        : `the function ${holder.function} reads the secret again within its TTL of ${durationText(holder.ttlSeconds)}; an invocation may outlast it by ${durationText(LAMBDA_MAX_SECONDS)}`;
    case 'ecs-restart':
      return `Rekey redeploys the service ${holder.cluster}/${holder.service} when the window opens`;
    case 'manual':
      return `a person moves it, and says so: rekey confirm ${name} ${holder.name}`;
    case 'client':
      return holder.verifies === true
        ? 'each of its sessions proves that it has read the new one from the directory'
        : 'each of its sessions moves when its notice says so, and proves it';
  }
}

function irreversible(credential: Credential, moments: readonly PredictedMoment[]): Impact['irreversible'] {
  const { mode, holders, policy } = credential;
  if (mode !== 'enforce') return [{ text: `nothing: mode ${mode} revokes nothing` }];
  if (holders.length === 0) {
    return [{ text: 'nothing by itself: without a known holder the old credential is never retired' }];
  }
  const at = (milestone: Milestone) => moments.find((each) => each.milestone === milestone)?.at;
  const from = (instant: Instant | undefined) => (instant === undefined ? {} : { from: instant });
  return [
    {
      text: `the revocation of the old credential${inEffect(credential)}; until then \`rekey rollback\` makes the old one current again`,
      ...from(at('revocation')),
    },
    ...(policy.atDeadline === 'revoke'
      ? [{ text: 'open sessions of whoever has not moved are ended', ...from(at('deadline')) }]
      : []),
  ];
}

/** When a revocation takes effect, where that is later. */
function inEffect({ type, provider }: Credential): string {
  const seconds = capabilitiesOf(type, provider)?.revocationDelaySeconds ?? 0;
  return seconds === 0 ? '' : `, in effect within ${durationText(seconds)}`;
}

function alsoDoes({ mode, secretName, holders, live, current, activeRotation }: Credential): string[] {
  const others = live.filter(({ id }) => id !== current?.handle.id).map(({ id }) => id);
  const kept = activeRotation === undefined ? others : [];
  return [
    `the secret ${secretName} gets a new version, which becomes AWSCURRENT; the former one is AWSPREVIOUS`,
    'events go out on the bus: Credential Rotation Announced, Credential Rotated' +
      (mode === 'enforce' ? ', Credential Retired' : ''),
    ...holders.flatMap((holder) =>
      holder.kind === 'ecs-restart'
        ? [`tasks of the service ${holder.cluster}/${holder.service} are replaced by ECS`]
        : [],
    ),
    ...(kept.length === 0
      ? []
      : [
          mode === 'enforce'
            ? `what was kept before (${kept.join(', ')}) is revoked first, on the same proof`
            : `what was kept before (${kept.join(', ')}) takes room: where the upstream has none for another, the rotation is aborted`,
        ]),
  ];
}

function unknown({ holders }: Credential): string[] {
  return [
    ...(holders.length === 0
      ? ['no holder is declared: who uses it is not known, which does not mean that nobody does']
      : []),
    'whoever reads the secret, or logs in, without being declared as a holder is not known',
  ];
}
