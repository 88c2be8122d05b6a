import type {
  ClientView,
  CredentialView,
  HolderView,
  KeyView,
  RotationView,
} from '../shared/api/messages.ts';
import { namedText } from '../shared/domain/named.ts';
import { withoutPause } from '../shared/domain/window.ts';
import type { Output } from './io.ts';

/** What each phase means to somebody who looks on. */
const PHASES: Readonly<Record<string, string>> = {
  announced: 'announced; holders have notice',
  issuing: 'making the new credential',
  activating: 'giving the new credential its permissions',
  promoting: 'tested; becoming current',
  window: 'old and new both work; holders are moving',
  suspending: 'the losing credential soaks, suspended where its upstream can (can still be undone)',
  revoking: 'the losing credential is being revoked (no way back)',
  completed: 'completed',
  aborting: 'giving up; the new credential is being removed',
  aborted: 'aborted; the old credential never stopped working',
  'rolling-back': 'holders are moving back to the old credential',
  'rolled-back': 'rolled back; the old credential is current',
  preempted: 'an emergency has taken over',
};

export function phaseText(phase: string): string {
  return PHASES[phase] ?? phase;
}

/** Whether a deadline has passed. */
export function isPast(deadline: string | undefined, now: number): boolean {
  return deadline !== undefined && Date.parse(deadline) < now;
}

/** A rotation that ended as it was asked for. */
export function endedWell({ phase }: RotationView): boolean {
  return phase === 'completed';
}

/** What goes before a rotation that is due, and since when it is put off; undefined where nothing does. */
export function waitText({
  waitsFor: other,
  waitsSince,
}: {
  readonly waitsFor?: string | undefined;
  readonly waitsSince?: string | undefined;
}): string | undefined {
  if (other === undefined) return undefined;
  return waitsSince === undefined ? `waits: ${other}` : `waits since ${when(waitsSince)}: ${other}`;
}

/** An instant for people: UTC, to the second. */
export function when(instant: string | undefined): string {
  return instant === undefined ? '–' : instant.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC');
}

export function day(instant: string | undefined): string {
  return instant?.slice(0, 10) ?? '–';
}

/** The distance to an instant, e.g. `in 12 min` or `3 d ago`. */
export function distance(instant: string, now: number): string {
  const seconds = Math.round((Date.parse(instant) - now) / 1000);
  const size = Math.abs(seconds);
  const text =
    size < 120
      ? `${size} s`
      : size < 7200
        ? `${Math.round(size / 60)} min`
        : size < 172_800
          ? `${Math.round(size / 3600)} h`
          : `${Math.round(size / 86_400)} d`;
  return seconds < 0 ? `${text} ago` : `in ${text}`;
}

function key({ fingerprint, handle, version, issuedAt }: KeyView): string {
  return `${handle.id} (generation ${handle.generation}), ${shortPrint(fingerprint)}, version ${version}, issued ${when(issuedAt)}`;
}

/** Enough of a fingerprint to compare by eye; --json has the whole. */
export function shortPrint(fingerprint: string): string {
  const [algorithm, value = ''] = fingerprint.split(':');
  return value.length > 16 ? `${algorithm}:${value.slice(0, 16)}…` : fingerprint;
}

export function statusText(out: Output, { status, paused, emergency }: CredentialView): string {
  if (paused !== undefined && status === 'active') return out.style('yellow', 'paused');
  if (emergency?.awaitsOperator !== undefined)
    return out.style('red', `${status} (awaiting operator: manual)`);
  if (status === 'halted') return out.style('red', status);
  return status === 'active' ? out.style('green', status) : out.style('yellow', status);
}

export function rotationState(out: Output, { phase, stuck, awaitsOperator }: RotationView): string {
  if (awaitsOperator !== undefined) return out.style('red', `${phase} (awaiting operator: manual)`);
  if (stuck) return out.style('red', `${phase} (needs a person)`);
  if (phase === 'completed') return out.style('green', phase);
  return ['aborted', 'rolled-back', 'preempted'].includes(phase)
    ? out.style('yellow', phase)
    : out.style('cyan', phase);
}

/** Names and values, one a line; what has no value is left out. */
export function fields(out: Output, rows: readonly (readonly [string, string | undefined])[]): void {
  const shown = rows.filter((row): row is readonly [string, string] => row[1] !== undefined);
  const width = Math.max(...shown.map(([name]) => name.length));
  for (const [name, value] of shown) out.line(`${out.style('dim', name.padEnd(width))}  ${value}`);
}

