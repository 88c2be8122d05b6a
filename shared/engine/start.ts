import { notWaiting } from '../domain/calendar.ts';
import { plusSeconds, toInstant } from '../domain/clock.ts';
import { pauseText, type Credential } from '../domain/credential.ts';
import { errorsOf, RekeyError } from '../domain/errors.ts';
import { assertTakeable } from '../domain/propagated.ts';
import { isTask } from '../domain/roots.ts';
import { announcedSeconds, type Rotation, type Trigger } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import type { Order } from './order.ts';
import { commit, type Loaded } from './state.ts';

/**
 * Refuses a rotation that somebody asks for: what must not rotate now, and what its verifiers couldn't bear yet.
 * @throws RekeyError as `assertMayRotate` and `assertTakeable`
 */
export function assertMayBegin(credential: Credential, active: Rotation | undefined, now: number): void {
  const [first] = refusalsNow(credential, active, now);
  if (first !== undefined) throw first;
}

/** Everything that is against a rotation that is asked for now, not only the first. */
export function refusalsNow(credential: Credential, active: Rotation | undefined, now: number): RekeyError[] {
  const begins = plusSeconds(toInstant(now), credential.policy.announceSeconds);
  return [...refusals(credential, active), ...errorsOf(() => assertTakeable(credential, begins))];
}

/**
 * Refuses what must not rotate now: in mode observe, halted, paused, or with another rotation under way.
 * @throws RekeyError ERR_MODE, ERR_PAUSED, ERR_WINDOW_OPEN (old and new are both in use: hard decision 11) or
 * ERR_ROTATION_UNDER_WAY, naming what is under way.
 */
export function assertMayRotate(credential: Credential, active: Rotation | undefined): void {
  const [first] = refusals(credential, active);
  if (first !== undefined) throw first;
}

function refusals(credential: Credential, active: Rotation | undefined): RekeyError[] {
  return errorsOf(
    () => assertNotObserved(credential),
    () => assertActive(credential),
    () => assertNotPaused(credential),
    () => {
      if (active !== undefined) throw underWay(credential, active);
    },
  );
}

function assertNotObserved(credential: Credential): void {
  const { name, mode } = credential;
  if (mode !== 'observe') return;
  if (isTask(credential)) {
    throw new RekeyError('ERR_MODE', `${name} is replaced by a person: Rekey only looks at it`, {
      field: 'mode',
      remedy: `rekey roots has its steps; once it is replaced: rekey confirm ${name}`,
    });
  }
  throw new RekeyError('ERR_MODE', `${name} is in mode observe: Rekey only looks at it`, {
    field: 'mode',
    remedy: 'set mode overlap or enforce in the declaration and apply it',
  });
}

/** @throws RekeyError ERR_MODE where it is registering or halted, with what ends that */
export function assertActive(credential: Credential): void {
  if (credential.status === 'active') return;
  throw new RekeyError('ERR_MODE', `${credential.name} is ${credential.status}`, {
    field: 'status',
    remedy:
      credential.status === 'halted'
        ? haltedRemedy(credential)
        : 'apply the declaration again, so that the registration is completed',
  });
}

/** @throws RekeyError ERR_PAUSED, with who paused it and why */
export function assertNotPaused({ name, paused }: Pick<Credential, 'name' | 'paused'>): void {
  if (paused === undefined) return;
  throw new RekeyError('ERR_PAUSED', `${name} is ${pauseText(paused)}`, {
    field: 'paused',
    remedy: `\`rekey unpause ${name}\` ends the pause; then ask again`,
  });
}

/** The refusal of what a rotation under way doesn't allow: what it is, and how it ends. */
export function underWay({ name, paused }: Credential, active: Rotation): RekeyError {
  const { id, phase, startedAt, trigger, window, rollback } = active;
  const under = `rotation ${id} of ${name} is under way (phase ${phase}, since ${startedAt}, asked for by ${trigger.actor})`;
  const { deferred } = active;
  const begin =
    phase === 'announced' && deferred !== undefined
      ? `it waits for the sessions of ${deferred.agents.join(', ')}, until ${deferred.until} at the latest; \`rekey rotate ${name} --now\` begins it`
      : 'wait for it, or look at it with rekey show';
  const end =
    window === undefined
      ? begin
      : `wait until its window closes (deadline ${window.deadline})${rollback === undefined ? ', or roll it back' : ''}`;
  return new RekeyError(window === undefined ? 'ERR_ROTATION_UNDER_WAY' : 'ERR_WINDOW_OPEN', under, {
    remedy: paused === undefined ? end : `it is paused: \`rekey unpause ${name}\` first; then ${end}`,
  });
}

/** What brings a halted credential back: its emergency, run to its end. */
function haltedRemedy({ name, incident }: Credential): string {
  const id = incident?.id ?? '<incident>';
  return (
    `an emergency revoked it: \`rekey show ${name}\` has its state. Where that has ended without a replacement, run it again ` +
    `(rekey revoke ${name} --incident ${id} --reason …), or see "Emergency failed" in the runbook`
  );
}

/** The refusal of a call that nobody planned, where it would break the stagger of an agent. */
export function assertStaggered({ name }: Credential, { obstacles }: Order): void {
  const mate = obstacles.find(({ kind }) => kind === 'stagger');
  if (mate === undefined) return;
  throw new RekeyError('ERR_ROTATION_UNDER_WAY', `${name} can't rotate now: ${mate.text}`, {
    remedy: `wait until that is over; \`rekey rotate ${name}\` rotates it all the same`,
  });
}

/**
 * Writes the rotation into the ledger as announced, which reserves the credential for it. What it goes beside all the same
 * stands in the record.
 * @throws RekeyError ERR_CONFLICT where `order` doesn't hold any more: read it again and decide again.
 */
export function announce(
  deps: EngineDeps,
  credential: Credential,
  token: string,
  trigger: Trigger,
  { obstacles, unchanged, turns }: Order,
  about: Pick<Rotation, 'incidentId' | 'urgent'> = {},
): Promise<Loaded> {
  const now = toInstant(deps.clock());
  const announced = announcedSeconds({ trigger, ...about }, credential.policy);
  return commit(deps, credential, {
    rotation: {
      id: token,
      credentialId: credential.id,
      phase: 'announced',
      trigger,
      ...(credential.current === undefined ? {} : { old: credential.current }),
      epoch: credential.epoch,
      tombstoned: false,
      wakeUps: 0,
      loser: 'old',
      repairs: 0,
      checkAt: plusSeconds(now, announced + deps.timing.stuckAfterSeconds),
      ...about,
      startedAt: now,
      updatedAt: now,
    },
    credential: {
      activeRotation: token,
      ...(credential.plan === undefined ? {} : { plan: notWaiting(credential.plan) }),
    },
    unchanged,
    turns,
    record: {
      action: 'rotation-announced',
      evidence: {
        rotatesAt: plusSeconds(now, announced),
        ...(obstacles.length === 0 ? {} : { beside: obstacles.map(({ text }) => text) }),
      },
    },
  });
}
