import { dueOf, nextStart, notPlanned, planOf, taskSince } from '../domain/calendar.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { durationText } from '../domain/duration.ts';
import type { ClientEvidence, HolderEvidence } from '../domain/holder-evidence.ts';
import type { Holder } from '../domain/holders.ts';
import { findingsOf, intervalText, type Finding } from '../domain/interval.ts';
import type { Sighting } from '../domain/readers.ts';
import type { AwaitedOperator } from '../domain/operator.ts';
import { waitOf } from '../domain/order.ts';
import { stepsOf } from '../domain/root-steps.ts';
import { isTask } from '../domain/roots.ts';
import { canRollBack, isOver, isPaused, type Rotation } from '../domain/rotation.ts';
import type {
  ClientView,
  CredentialView,
  HolderView,
  KeyView,
  PlanEntry,
  ReaderView,
  RotationView,
} from './messages.ts';

/** A credential as operators see it: everything of use, nothing secret. Findings are those of a time, where it is given. */
export function credentialView(credential: Credential, active?: Rotation, now?: number): CredentialView {
  const { policy, current } = credential;
  const due = dueOf(credential);
  return {
    id: credential.id,
    name: credential.name,
    type: credential.type,
    provider: credential.provider,
    status: credential.status,
    mode: credential.mode,
    secret: {
      name: credential.secretName,
      ...(credential.secretArn === undefined ? {} : { arn: credential.secretArn }),
    },
    // Older versions of the CLI expect a text.
    admin: credential.adminSecret ?? '',
    ...(credential.adoption === undefined ? {} : { adoption: credential.adoption }),
    ...(credential.adoption !== 'observed' || credential.byHand === undefined
      ? {}
      : { byHand: credential.byHand }),
    target: withoutCertificates(credential.target),
    ...(current === undefined ? {} : { current: keyView(current) }),
    policy: {
      interval: durationText(policy.intervalSeconds),
      window: durationText(policy.windowSeconds),
      deadline: durationText(policy.deadlineSeconds),
      cap: durationText(policy.capSeconds),
      soak: durationText(policy.soakSeconds),
      announce: durationText(policy.announceSeconds),
      atDeadline: policy.atDeadline,
      access: policy.access,
      sensitivity: policy.sensitivity,
      ...(policy.exception === undefined ? {} : { exception: policy.exception }),
      ...(policy.evidenceOfUse === undefined ? {} : { evidenceOfUse: policy.evidenceOfUse }),
      ...(policy.canary === undefined
        ? {}
        : { canary: { percent: policy.canary.percent, for: durationText(policy.canary.seconds) } }),
    },
    ...(due === undefined ? {} : { dueAt: due.deadline }),
    ...(now === undefined ? {} : { ...waitOf(credential, now), findings: findingsOf(credential, now) }),
    holders: credential.holders.map(holderView),
    ...(active === undefined ? {} : { rotation: rotationView(active, credential) }),
    ...rootOf(credential),
    ...(credential.paused === undefined ? {} : { paused: { ...credential.paused } }),
    ...emergencyOf(credential),
    tenant: credential.tenant,
    account: credential.account,
    region: credential.region,
    registeredAt: credential.registeredAt,
    updatedAt: credential.updatedAt,
  };
}

function rootOf(credential: Credential): Pick<CredentialView, 'root'> {
  const { root, name, secretName: secret, provider, status } = credential;
  if (root === undefined) return {};
  const since = taskSince(credential);
  const how = status === 'halted' ? 'revoked' : isTask(credential) ? 'by-hand' : 'rekey';
  const steps = how === 'rekey' ? [] : stepsOf(upstreamOf(credential) ?? provider, { name, secret });
  return {
    root: { ...root, how, steps: [...steps], ...(since === undefined ? {} : { taskSince: since }) },
  };
}

/** Which upstream's steps a person takes. */
function upstreamOf({ target, provider }: Credential): string | undefined {
  if (provider === 'openai-admin') return 'openai';
  if (provider === 'pinecone-service-account') return 'pinecone';
  if (provider === 'postgresql-master') return 'postgresql';
  const upstream = isObject(target) ? target['upstream'] : undefined;
  return typeof upstream === 'string' ? upstream : undefined;
}

/** What the planner will do about a credential, and why. */
export function planView(credential: Credential, now: number): PlanEntry {
  const starts = nextStart(credential);
  const due = dueOf(credential);
  const reason = notPlanned(credential);
  const { attempts } = planOf(credential);
  return {
    credential: credential.name,
    credentialId: credential.id,
    mode: credential.mode,
    status: credential.status,
    ...(starts === undefined ? {} : { starts }),
    ...(reason === undefined ? {} : { notPlanned: reason }),
    ...(due === undefined ? {} : { deadline: due.deadline }),
    why: intervalText(credential, now),
    ...waitOf(credential, now),
    attempts,
    findings: [...findingsOf(credential, now), ...trouble(due?.deadline, attempts, now)],
  };
}

function trouble(deadline: string | undefined, attempts: number, now: number): Finding[] {
  return [
    ...(deadline !== undefined && Date.parse(deadline) < now
      ? [{ key: 'overdue', text: 'its deadline has passed' }]
      : []),
    ...(attempts > 0 ? [{ key: 'failing', text: `planned rotations that were aborted: ${attempts}` }] : []),
  ];
}

