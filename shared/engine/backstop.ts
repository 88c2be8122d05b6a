import { backstopDays } from '../domain/calendar.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import { isInSteps } from '../domain/rotation.ts';
import type { SecretDescription } from '../ports/vault.ts';
import type { EngineDeps } from './deps.ts';
import { clearPending } from './pending.ts';
import type { RegisterOptions } from './register-draft.ts';
import { loadCredential, untilCommitted } from './state.ts';

/** Whether Secrets Manager's own schedule is as the head says; `later` while the four steps are under way. */
export type Backstop = 'aligned' | 'later';

/**
 * Brings Secrets Manager's own schedule (hard decision 11) in line with the head: none where it is paused, else the one
 * that follows from its policy. Both would end the steps of a rotation under way, which take seconds: then it changes
 * nothing, and is to be called again. What is at the secret decides, not what the head believes of it.
 */
export function alignBackstop(
  deps: EngineDeps,
  options: Pick<RegisterOptions, 'rotationFunction'>,
  credentialId: string,
): Promise<Backstop> {
  return untilCommitted(async () => {
    const credential = await loadCredential(deps, credentialId);
    const secret = await ownSecret(deps, credential);
    if (secret === undefined) return 'aligned';
    const own = options.rotationFunction(credential.type);
    const wanted = credential.paused === undefined ? backstopDays(credential) : undefined;
    const rotates = secret.rotationEnabled && secret.rotationFunction === own;
    const there = rotates ? (credential.backstopDays ?? 'unknown') : undefined;
    if (there === wanted) return 'aligned';
    if (await inSteps(deps, credential)) return 'later';
    if (wanted === undefined) await deps.vault.cancelRotation(secret.arn);
    else {
      // A version left pending would be taken for a rotation under way.
      await clearPending(deps, secret.arn);
      await deps.vault.configureRotation(secret.arn, own, wanted);
    }
    try {
      await deps.ledger.attach(withBackstop(credential, wanted));
    } catch (error) {
      if (wanted !== undefined && isRekeyError(error, 'ERR_CONFLICT'))
        await takeBack(deps, credential, secret);
      throw error;
    }
    return 'aligned';
  });
}

/** Of what was let go of meanwhile, nobody else would take the schedule off again. */
async function takeBack(
  deps: EngineDeps,
  { id }: Credential,
  { arn }: Pick<SecretDescription, 'arn'>,
): Promise<void> {
  if ((await deps.ledger.unregistered(id)) === undefined) return;
  // Its next life has a schedule of its own.
  const owner = await deps.ledger.idBySecret(arn);
  if (owner !== undefined && owner !== id) return;
  await deps.vault.cancelRotation(arn);
  // A schedule is tested as it is set, on a pending copy: whoever cuts that short leaves its label.
  await clearPending(deps, arn);
}

/** The secret, where it is Rekey's to schedule: not of what is only observed, and not one that is gone. */
async function ownSecret(
  deps: EngineDeps,
  { secretArn, adoption }: Credential,
): Promise<SecretDescription | undefined> {
  if (secretArn === undefined || adoption === 'observed' || adoption === 'intended') return undefined;
  const secret = await deps.vault.describe(secretArn);
  return secret?.deleted === true ? undefined : secret;
}

async function inSteps(deps: EngineDeps, { id, activeRotation }: Credential): Promise<boolean> {
  const active = activeRotation === undefined ? undefined : await deps.ledger.rotation(id, activeRotation);
  return active !== undefined && isInSteps(active);
}

function withBackstop({ backstopDays: _former, ...rest }: Credential, days: number | undefined): Credential {
  return days === undefined ? rest : { ...rest, backstopDays: days };
}
