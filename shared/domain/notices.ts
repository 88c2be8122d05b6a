import type { Acknowledgement, Pact, Session } from './agents.ts';
import { cohortOf, shareOf } from './canary.ts';
import { fromInstant, plusSeconds, toInstant, type Instant } from './clock.ts';
import type { Credential, Key } from './credential.ts';
import type { ClientHolder } from './holders.ts';
import type { Canary } from './policy.ts';
import { proofKindOf, type ProofKind } from './possession.ts';
import { announcedSeconds, isInSteps, isOpen, loserOf, type Rotation } from './rotation.ts';

/** What is going on with a credential, as an agent has to know it. */
export type NoticeState =
  | 'steady'
  /** A rotation comes. */
  | 'announced'
  /** It comes once the sessions have ended that can't bear it. */
  | 'deferred'
  /** A new value is being made. */
  | 'rotating'
  /** Old and new both work, or the old one is on its way out: hold the new one. */
  | 'window'
  /** The same, the other way round: hold the old one. */
  | 'rolling-back'
  /** Revoked in an emergency and not yet replaced: don't work. */
  | 'halted';

/** What an instance has to know of a credential now. A state, not a message: it can't be lost. */
export interface Notice {
  readonly credential: string;
  readonly secret: string;
  readonly state: NoticeState;
  readonly rotation?: string;
  /** The version to hold; absent while halted. */
  readonly versionId?: string;
  readonly fingerprint?: string;
  /** Works as well. */
  readonly formerVersionId?: string;
  /** Never to be used again, of those that the instance may have met. */
  readonly tombstoned: readonly string[];
  readonly rotatesAt?: Instant;
  readonly checkpointBy?: Instant;
  /** The instance moves no sooner. */
  readonly moveFrom?: Instant;
  /** An acknowledgement is missing. */
  readonly acknowledge: boolean;
  /** By what it is to be proven; absent where that is the HMAC, and where nothing is. */
  readonly proof?: Exclude<ProofKind, 'hmac'>;
  /** Now, whatever the instance does. */
  readonly urgent: boolean;
  /**
   * The upstream refuses the version to hold until people have decided on a signal about it (ADR 045): wait, there is no other
   * one. Absent where it doesn't.
   */
  readonly suspended?: true;
}

/** What a notice follows from. */
export interface NoticeFacts {
  readonly credential: Credential;
  /** The agent, as it is declared there. */
  readonly holder?: ClientHolder | undefined;
  /** The rotation under way. */
  readonly rotation?: Rotation | undefined;
  /** What the instance has acknowledged in the open window. */
  readonly acknowledgement?: Acknowledgement | undefined;
}

/** Before a rotation by so much, a checkpoint is written at the latest (Z5). */
const CHECKPOINT_SECONDS = 300;

/** While the look at the cohort is due, the others ask again after so long, or up to three times as long. */
const LOOK_AGAIN_SECONDS = 5;

/** The others come for the look one after the other, over this part of the cohort's time, or a minute where that is less. */
const SPREAD_SHARE = 0.1;
const SPREAD_SECONDS = 60;

/** Agents wait no longer than this for a rotation that uses the gap between their sessions. */
export const GAP_SECONDS = 120;

/** The notices of a session, in the order of the pact; a credential that it has no part in any more has none. */
export function noticesOf(
  pact: Pick<Pact, 'credentials'>,
  facts: ReadonlyMap<string, NoticeFacts>,
  session: Pick<Session, 'id' | 'holds'>,
  now: number,
): readonly Notice[] {
  return pact.credentials.flatMap(({ credential }) => {
    const found = facts.get(credential);
    return found === undefined ? [] : [noticeOf(found, session, now)];
  });
}

