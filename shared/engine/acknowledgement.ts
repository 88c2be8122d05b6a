import { acknowledgementKey } from '../domain/acknowledgement-key.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { AcknowledgementKey } from '../domain/rotation.ts';
import { clientsOf } from './clients.ts';
import type { EngineDeps } from './deps.ts';
import { upstream } from './state.ts';

/**
 * What agents will prove with that they have the value of `key`: what their signatures are checked by, or what follows from
 * the value, encrypted for whoever checks it; undefined where no agent has to. Called before the label moves: what fails here
 * has changed nothing, and comes again.
 */
export async function sealAcknowledgement(
  deps: EngineDeps,
  credential: Credential,
  rotation: string,
  { versionId, fingerprint, handle }: Key,
): Promise<Omit<AcknowledgementKey, 'opensAt'> | undefined> {
  const clients = clientsOf(credential);
  if (clients.length === 0) return undefined;
  // Who only verifies has nothing of the value.
  if (clients.every(({ verifies }) => verifies === true)) return { versionId, fingerprint };
  const { provider, target, ctx } = await upstream(deps, credential);
  const publicKey = await provider.publicKey?.(target, handle, ctx);
  if (publicKey !== undefined) return { versionId, fingerprint, publicKey };
  const text = await deps.vault.read(credential.secretName, { versionId });
  if (text === undefined) throw new RekeyError('ERR_REJECTED', 'the version to acknowledge is gone');
  const sealed = await deps.sealer.seal(acknowledgementKey(text, rotation), {
    purpose: 'acknowledgement',
    of: credential.id,
    id: rotation,
  });
  return { versionId, fingerprint, sealed };
}
