import { toInstant } from '../domain/clock.ts';
import type { AuditAction } from '../domain/audit.ts';
import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import { loserOf } from '../domain/rotation.ts';
import type { SignalStore } from '../ports/signals.ts';
import type { EngineDeps } from './deps.ts';
import { retrying } from './patience.ts';
import { describeHandle, loadCredential, upstream } from './state.ts';

/** What functions that suspend work with. */
export type SuspendDeps = EngineDeps & { readonly signals: Pick<SignalStore, 'held'> };

/** A value of a signal that is held. */
export interface HeldValue {
  /** Of the signal. */
  readonly signalId: string;
  readonly credentialId: string;
  readonly handle: Pick<CredentialHandle, 'id' | 'generation'>;
  readonly incidentId: string;
  readonly reason: string;
  /** Who has reported it, or has denied it. */
  readonly actor: string;
}

/** What has become of a value. */
export type SuspendOutcome =
  | 'suspended'
  | 'restored'
  /** Its upstream can't suspend. */
  | 'not-possible'
  /** It is ended, or isn't a value of the signal's any more: nothing is done to it. */
  | 'over';

/**
 * Suspends a value while its signal waits for people. On record before; where it was decided meanwhile that it is none, it is
 * restored at once, since whoever restores may have come first. An approval needs nothing: its emergency ends the value.
 */
export async function suspendHeld(deps: SuspendDeps, value: HeldValue): Promise<SuspendOutcome> {
  // Whoever has tried before may have died once it had suspended, after the restoration.
  if (await isDenied(deps, value)) return restoreHeld(deps, value);
  if (!(await isHeld(deps, value))) return 'over';
  const credential = await deps.ledger.credential(value.credentialId);
  if (credential === undefined) return 'over';
  const { provider, target, ctx } = await upstream(deps, credential);
  if (provider.suspension === undefined) return 'not-possible';
  const handle = await mark(deps, value, 'suspension-intended', (suspended) => [
    ...suspended.filter(({ signal }) => signal !== value.signalId),
    { signal: value.signalId, handle: value.handle },
  ]);
  if (handle === undefined) return 'over';
  await provider.suspension.suspend(target, handle, ctx);
  if (await isDenied(deps, value)) return restoreHeld(deps, value);
  const since = toInstant(deps.clock());
  await mark(deps, value, 'suspension-confirmed', (suspended) =>
    suspended.map((each) => (each.signal === value.signalId ? { ...each, since } : each)),
  );
  return 'suspended';
}

/**
 * Restores the value of a signal that was denied. What another signal holds, a rotation ends or an emergency has ended stays as
 * it is.
 */
export async function restoreHeld(deps: SuspendDeps, value: HeldValue): Promise<SuspendOutcome> {
  const credential = await deps.ledger.credential(value.credentialId);
  if (credential === undefined) return 'over';
  const { provider, target, ctx } = await upstream(deps, credential);
  const handle = handleIn(credential, value);
  const mayRestore = handle !== undefined && (await isFree(deps, credential, value));
  if (mayRestore) {
    try {
      await provider.suspension?.restore(target, handle, ctx);
    } catch (error) {
      // Revoked, or followed by another: there is nothing to bring back.
      if (!isRekeyError(error, 'ERR_POINT_OF_NO_RETURN', 'ERR_REJECTED')) throw error;
    }
  }
  await mark(deps, value, 'suspension-lifted', (suspended) =>
    suspended.filter(({ signal }) => signal !== value.signalId),
  );
  return mayRestore ? 'restored' : 'over';
}

type Suspended = NonNullable<Credential['suspended']>;

/** Whether the credential says so already, or there is nothing to say it of any more. */
const IS_DONE = {
  'suspension-intended': (found) => found !== undefined,
  'suspension-confirmed': (found) => found === undefined || found.since !== undefined,
  'suspension-lifted': (found) => found === undefined,
} as const satisfies Partial<Record<AuditAction, (found: Suspended[number] | undefined) => boolean>>;

/** Changes for which signals the credential's values are suspended, with the record; the handle, undefined where it has ended. */
async function mark(
  deps: SuspendDeps,
  value: HeldValue,
  action: keyof typeof IS_DONE,
  change: (suspended: Suspended) => Suspended,
): Promise<CredentialHandle | undefined> {
  const { credentialId, signalId, incidentId, actor, reason } = value;
  return retrying(async () => {
    const before = await loadCredential(deps, credentialId);
    const { suspended = [], ...rest } = before;
    const handle = handleIn(before, value);
    const next = change(suspended);
    const isIntent = action === 'suspension-intended';
    // Nothing is begun of a value that an emergency or a rotation has ended.
    if (isIntent && handle === undefined) return undefined;
    if (IS_DONE[action](suspended.find(({ signal }) => signal === signalId))) return handle;
    await deps.ledger.commit({
      before,
      after: next.length === 0 ? rest : { ...rest, suspended: next },
      records: [
        {
          action,
          time: toInstant(deps.clock()),
          trigger: { kind: 'signal', actor, reason },
          correlationId: signalId,
          incidentId,
          oldHandle: describeHandle(value.handle),
          evidence: { signal: signalId },
        },
      ],
    });
    return handle;
  });
}

function handleIn({ live }: Credential, { handle }: HeldValue): CredentialHandle | undefined {
  return live.find(({ id, generation }) => id === handle.id && generation === handle.generation);
}

/** Whether nothing else wants it to be out of use: neither another signal nor a rotation that ends it. */
async function isFree(
  { ledger }: SuspendDeps,
  { id, suspended = [], activeRotation }: Credential,
  { signalId, handle }: HeldValue,
): Promise<boolean> {
  const isOthers = suspended.some(
    (one) =>
      one.signal !== signalId && one.handle.id === handle.id && one.handle.generation === handle.generation,
  );
  if (isOthers || activeRotation === undefined) return !isOthers;
  const rotation = await ledger.rotation(id, activeRotation);
  if (rotation === undefined || !['suspending', 'revoking'].includes(rotation.phase)) return true;
  const loser = loserOf(rotation)?.handle;
  return loser?.id !== handle.id || loser.generation !== handle.generation;
}

async function isHeld({ signals }: SuspendDeps, { signalId }: HeldValue): Promise<boolean> {
  return (await signals.held(signalId))?.status === 'held';
}

async function isDenied({ signals }: SuspendDeps, { signalId }: HeldValue): Promise<boolean> {
  return (await signals.held(signalId))?.status === 'denied';
}
