import {
  bearsOf,
  HEARTBEAT_SECONDS,
  isFull,
  keptUntil,
  MAX_RUNNING_SESSIONS,
  MAX_SESSIONS,
  placeOf,
  sessionId,
  type InstanceKey,
  type Session,
} from '../../domain/agents.ts';
import { toInstant } from '../../domain/clock.ts';
import { gapHasCome } from '../../domain/deferral.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { InstanceJwk } from '../../domain/instance-key.ts';
import { noticesOf, usesGap, type Notice, type NoticeFacts } from '../../domain/notices.ts';
import { Redacted } from '../../domain/redacted.ts';
import { parseClose, parseHeartbeat } from '../../domain/signed.ts';
import { agentsOfCredential } from '../clients.ts';
import type { AgentDeps } from './deps.ts';
import { openingBy, signedBy } from './signed.ts';
import { factsOf, openSessionOf, speakerOf, standing, type Speaker, type Speaking } from './speaker.ts';
import { wakeWindow } from './wake.ts';

/** A session that has just been opened, with what its instance has to know. */
export interface Opened {
  readonly session: Session;
  readonly notices: readonly Notice[];
  readonly heartbeatSeconds: number;
}

/**
 * Opens the session of an instance by its signed word, under a key of its own; the same instance with the same key again is
 * the same session. An opening that somebody else sends again opens nothing, whatever has become of the session.
 * One that slips in while a rotation begins works on in the window, which waits for its end.
 * @throws RekeyError ERR_ROTATION_UNDER_WAY where a rotation is just using the gap between sessions of an agent that
 * can't change a value within one; ERR_CAPACITY where too many run; ERR_PROOF where somebody else has signed; ERR_CONFLICT
 * where it was signed at another time, or its session has ended.
 */
export async function openSession(
  deps: AgentDeps,
  speaking: Speaking,
  { key, jws }: { key: Redacted<InstanceJwk>; jws: string },
): Promise<Opened> {
  const { agent } = speaking;
  const speaker = await speakerOf(deps, speaking);
  const thumbprint = await deps.signatures.thumbprint(key);
  const { instance, sequence: opening } = await openingBy(deps, agent, key, jws);
  const id = sessionId(instance, thumbprint, deps.newNonce());
  const facts = await factsOf(deps, speaker, { id });
  await assertNoGapUsed(deps, speaker, facts);
  await assertRoom(deps, agent, id);
  const now = toInstant(deps.clock());
  const session = await deps.agents.openSession({
    agent,
    id,
    instance,
    key: await kept(deps, agent, id, key),
    thumbprint,
    openedAt: now,
    seenAt: now,
    holds: [],
    opening,
    bears: bearsOf(speaker.pact),
    keptUntil: keptUntil(now, speaker.pact),
  });
  // The one that was there already may have acknowledged.
  const known = session.id === id ? facts : await factsOf(deps, speaker, session);
  return {
    session,
    notices: noticesOf(speaker.pact, known, session, deps.clock()),
    heartbeatSeconds: HEARTBEAT_SECONDS,
  };
}

async function assertNoGapUsed(
  deps: AgentDeps,
  { pact }: Speaker,
  facts: ReadonlyMap<string, NoticeFacts>,
): Promise<void> {
  const now = deps.clock();
  for (const { credential, refresh } of pact.credentials) {
    const known = facts.get(credential);
    const rotation = known?.rotation;
    if (refresh !== 'between-sessions' || known === undefined || rotation === undefined) continue;
    const used =
      usesGap(rotation, now) ||
      (rotation.deferred !== undefined &&
        gapHasCome(await agentsOfCredential(deps, known.credential), credential, rotation, now));
    if (!used) continue;
    throw new RekeyError('ERR_ROTATION_UNDER_WAY', `${credential} is being rotated between your sessions`, {
      field: 'credential',
      remedy: 'open the session again in some seconds: it takes two minutes at most',
    });
  }
}