function noticeOf(facts: NoticeFacts, session: Pick<Session, 'id' | 'holds'>, now: number): Notice {
  const { credential } = facts;
  const rotation = underWay(facts);
  const valid = validVersions(credential, rotation);
  const holds = session.holds
    .filter((held) => held.credential === credential.name)
    .map(({ versionId }) => versionId);
  const tombstoned = deadVersions(credential, rotation, valid, holds);
  const state = stateOf(credential, rotation);
  return {
    credential: credential.name,
    secret: credential.secretName,
    state,
    ...(rotation === undefined || state === 'steady' ? {} : { rotation: rotation.id }),
    ...(valid.hold === undefined
      ? {}
      : { versionId: valid.hold.versionId, fingerprint: valid.hold.fingerprint }),
    ...(valid.former === undefined ? {} : { formerVersionId: valid.former }),
    tombstoned,
    ...timesOf(state, credential, rotation),
    ...duties(facts, rotation, session.id, now),
    urgent: state === 'halted' || holds.some((versionId) => tombstoned.includes(versionId)),
    ...(isSuspended(credential, valid.hold) ? { suspended: true } : {}),
  };
}

/** A rotation that an emergency has taken over is none; which one counts, the head says. */
function underWay({ credential, rotation }: NoticeFacts): Rotation | undefined {
  return rotation !== undefined &&
    credential.activeRotation === rotation.id &&
    rotation.epoch === credential.epoch
    ? rotation
    : undefined;
}

function stateOf(credential: Credential, rotation: Rotation | undefined): NoticeState {
  if (credential.status === 'halted') return 'halted';
  if (rotation === undefined) return 'steady';
  if (rotation.phase === 'announced') return rotation.deferred === undefined ? 'announced' : 'deferred';
  if (isInSteps(rotation)) return 'rotating';
  if (rotation.phase === 'rolling-back') return 'rolling-back';
  // Newer versions know phases that this one doesn't: nothing is said of them.
  if (['window', 'suspending', 'revoking'].includes(rotation.phase))
    return rotation.loser === 'next' ? 'rolling-back' : 'window';
  return 'steady';
}

function isSuspended({ suspended = [] }: Credential, hold: Key | undefined): boolean {
  return suspended.some(
    ({ handle }) => handle.id === hold?.handle.id && handle.generation === hold.handle.generation,
  );
}

interface ValidVersions {
  readonly hold?: Key | undefined;
  readonly former?: string | undefined;
}

function validVersions(credential: Credential, rotation: Rotation | undefined): ValidVersions {
  if (credential.status === 'halted') return {};
  const state = stateOf(credential, rotation);
  if (rotation === undefined || !['window', 'rolling-back'].includes(state))
    return { hold: credential.current };
  // Until the label has moved back, the way back isn't open: the old one is to be held all the same.
  const back = state === 'rolling-back';
  const hold = (back ? rotation.old : rotation.next) ?? credential.current;
  const other = back ? rotation.next : rotation.old;
  return { hold, ...(isOpen(rotation) ? { former: other?.versionId } : {}) };
}

/**
 * What the instance must not use: a rotation that was given up, what an emergency or a window has ended, and of the rest
 * what it holds although neither the vault nor a window gives it out any more.
 */
function deadVersions(
  credential: Credential,
  rotation: Rotation | undefined,
  { hold, former }: ValidVersions,
  holds: readonly string[],
): string[] {
  const alive = new Set([hold?.versionId, former]);
  // Under way: whoever asked the vault just now may have it already.
  if (rotation !== undefined && !rotation.tombstoned && stateOf(credential, rotation) !== 'window')
    alive.add(rotation.next?.versionId);
  const known = [
    rotation?.tombstoned === true ? rotation.next?.versionId : undefined,
    credential.status === 'halted' ? credential.current?.versionId : undefined,
    rotation !== undefined && ['suspending', 'revoking'].includes(rotation.phase)
      ? loserOf(rotation)?.versionId
      : undefined,
  ].filter((versionId) => versionId !== undefined);
  const dead = holds.filter((versionId) => !alive.has(versionId) && !mayWork(credential, versionId));
  return [...new Set([...known, ...dead])];
}

