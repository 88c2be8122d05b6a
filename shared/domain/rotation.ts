import type { CanarySeen } from './canary-look.ts';
import type { Instant } from './clock.ts';
import type { Credential, Key } from './credential.ts';
import { RekeyError } from './errors.ts';
import type { HolderEvidence } from './holder-evidence.ts';
import type { AwaitedOperator } from './operator.ts';
import type { Policy } from './policy.ts';
import type { PublicKey } from './possession.ts';

/**
 * The life of one rotation (design: "A rotation"). Every arrow that is taken is an audit record; the phases that
 * end in `-ing` are intents, recorded before their side effect.
 */
export type Phase =
  | 'announced'
  | 'issuing'
  | 'activating'
  | 'promoting'
  /** Old and new both work; holders move. */
  | 'window'
  /** The loser is suspended (reversible) and soaks. */
  | 'suspending'
  /** The point of no return. */
  | 'revoking'
  | 'completed'
  /** Never became current; nothing of it is left. */
  | 'aborting'
  | 'aborted'
  /** Was current; holders move back to the old one, then the new one is revoked. */
  | 'rolling-back'
  | 'rolled-back'
  /** An emergency took over. */
  | 'preempted';

const NEXT: Readonly<Record<Phase, readonly Phase[]>> = {
  announced: ['issuing', 'aborting', 'preempted'],
  issuing: ['activating', 'aborting', 'preempted'],
  activating: ['promoting', 'aborting', 'preempted'],
  // A promotion whose answer was lost may have happened: it is rolled back rather than aborted (labels decide).
  // An emergency's replacement has nothing to overlap with: it is complete once it is current.
  promoting: ['window', 'completed', 'aborting', 'rolling-back', 'preempted'],
  window: ['suspending', 'revoking', 'rolling-back', 'completed', 'preempted'],
  suspending: ['revoking', 'rolling-back', 'preempted'],
  revoking: ['completed', 'rolled-back', 'preempted'],
  // Back to the window where the old credential turns out not to work: the request is refused.
  'rolling-back': ['window', 'suspending', 'revoking', 'preempted'],
  aborting: ['aborted', 'preempted'],
  completed: [],
  aborted: [],
  'rolled-back': [],
  preempted: [],
};

/** Phases after which nothing happens any more. One that only a newer version knows is not over. */
export function isOver(phase: Phase): boolean {
  return after(phase)?.length === 0;
}

/** What may follow; undefined for a phase that only a newer version knows. */
function after(phase: Phase): readonly Phase[] | undefined {
  return NEXT[phase];
}

/** Who or what asked for a rotation. */
export interface Trigger {
  readonly kind: 'operator' | 'planner' | 'vault' | 'emergency' | 'signal';
  /** ARN of the authenticated caller, or the name of the automation. Never an argument of a command. */
  readonly actor: string;
  readonly reason?: string;
}

/** The acceptance window, as instants. */
export interface Window {
  readonly opensAt: Instant;
  /** Twice the longest TTL has passed. */
  readonly earliestClose: Instant;
  readonly deadline: Instant;
  /** `extend` ends here; from then on only an operator ends the window. */
  readonly cap: Instant;
  /** Set once the deadline has passed with the proof incomplete. */
  readonly overdue?: boolean;
}

/** What acknowledgements of one window are held against (possession.ts); follows from the material where the window opens. */
export interface AcknowledgementKey {
  /** The window, by its opening. */
  readonly opensAt: Instant;
  readonly versionId: string;
  readonly fingerprint: string;
  /** Encrypted for whoever checks acknowledgements (`Sealer`, purpose `acknowledgement`); absent where no holder has the secret. */
  readonly sealed?: string;
  /** Of a credential that its holders sign with: then that is asked of them. Absent where the text of the secret is one. */
  readonly publicKey?: PublicKey;
}

/** Why an announced rotation has not begun. */
export interface Deferral {
  readonly since: Instant;
  /** It begins by then, whoever is in session. */
  readonly until: Instant;
  /** Agents in session that can't change a value within it. */
  readonly agents: readonly string[];
  /** Looks taken so far. */
  readonly wakeUps?: number;
}

/** Why an announced rotation doesn't wait for sessions any more, whoever opens one. */
export interface Undeferred {
  readonly at: Instant;
  readonly why: 'gap' | 'deadline' | 'skipped';
}

/** A state of the lifecycle machine that waits for a callback. */
export interface Callback {
  readonly awaiting: 'rotate' | 'window';
  readonly taskToken: string;
}