function holderText({ name, kind, ttl, watched, fleet, agents }: HolderView): string {
  const about = [
    kind,
    watched,
    fleet === undefined || fleet === name ? undefined : `fleet ${fleet}`,
    ttl === 'none' ? undefined : `ttl ${ttl}`,
    agents === undefined ? undefined : `${agents} agents`,
  ];
  return `${name} (${about.filter((part) => part !== undefined).join(', ')})`;
}

export function renderCredential(out: Output, credential: CredentialView, now: number): void {
  const { policy, current, dueAt } = credential;
  const waits = waitText(credential);
  out.line(out.style('bold', credential.name));
  fields(out, [
    ['id', credential.id],
    ['type', `${credential.type}, ${credential.provider}`],
    ['status', statusText(out, credential)],
    ['paused', credential.paused && out.style('yellow', `since ${pausedBy(credential.paused)}`)],
    ['mode', credential.mode],
    ['adoption', credential.adoption],
    ['secret', credential.secret.arn ?? credential.secret.name],
    ['admin', credential.admin === '' ? undefined : credential.admin],
    ['target', JSON.stringify(credential.target)],
    ['home', `${credential.tenant}, account ${credential.account}, ${credential.region}`],
    ['current', current === undefined ? 'none' : key(current)],
    ['next due', dueAt === undefined ? undefined : `${when(dueAt)} (${distance(dueAt, now)})`],
    ['put off', waits && out.style(isPast(dueAt, now) ? 'red' : 'yellow', waits)],
    [
      'policy',
      `every ${policy.interval}; window ${policy.window}, deadline ${policy.deadline}, cap ${policy.cap}; soak ${policy.soak}; announced ${policy.announce} before`,
    ],
    ['at deadline', policy.atDeadline === 'extend' ? 'extend and page' : policy.atDeadline],
    ['sensitivity', `${policy.access}, ${policy.sensitivity}`],
    ['evidence of use', policy.evidenceOfUse && 'what the holders prove, where the upstream tells of none'],
    ['canary', policy.canary && `${policy.canary.percent} % move first, for ${policy.canary.for}`],
    ['exception', policy.exception && `until ${policy.exception.expires}: ${policy.exception.reason}`],
    [
      'findings',
      credential.findings === undefined || credential.findings.length === 0
        ? undefined
        : out.style('yellow', credential.findings.map(({ text }) => text).join('; ')),
    ],
    [
      'holders',
      credential.holders.length === 0
        ? out.style('yellow', 'none known: an old credential is never retired')
        : credential.holders.map(holderText).join(', '),
    ],
    ['registered', when(credential.registeredAt)],
  ]);
  if (credential.byHand === undefined) return;
  out.line('Rekey does not revoke what it only observes. In an emergency, by hand:');
  out.line(credential.byHand);
}

export function renderRotation(out: Output, rotation: RotationView, now: number): void {
  const { window, paused, failure, trigger } = rotation;
  fields(out, [
    ['rotation', rotation.id],
    ['state', `${rotationState(out, rotation)} – ${phaseText(rotation.phase)}`],
    ['paused', paused && out.style('yellow', `stands still since ${pausedBy(paused)}`)],
    [
      'asked for by',
      `${trigger.actor} (${trigger.kind})${trigger.reason === undefined ? '' : `: ${trigger.reason}`}`,
    ],
    ['incident', rotation.incidentId],
    ['old', rotation.old && key(rotation.old)],
    ['new', rotation.next && key(rotation.next)],
    ['ends', rotation.loser === 'old' ? 'the old one' : 'the new one'],
    ['window opened', window && `${when(window.opensAt)} (${distance(window.opensAt, now)})`],
    ['earliest end', window && `${when(window.earliestClose)} (${distance(window.earliestClose, now)})`],
    ['deadline', limit(rotation, 'deadline', now)],
    ['cap', limit(rotation, 'cap', now)],
    ...(rotation.clients ?? []).map((each) => [`agent ${each.name}`, clientText(each)] as const),
    ['moved first', rotation.canary && CANARY[rotation.canary.outcome]],
    ['deferred', rotation.deferred && deferredText(rotation.deferred)],
    ['waits for', waitsFor(rotation)],
    ['awaits operator', rotation.awaitsOperator && operatorText(rotation.awaitsOperator)],
    ['suspended', rotation.suspendedAt && when(rotation.suspendedAt)],
    ['rollback by', rotation.rollback && askedBy(rotation.rollback)],
    ['failure', failure && out.style('red', `${failure.code}: ${failure.message}`)],
    ['rollback', rotation.over ? undefined : rotation.canRollBack ? 'possible' : 'no longer possible'],
    ['started', when(rotation.startedAt)],
    ['last change', when(rotation.updatedAt)],
  ]);
}

