import type { AuditAction, AuditDraft } from '../domain/audit.ts';
import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle, Key } from '../domain/credential.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { withoutCallback, type Rotation, type Trigger } from '../domain/rotation.ts';
import type { Ledger, Turns } from '../ports/ledger.ts';
import type { LifecycleOutcome, Workflow } from '../ports/workflow.ts';
import type { AnyProvider, Notice, ProviderContext } from '../providers/provider.ts';
import { claimsOf } from './claims.ts';
import type { EngineDeps } from './deps.ts';
import { endangered } from './outlook.ts';

/** A credential and the rotation that a step is about. */
export interface Loaded {
  readonly credential: Credential;
  readonly rotation: Rotation;
}

/** Loads the credential; ERR_NOT_FOUND where the ledger has none. */
export async function loadCredential(
  deps: { readonly ledger: Pick<Ledger, 'credential'> },
  credentialId: string,
): Promise<Credential> {
  const credential = await deps.ledger.credential(credentialId);
  if (credential === undefined) throw unknownCredential(credentialId);
  return credential;
}

/** The refusal of an id that the ledger doesn't have, or has no more. */
export function unknownCredential(credentialId: string): RekeyError {
  return new RekeyError('ERR_NOT_FOUND', `no credential ${credentialId} in the ledger`, {
    field: 'credentialId',
  });
}

/** Loads a credential with one of its rotations; ERR_NOT_FOUND where either is missing. */
export async function load(deps: EngineDeps, credentialId: string, rotationId: string): Promise<Loaded> {
  // The credential first: its version is the fence, so a rotation read later is at least as new.
  const credential = await loadCredential(deps, credentialId);
  const rotation = await deps.ledger.rotation(credentialId, rotationId);
  if (rotation === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `no rotation ${rotationId} of ${credential.name}`, {
      field: 'rotationId',
    });
  }
  return { credential, rotation };
}

/** Refuses to go on where an emergency has taken over since this rotation began (hard decision 3). */
export function assertNotPreempted({ credential, rotation }: Loaded): void {
  if (rotation.phase === 'preempted' || rotation.epoch !== credential.epoch) {
    throw new RekeyError('ERR_PREEMPTED', 'an emergency has taken over this credential', {
      remedy: 'look at the emergency; this rotation does nothing more',
    });
  }
}

/** What a commit changes. */
export interface Change {
  readonly rotation: Rotation;
  readonly credential?: Partial<Credential>;
  /** What begins to be found by its fingerprint (`LedgerChange.keys`). */
  readonly keys?: readonly Key[];
  /** Other heads that it rests on (`LedgerChange.unchanged`). */
  readonly unchanged?: readonly Credential[];
  /** Turns that it takes (`LedgerChange.turns`). */
  readonly turns?: Turns;
  readonly record: Omit<AuditDraft, 'time' | 'trigger' | 'correlationId'> & {
    readonly action: AuditAction;
    /** Who asked for this, where it isn't who asked for the rotation (A1). */
    readonly trigger?: Trigger;
    /** The rotation that this is about, where it isn't the one that does it. */
    readonly correlationId?: string;
  };
  /** What will stop a later rotation: told in a record of its own, in the same transaction. */
  readonly outlook?: readonly Notice[];
}

/** Commits a change with its record and a fresh deadline for the reconciler. */
export async function commit(deps: EngineDeps, before: Credential, change: Change): Promise<Loaded> {
  const now = toInstant(deps.clock());
  const rotation: Rotation = {
    ...change.rotation,
    updatedAt: now,
    checkAt:
      change.rotation.checkAt > now
        ? change.rotation.checkAt
        : plusSeconds(now, deps.timing.stuckAfterSeconds),
  };
  const { old, next } = rotation;
  const about = {
    time: now,
    trigger: rotation.trigger,
    correlationId: rotation.id,
    holders: before.holders.map((holder) => holder.name),
    ...(old === undefined ? {} : { oldFingerprint: old.fingerprint, oldHandle: describeHandle(old.handle) }),
    ...(next === undefined
      ? {}
      : { newFingerprint: next.fingerprint, newHandle: describeHandle(next.handle) }),
    ...(rotation.window === undefined ? {} : { window: rotation.window }),
    ...(rotation.incidentId === undefined ? {} : { incidentId: rotation.incidentId }),
  };
  const credential = await deps.ledger.commit({
    before,
    after: { ...before, ...change.credential },
    rotation,
    ...(change.keys === undefined ? {} : { keys: change.keys }),
    ...(change.unchanged === undefined ? {} : { unchanged: change.unchanged }),
    ...(change.turns === undefined ? {} : { turns: change.turns }),
    records: [{ ...about, ...change.record }, ...endangered(change.outlook ?? [], about)],
  });
  return { credential, rotation };
}

