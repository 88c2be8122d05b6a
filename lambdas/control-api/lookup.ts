import type { RotationView } from '../../shared/api/messages.ts';
import { rotationView } from '../../shared/api/views.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Family } from '../../shared/domain/families.ts';
import { stillMissing } from '../../shared/domain/holder-evidence.ts';
import type { Rotation, Trigger } from '../../shared/domain/rotation.ts';
import { evidenceNow } from '../../shared/engine/clients.ts';
import type { FamilyReads } from '../../shared/ports/families.ts';
import type { Ledger } from '../../shared/ports/ledger.ts';
import type { ControlServices } from './route.ts';

/** A credential by name or id. */
export async function find(ledger: Ledger, nameOrId: string): Promise<Credential | undefined> {
  const id = await ledger.idByName(nameOrId);
  return ledger.credential(id ?? nameOrId);
}

/** The same, or one by its id that was unregistered since. */
export async function findEver(ledger: Ledger, nameOrId: string): Promise<Credential | undefined> {
  return (await find(ledger, nameOrId)) ?? ledger.unregistered(nameOrId);
}

/** The same; ERR_NOT_FOUND where there never was one. */
export async function knownEver(ledger: Ledger, nameOrId: string): Promise<Credential> {
  const credential = await findEver(ledger, nameOrId);
  if (credential !== undefined) return credential;
  throw new RekeyError('ERR_NOT_FOUND', `no credential "${nameOrId}"`, {
    remedy: '`rekey list` names them all; one that was unregistered is known by its id only',
  });
}

/** A token family by name or id, also one by its id that was unregistered since. */
export async function familyEver(families: FamilyReads, nameOrId: string): Promise<Family | undefined> {
  return (await families.familyByName(nameOrId)) ?? families.family(nameOrId);
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

/** A rotation with how far its holders are and what their proof lacks, where its window is open. */
export async function seen(
  deps: Pick<ControlServices, 'agents' | 'clock'>,
  credential: Credential,
  rotation: Rotation,
): Promise<RotationView> {
  const { window, phase } = rotation;
  if (window === undefined || !['window', 'rolling-back'].includes(phase))
    return rotationView(rotation, credential);
  const evidence = await evidenceNow(deps, credential, rotation);
  const missing = stillMissing(credential.holders, window.opensAt, evidence, deps.clock());
  return rotationView(rotation, credential, missing, evidence);
}

/** A caller of the API as whoever asked. */
export function triggerOf(actor: string, reason: string | undefined): Trigger {
  return { kind: 'operator', actor, ...(reason === undefined ? {} : { reason }) };
}