/** A limit of a window; under a pause, what will be left of it when that ends. */
function limit({ window, paused }: RotationView, which: 'deadline' | 'cap', now: number): string | undefined {
  if (window === undefined) return undefined;
  const extended = which === 'deadline' && window.overdue === true ? ' – passed, extended' : '';
  if (paused === undefined) return when(window[which]) + extended;
  const then = withoutPause(window, paused.since, now)[which];
  return Date.parse(then) <= now
    ? `${when(window[which])}${extended || ' – passed before the pause'}`
    : `does not count while paused; ${distance(then, now)} from the end of the pause`;
}

/** What a person has to do at the upstream, since when. */
export function operatorText({ since, byHand }: NonNullable<RotationView['awaitsOperator']>): string {
  return `since ${when(since)}, manual: ${byHand}`;
}

function waitsFor({ missing, paused }: RotationView): string | undefined {
  const proof = missing && (missing.join('; ') || 'no holder; use at the source decides');
  return paused === undefined
    ? proof
    : ['the end of the pause', proof].filter((part) => part !== undefined).join('; ');
}

/** Since when something is paused, by whom and why. */
export function pausedBy({ since, actor, reason }: NonNullable<CredentialView['paused']>): string {
  return `${when(since)} by ${actor}: ${reason}`;
}

/** Who asked for a rollback, when and why. */
export function askedBy({ actor, at, reason }: NonNullable<RotationView['rollback']>): string {
  return `${actor} at ${when(at)}${reason === undefined ? '' : `: ${reason}`}`;
}

/** What was seen of the instances that moved first. */
const CANARY: Readonly<Record<string, string>> = {
  quiet: 'no more of their uses are refused than before',
  unproven: 'they have reported nothing',
};

/** Why a rotation that was announced hasn't begun. */
function deferredText({ since, until, agents }: NonNullable<RotationView['deferred']>): string {
  return `since ${when(since)}, for the gap between the sessions of ${agents.join(', ')}; begins by ${when(until)} all the same (\`rekey rotate NAME --now\` begins it)`;
}

/** How far an agent is, by instance. */
export function clientText({
  sessions,
  moved,
  waiting,
  lost,
  contradicted,
  authentication,
}: ClientView): string {
  const some = (what: string, named: ClientView['waiting']): string[] =>
    named.names.length === 0 ? [] : [`${what}: ${namedText(named)}`];
  return [
    `${moved} of ${sessions} sessions have moved`,
    ...some('not yet', waiting),
    ...some('silent', lost),
    ...some('contradicted itself', contradicted),
    ...(authentication?.risen === true
      ? [`refused uses have risen: ${authentication.refused} (${authentication.before.refused} before)`]
      : []),
  ].join('; ');
}

/** One line about where a rotation stands. */
export function rotationLine(out: Output, rotation: RotationView, now: number): string {
  const { window, paused, failure } = rotation;
  if (paused !== undefined)
    return `${rotationState(out, rotation)}: stands still, paused since ${pausedBy(paused)}`;
  const until =
    window === undefined || rotation.over
      ? ''
      : `, ends ${distance(window.earliestClose, now)} at the earliest, deadline ${distance(window.deadline, now)}`;
  if (rotation.awaitsOperator !== undefined)
    return `${rotationState(out, rotation)}: ${operatorText(rotation.awaitsOperator)}`;
  const why = failure === undefined ? '' : ` – ${failure.code}: ${failure.message}`;
  const { deferred, clients = [] } = rotation;
  const waits =
    deferred === undefined
      ? ''
      : `; waits for the sessions of ${deferred.agents.join(', ')}, until ${when(deferred.until)} at the latest`;
  const moved = clients.map((each) => `; ${each.name}: ${clientText(each)}`).join('');
  return `${rotationState(out, rotation)}: ${phaseText(rotation.phase)}${rotation.phase === 'window' ? until : ''}${waits}${moved}${why}`;
}