/** A handle as one word for records and messages. */
export function describeHandle(handle: CredentialHandle): string {
  return `${handle.id}#${handle.generation}`;
}

/** Handles without the one given. */
export function without(live: readonly CredentialHandle[], gone: CredentialHandle): CredentialHandle[] {
  return live.filter((handle) => handle.id !== gone.id || handle.generation !== gone.generation);
}

/** The provider of a credential, its target as this version understands it, and its context. */
export async function upstream(
  deps: EngineDeps,
  credential: Credential,
): Promise<{ provider: AnyProvider; target: unknown; ctx: ProviderContext }> {
  const provider = await deps.providerFor(credential.type, credential.provider);
  let admin: ReturnType<ProviderContext['admin']> | undefined;
  return {
    provider,
    target: provider.storedTarget(credential.target),
    ctx: contextOf(deps, () => (admin ??= deps.readAdmin(adminOf(credential))), credential),
  };
}

/**
 * What a provider may use, with the administrative secret as `admin` gives it, on behalf of a credential; of none before one
 * is registered.
 */
export function contextOf(
  deps: Pick<EngineDeps, 'clock' | 'reach' | 'ledger'>,
  admin: ProviderContext['admin'],
  { id, live }: Partial<Pick<Credential, 'id' | 'live'>> = {},
): ProviderContext {
  const { clock, reach } = deps;
  const registered = async (name: string) => {
    const found = await deps.ledger.idByName(name);
    return found === undefined ? undefined : deps.ledger.credential(found);
  };
  const common = { clock, reach, admin, registered, claims: claimsOf(deps, id) };
  return { ...common, ...(live === undefined ? {} : { live }) };
}

/** @throws RekeyError ERR_DECLARATION where no administrative login is declared, which only observing needs none of */
export function adminOf({ name, adminSecret }: Pick<Credential, 'name' | 'adminSecret'>): string {
  if (adminSecret !== undefined) return adminSecret;
  throw new RekeyError('ERR_DECLARATION', `no administrative login is declared for ${name}`, {
    field: 'admin',
    remedy: 'name the secret that holds it, and apply',
  });
}

/** Answers the state that waits on this rotation, if one does. The ledger already says what the answer says. */
export async function answerCallback(
  deps: { readonly workflow: Pick<Workflow, 'answer'> },
  rotation: Rotation,
  outcome: LifecycleOutcome['outcome'],
  waitSeconds = 1,
): Promise<void> {
  if (rotation.callback === undefined) return;
  await deps.workflow.answer(rotation.callback.taskToken, { outcome, waitSeconds });
}

/** A rotation whose waiting state has been answered. */
export const answered = withoutCallback;

/**
 * Runs `decide` on fresh state until its commit isn't outrun by somebody else's. Every decision reads the state it is
 * given, so that running it again after a lost answer finds its own work done.
 */
export async function untilCommitted<T>(run: () => Promise<T>, attempts = 6): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (attempt >= attempts || !isRekeyError(error, 'ERR_CONFLICT')) throw error;
    }
  }
}

/** Whole seconds from now until `instant`, at least one: a state machine can't wait for less. */
export function secondsUntil(deps: EngineDeps, instant: string): number {
  return Math.max(1, Math.ceil((Date.parse(instant) - deps.clock()) / 1000));
}
