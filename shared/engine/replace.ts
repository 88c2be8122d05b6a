import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle, Key } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { assertConfirmed, type Deactivation } from '../domain/evidence.ts';
import type { Redacted } from '../domain/redacted.ts';
import { isOwnLogin } from '../domain/roots.ts';
import { advance } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { endOrphan } from './end-orphan.ts';
import { draft, enter } from './incident-commit.ts';
import { emergencyTrigger, holds, own, reached, type Emergency } from './incident.ts';
import { store } from './issue.ts';
import { outlook } from './outlook.ts';
import { clearPending } from './pending.ts';
import { holderOfCurrent } from './promote.ts';
import { describeHandle, load, loadCredential, untilCommitted, upstream, type Loaded } from './state.ts';

/**
 * Generate: sweeps away what a rotation under way may have brought to life since, then issues a credential of a later
 * generation and makes it work. Its value waits as AWSPENDING under the incident's own token.
 */
export function generate(deps: EngineDeps, emergency: Emergency): Promise<void> {
  return untilCommitted(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    const incident = own(before, emergency);
    if (reached(incident, 'generated')) return;
    if (!reached(incident, 'revoked')) {
      throw new RekeyError('ERR_CONFLICT', 'nothing is generated before the revocation is recorded (I2)');
    }
    assertReplaceable(before);
    await sweep(deps, emergency);
    const secret = secretOf(before.secretArn);
    const state = await begin(deps, emergency);
    await clearPending(deps, secret, incident.replacement);
    const next = await store(deps, state, secret);
    const at = await upstream(deps, state.credential);
    const { provider, target, ctx } = at;
    const material = await pending(deps, state.credential, next.versionId);
    try {
      await untilCommitted(() => recordKey(deps, emergency, next));
      await provider.activate?.(target, next.versionId, { handle: next.handle, material }, ctx);
      await enter(deps, emergency, 'generated', 'replacement-generated', {
        rotation: advance(state.rotation, 'activating', { next }),
        newFingerprint: next.fingerprint,
        newHandle: describeHandle(next.handle),
      });
    } catch (error) {
      // A later emergency has taken over and may not have seen this one: whoever brought it to life ends it.
      if (isRekeyError(error, 'ERR_PREEMPTED')) {
        await endOrphan(at, next.handle);
        await deps.vault.stripPending(secret, next.versionId);
      }
      throw error;
    }
  });
}

/** Validate: uses the replacement as an agent would. ERR_REJECTED leaves the agents halted. */
export async function validate(deps: EngineDeps, emergency: Emergency): Promise<void> {
  const { credential, rotation } = await replacement(deps, emergency);
  if (reached(own(credential, emergency), 'validated')) return;
  const at = await upstream(deps, credential);
  const material = await pending(deps, credential, rotation.id);
  // At once: agents are halted until this is done.
  const [ahead] = await Promise.all([outlook(at), at.provider.verify(at.target, material, at.ctx)]);
  await enter(deps, emergency, 'validated', 'replacement-validated', {
    rotation: advance(rotation, 'promoting'),
    outlook: ahead,
  });
}

/** Vault: moves AWSCURRENT to the replacement (no RotateSecret: hard decision 3). Agents may read it now. */
export async function update(deps: EngineDeps, emergency: Emergency): Promise<void> {
  const before = await loadCredential(deps, emergency.credentialId);
  const secret = secretOf(before.secretArn);
  // The label before the ledger: where a later emergency moves it after this, the vault refuses our move.
  const from = await holderOfCurrent(deps, secret);
  const { credential, rotation } = await replacement(deps, emergency);
  if (reached(own(credential, emergency), 'replaced')) return;
  const { next } = rotation;
  if (next === undefined) throw new RekeyError('ERR_CONFLICT', 'nothing has been generated');
  await deps.vault.promote(secret, { to: next.versionId, from });
  await deps.vault.stripPending(secret, next.versionId);
  await enter(deps, emergency, 'replaced', 'replaced', {
    credential: { status: 'active', current: next },
    rotation: advance(rotation, 'completed'),
    newFingerprint: next.fingerprint,
    newHandle: describeHandle(next.handle),
  });
}

async function pending(deps: EngineDeps, credential: Credential, token: string): Promise<Redacted<unknown>> {
  const { provider } = await upstream(deps, credential);
  // By its version alone: another's write may have taken the label.
  const text = await deps.vault.read(secretOf(credential.secretArn), { versionId: token });
  if (text === undefined) throw new RekeyError('ERR_CONFLICT', 'the replacement is not in the vault');
  return provider.material(text);
}

async function replacement(deps: EngineDeps, emergency: Emergency): Promise<Loaded> {
  const credential = await loadCredential(deps, emergency.credentialId);
  return load(deps, credential.id, own(credential, emergency).replacement);
}

/**
 * Sweep: where nothing is generated, what a rotation under way has brought to life since the revocation, and died before it could
 * end that. What is its own administrative login has none left to look with, and none that would make another.
 */
