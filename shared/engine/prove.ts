import type { Key } from '../domain/credential.ts';
import { RekeyError, isRekeyError } from '../domain/errors.ts';
import type { Redacted } from '../domain/redacted.ts';
import type { EngineDeps } from './deps.ts';
import { endOrphan } from './end-orphan.ts';
import type { StepInput } from './rotation-step.ts';
import { assertNotPreempted, load, loadCredential, upstream, type Loaded } from './state.ts';

/**
 * setSecret: makes the pending credential work. Before an administrative login is used, the current credential must
 * prove itself, and the pending one must be for the same host and one of its own slots (traps: confused deputy).
 */
export async function setSecret(deps: EngineDeps, state: Loaded, { secret }: StepInput): Promise<void> {
  const { next, old } = state.rotation;
  if (next === undefined) throw notCreated();
  if (state.rotation.phase !== 'activating') return;
  const at = await upstream(deps, state.credential);
  const { provider, target, ctx } = at;
  const material = await pending(deps, state, secret.arn, next);
  if (old !== undefined) await proveCurrent(deps, state, secret.arn, old);
  await provider.activate?.(target, next.versionId, { handle: next.handle, material }, ctx);
  // An emergency or an abort that came meanwhile has not seen it (hard decision 3): whoever brought it to life ends it.
  const now = await load(deps, state.credential.id, state.rotation.id);
  const preempted = now.credential.epoch !== state.credential.epoch;
  // Not while a rollback is on its way: agents still use it then, and the way back ends it.
  if (!preempted && !['aborting', 'aborted', 'rolled-back', 'preempted'].includes(now.rotation.phase)) return;
  await endOrphan(at, next.handle);
  assertNotPreempted(now);
  throw new RekeyError(
    'ERR_TOMBSTONED',
    'this rotation was undone while its credential was being activated',
    {
      field: 'ClientRequestToken',
      remedy: 'start a new rotation',
    },
  );
}

/**
 * testSecret: uses the pending credential as an agent would, and compares what it may do (Z8, Z9, Z3). Answers whether the
 * upstream told the latter.
 */
export async function testSecret(
  deps: EngineDeps,
  state: Loaded,
  { secret }: StepInput,
): Promise<'same' | 'unknown'> {
  const { next, old } = state.rotation;
  if (next === undefined) throw notCreated();
  const { provider, target, ctx } = await upstream(deps, state.credential);
  const material = await pending(deps, state, secret.arn, next);
  await provider.verify(target, material, ctx);
  if (old === undefined) return 'unknown';
  return (await provider.comparePermissions?.(target, old.handle, next.handle, ctx)) ?? 'unknown';
}

/** RotateImmediately=false: proves that the configuration works, by the current credential. Nothing is changed. */
export async function testConfiguration(
  deps: EngineDeps,
  { credentialId, secret }: StepInput,
): Promise<void> {
  const credential = await loadCredential(deps, credentialId);
  const { provider, target, ctx } = await upstream(deps, credential);
  const text = await deps.vault.read(secret.arn, { stage: 'AWSCURRENT' });
  if (text === undefined) throw new RekeyError('ERR_NOT_FOUND', 'the secret has no current value');
  await provider.verify(target, provider.material(text), ctx);
}

/** The pending material, proven to be for this target and slot. */
async function pending(
  deps: EngineDeps,
  { credential }: Loaded,
  secret: string,
  next: Key,
): Promise<Redacted<unknown>> {
  const { provider, target } = await upstream(deps, credential);
  const text = await deps.vault.read(secret, { versionId: next.versionId, stage: 'AWSPENDING' });
  if (text === undefined) throw notCreated();
  const material = provider.material(text);
  provider.assertBelongs(target, next.handle, material);
  return material;
}

/** ERR_REJECTED where the current credential doesn't work: then something else is wrong, and no admin login is used. */
async function proveCurrent(
  deps: EngineDeps,
  { credential }: Loaded,
  secret: string,
  old: Key,
): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const text = await deps.vault.read(secret, { versionId: old.versionId, stage: 'AWSCURRENT' });
  if (text === undefined) {
    throw new RekeyError(
      'ERR_MATERIAL_MISMATCH',
      'the current version of the secret is not the one in the ledger',
      {
        remedy: 'somebody has put a value by hand: put the former one back, or revoke and replace',
      },
    );
  }
  const material = provider.material(text);
  provider.assertBelongs(target, old.handle, material);
  try {
    await provider.verify(target, material, ctx);
  } catch (error) {
    if (!isRekeyError(error, 'ERR_REJECTED')) throw error;
    // What died with what it was made under, or by the making of the next, gets a successor: it is known who ended it.
    const mayBeDead = provider.madeUnder !== undefined || provider.endsFormer?.(target) === true;
    if (mayBeDead && (await provider.deactivation?.(target, old.handle, ctx))?.confirmed) return;
    throw new RekeyError('ERR_REJECTED', 'the current credential does not work, so nothing is rotated', {
      remedy: 'find out who changed it at the upstream; then restore it, or replace it with rekey revoke',
      cause: error,
    });
  }
}

function notCreated(): RekeyError {
  return new RekeyError('ERR_PROTOCOL', 'createSecret has not stored a value for this token', {
    field: 'ClientRequestToken',
  });
}
