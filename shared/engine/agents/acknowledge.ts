import { CHALLENGE_SECONDS, type Acknowledgement, type Session } from '../../domain/agents.ts';
import { plusSeconds, toInstant, type Instant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { RekeyError } from '../../domain/errors.ts';
import { clientOf } from '../../domain/pact.ts';
import {
  PROOF_FIELDS,
  proofKindOf,
  proves,
  type Possession,
  type ProofKind,
} from '../../domain/possession.ts';
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
  const possession = await possessionOf(deps, session.agent, credential, key, about.rotation);
  if (!proves(possession, payload)) throw unproven(possession.kind);
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

/** What the agent's proof is held against: which one that is, the declaration and the credential say, never who acknowledges. */
async function possessionOf(
  { sealer }: AgentDeps,
  agent: string,
  credential: Credential,
  { publicKey, sealed, versionId }: AcknowledgementKey,
  rotation: Rotation | undefined,
): Promise<Possession> {
  const kind = proofKindOf(clientOf(credential, agent), { publicKey });
  const about = [rotation?.next, rotation?.old].find((each) => each?.versionId === versionId);
  if (kind === 'seen' && about !== undefined) return { kind, id: about.handle.id };
  if (kind === 'signature' && publicKey !== undefined) return { kind, publicKey };
  // Declared since the window was opened: nothing is kept that its proof could be held against.
  if (kind !== 'hmac' || rotation === undefined || sealed === undefined) throw over(rotation?.id ?? '');
  const context = { purpose: 'acknowledgement' as const, of: credential.id, id: rotation.id };
  return { kind, key: await sealer.unseal(sealed, context) };
}

const UNPROVEN: Readonly<Record<ProofKind, { readonly message: string; readonly remedy: string }>> = {
  hmac: {
    message: 'the proof was not made with the value of this version',
    remedy:
      'read the version from the vault, derive the key from its SecretString as it is, and answer a fresh challenge',
  },
  signature: {
    message: 'the signature was not made with the credential of this version',
    remedy: 'read the version from the vault, and sign what docs/agents.md says with the key that it names',
  },
  seen: {
    message: 'the credential of this version is not among what was seen',
    remedy: 'read the set from the directory again, and say every id in it',
  },
};

function unproven(kind: ProofKind): RekeyError {
  const { message, remedy } = UNPROVEN[kind];
  return new RekeyError('ERR_PROOF', message, { field: `payload.${PROOF_FIELDS[kind]}`, remedy });
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
