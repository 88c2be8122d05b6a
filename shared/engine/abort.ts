import { afterAbort } from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import type { CredentialHandle } from '../domain/credential.ts';
import { assertConfirmed, awaitsOperator, type Deactivation } from '../domain/evidence.ts';
import { RekeyError } from '../domain/errors.ts';
import { advance, isOver } from '../domain/rotation.ts';
import { awaitOperator, withoutOperator } from './await-operator.ts';
import type { EngineDeps } from './deps.ts';
import {
  answerCallback,
  answered,
  commit,
  describeHandle,
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
 * Until its end is confirmed the rotation stays `aborting`: the reconciler tries again and pages. Where only a person can end
 * it, it stays so until they have: they are told, the execution ends, and the schedule looks.
 * @throws RekeyError ERR_UNAVAILABLE where the end of the credential isn't confirmed, or what the provider raised.
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
  const ended = await endIssued(deps, { credential, rotation });
  if (
    (await awaitOperator(deps, { credential, rotation: { ...rotation, stuck: true } }, ended)) !== undefined
  )
    return answerCallback(deps, rotation, 'stuck');
  const { activeRotation: _over, ...rest } = credential;
  const { next } = rotation;
  const change: Change = {
    rotation: answered(withoutOperator(advance(rotation, 'aborted', { stuck: false }))),
    credential: {
      ...(next === undefined ? {} : { live: without(credential.live, next.handle) }),
      ...afterAbort(credential, rotation, toInstant(deps.clock())),
    },
    record: {
      action: 'aborted',
      evidence: {
        ...rotation.failure,
        ended: ended.map((each) => ({ ...each, handle: describeHandle(each.handle) })),
      },
      ...(ended.length === 0 ? {} : { deactivation: 'CONFIRMED' }),
    },
  };
  await commit(deps, rest, change);
  await answerCallback(deps, rotation, 'aborted');
}

/**
 * Ends what this rotation has brought to life: what the ledger knows, and what the upstream lists under the token. The
 * step that issued it may have died before it told the ledger.
 */
async function endIssued(
  deps: EngineDeps,
  { credential, rotation }: Loaded,
): Promise<{ handle: CredentialHandle; deactivation: Deactivation }[]> {
  const { provider, target, ctx } = await upstream(deps, credential);
  const known = rotation.next === undefined ? [] : [rotation.next.handle];
  const listed = provider.createsAt === 'activate' ? [] : ((await provider.list?.(target, ctx)) ?? []);
  const untold = known.reduce(
    without,
    listed.filter(({ token }) => token === rotation.id),
  );
  const ended = [];
  for (const handle of [...known, ...untold]) {
    const deactivation = await provider.revoke(target, handle, { endSessions: true }, ctx);
    if (!awaitsOperator(deactivation)) assertConfirmed(deactivation);
    ended.push({ handle, deactivation });
  }
  return ended;
}
