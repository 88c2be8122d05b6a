import { fromInstant } from './clock.ts';
import { pauseText, type Credential } from './credential.ts';
import { dueOf, notPlanned, planOf } from './calendar.ts';
import type { ErrorJson } from './errors.ts';
import type { Rotation } from './rotation.ts';

/** What a check came to. `warn`: it works, and somebody should know. `not-checked`: nobody can say. */
export const CHECK_STATES = ['ok', 'warn', 'fail', 'not-checked'] as const;
export type CheckState = (typeof CHECK_STATES)[number];

/** What a check is about. */
export type Area =
  | 'deployment'
  | 'credential'
  | 'secret'
  | 'administrator'
  | 'target'
  | 'rotation'
  | 'holders'
  | 'evidence'
  | 'upstream';

/** One check with what it came to. Text is Rekey's own: no upstream is quoted, no value is named. */
export interface Check {
  readonly area: Area;
  readonly name: string;
  readonly state: CheckState;
  readonly detail: string;
  /** What to do about it; absent where it is ok. */
  readonly remedy?: string;
}

/** Why something of AWS could not be looked at, told apart: only `absent` means that it isn't there (traps). */
export type Trouble =
  | 'absent'
  /** Scheduled for deletion: it is there and gives nothing. */
  | 'deleted'
  | 'denied'
  /** The secret may be read, the key that encrypts it may not be used. */
  | 'key-denied'
  /** The key is disabled, or is scheduled for deletion. */
  | 'key-unusable'
  | 'throttled'
  | 'no-answer'
  /** None of these: the log of the function has it. */
  | 'unexpected';

/** What was seen of something, or why nothing was. */
export type Seen<T> = { readonly value: T } | { readonly trouble: Trouble };

/** How many checks came to what. */
export type Tally = Readonly<Record<CheckState, number>>;

/** Counts checks by state. */
export function tallyOf(checks: readonly Check[]): Tally {
  const count = (state: CheckState): number => checks.filter((each) => each.state === state).length;
  return { ok: count('ok'), warn: count('warn'), fail: count('fail'), 'not-checked': count('not-checked') };
}

/** What all is well with. */
export function ok(area: Area, name: string, detail: string): Check {
  return { area, name, state: 'ok', detail };
}

/** What isn't, with what to do. */
export function bad(
  state: Exclude<CheckState, 'ok'>,
  area: Area,
  name: string,
  detail: string,
  remedy: string,
): Check {
  return { area, name, state, detail, remedy };
}

/** A refusal of Rekey as a check; its text and remedy are Rekey's own. */
export function refusal(area: Area, name: string, { message, field, remedy, code }: ErrorJson): Check {
  const at = field === undefined ? '' : `${field}: `;
  return bad('fail', area, name, `${at}${message}`, remedy ?? `docs/runbook.md says what ${code} means`);
}

/** A trouble that says nothing about the thing itself, but about the way to it. `who` asked `service`. */
export function passing(
  area: Area,
  name: string,
  trouble: 'throttled' | 'no-answer' | 'unexpected',
  { who, service }: { who: string; service: string },
): Check {
  if (trouble === 'no-answer') {
    return bad(
      'fail',
      area,
      name,
      `${service} did not answer ${who}`,
      `try again; if it stays so, its network has no way to ${service}: with the setting network, set ` +
        'network.endpoints to "create", or give the subnets an endpoint of the service or a NAT gateway',
    );
  }
  return trouble === 'throttled'
    ? bad('not-checked', area, name, `${service} throttles ${who}`, 'try again in a minute')
    : bad(
        'not-checked',
        area,
        name,
        `${service} gave ${who} an unexpected answer`,
        `the log of ${who} has it`,
      );
}

/** Longest that a copy may trail its head: the alarm `archive-lag` rings after as long. */
const COPY_LAG_MS = 10 * 60_000;

/**
 * Whether the archiver keeps up, by its copy of this credential's head: records and head are one stream, in order, so
 * that with a copy as new as the head every record before it is archived, or waits in the dead letters, which ring.
 */
export function evidenceCheck(head: Credential, copy: Seen<Credential | undefined>, now: number): Check {
  const about = 'archive';
  const seen = 'value' in copy ? copy.value : undefined;
  if (seen !== undefined && seen.version >= head.version)
    return ok('evidence', about, `has every record (${head.seq}), and the snapshot for emergencies`);
  const trouble = 'trouble' in copy ? copy.trouble : undefined;
  if (trouble === 'throttled' || trouble === 'no-answer' || trouble === 'unexpected')
    return passing('evidence', about, trouble, { who: 'control-api', service: 'S3' });
  if (now - fromInstant(head.updatedAt) <= COPY_LAG_MS)
    return ok('evidence', about, 'copies the last change');
  return bad(
    'fail',
    'evidence',
    about,
    seen === undefined
      ? // S3 tells an absent object from a denied one only to those who may list the bucket, and nobody may.
        'there is no snapshot of it, or it may not be read'
      : `it has the credential up to record ${seen.seq}, the ledger up to ${head.seq}`,
    'docs/runbook.md, "Archive lag" and "Dead letters"; until then an emergency depends on the ledger alone',
  );
}