/** The emergency that has halted the agents of a credential, until they may go on. */
function emergencyOf({ incident }: Credential): Pick<CredentialView, 'emergency'> {
  if (incident === undefined || incident.stage === 'resumed') return {};
  const { id, execution, began, actor, reason, stage, awaitsOperator } = incident;
  return {
    emergency: {
      incident: id,
      ...(execution === undefined ? {} : { id: execution }),
      ...(began === undefined ? {} : { began }),
      ...(actor === undefined ? {} : { actor }),
      ...(reason === undefined ? {} : { reason }),
      stage,
      ...(awaitsOperator === undefined || stage !== 'intended'
        ? {}
        : { awaitsOperator: operatorView(awaitsOperator) }),
    },
  };
}

function operatorView({ since, byHand }: AwaitedOperator) {
  return { since, byHand };
}

/** A rotation as operators see it, under the pause of its credential. Task tokens and other machinery stay behind. */
export function rotationView(
  rotation: Rotation,
  { paused }: Pick<Credential, 'paused'> = {},
  missing?: readonly string[],
  evidence: readonly HolderEvidence[] = [],
): RotationView {
  const { old, next, window, suspendedAt, failure, incidentId, rollback } = rotation;
  const deferred = rotation.phase === 'announced' ? rotation.deferred : undefined;
  const clients = evidence.filter((each) => each.kind === 'client').map(clientView);
  return {
    id: rotation.id,
    phase: rotation.phase,
    over: isOver(rotation.phase),
    stuck: rotation.stuck ?? false,
    canRollBack: canRollBack(rotation),
    tombstoned: rotation.tombstoned,
    trigger: rotation.trigger,
    ...(old === undefined ? {} : { old: keyView(old) }),
    ...(next === undefined ? {} : { next: keyView(next) }),
    loser: rotation.loser,
    ...(window === undefined ? {} : { window }),
    ...(paused !== undefined && isPaused(rotation, { paused }) ? { paused: { ...paused } } : {}),
    ...(missing === undefined ? {} : { missing: [...missing] }),
    ...(deferred === undefined
      ? {}
      : { deferred: { since: deferred.since, until: deferred.until, agents: [...deferred.agents] } }),
    ...(clients.length === 0 ? {} : { clients }),
    ...(rotation.canary === undefined ? {} : { canary: { ...rotation.canary } }),
    ...(rotation.awaitsOperator === undefined || isOver(rotation.phase)
      ? {}
      : { awaitsOperator: operatorView(rotation.awaitsOperator) }),
    ...(suspendedAt === undefined ? {} : { suspendedAt }),
    ...(failure === undefined ? {} : { failure: { code: failure.code, message: failure.message } }),
    ...(incidentId === undefined ? {} : { incidentId }),
    ...(rollback === undefined ? {} : { rollback: rollbackView(rollback) }),
    startedAt: rotation.startedAt,
    updatedAt: rotation.updatedAt,
  };
}

function clientView({ holder, sessions, moved, authentication, ...rest }: ClientEvidence): ClientView {
  const some = ({ names, more }: ClientEvidence['waiting']) => ({ names: [...names], more });
  return {
    name: holder,
    sessions,
    moved,
    waiting: some(rest.waiting),
    lost: some(rest.lost),
    contradicted: some(rest.contradicted),
    ...(authentication === undefined
      ? {}
      : {
          authentication: {
            succeeded: authentication.succeeded,
            refused: authentication.refused,
            before: { ...authentication.before },
            risen: authentication.risen,
          },
        }),
  };
}

/** A holder as operators see it. */
export function holderView(holder: Holder): HolderView {
  const { kind, name, agents, principal } = holder;
  const ttl = 'ttlSeconds' in holder ? holder.ttlSeconds : undefined;
  return {
    kind,
    name,
    ttl: ttl === undefined ? 'none' : durationText(ttl),
    ...(kind === 'ecs-restart' ? { watched: `${holder.cluster}/${holder.service}` } : {}),
    ...(kind === 'lambda' ? { watched: holder.function } : {}),
    ...(kind === 'client' ? { fleet: holder.fleet ?? name } : {}),
    ...(kind === 'client' && holder.verifies === true ? { verifies: true as const } : {}),
    ...(agents === undefined ? {} : { agents }),
    ...(principal === undefined ? {} : { principal }),
  };
}

/** A reader as operators see it. */
export function readerView({ reader, proposal, ...about }: Sighting): ReaderView {
  return { ...reader, ...about, ...(proposal === undefined ? {} : { proposal: { ...proposal } }) };
}

function rollbackView({ actor, reason, at }: NonNullable<Rotation['rollback']>) {
  return { actor, at, ...(reason === undefined ? {} : { reason }) };
}

function keyView(key: Key): KeyView {
  return {
    fingerprint: key.fingerprint,
    handle: { id: key.handle.id, generation: key.handle.generation },
    version: key.versionId,
    issuedAt: key.issuedAt,
  };
}

/** The target with `tls.ca` left out: pages of base64 that tell nobody anything. */
/** A target without what is long and tells nothing of where it is. */
export function withoutCertificates(target: unknown): unknown {
  if (!isObject(target) || !isObject(target['tls'])) return target;
  const { ca: _certificates, ...tls } = target['tls'];
  return { ...target, tls };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
