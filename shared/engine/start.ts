import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Rotation, Trigger } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { commit, type Loaded } from './state.ts';

/**
 * Refuses what must not rotate now: in mode observe, halted, or with another rotation under way.
 * @throws RekeyError ERR_MODE, ERR_WINDOW_OPEN (old and new are both in use: hard decision 11) or
 * ERR_ROTATION_UNDER_WAY, naming what is under way.
 */
export function assertMayRotate(credential: Credential, active: Rotation | undefined): void {
  if (credential.mode === 'observe') {
    throw new RekeyError('ERR_MODE', `${credential.name} is in mode observe: Rekey only looks at it`, {
      field: 'mode',
      remedy: 'set mode overlap or enforce in the declaration and apply it',
    });
  }
  if (credential.status !== 'active') {
    throw new RekeyError('ERR_MODE', `${credential.name} is ${credential.status}`, {
      field: 'status',
      remedy:
        credential.status === 'halted'
          ? haltedRemedy(credential)
          : 'apply the declaration again, so that the registration is completed',
    });
  }
  if (active === undefined) return;
  const under = `rotation ${active.id} of ${credential.name} is under way (phase ${active.phase}, since ${active.startedAt}, asked for by ${active.trigger.actor})`;
  const open = active.window !== undefined;
  throw new RekeyError(open ? 'ERR_WINDOW_OPEN' : 'ERR_ROTATION_UNDER_WAY', under, {
    remedy: open
      ? `wait until its window closes (deadline ${active.window.deadline}), or roll it back`
      : 'wait for it, or look at it with rekey show',
  });
}

/** What brings a halted credential back: its emergency, run to its end. */
function haltedRemedy({ name, incident }: Credential): string {
  const id = incident?.id ?? '<incident>';
  return (
    `an emergency revoked it: \`rekey show ${name}\` has its state. Where that has ended without a replacement, run it again ` +
    `(rekey revoke ${name} --incident ${id} --reason …), or see "Emergency failed" in the runbook`
  );
}

/** Writes the rotation into the ledger as announced, which reserves the credential for it. */
export function announce(
  deps: EngineDeps,
  credential: Credential,
  token: string,
  trigger: Trigger,
): Promise<Loaded> {
  const now = toInstant(deps.clock());
  const announced = trigger.kind === 'vault' ? 0 : credential.policy.announceSeconds;
  return commit(deps, credential, {
    rotation: {
      id: token,
      credentialId: credential.id,
      phase: 'announced',
      trigger,
      ...(credential.current === undefined ? {} : { old: credential.current }),
      epoch: credential.epoch,
      tombstoned: false,
      wakeUps: 0,
      loser: 'old',
      repairs: 0,
      checkAt: plusSeconds(now, announced + deps.timing.stuckAfterSeconds),
      startedAt: now,
      updatedAt: now,
    },
    credential: { activeRotation: token },
    record: {
      action: 'rotation-announced',
      evidence: { rotatesAt: plusSeconds(now, announced) },
    },
  });
}
