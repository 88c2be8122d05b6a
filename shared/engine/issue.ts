import { toInstant, type Instant } from '../domain/clock.ts';
import type { Credential, CredentialHandle, Key } from '../domain/credential.ts';
import { assertConfirmed, type Usage } from '../domain/evidence.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { fingerprint } from '../domain/fingerprint.ts';
import type { Policy } from '../domain/policy.ts';
import type { Redacted } from '../domain/redacted.ts';
import { advance, isPaused, type Rotation, type Trigger } from '../domain/rotation.ts';
import { decideWindow, openWindow, type Proof, type WindowDecision } from '../domain/window.ts';
import { staggerOf } from './order.ts';
import { announce, assertMayRotate, assertNotPaused, assertStaggered } from './start.ts';
import { evidenceNow } from './clients.ts';
import type { AnyProvider } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import { endOrphan } from './end-orphan.ts';
import type { StepInput } from './rotation-step.ts';
import {
  assertNotPreempted,
  commit,
  describeHandle,
  load,
  loadCredential,
  upstream,
  without,
  type Loaded,
} from './state.ts';

/**
 * createSecret: makes the new credential and stores it as AWSPENDING. An unplanned call (an operator's, the schedule
 * of the service) gets its lifecycle here (hard decision 4).
 */
export async function createSecret(deps: EngineDeps, input: StepInput): Promise<void> {
  let state = await adopt(deps, input);
  assertNotPreempted(state);
  if (state.rotation.phase === 'announced') state = await reserve(deps, state);
  if (state.rotation.phase !== 'issuing') return;
  state = await makeRoom(deps, state);
  const key = await store(deps, state, input.secret.arn);
  try {
    await commit(deps, state.credential, {
      rotation: advance(state.rotation, 'activating', { next: key }),
      credential: { live: [...state.credential.live, key.handle] },
      // Before it works; with it the old one, which a version without fingerprints may have made.
      keys: [key, ...(state.rotation.old === undefined ? [] : [state.rotation.old])],
      record: { action: 'activation-intended' },
    });
  } catch (error) {
    if (isRekeyError(error, 'ERR_CONFLICT', 'ERR_PREEMPTED')) await endIfUndone(deps, state, key, input);
    throw error;
  }
}

/**
 * An abort or an emergency that came while the credential was being issued has not seen it: whoever brought it to life
 * ends it.
 */
async function endIfUndone(deps: EngineDeps, state: Loaded, key: Key, { secret }: StepInput): Promise<void> {
  const at = await upstream(deps, state.credential);
  if (at.provider.createsAt === 'activate') return;
  const now = await load(deps, state.credential.id, state.rotation.id);
  if (!now.rotation.tombstoned && now.credential.epoch === state.credential.epoch) return;
  await deps.vault.stripPending(secret.arn, key.versionId);
  await endOrphan(at, key.handle);
  assertNotPreempted(now);
  throw new RekeyError('ERR_TOMBSTONED', 'this rotation was undone while its credential was being issued', {
    field: 'ClientRequestToken',
    remedy: 'start a new rotation',
  });
}

/** The rotation of this token; one that nobody planned is announced now and its lifecycle started. */
async function adopt(deps: EngineDeps, { credentialId, token, secret }: StepInput): Promise<Loaded> {
  const credential = await loadCredential(deps, credentialId);
  const rotation = await deps.ledger.rotation(credentialId, token);
  if (rotation !== undefined) {
    if (isPaused(rotation, credential)) assertNotPaused(credential);
    if (rotation.trigger.kind === 'vault' && rotation.phase === 'announced')
      await follow(deps, credential, token);
    return { credential, rotation };
  }
  const active =
    credential.activeRotation === undefined
      ? undefined
      : await deps.ledger.rotation(credentialId, credential.activeRotation);
  const order = await staggerOf(deps, credential);
  try {
    assertMayRotate(credential, active);
    assertStaggered(credential, order);
  } catch (error) {
    // Nobody will fill this version: left as it is, it would block the next rotation (hard decision 11).
    await deps.vault.stripPending(secret.arn, token);
    throw error;
  }
  const trigger: Trigger = { kind: 'vault', actor: 'secretsmanager.amazonaws.com' };
  const adopted = await announce(deps, credential, token, trigger, order);
  await follow(deps, credential, token);
  return adopted;
}

function follow(deps: EngineDeps, { id, type }: Credential, rotationId: string): Promise<void> {
  return deps.workflow.startLifecycle({ credentialId: id, rotationId, type }, 0);
}

/** Reserves the next generation before anything is asked of the upstream. */
function reserve(deps: EngineDeps, { credential, rotation }: Loaded): Promise<Loaded> {
  return commit(deps, credential, {
    rotation: advance(rotation, 'issuing'),
    credential: { generation: credential.generation + 1 },
    record: { action: 'issue-intended', evidence: { generation: credential.generation + 1 } },
  });
}

/**
 * Retires what mode overlap has kept: in mode enforce, on the same proof as a window needs, counted from when the
 * current credential became current. It is not this rotation's loser, so its records join those of the rotation that
 * kept it.
 * @throws RekeyError ERR_CAPACITY where it has to stay and there is no room beside it.
 */
