import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { evidenceOf, stillMissing, withEvidence } from '../domain/holder-evidence.ts';
import type { Rotation, Trigger } from '../domain/rotation.ts';
import { evidenceNow } from './clients.ts';
import type { EngineDeps } from './deps.ts';
import { answerCallback, commit, load, untilCommitted, type Loaded } from './state.ts';

/**
 * Records that a holder of kind `manual` has moved, by whom, for the window that is open. Where that was the last proof
 * of a holder, the waiting lifecycle looks at once. The same confirmation again is success.
 * @throws RekeyError ERR_NOT_FOUND, ERR_REQUEST where the holder proves itself, ERR_CONFLICT where no window is open.
 */
export function confirmHolder(
  deps: EngineDeps,
  ref: { credentialId: string; rotationId: string; holder: string; trigger: Trigger },
): Promise<Rotation> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    assertManual(credential, ref.holder);
    const opensAt = openWindowOf(state);
    const known = evidenceOf(rotation.holderEvidence, { kind: 'manual', name: ref.holder }, opensAt);
    const confirmed = known === undefined ? await confirm(deps, state, opensAt, ref) : state;
    await wake(deps, confirmed);
    return confirmed.rotation;
  });
}

function confirm(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
  opensAt: string,
  { holder, trigger }: { holder: string; trigger: Trigger },
): Promise<Loaded> {
  const entry = {
    kind: 'manual' as const,
    holder,
    opensAt,
    observedAt: toInstant(deps.clock()),
    actor: trigger.actor,
  };
  return commit(deps, credential, {
    rotation: { ...rotation, holderEvidence: withEvidence(rotation.holderEvidence, [entry], opensAt) },
    record: { action: 'holder-confirmed', trigger, evidence: { holder } },
  });
}

/** Before its earliest end a window sleeps on: nothing may end it. Whether the source is quiet, the look tells. */
async function wake(deps: EngineDeps, { credential, rotation }: Loaded): Promise<void> {
  const { window } = rotation;
  const now = deps.clock();
  if (window === undefined || now < Date.parse(window.earliestClose)) return;
  const evidence = await evidenceNow(deps, credential, rotation);
  const missing = stillMissing(credential.holders, window.opensAt, evidence, now);
  if (missing.length === 0) await answerCallback(deps, rotation, 'verify');
}

function assertManual({ name, holders }: Credential, wanted: string): void {
  const holder = holders.find((each) => each.name === wanted);
  if (holder === undefined) {
    throw new RekeyError('ERR_NOT_FOUND', `${name} has no holder "${wanted}"`, {
      field: 'holder',
      remedy: `rekey show ${name} lists its holders`,
    });
  }
  if (holder.kind === 'manual') return;
  throw new RekeyError(
    'ERR_REQUEST',
    `the holder "${wanted}" is of kind ${holder.kind}, which proves itself`,
    {
      field: 'holder',
      remedy: 'docs/holders.md says what its proof waits for; only holders of kind manual are confirmed',
    },
  );
}

/** The opening of the window that a confirmation is for; that of a rotation whose old credential was kept counts on. */
function openWindowOf({ credential, rotation }: Loaded): string {
  const { phase, window, old } = rotation;
  const kept =
    phase === 'completed' &&
    credential.live.some(
      ({ id, generation }) => id === old?.handle.id && generation === old.handle.generation,
    );
  const open = ['window', 'rolling-back'].includes(phase) && rotation.epoch === credential.epoch;
  if (window !== undefined && (open || kept)) return window.opensAt;
  throw new RekeyError('ERR_CONFLICT', `the rotation is ${phase}: no window is open that a holder moves in`, {
    field: 'rotation',
    remedy: `rekey show ${credential.name} shows where it stands`,
  });
}
