import { CHALLENGE_SECONDS, type Acknowledgement, type Session } from '../../domain/agents.ts';
import { plusSeconds, toInstant, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import { proves } from '../../domain/possession.ts';
import type { AcknowledgementKey, Rotation } from '../../domain/rotation.ts';
import { parseAcknowledgement, type AcknowledgementPayload as Payload } from '../../domain/signed.ts';
import type { AgentDeps } from './deps.ts';
import { signedBy } from './signed.ts';
import { openSessionOf, speakerOf, type Speaker, type Speaking } from './speaker.ts';
import { wakeWindow } from './wake.ts';

/**
 * A challenge for one acknowledgement of this session in this rotation; the one before it is void.
 * @throws RekeyError ERR_CONFLICT where no window of that rotation is open
 */
export async function challenge(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id, rotation: rotationId }: { session: string; rotation: string },
): Promise<{ challenge: string; expiresAt: Instant }> {
  const speaker = await speakerOf(deps, speaking);
  const session = await openSessionOf(deps, speaking.agent, id);
  const credential = [...speaker.credentials.values()].find(
    ({ activeRotation }) => activeRotation === rotationId,
  );
  if (credential === undefined) throw over(rotationId);
  openKeyOf(credential, await deps.ledger.rotation(credential.id, rotationId));
  const made = deps.newNonce();
  const expiresAt = plusSeconds(toInstant(deps.clock()), CHALLENGE_SECONDS);
  await deps.agents.challenge({
    session: session.id,
    rotation: rotationId,
    challenge: made,
    expires: expiresAt,
  });
  return { challenge: made, expiresAt };
}

/**
 * Keeps the proof that an instance has the value that the open window is about, and wakes the lifecycle where that was
 * the last one. The same acknowledgement again is success.
 * @throws RekeyError ERR_PROOF, ERR_CHALLENGE, ERR_CONFLICT
 */
export async function acknowledge(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id, jws }: { session: string; jws: string },
): Promise<Acknowledgement> {
  const speaker = await speakerOf(deps, speaking);
  const session = await openSessionOf(deps, speaking.agent, id);
  const payload = await signedBy(deps, session, parseAcknowledgement, jws);
  const credential = ofSpeaker(speaker, payload);
  const rotation = await deps.ledger.rotation(credential.id, payload.rotation);
  const kept =
    (await repeated(deps, session, rotation, jws)) ??
    (await keep(deps, session, { credential, rotation, payload, jws }));
  await wakeWindow(deps, credential.id, payload.rotation);
  return kept;
}

/** The acknowledgement that this JWS has made already: its answer was lost. */
async function repeated(
  { agents }: AgentDeps,
  session: Session,
  rotation: Rotation | undefined,
  jws: string,
): Promise<Acknowledgement | undefined> {
  if (rotation?.window === undefined) return undefined;
  const { opensAt } = rotation.window;
  const found = await agents.acknowledgement({ rotation: rotation.id, opensAt, session: session.id });
  return found?.jws === jws ? found : undefined;
}

async function keep(
  deps: AgentDeps,
  session: Session,
  about: { credential: Credential; rotation: Rotation | undefined; payload: Payload; jws: string },
): Promise<Acknowledgement> {
  const { credential, payload, jws } = about;
  const key = openKeyOf(credential, about.rotation);
  assertOwnVersion(key, payload);
  const unsealed = await deps.sealer.unseal(key.sealed, {
    purpose: 'acknowledgement',
    of: credential.id,
    id: payload.rotation,
  });
  if (!proves(unsealed, payload, payload.proof)) {
    throw new RekeyError('ERR_PROOF', 'the proof was not made with the value of this version', {
      field: 'payload.proof',
      remedy:
        'read the version from the vault, derive the key from its SecretString as it is, and answer a fresh challenge',
    });
  }
  const now = toInstant(deps.clock());
  const { challenge: answered, rotation, versionId, fingerprint, persisted } = payload;
  const made: Acknowledgement = {
    credentialId: credential.id,
    rotation,
    opensAt: key.opensAt,
    agent: session.agent,
    session: session.id,
    instance: session.instance,
    versionId,
    fingerprint,
    persisted,
    at: now,
    jws,
    thumbprint: session.thumbprint,
  };
  await deps.agents.acknowledge(made, answered, now);
  return made;
}

function ofSpeaker({ credentials }: Speaker, { credential: name }: Payload): Credential {
  const credential = credentials.get(name);
  if (credential !== undefined) return credential;
  throw new RekeyError('ERR_CONFLICT', `"${name}" is not a credential of this agent`, {
    field: 'payload.credential',
    remedy: 'take the credential from the notice',
  });
}

/** What acknowledgements of the open window are held against. @throws RekeyError ERR_CONFLICT where none is open */
function openKeyOf(credential: Credential, rotation: Rotation | undefined): AcknowledgementKey {
  if (rotation === undefined || credential.activeRotation !== rotation.id) throw over(rotation?.id ?? '');
  const { window, acknowledgement, phase, epoch } = rotation;
  // A pause closes no window: agents move meanwhile as ever.
  if (!['window', 'rolling-back'].includes(phase) || epoch !== credential.epoch) throw over(rotation.id);
  if (acknowledgement !== undefined && acknowledgement.opensAt === window?.opensAt) return acknowledgement;
  throw over(rotation.id);
}

function over(rotation: string): RekeyError {
  return new RekeyError('ERR_CONFLICT', `no window of the rotation ${rotation} is open`, {
    field: 'rotation',
    remedy: 'take the notices again: they say what there is to acknowledge',
  });
}

function assertOwnVersion(key: AcknowledgementKey, { versionId, fingerprint }: Payload): void {
  const field =
    versionId !== key.versionId ? 'versionId' : fingerprint !== key.fingerprint ? 'fingerprint' : undefined;
  if (field === undefined) return;
  throw new RekeyError('ERR_CONFLICT', `the window is about another ${field}`, {
    field: `payload.${field}`,
    remedy: 'acknowledge the version and the fingerprint of the notice',
  });
}