export async function sweepLate(deps: EngineDeps, emergency: Emergency): Promise<void> {
  if (isOwnLogin(await loadCredential(deps, emergency.credentialId))) return;
  await sweep(deps, emergency);
}

/**
 * Whatever still works and is not the replacement dies now, on record before and after. What a sweep before this one had set
 * out to end and died over is ended again: it may be dead, but nobody has recorded that.
 */
async function sweep(deps: EngineDeps, emergency: Emergency): Promise<void> {
  const credential = await loadCredential(deps, emergency.credentialId);
  const { generation, late: begun = [] } = own(credential, emergency);
  const { provider, target, ctx } = await upstream(deps, credential);
  const listed = (await provider.list?.(target, ctx)) ?? [];
  const living = listed.filter((one) => one.generation <= generation);
  const late = [...living, ...begun.filter((one) => !living.some((other) => isSame(one, other)))];
  if (late.length === 0) return;
  await noteLate(deps, emergency, 'emergency-intended', late, { late: late.map(describeHandle) });
  const ended: { handle: string; deactivation: Deactivation }[] = [];
  for (const handle of late) {
    const how = { endSessions: true, compromised: true };
    const deactivation = await provider.revoke(target, { ...handle, generation }, how, ctx);
    assertConfirmed(deactivation);
    ended.push({ handle: describeHandle(handle), deactivation });
  }
  await noteLate(deps, emergency, 'emergency-revoked', [], { late: ended });
}

function isSame(one: CredentialHandle, other: CredentialHandle): boolean {
  return one.id === other.id && one.generation === other.generation;
}

/**
 * A record of the sweep, in one transaction with what it still has to end. Nothing begins once a later emergency holds the
 * credential; what was ended until then is on record all the same.
 */
function noteLate(
  deps: EngineDeps,
  emergency: Emergency,
  action: 'emergency-intended' | 'emergency-revoked',
  late: readonly CredentialHandle[],
  evidence: object,
): Promise<void> {
  const over = late.length === 0;
  return untilCommitted(async () => {
    const before = await loadCredential(deps, emergency.credentialId);
    const about = draft(deps, before, emergency, action, evidence);
    const record = over ? { ...about, deactivation: 'CONFIRMED' as const } : about;
    if (over && !holds(emergency, before)) {
      await deps.ledger.commit({ before, after: before, records: [record] });
      return;
    }
    const { late: _begun, ...incident } = own(before, emergency);
    const after = { ...before, incident: { ...incident, ...(over ? {} : { late }) } };
    await deps.ledger.commit({ before, after, records: [record] });
  });
}

/** The replacement's rotation in the ledger, begun or found. */
async function begin(deps: EngineDeps, emergency: Emergency): Promise<Loaded> {
  const credential = await loadCredential(deps, emergency.credentialId);
  const { replacement: id, generation } = own(credential, emergency);
  const found = await deps.ledger.rotation(credential.id, id);
  if (found !== undefined) return { credential, rotation: found };
  const now = toInstant(deps.clock());
  const rotation = {
    id,
    credentialId: credential.id,
    phase: 'issuing' as const,
    trigger: emergencyTrigger(emergency),
    epoch: credential.epoch,
    tombstoned: false,
    wakeUps: 0,
    loser: 'old' as const,
    repairs: 0,
    incidentId: emergency.incidentId,
    checkAt: plusSeconds(now, deps.timing.stuckAfterSeconds),
    startedAt: now,
    updatedAt: now,
  };
  const reserved = await deps.ledger.commit({
    before: credential,
    after: { ...credential, generation: generation + 1, activeRotation: id },
    rotation,
    records: [
      {
        action: 'replacement-intended',
        time: now,
        trigger: rotation.trigger,
        correlationId: id,
        incidentId: emergency.incidentId,
        evidence: { generation: generation + 1 },
      },
    ],
  });
  return { credential: reserved, rotation };
}

/** Before it works. */
async function recordKey(deps: EngineDeps, emergency: Emergency, key: Key): Promise<void> {
  const { handle } = key;
  const credential = await loadCredential(deps, emergency.credentialId);
  own(credential, emergency);
  if (credential.live.some((one) => one.id === handle.id && one.generation === handle.generation)) return;
  await deps.ledger.attach({ ...credential, live: [...credential.live, handle] }, undefined, [key]);
}

/** What administered itself is dead, and can't make its successor. @throws RekeyError ERR_ADMIN_DENIED */
function assertReplaceable(credential: Credential): void {
  if (!isOwnLogin(credential)) return;
  const { name, secretName } = credential;
  throw new RekeyError('ERR_ADMIN_DENIED', `${name} was its own administrative login, which is revoked now`, {
    field: 'admin',
    remedy: `a person makes another at the upstream and puts it into ${secretName}; then: rekey confirm ${name}`,
  });
}

function secretOf(arn: string | undefined): string {
  if (arn === undefined) throw new RekeyError('ERR_CONFLICT', 'this credential has no secret');
  return arn;
}