/** Whether a handle other than the current one may be that version: kept by mode overlap, or of unknown origin. */
function mayWork({ live, current }: Credential, versionId: string): boolean {
  return live.some(
    ({ id, generation, token }) =>
      (id !== current?.handle.id || generation !== current.handle.generation) &&
      (token === undefined || token === versionId),
  );
}

function timesOf(
  state: NoticeState,
  { policy }: Credential,
  rotation: Rotation | undefined,
): { rotatesAt?: Instant; checkpointBy?: Instant } {
  if (rotation === undefined || (state !== 'announced' && state !== 'deferred')) return {};
  const seconds = announcedSeconds(rotation, policy);
  const rotatesAt = rotation.deferred?.until ?? plusSeconds(rotation.startedAt, seconds);
  const ahead = (Date.parse(rotatesAt) - Date.parse(rotation.startedAt)) / 1000;
  return { rotatesAt, checkpointBy: plusSeconds(rotatesAt, -Math.min(CHECKPOINT_SECONDS, ahead / 2)) };
}

/** When the instance moves, and whether it owes an acknowledgement: not before it was to move. */
function duties(
  { credential: { policy }, holder, acknowledgement }: NoticeFacts,
  rotation: Rotation | undefined,
  session: string,
  now: number,
): Pick<Notice, 'moveFrom' | 'acknowledge' | 'proof'> {
  const { window } = rotation ?? {};
  if (rotation === undefined || window === undefined || !isOpen(rotation)) return { acknowledge: false };
  const moveFrom = movesFrom(policy.canary, rotation, session, now);
  const key = rotation.acknowledgement;
  const due = key?.opensAt === window.opensAt && moveFrom === undefined;
  const acknowledge = due && !countsFor(acknowledgement, rotation);
  const proof = proofKindOf(holder, { publicKey: key?.publicKey });
  return {
    ...(moveFrom === undefined ? {} : { moveFrom }),
    acknowledge,
    ...(acknowledge && proof !== 'hmac' ? { proof } : {}),
  };
}

/**
 * When an instance outside the cohort moves; undefined where nothing keeps it. Time alone doesn't let it go, but the look at
 * what the cohort shows: else everybody would have moved by the time of a rollback. Once the window may close, nobody looks.
 */
function movesFrom(
  canary: Canary | undefined,
  { id, loser, window, canary: observed }: Rotation,
  session: string,
  now: number,
): Instant | undefined {
  // The way back is everybody's at once.
  if (canary === undefined || window === undefined || loser !== 'old' || observed !== undefined)
    return undefined;
  if (cohortOf(session, id, canary.percent) === 'canary') return undefined;
  const ends = plusSeconds(window.opensAt, canary.seconds);
  const place = shareOf(session, id);
  // Else the whole fleet would ask in the same second, then read the vault in the same second.
  const turn = plusSeconds(ends, place * Math.min(SPREAD_SECONDS, SPREAD_SHARE * canary.seconds));
  if (now < fromInstant(turn)) return turn;
  return now < fromInstant(window.earliestClose)
    ? plusSeconds(toInstant(now), LOOK_AGAIN_SECONDS * (1 + 2 * place))
    : undefined;
}

/** Whether an acknowledgement counts in the window that is open. */
function countsFor(acknowledgement: Acknowledgement | undefined, { id, window }: Rotation): boolean {
  return (
    acknowledgement !== undefined &&
    acknowledgement.rotation === id &&
    acknowledgement.opensAt === window?.opensAt &&
    acknowledgement.persisted &&
    acknowledgement.contradictedAt === undefined
  );
}

/** Whether a rotation is just using the gap between sessions: who can't change the value within one waits for it. */
export function usesGap(
  { phase, deferred, undeferred, callback, updatedAt }: Rotation,
  now: number,
): boolean {
  const waitsNoMore = undeferred !== undefined || callback?.awaiting === 'rotate';
  const begun = isInSteps({ phase }) || (phase === 'announced' && deferred === undefined && waitsNoMore);
  return begun && now < Date.parse(updatedAt) + GAP_SECONDS * 1000;
}