export interface Rotation {
  /** The ClientRequestToken, hence also the version of the secret that this rotation makes. */
  readonly id: string;
  readonly credentialId: string;
  readonly phase: Phase;
  readonly trigger: Trigger;
  /** Absent where an emergency left nothing to supersede. */
  readonly old?: Key;
  readonly next?: Key;
  /** Epoch of the credential when this began. */
  readonly epoch: number;
  /** A tombstoned token is refused by every step, even as AWSCURRENT (hard decision 1). */
  readonly tombstoned: boolean;
  readonly window?: Window;
  /** The window that a rollback closed, until the label has moved back: a refused rollback reopens it. */
  readonly formerWindow?: Window;
  /** What was seen of the holders in this window; absent where nothing had to be looked at. */
  readonly holderEvidence?: readonly HolderEvidence[];
  /** How holders of kind `client` prove that they have the value that the open window is about (hard decision 7). */
  readonly acknowledgement?: AcknowledgementKey;
  /** Announced, and waiting for the gap between the sessions of agents that can't change a value within one (T2). */
  readonly deferred?: Deferral;
  readonly undeferred?: Undeferred;
  /** Its holders have nothing that works: no time is given for its announcement, and no session is waited for. */
  readonly urgent?: true;
  /** What was seen of the instances that move first, once, when the others began to. */
  readonly canary?: { readonly at: Instant; readonly outcome: CanarySeen['outcome'] };
  /** Timed wake-ups used in this window (hard decision 5). */
  readonly wakeUps: number;
  /** Which key dies at the end: the old one, or after a rollback the new one. */
  readonly loser: 'old' | 'next';
  readonly callback?: Callback;
  readonly failure?: { readonly code: string; readonly message: string };
  /** What one of its steps failed at last that is tried again: should it be given up, that is why. */
  readonly hindrance?: { readonly code: string; readonly message: string };
  /** Set where somebody was paged because this needs a person. */
  readonly stuck?: boolean;
  /** While only a person can end what this rotation ends, and hasn't (hard decision 9). */
  readonly awaitsOperator?: AwaitedOperator;
  /** When the loser was suspended, hence when its soak began. */
  readonly suspendedAt?: Instant;
  /** How often the reconciler has had to act; bounded, then a person is paged. */
  readonly repairs: number;
  /** When the reconciler looks at it if nothing has happened by then. */
  readonly checkAt: Instant;
  readonly incidentId?: string;
  /** Who asked for its rollback, and when; absent where nobody did, and where it was refused. */
  readonly rollback?: Trigger & { readonly at: Instant };
  readonly startedAt: Instant;
  readonly updatedAt: Instant;
}

/**
 * `rotation` in `phase`.
 * @throws RekeyError ERR_CONFLICT where that arrow doesn't exist.
 */
export function advance(rotation: Rotation, phase: Phase, changes: Partial<Rotation> = {}): Rotation {
  if (after(rotation.phase)?.includes(phase) !== true) {
    throw new RekeyError('ERR_CONFLICT', `a rotation in phase "${rotation.phase}" can't become "${phase}"`, {
      remedy: 'read the rotation again; something else has moved it',
    });
  }
  return { ...rotation, ...changes, phase };
}

/**
 * Whether a pause stops a rotation where it stands: before its four steps, and wherever old and new both work. The steps
 * take seconds and end; what is being undone or revoked goes on, and so does a rollback until its label has moved back.
 */
export function isPausable({ phase, window, trigger }: Rotation): boolean {
  if (trigger.kind === 'emergency') return false;
  if (phase === 'rolling-back') return window !== undefined;
  return ['announced', 'window', 'suspending'].includes(phase);
}

/** Whether a pause has stopped a rotation. */
export function isPaused(rotation: Rotation, { paused }: Pick<Credential, 'paused'>): boolean {
  return paused !== undefined && isPausable(rotation);
}

/** Whether the four steps of Secrets Manager are under way. */
export function isInSteps({ phase }: Pick<Rotation, 'phase'>): boolean {
  return ['issuing', 'activating', 'promoting'].includes(phase);
}

/**
 * What has taken a rotation out of the hands of whoever closes its window: its end, an emergency or a pause (`over`), or
 * a rollback whose label hasn't moved back yet; that one opens a window of its own. Undefined where nothing has.
 */
export function overtakenBy(
  rotation: Rotation,
  credential: Pick<Credential, 'epoch' | 'paused'>,
): 'over' | 'rolling-back' | undefined {
  if (isOver(rotation.phase) || rotation.epoch !== credential.epoch) return 'over';
  if (isPaused(rotation, credential)) return 'over';
  return rotation.phase === 'rolling-back' && rotation.window === undefined ? 'rolling-back' : undefined;
}

/** Whether both of its keys work, and holders move. */
export function isOpen({ phase }: Pick<Rotation, 'phase'>): boolean {
  return phase === 'window' || phase === 'rolling-back';
}

/** How long a rotation is announced before it begins. */
export function announcedSeconds(
  { trigger, urgent }: Pick<Rotation, 'trigger' | 'urgent'>,
  { announceSeconds }: Pick<Policy, 'announceSeconds'>,
): number {
  return trigger.kind === 'vault' || urgent === true ? 0 : announceSeconds;
}

/** Drops the callback: it has been answered or is void. */
export function withoutCallback(rotation: Rotation): Rotation {
  const { callback: _answered, ...rest } = rotation;
  return rest;
}

/** The key that this rotation ends. */
export function loserOf(rotation: Rotation): Key | undefined {
  return rotation.loser === 'old' ? rotation.old : rotation.next;
}

/**
 * Whether a request to roll back is taken (Z9): agents have moved and the old credential's revocation isn't intended,
 * or the rotation got stuck before they could move.
 */
export function canRollBack(rotation: Rotation): boolean {
  return (
    canGiveUp(rotation) || (['window', 'suspending'].includes(rotation.phase) && rotation.loser === 'old')
  );
}

/** Whether this is stuck before its promotion, so that an operator may abort it; an emergency's never. */
export function canGiveUp(rotation: Rotation): boolean {
  return (
    rotation.stuck === true &&
    rotation.trigger.kind !== 'emergency' &&
    ['announced', 'issuing', 'activating'].includes(rotation.phase)
  );
}
