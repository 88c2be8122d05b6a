import type { RotationView } from '../../shared/api/messages.ts';
import { rotationView } from '../../shared/api/views.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import { stillMissing } from '../../shared/domain/holder-evidence.ts';
import type { Rotation, Trigger } from '../../shared/domain/rotation.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';

/** A credential by name or id. */
export async function find(ledger: Ledger, nameOrId: string): Promise<Credential | undefined> {
  const id = await ledger.idByName(nameOrId);
  return ledger.credential(id ?? nameOrId);
}

/** The same, or one by its id that was unregistered since. */
export async function findEver(ledger: Ledger, nameOrId: string): Promise<Credential | undefined> {
  return (await find(ledger, nameOrId)) ?? ledger.unregistered(nameOrId);
}

/** A credential by name or id; ERR_NOT_FOUND where there is none. */
export async function credentialOf(ledger: Ledger, name: string): Promise<Credential> {
  const credential = await find(ledger, name);
  if (credential !== undefined) return credential;
  throw new RekeyError('ERR_NOT_FOUND', `no credential "${name}"`, { remedy: '`rekey list` names them all' });
}

/** The rotation under way. */
export async function active(
  ledger: Ledger,
  { id, activeRotation }: Credential,
): Promise<Rotation | undefined> {
  return activeRotation === undefined ? undefined : ledger.rotation(id, activeRotation);
}

/** A rotation with what its holders' proof lacks, where its window is open. */
export function seen(credential: Credential, rotation: Rotation, now: number): RotationView {
  const { window, phase, holderEvidence } = rotation;
  const open = window !== undefined && ['window', 'rolling-back'].includes(phase);
  return rotationView(
    rotation,
    credential,
    open ? stillMissing(credential.holders, window.opensAt, holderEvidence, now) : undefined,
  );
}

/** A caller of the API as whoever asked. */
export function triggerOf(actor: string, reason: string | undefined): Trigger {
  return { kind: 'operator', actor, ...(reason === undefined ? {} : { reason }) };
}