/** Whether the credential itself is as agents need it. */
export function statusCheck({ status, name, incident, mode, adoption }: Credential): Check {
  const about = 'status';
  if (status === 'active') {
    return adoption === 'observed'
      ? ok('credential', about, 'observed: Rekey changes nothing')
      : ok('credential', about, `active, mode ${mode}`);
  }
  if (status === 'registering') {
    return bad(
      'fail',
      'credential',
      about,
      'its registration has not come to an end',
      'apply its declaration again: what was interrupted is completed',
    );
  }
  return bad(
    'fail',
    'credential',
    about,
    `agents are halted${incident === undefined ? '' : ` since the emergency ${incident.id}`}`,
    `rekey show ${name} has the next step of the emergency`,
  );
}

/** Whether rotations go on by themselves. */
export function rotationChecks(credential: Credential, rotation: Rotation | undefined, now: number): Check[] {
  return [underWay(credential, rotation, now), planned(credential, now)];
}

function underWay({ name }: Credential, rotation: Rotation | undefined, now: number): Check {
  const about = 'under way';
  if (rotation === undefined) return ok('rotation', about, 'none');
  const { id, phase, window, failure, stuck, awaitsOperator } = rotation;
  const because = failure === undefined ? '' : ` (${failure.code}: ${failure.message})`;
  const person = `rekey show ${name} says what it waits for; docs/runbook.md, "Rotation failed"`;
  if (awaitsOperator !== undefined) {
    const since = `rotation ${id} awaits an operator since ${awaitsOperator.since}`;
    return bad('warn', 'rotation', about, `${since}: the old key works until then`, awaitsOperator.byHand);
  }
  if (stuck === true) {
    return bad('fail', 'rotation', about, `rotation ${id} is stuck in ${phase}${because}`, person);
  }
  if (phase === 'window' && window !== undefined && now > fromInstant(window.cap)) {
    return bad('fail', 'rotation', about, `rotation ${id} is past its cap and needs a person`, person);
  }
  if (phase === 'window' && window?.overdue === true) {
    return bad('warn', 'rotation', about, `rotation ${id} is past its deadline, proof is missing`, person);
  }
  return ok('rotation', about, `rotation ${id} is ${phase}`);
}

function planned(credential: Credential, now: number): Check {
  const about = 'calendar';
  const { name, mode, status, paused } = credential;
  const { attempts, escalated, rolledBack } = planOf(credential);
  const deadline = dueOf(credential)?.deadline;
  const byHand = `remove the cause, then: rekey rotate ${name}`;
  if (mode === 'observe' || status !== 'active')
    return ok('rotation', about, notPlanned(credential) ?? 'nothing is planned');
  if (deadline !== undefined && fromInstant(deadline) < now) {
    return bad(
      'fail',
      'rotation',
      about,
      `its deadline has passed: ${deadline}`,
      `rekey plan says why; ${byHand}`,
    );
  }
  if (escalated === true || attempts > 0) {
    const state = escalated === true ? 'fail' : 'warn';
    return bad(state, 'rotation', about, `${attempts} planned rotations were aborted`, byHand);
  }
  if (rolledBack === true)
    return bad(
      'warn',
      'rotation',
      about,
      'its rotation was rolled back: the planner waits for a person',
      byHand,
    );
  if (paused !== undefined) {
    return bad(
      'warn',
      'rotation',
      about,
      pauseText(paused),
      `once its reason is gone: rekey unpause ${name}`,
    );
  }
  return ok('rotation', about, deadline === undefined ? 'nothing is due' : `due by ${deadline}`);
}

/** What holders mean for the proof; whether those that must be looked at can be, only their own look tells. */
export function holdersCheck({ holders, name }: Pick<Credential, 'holders' | 'name'>): Check {
  if (holders.length > 0) {
    const kinds = [...new Set(holders.map(({ kind }) => kind))].join(', ');
    return ok('holders', 'declared', `${holders.length} (${kinds})`);
  }
  return bad(
    'warn',
    'holders',
    'declared',
    'none: the old credential is never retired by itself',
    `declare who uses ${name} (docs/holders.md), and apply`,
  );
}
