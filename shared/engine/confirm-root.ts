import { planOf, taskSince } from '../domain/calendar.ts';
import { fromInstant, toInstant } from '../domain/clock.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import { isRoot, isTask } from '../domain/roots.ts';
import type { Trigger } from '../domain/rotation.ts';
import { readExisting, type Found } from './adopt-examine.ts';
import type { EngineDeps } from './deps.ts';
import { reached } from './incident.ts';
import { describeHandle, loadCredential, untilCommitted, upstream } from './state.ts';

/** What a confirmation came to. */
export interface ConfirmRootAnswer {
  /** `unchanged`: the value on record is the one that is there, and none is owed. */
  readonly outcome: 'confirmed' | 'unchanged';
  readonly credential: Credential;
}

/** That a person has replaced a root by hand. */
export interface RootConfirmation {
  readonly credentialId: string;
  readonly trigger: Trigger;
  /** Names of the credentials whose administrator the new value was seen to be; empty where nobody uses it. */
  readonly letIn: readonly string[];
  readonly dryRun: boolean;
}

/**
 * Records that a person has replaced an administrative credential: a task of its date, or one that an emergency has revoked
 * and that can't make its own successor. The secret must hold another value than the ledger knows, and it must be let in
 * where its provider can tell. The same confirmation again is success.
 * @throws RekeyError ERR_REQUEST where Rekey replaces it itself, ERR_CONFLICT where the value is no other, or what the upstream
 *   says of the new one
 */
export function confirmRoot(deps: EngineDeps, request: RootConfirmation): Promise<ConfirmRootAnswer> {
  return untilCommitted(async () => {
    const before = await loadCredential(deps, request.credentialId);
    assertByHand(before);
    if (before.current === undefined) throw neverRead(before);
    // Before anything is asked of the upstream: what was revoked is let in nowhere.
    if (await isSameValue(deps, before)) {
      if (isOwed(before, deps.clock())) throw sameValue(before);
      return { outcome: 'unchanged', credential: before };
    }
    const found = await read(deps, before);
    const key = await keyOf(deps, before, found);
    await assertWorks(deps, before, found);
    if (request.dryRun) return { outcome: 'confirmed', credential: before };
    const marked = await mark(deps, before, key, found);
    return { outcome: 'confirmed', credential: await record(deps, before, marked, request) };
  });
}

function assertByHand(credential: Credential): void {
  const { name, type } = credential;
  if (!isRoot(type)) {
    throw new RekeyError('ERR_REQUEST', `${name} is no administrative credential`, {
      field: 'name',
      remedy: `to confirm that a holder has moved, name it: rekey confirm ${name} HOLDER`,
    });
  }
  if (isTask(credential)) return;
  if (isHalted(credential)) return assertNoReplacement(credential);
  throw new RekeyError('ERR_REQUEST', `Rekey replaces ${name} itself: there is nothing to confirm`, {
    field: 'name',
    remedy: `rekey rotate ${name} replaces it now`,
  });
}

/** What Rekey has begun to put in its place would live on beside what a person has made. */
function assertNoReplacement({ name, activeRotation }: Credential): void {
  if (activeRotation === undefined) return;
  throw new RekeyError('ERR_CONFLICT', `Rekey has begun to replace ${name}: its replacement may live`, {
    field: 'name',
    remedy: `where that has failed, start the emergency again: rekey revoke ${name}`,
  });
}

/** An emergency has revoked it, and nothing works in its place yet. */
function isHalted({ status, incident }: Credential): boolean {
  return status === 'halted' && incident !== undefined && reached(incident, 'revoked');
}

function isOwed(credential: Credential, now: number): boolean {
  const since = taskSince(credential);
  return isHalted(credential) || (since !== undefined && fromInstant(since) <= now);
}

async function isSameValue(deps: EngineDeps, credential: Credential): Promise<boolean> {
  const { provider } = await upstream(deps, credential);
  const text = await deps.vault.read(credential.secretName, { stage: 'AWSCURRENT' });
  if (text === undefined) return false;
  return fingerprint(provider.secretPart(provider.material(text))) === credential.current?.fingerprint;
}

