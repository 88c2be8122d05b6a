import type { Credential } from '../domain/credential.ts';
import type { CredentialEntry } from '../domain/declaration.ts';
import { diffDeclared, type FieldChange } from '../domain/declared-diff.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Trigger } from '../domain/rotation.ts';
import type { Notice } from '../providers/provider.ts';
import { registerExisting, updateExisting } from './adopt-update.ts';
import type { EngineDeps } from './deps.ts';
import { reached } from './incident.ts';
import { assertFree, draftOf, noticesOfHolders, preflight, type RegisterOptions } from './register-draft.ts';
import { provisionOrUndo } from './register-provision.ts';
import { reserve, takeUp, undo } from './register-reservation.ts';
import { update } from './register-update.ts';
import { loadCredential } from './state.ts';
import { unregisterUnfinished } from './unregister.ts';

export interface RegisterAnswer {
  readonly outcome: 'registered' | 'updated' | 'unchanged';
  readonly changes: readonly FieldChange[];
  /** What may be a mistake, as the provider found it. Absent in what older versions answer. */
  readonly notices?: readonly Notice[];
  readonly credential?: Credential;
}

/**
 * Registers a credential from its declaration, or brings a registered one in line with it. Nothing rotates by it
 * (RotateImmediately=false). Refusals come before anything is created; what an interrupted attempt has left is
 * completed by the next one.
 * @throws RekeyError naming field and remedy: ERR_DECLARATION, ERR_POLICY, ERR_WINDOW_TOO_SHORT, ERR_SECRET_EXISTS,
 * ERR_UNAVAILABLE / ERR_ADMIN_DENIED (target), ERR_CONFLICT.
 */
export async function register(
  deps: EngineDeps,
  options: RegisterOptions,
  request: { declaration: CredentialEntry; actor: string; dryRun: boolean },
): Promise<RegisterAnswer> {
  const draft = await draftOf(deps, options, request.declaration);
  const trigger: Trigger = { kind: 'operator', actor: request.actor };
  const existingId = await deps.ledger.idByName(draft.name);
  if (existingId !== undefined) {
    const existing = await deps.ledger.credential(existingId);
    if (existing === undefined) throw unregisterUnfinished(draft.name);
    if (existing.adoption === 'observed' || existing.adoption === 'intended')
      return updateExisting(deps, options, existing, draft, trigger, request.dryRun);
    if (existing.status !== 'registering' && !isAbandoned(existing))
      return update(deps, options, existing, draft, trigger, request.dryRun);
    if (draft.adoption !== undefined && !request.dryRun)
      await undo(deps, existing, trigger, { code: 'ERR_DECLARATION', message: 'adopt was declared instead' });
  }
  if (draft.adoption !== undefined) return registerExisting(deps, options, draft, trigger, request.dryRun);
  await assertFree(deps, draft, existingId);
  const notices = [...(await preflight(deps, draft)), ...noticesOfHolders(draft)];
  const changes = diffDeclared(undefined, draft);
  if (request.dryRun) return { outcome: 'registered', changes, notices };
  const reserved =
    existingId === undefined
      ? await reserve(deps, draft, trigger)
      : await takeUp(deps, await loadCredential(deps, existingId), draft, trigger);
  const credential = await provisionOrUndo(deps, options, reserved, trigger);
  return { outcome: 'registered', changes, notices, credential };
}

/** Whether an emergency has ended a registration before it had made the secret: nothing is there to be replaced. */
function isAbandoned(credential: Credential): boolean {
  if (credential.status !== 'halted' || credential.current !== undefined) return false;
  if (credential.secretArn !== undefined) return false;
  if (credential.incident !== undefined && reached(credential.incident, 'halted')) return true;
  throw new RekeyError('ERR_CONFLICT', `an emergency of ${credential.name} is under way`, {
    remedy: 'apply again once it has ended',
  });
}
