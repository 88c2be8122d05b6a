import { afterAbort } from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, isOver } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import {
  answerCallback,
  answered,
  commit,
  load,
  untilCommitted,
  upstream,
  without,
  type Change,
  type Loaded,
} from './state.ts';

/**
 * Rollback 1 (Z8): the new credential never became current. Agents stay on the old one. The token is tombstoned first,
 * so that no step of Secrets Manager takes it up again (hard decision 1); then the label goes, then the credential.
 */
export function abort(
  deps: EngineDeps,
  credentialId: string,
  rotationId: string,
  failure: { code: string; message: string },
): Promise<void> {
  return untilCommitted(async () => {
    let state = await load(deps, credentialId, rotationId);
    if (isOver(state.rotation.phase)) return;
    if (state.rotation.phase !== 'aborting') {
      state = await commit(deps, state.credential, {
        rotation: advance(state.rotation, 'aborting', { tombstoned: true, failure }),
        record: { action: 'abort-intended', evidence: failure },
      });
    }
    await clearAway(deps, state);
  });
}

async function clearAway(deps: EngineDeps, { credential, rotation }: Loaded): Promise<void> {
  if (credential.secretArn === undefined) {
    throw new RekeyError('ERR_CONFLICT', `${credential.name} has no secret yet`);
  }
  await deps.vault.stripPending(credential.secretArn, rotation.id);
  const { provider, target, ctx } = await upstream(deps, credential);
  const { next } = rotation;
  const deactivation =
    next === undefined ? undefined : await provider.revoke(target, next.handle, { endSessions: true }, ctx);
  const { activeRotation: _over, ...rest } = credential;
  const change: Change = {
    rotation: answered(advance(rotation, 'aborted')),
    credential: {
      ...(next === undefined ? {} : { live: without(credential.live, next.handle) }),
      ...afterAbort(credential, rotation, toInstant(deps.clock())),
    },
    record: {
      action: 'aborted',
      evidence: { ...rotation.failure, deactivation },
      ...(deactivation === undefined
        ? {}
        : { deactivation: deactivation.confirmed ? 'CONFIRMED' : 'NOT CONFIRMED' }),
    },
  };
  await commit(deps, rest, change);
  await answerCallback(deps, rotation, 'aborted');
}