async function read(deps: EngineDeps, credential: Credential): Promise<Found> {
  const { secretName, name } = credential;
  const secret = await deps.vault.describe(secretName);
  if (secret === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `the secret ${secretName} of ${name} is gone`, {
      field: 'secret',
      remedy: 'restore it, or declare the root anew under another secret',
    });
  }
  return readExisting(deps, credential, secret);
}

/** In mode observe Rekey hands nothing out; what it owns gets the next generation, above all that the emergency has ended. */
async function keyOf(
  deps: EngineDeps,
  credential: Credential,
  { id, versionId, material, storedAt }: Found,
): Promise<Key> {
  const { provider } = await upstream(deps, credential);
  const handle = isTask(credential)
    ? { id, generation: 0 }
    : { id, generation: credential.generation + 1, token: credential.id };
  return {
    handle,
    versionId,
    fingerprint: fingerprint(provider.secretPart(material)),
    issuedAt: storedAt ?? toInstant(deps.clock()),
  };
}

/** What a person has made in the place of what was revoked becomes Rekey's own, as by an adoption: marked first. */
async function mark(deps: EngineDeps, credential: Credential, key: Key, { material }: Found): Promise<Key> {
  if (isTask(credential)) return key;
  const { provider, target, ctx } = await upstream(deps, credential);
  const { handle } = key;
  const marked = await provider.adoption?.adopt(target, credential.id, { handle, material }, ctx);
  return { ...key, handle: marked ?? handle };
}

/** Whether another value is there now, nobody can tell. */
function neverRead({ name, secretName }: Credential): RekeyError {
  return new RekeyError('ERR_CONFLICT', `Rekey has never read the value of ${name} that is to be replaced`, {
    field: 'secret',
    remedy: `tag ${secretName} as rekey apply says, apply its entry again, and its date counts from that value`,
  });
}

/** Nothing was replaced: the record would say that the old one is gone. */
function sameValue({ name, secretName, current }: Credential): RekeyError {
  return new RekeyError(
    'ERR_CONFLICT',
    `the secret ${secretName} still holds the value of ${current?.issuedAt ?? 'before'}`,
    {
      field: 'secret',
      remedy: `put the new value into it, then confirm again; rekey roots has the steps for ${name}`,
    },
  );
}

async function assertWorks(deps: EngineDeps, credential: Credential, { material }: Found): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, credential);
  try {
    await provider.verify(target, material, ctx);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
    throw new RekeyError('ERR_REJECTED', `the new value of ${credential.secretName} is not let in`, {
      field: 'secret',
      remedy: 'put the value that works into the secret, then confirm again',
      cause: error,
    });
  }
}

function record(
  deps: EngineDeps,
  before: Credential,
  key: Key,
  { trigger, letIn }: RootConfirmation,
): Promise<Credential> {
  const { current, incident } = before;
  const isReplaced = isHalted(before);
  return deps.ledger.commit({
    before,
    after: {
      ...before,
      current: key,
      ...(isReplaced ? { status: 'active', live: [key.handle], generation: key.handle.generation } : {}),
      ...(isReplaced && incident !== undefined ? { incident: { ...incident, stage: 'resumed' } } : {}),
    },
    keys: [key],
    records: [
      {
        action: 'task-confirmed',
        time: toInstant(deps.clock()),
        trigger,
        newFingerprint: key.fingerprint,
        newHandle: describeHandle(key.handle),
        ...(current === undefined
          ? {}
          : { oldFingerprint: current.fingerprint, oldHandle: describeHandle(current.handle) }),
        holders: before.holders.map(({ name }) => name),
        ...(isReplaced && incident !== undefined ? { incidentId: incident.id } : {}),
        evidence: {
          ...before.root,
          letIn,
          storedAt: key.issuedAt,
          ...(planOf(before).overdue === true ? { overdue: true } : {}),
        },
      },
    ],
  });
}
