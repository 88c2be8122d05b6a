import { fromInstant, toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle, Key } from '../domain/credential.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { redeclared } from '../domain/knowledge.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import { adopter, examine, type Examined } from './adopt-examine.ts';
import type { EngineDeps } from './deps.ts';
import { placeOf } from './place.ts';
import { holderOfCurrent } from './promote.ts';
import type { Draft, RegisterOptions } from './register-draft.ts';
import { backstopDays, dueOf } from '../domain/calendar.ts';
import { assertNotPaused } from './start.ts';
import { describeHandle, loadCredential, untilCommitted, upstream } from './state.ts';

/**
 * Makes what was only observed Rekey's own, without a change of value: the login is marked at the upstream, the secret
 * tagged, its rotation configured (RotateImmediately=false), the mode raised. Every line may run twice; what is refused
 * for good is undone, so that the secret, the login and the head are as they were.
 */
export async function takeOver(
  deps: EngineDeps,
  options: RegisterOptions,
  credential: Credential,
  draft: Draft,
  trigger: Trigger,
): Promise<Credential> {
  const examined = await examine(deps, options, draft, credential.id);
  const intended = await intend(deps, credential, draft, examined, trigger);
  try {
    return await complete(deps, options, intended, draft, examined, trigger);
  } catch (error) {
    if (!isRekeyError(error) || error.retryable || error.code === 'ERR_PREEMPTED') throw error;
    if (isReplaced(intended)) throw error;
    await giveUp(deps, options, await stillOurs(deps, intended), trigger, error);
    throw error;
  }
}

/** Before anything is marked: an emergency must find what is about to become Rekey's own, and be able to log in there. */
function intend(
  deps: EngineDeps,
  { id }: Credential,
  draft: Draft,
  examined: Examined,
  trigger: Trigger,
): Promise<Credential> {
  return untilCommitted(async () => {
    const before = await loadCredential(deps, id);
    assertIdle(before);
    assertNotPaused(before);
    if (before.adoption === 'adopted') throw taken(before);
    if (before.adoption === 'intended') return resumed(before, examined);
    const generation = before.generation + 1;
    const handle: CredentialHandle = { id: examined.id, generation, token: before.id };
    const key = await keyOf(deps, before, draft, examined, handle);
    return deps.ledger.commit({
      before,
      after: {
        ...before,
        ...(draft.adminSecret === undefined ? {} : { adminSecret: draft.adminSecret }),
        adoption: 'intended',
        secretArn: examined.secret.arn,
        generation,
        live: [handle],
      },
      keys: [key],
      records: [
        {
          action: 'adopt-intended',
          time: toInstant(deps.clock()),
          trigger,
          newHandle: describeHandle(handle),
          evidence: { secret: examined.secret.name, report: examined.report },
        },
      ],
    });
  });
}

/** The value as it is, as a key of Rekey's: it doesn't change, the handle does. */
async function keyOf(
  deps: EngineDeps,
  { current }: Credential,
  draft: Draft,
  { material, versionId, storedAt }: Examined,
  handle: CredentialHandle,
): Promise<Key> {
  const { provider } = await adopter(deps, draft);
  return {
    handle,
    versionId,
    fingerprint: fingerprint(provider.secretPart(material)),
    issuedAt: storedAt ?? (current?.versionId === versionId ? current.issuedAt : toInstant(deps.clock())),
  };
}

function resumed(before: Credential, { id }: Examined): Credential {
  if (ownHandle(before).id === id) return before;
  throw new RekeyError('ERR_ADOPTION', `the secret of ${before.name} logs in as another user than it did`, {
    field: 'secret',
    remedy:
      'apply it in mode observe first, which undoes the take-over under way; then leave that mode again',
  });
}

function assertIdle({ name, status }: Credential): void {
  if (status === 'active') return;
  throw new RekeyError('ERR_CONFLICT', `${name} is ${status}`, {
    field: 'mode',
    remedy: 'finish the emergency first: rekey show has its state',
  });
}

function taken({ name }: Credential): RekeyError {
  return new RekeyError('ERR_CONFLICT', `another attempt has taken ${name} over meanwhile`, {
    remedy: 'apply again',
  });
}

/** Whether an emergency has replaced it in mid-take-over: what is current then is Rekey's own, and nothing to give back. */
export function isReplaced({ current }: Credential): boolean {
  return current !== undefined && current.handle.generation > 0;
}

/** What the take-over is of. */
function ownHandle(credential: Credential): CredentialHandle {
  const handle = isReplaced(credential) ? credential.current?.handle : credential.live[0];
  if (handle === undefined) throw new RekeyError('ERR_CONFLICT', 'this take-over knows of no login');
  return handle;
}

/** The credential as it is now, if this take-over may still go on. */
async function stillOurs(deps: EngineDeps, intended: Credential): Promise<Credential> {
  const now = await loadCredential(deps, intended.id);
  if (now.epoch !== intended.epoch) {
    throw new RekeyError('ERR_PREEMPTED', `an emergency has taken over ${intended.name}`, {
      remedy: 'look at the emergency; apply again once it has ended',
    });
  }
  if (now.adoption !== 'intended') throw taken(now);
  return now;
}