async function makeRoom(deps: EngineDeps, state: Loaded): Promise<Loaded> {
  const { current } = state.credential;
  if (current === undefined) return state;
  const { provider, target, ctx } = await upstream(deps, state.credential);
  const last = await deps.ledger.rotation(state.credential.id, current.versionId);
  for (const handle of without(state.credential.live, current.handle)) {
    const { credential, rotation } = state;
    const decision = decided(
      deps,
      credential,
      last?.window?.opensAt ?? current.issuedAt,
      last === undefined ? undefined : await evidenceNow(deps, credential, last),
      (await provider.usage?.(target, handle, ctx)) ?? 'unknown',
    );
    const { proof } = decision;
    if (credential.mode !== 'enforce' || decision.kind !== 'retire' || decision.stragglers) {
      if (provider.overlap.kind === 'dual' && credential.live.length < provider.overlap.maxLive) continue;
      throw noRoom(credential, describeHandle(handle), proof);
    }
    const about = {
      oldHandle: describeHandle(handle),
      oldFingerprint: last?.old?.handle.generation === handle.generation ? last.old.fingerprint : '',
      ...(last === undefined ? {} : { correlationId: last.id }),
    };
    const intended = await commit(deps, credential, {
      rotation,
      record: { action: 'revocation-intended', ...about, evidence: { kept: true, proof } },
    });
    const deactivation = await provider.revoke(target, handle, { endSessions: false }, ctx);
    assertConfirmed(deactivation);
    state = await commit(deps, intended.credential, {
      rotation: intended.rotation,
      credential: { live: without(credential.live, handle) },
      record: { action: 'retired', ...about, deactivation: 'CONFIRMED', evidence: { deactivation } },
    });
  }
  return state;
}

function decided(
  deps: EngineDeps,
  { policy, holders }: Credential,
  since: Instant,
  holderEvidence: Rotation['holderEvidence'],
  usage: Usage,
): WindowDecision {
  const facts = { now: deps.clock(), window: openWindow(policy, since), policy, holders, usage, wakeUps: 0 };
  return decideWindow({ ...facts, holderEvidence, mode: 'enforce' });
}

function noRoom({ name, mode }: Credential, kept: string, proof: Proof): RekeyError {
  const why = mode === 'enforce' ? `still needed: ${proof.missing.join('; ')}` : `kept by mode ${mode}`;
  return new RekeyError('ERR_CAPACITY', `${name} has no room for another credential: ${kept} is ${why}`, {
    field: 'mode',
    remedy:
      mode === 'enforce'
        ? 'move who still uses it, then rotate again'
        : 'set mode enforce and apply: the next rotation then retires what was kept',
  });
}

/** The text so far, whose shape an adopted secret keeps; what Rekey made has its own. */
async function shapeOf(
  deps: EngineDeps,
  { adoption }: Credential,
  secret: string,
): Promise<Redacted<string> | undefined> {
  return adoption === undefined ? undefined : deps.vault.read(secret, { stage: 'AWSCURRENT' });
}

/**
 * Issues and stores, or finds what an interrupted attempt has stored: the vault keeps one text per token, and whoever
 * comes second uses that text (traps: never generate again).
 */
export async function store(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  secret: string,
): Promise<Key> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const token = rotation.id;
  const { policy } = credential;
  const issueContext = {
    ...ctx,
    generation: credential.generation,
    intervalSeconds: policy.intervalSeconds,
    ...(rotation.old === undefined ? {} : { current: rotation.old.handle }),
  };
  const found = await deps.vault.read(secret, { versionId: token, stage: 'AWSPENDING' });
  if (found !== undefined) {
    const recalled = await provider.recall?.(target, token, provider.material(found), ctx);
    const listed = recalled === undefined ? await provider.list?.(target, ctx) : undefined;
    const handle =
      recalled ??
      listed?.find((candidate) => candidate.token === token) ??
      (await provider.issue(target, token, issueContext)).handle;
    return key(found, handle);
  }
  const issued = await provider.issue(target, token, issueContext);
  const text = provider.serialize(issued.material, await shapeOf(deps, credential, secret));
  if ((await deps.vault.put(secret, token, text, 'AWSPENDING')) === 'stored') return key(text, issued.handle);
  const first = await deps.vault.read(secret, { versionId: token, stage: 'AWSPENDING' });
  if (first === undefined) {
    throw new RekeyError(
      'ERR_PROTOCOL',
      'another value was stored under this token, but it is not AWSPENDING',
    );
  }
  return key(first, issued.handle);

  function key(value: Redacted<string>, handle: CredentialHandle): Key {
    const material = provider.material(value);
    provider.assertBelongs(target, handle, material);
    return {
      handle,
      versionId: token,
      fingerprint: fingerprint(provider.secretPart(material)),
      issuedAt: toInstant(deps.clock()),
      // From before it was asked for: an answer may have been lost, and this be a repetition.
      ...endOf(provider, target, { policy, from: rotation.updatedAt, material }),
    };
  }
}

/** When what is issued ends by itself, at the earliest; nothing where nothing ends it. */
export function endOf(
  provider: AnyProvider,
  target: unknown,
  {
    policy,
    from,
    material,
  }: {
    readonly policy: Pick<Policy, 'intervalSeconds'>;
    readonly from: Instant;
    readonly material: Redacted<unknown>;
  },
): Pick<Key, 'endsAt'> {
  const endsAt = provider.endsAt?.(target, from, policy.intervalSeconds, material);
  return endsAt === undefined ? {} : { endsAt };
}
