import { RekeyError, isRekeyError } from '../domain/errors.ts';
import { isInSteps, isOver } from '../domain/rotation.ts';
import type { SecretDescription } from '../ports/vault.ts';
import { abort } from './abort.ts';
import type { EngineDeps } from './deps.ts';
import { createSecret } from './issue.ts';
import { underMaster } from './master.ts';
import { finishSecret } from './promote.ts';
import { setSecret, testConfiguration, testSecret } from './prove.ts';
import { assertNotPreempted, loadCredential, untilCommitted } from './state.ts';

/** A call of Secrets Manager to a rotation function. */
export interface RotationStep {
  readonly Step: string;
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

/** What a step works on, after the checks of the protocol. */
export interface StepInput {
  readonly credentialId: string;
  readonly token: string;
  readonly secret: SecretDescription;
}

/** Errors that no repetition cures: the rotation is aborted and somebody is told (Z8). */
const FINAL = [
  'ERR_REJECTED',
  'ERR_CAPACITY',
  'ERR_ADMIN_DENIED',
  'ERR_MATERIAL_MISMATCH',
  'ERR_AWAITING_OPERATOR',
] as const;

/** Errors of an upstream that passes: the step is tried again, and the rotation given up where they don't. */
const HINDERING = ['ERR_UNAVAILABLE', 'ERR_NOT_PROPAGATED', 'ERR_TIMEOUT'] as const;

/**
 * One of the four steps, as Secrets Manager calls it. Any step may come twice, late, out of order or after a crash of
 * the one before; the checks are those of traps.md, "Secrets Manager protocol".
 * @throws RekeyError ERR_PROTOCOL, ERR_TOMBSTONED, ERR_PREEMPTED, ERR_WINDOW_OPEN or what the provider raised.
 */
export async function rotationStep(deps: EngineDeps, call: RotationStep): Promise<void> {
  const { secret, credentialId } = await identify(deps, call.SecretId);
  const token = call.ClientRequestToken;
  const stages = secret.versions[token];
  if (!secret.rotationEnabled) {
    throw new RekeyError('ERR_PROTOCOL', 'rotation is not enabled for this secret', {
      remedy: 'apply the declaration again, which configures the rotation',
    });
  }
  if (stages === undefined) {
    throw new RekeyError('ERR_PROTOCOL', 'this token has no version of the secret', {
      field: 'ClientRequestToken',
    });
  }
  const rotation = await deps.ledger.rotation(credentialId, token);
  if (rotation?.tombstoned === true) {
    // A step that was under way may have put the label back; it would block the next rotation (hard decision 1).
    if (!stages.includes('AWSCURRENT')) await deps.vault.stripPending(secret.arn, token);
    throw new RekeyError('ERR_TOMBSTONED', 'this token was rolled back or revoked and is refused for good', {
      field: 'ClientRequestToken',
      remedy: 'start a new rotation',
    });
  }
  const input: StepInput = { credentialId, token, secret };
  if (stages.includes('AWSCURRENT')) {
    // Nothing to do, unless the process died between the move of the label and its record.
    if (rotation?.phase === 'promoting') await finishSecret(deps, input);
    return;
  }
  if (!stages.includes('AWSPENDING')) {
    throw new RekeyError('ERR_PROTOCOL', 'this token is not AWSPENDING', { field: 'ClientRequestToken' });
  }
  await perform(deps, call.Step, input);
}

async function perform(deps: EngineDeps, step: string, input: StepInput): Promise<void> {
  try {
    await underMaster(deps, (watched) => untilCommitted(() => dispatch(watched, step, input)));
  } catch (error) {
    // An emergency came while this step was under way: what it has stored since must not stay pending.
    if (isRekeyError(error, 'ERR_PREEMPTED')) await deps.vault.stripPending(input.secret.arn, input.token);
    if (isRekeyError(error, ...FINAL)) {
      const rotation = await deps.ledger.rotation(input.credentialId, input.token);
      // A failed test of the configuration, or one before anything was begun, has nothing to abort.
      if (rotation !== undefined && !isOver(rotation.phase)) {
        await abort(deps, input.credentialId, input.token, { code: error.code, message: error.message });
      }
    }
    if (isRekeyError(error, ...HINDERING)) await remember(deps, input, error);
    throw error;
  }
}

/** Keeps why the step failed: Secrets Manager tells nobody. Where that can't be written now, the function's log has it. */
async function remember(
  deps: EngineDeps,
  { credentialId, token }: StepInput,
  { code, message }: RekeyError,
): Promise<void> {
  try {
    const credential = await loadCredential(deps, credentialId);
    const rotation = await deps.ledger.rotation(credentialId, token);
    if (rotation === undefined || rotation.tombstoned || !isInSteps(rotation)) return;
    if (rotation.hindrance?.message === message) return;
    await deps.ledger.attach(credential, { ...rotation, hindrance: { code, message } });
  } catch (error) {
    if (!isRekeyError(error)) throw error;
  }
}

async function dispatch(deps: EngineDeps, step: string, input: StepInput): Promise<void> {
  switch (step) {
    case 'createSecret':
      return createSecret(deps, input);
    case 'setSecret':
      return setSecret(deps, await begun(deps, input), input);
    case 'testSecret': {
      const rotation = await deps.ledger.rotation(input.credentialId, input.token);
      // RotateImmediately=false runs only this step, on a token of its own.
      if (rotation === undefined) return testConfiguration(deps, input);
      await testSecret(deps, await begun(deps, input), input);
      return;
    }
    case 'finishSecret':
      return finishSecret(deps, input);
    default:
      throw new RekeyError('ERR_PROTOCOL', `unknown step "${step}"`, { field: 'Step' });
  }
}

/** The state of a rotation that createSecret has begun. */
async function begun(deps: EngineDeps, { credentialId, token }: StepInput) {
  const credential = await loadCredential(deps, credentialId);
  const rotation = await deps.ledger.rotation(credentialId, token);
  if (rotation === undefined) {
    throw new RekeyError('ERR_PROTOCOL', 'createSecret has not run for this token', {
      field: 'ClientRequestToken',
    });
  }
  assertNotPreempted({ credential, rotation });
  return { credential, rotation };
}

async function identify(
  deps: EngineDeps,
  secretId: string,
): Promise<{ secret: SecretDescription; credentialId: string }> {
  const secret = await deps.vault.describe(secretId);
  if (secret === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', 'there is no such secret', { field: 'SecretId' });
  }
  const credentialId = await deps.ledger.idBySecret(secret.arn);
  if (credentialId === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `the secret ${secret.name} is not registered with Rekey`, {
      field: 'SecretId',
      remedy: 'declare it in rekey.yaml and apply, or take this rotation function off the secret',
    });
  }
  return { secret, credentialId };
}
