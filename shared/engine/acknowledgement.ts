import { acknowledgementKey } from '../domain/acknowledgement-key.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { AcknowledgementKey } from '../domain/rotation.ts';
import { clientsOf } from './clients.ts';
import type { EngineDeps } from './deps.ts';

/**
 * What agents will prove with that they have the value of `key`, encrypted for whoever checks it; undefined where no
 * agent has to. Called before the label moves: what fails here has changed nothing, and comes again.
 */
export async function sealAcknowledgement(
  deps: EngineDeps,
  credential: Credential,
  rotation: string,
  { versionId, fingerprint }: Key,
): Promise<Omit<AcknowledgementKey, 'opensAt'> | undefined> {
  if (clientsOf(credential).length === 0) return undefined;
  const text = await deps.vault.read(credential.secretName, { versionId });
  if (text === undefined) throw new RekeyError('ERR_REJECTED', 'the version to acknowledge is gone');
  const sealed = await deps.sealer.seal(acknowledgementKey(text, rotation), {
    purpose: 'acknowledgement',
    of: credential.id,
    id: rotation,
  });
  return { versionId, fingerprint, sealed };
}