async function complete(
  deps: EngineDeps,
  options: RegisterOptions,
  intended: Credential,
  draft: Draft,
  examined: Examined,
  trigger: Trigger,
): Promise<Credential> {
  const { secret, versionId } = examined;
  const { provider } = await adopter(deps, draft);
  const handle = await mark(deps, intended, draft, examined);
  await stillOurs(deps, intended);
  await deps.vault.tag(secret.arn, { [TAG.credential]: intended.id });
  const days = backstopDays(draft);
  await deps.vault.configureRotation(secret.arn, options.rotationFunction(draft.type), days);
  const place = await placeOf(await upstream(deps, intended), handle);
  return untilCommitted(async () => {
    const before = await stillOurs(deps, intended);
    if ((await holderOfCurrent(deps, secret.arn)) !== versionId) {
      throw new RekeyError('ERR_UNAVAILABLE', `the value of ${secret.name} was changed meanwhile`, {
        field: 'secret',
        remedy: 'apply again once nobody changes it any more',
      });
    }
    const key = await keyOf(deps, before, draft, examined, handle);
    const byHand = provider.manualRevocation?.(draft.target, handle);
    return deps.ledger.commit({
      before,
      after: {
        ...before,
        adoption: 'adopted',
        mode: draft.mode,
        policy: draft.policy,
        holders: draft.holders,
        knownBy: redeclared(draft.knownBy, before.knownBy, key),
        ...(draft.root === undefined ? {} : { root: draft.root }),
        current: key,
        live: [handle],
        ...overdueAsTold(key, draft, deps.clock()),
        backstopDays: days,
        ...(byHand === undefined ? {} : { byHand }),
      },
      keys: [key],
      records: [
        {
          action: 'adopted',
          time: toInstant(deps.clock()),
          trigger,
          newFingerprint: key.fingerprint,
          newHandle: describeHandle(handle),
          holders: draft.holders.map((holder) => holder.name),
          evidence: { secret: secret.name, mode: draft.mode, policy: draft.policy, ...place },
        },
      ],
    });
  });
}

/** Whoever takes over what is overdue has been told: a person is paged where its rotation fails, not for its age. */
function overdueAsTold(current: Key, draft: Draft, now: number): Pick<Credential, 'plan'> {
  const due = dueOf({ ...draft, current });
  if (due === undefined || fromInstant(due.deadline) > now) return {};
  return { plan: { of: current.versionId, attempts: 0, overdue: true } };
}

/** Marks the login. Where an earlier life of it has left a later generation there, it counts on from the time. */
async function mark(
  deps: EngineDeps,
  intended: Credential,
  draft: Draft,
  examined: Examined,
): Promise<CredentialHandle> {
  const { material } = examined;
  const { adoption } = await adopter(deps, draft);
  const { target, ctx } = await upstream(deps, intended);
  const handle = ownHandle(intended);
  const adopt = async (as: CredentialHandle): Promise<CredentialHandle> =>
    adoption.adopt(target, as.token ?? intended.id, { handle: as, material }, ctx);
  try {
    return await adopt(handle);
  } catch (error) {
    const generation = Math.floor(deps.clock() / 1000);
    if (!isRekeyError(error, 'ERR_CONFLICT') || handle.generation >= generation) throw error;
    const later = { ...handle, generation };
    await untilCommitted(async () => {
      const before = await stillOurs(deps, intended);
      const key = await keyOf(deps, before, draft, examined, later);
      await deps.ledger.attach({ ...before, generation, live: [later] }, undefined, [key]);
    });
    return adopt(later);
  }
}

/**
 * Takes everything back that a take-over has done; the credential is observed again. Every line may run twice. Not
 * for one that an emergency has halted or replaced.
 */
export async function giveUp(
  deps: EngineDeps,
  options: RegisterOptions,
  intended: Credential,
  trigger: Trigger,
  failure: Pick<RekeyError, 'code' | 'message'>,
): Promise<Credential> {
  assertIdle(intended);
  const handle = ownHandle(intended);
  if (intended.secretArn !== undefined) await untouch(deps, options, intended, intended.secretArn);
  const { target, ctx } = await upstream(deps, intended);
  const { adoption } = await adopter(deps, intended);
  await adoption.release(target, handle.token ?? intended.id, handle, ctx);
  return untilCommitted(async () => {
    const before = await stillOurs(deps, intended);
    const { secretArn: _untagged, backstopDays: _none, ...rest } = before;
    return deps.ledger.commit({
      before,
      after: { ...rest, adoption: 'observed', live: [] },
      records: [
        {
          action: 'adoption-undone',
          time: toInstant(deps.clock()),
          trigger,
          evidence: { code: failure.code, message: failure.message },
        },
      ],
    });
  });
}

async function untouch(
  deps: EngineDeps,
  options: RegisterOptions,
  { id, type }: Credential,
  arn: string,
): Promise<void> {
  const secret = await deps.vault.describe(arn);
  if (secret === undefined) return;
  if (secret.rotationEnabled && secret.rotationFunction === options.rotationFunction(type)) {
    await deps.vault.cancelRotation(arn);
  }
  if (secret.tags[TAG.credential] === id) await deps.vault.untag(arn, [TAG.credential]);
}