/** An agent can't fill the table, whatever its instances do. */
async function assertRoom({ agents, clock }: AgentDeps, agent: string, id: string): Promise<void> {
  const place = placeOf(id);
  const sessions = await agents.sessions(agent);
  const own = sessions.find((each) => placeOf(each.id) === place);
  // The same again, after a lost answer: it has its place. One that has closed gives its own to the next.
  if (own !== undefined && own.closedAt === undefined) return;
  const others = sessions.filter((each) => each !== own);
  if (!isFull(others, clock())) return;
  const isOfLate = others.length >= MAX_SESSIONS;
  throw new RekeyError(
    'ERR_CAPACITY',
    isOfLate
      ? `the agent "${agent}" has opened ${MAX_SESSIONS} sessions of late`
      : `the agent "${agent}" has ${MAX_RUNNING_SESSIONS} running sessions`,
    {
      field: 'agent',
      remedy:
        'close sessions that have ended, open one for each process only, or split the fleet into agents',
    },
  );
}

/** A symmetric key is kept encrypted, bound to its session. */
async function kept(
  { sealer }: AgentDeps,
  agent: string,
  id: string,
  key: Redacted<InstanceJwk>,
): Promise<InstanceKey> {
  const jwk = key.reveal();
  if (jwk.kty !== 'oct') return { kind: 'public', jwk: { ...jwk } };
  const bytes = new Redacted(new Uint8Array(Buffer.from(jwk.k, 'base64url')));
  return { kind: 'sealed', sealed: await sealer.seal(bytes, { purpose: 'instance', of: agent, id }) };
}

/**
 * Keeps what an instance holds by its signed word, and answers its notices. One that holds another version than it has
 * acknowledged contradicts itself: that acknowledgement no longer counts. The same heartbeat again counts as of its first
 * time, whoever sends it: it keeps no session alive and contradicts nothing that was acknowledged since. What isn't in the
 * pact (any more) is kept and means nothing: an instance of the release before lives on while the next one is rolled out.
 * @throws RekeyError ERR_PROOF where somebody else has signed; ERR_CONFLICT where a newer one has come before
 */
export async function heartbeat(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id, jws }: { session: string; jws: string },
): Promise<readonly Notice[]> {
  const speaker = await speakerOf(deps, speaking);
  const session = await openSessionOf(deps, speaking.agent, id);
  const said = await signedBy(deps, session, parseHeartbeat, jws);
  const now = toInstant(deps.clock());
  const { holds, seenAt } = await deps.agents.touch({
    ...session,
    sequence: said.sequence,
    holds: said.holds,
    seenAt: now,
    keptUntil: keptUntil(now, speaker.pact, session.bears),
  });
  const facts = await factsOf(deps, speaker, session);
  const taken = [...standing(facts)].filter(
    ([credential, { versionId, at }]) =>
      at <= seenAt && holds.some((held) => held.credential === credential && held.versionId !== versionId),
  );
  for (const [, acknowledgement] of taken) await deps.agents.contradict(acknowledgement, seenAt);
  const known = taken.length === 0 ? facts : await factsOf(deps, speaker, session);
  return noticesOf(speaker.pact, known, { id, holds }, deps.clock());
}

/** What an instance has to know now. It changes nothing: a session that only asks becomes a lost one. */
export async function notices(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id }: { session: string },
): Promise<readonly Notice[]> {
  const speaker = await speakerOf(deps, speaking);
  const session = await openSessionOf(deps, speaking.agent, id);
  return noticesOf(speaker.pact, await factsOf(deps, speaker, session), session, deps.clock());
}

/**
 * Ends a session on the signed word of its instance; closed already is success. Whoever waited for it is woken.
 * @throws RekeyError ERR_PROOF where somebody else has signed
 */
export async function closeSession(
  deps: AgentDeps,
  speaking: Speaking,
  { session: id, jws }: { session: string; jws: string },
): Promise<void> {
  const speaker = await speakerOf(deps, speaking);
  // Closed already: an answer was lost, and what follows may not have happened.
  const session =
    (await deps.agents.session(speaking.agent, id)) ?? (await openSessionOf(deps, speaking.agent, id));
  await signedBy(deps, session, parseClose, jws);
  await deps.agents.close(session, toInstant(deps.clock()));
  for (const { id: credentialId, activeRotation } of speaker.credentials.values())
    if (activeRotation !== undefined) await wakeWindow(deps, credentialId, activeRotation);
}
