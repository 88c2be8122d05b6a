import { GENESIS } from '../domain/audit.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential, Key } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import { assertConfirmed, awaitsOperator } from '../domain/evidence.ts';
import type { Trigger } from '../domain/rotation.ts';
import { TAG } from '../names.ts';
import type { EngineDeps } from './deps.ts';
import { changesTo, type Draft } from './register-draft.ts';
import { isFixed, redeclare } from './register-update.ts';
import { loadCredential, untilCommitted, upstream } from './state.ts';

/** Takes name, secret and users before anything is made (an intent, hence before its side effects). */
export function reserve(
  deps: EngineDeps,
  draft: Draft,
  trigger: Trigger,
  generation = 1,
): Promise<Credential> {
  const now = toInstant(deps.clock());
  return deps.ledger.create(
    {
      ...draft,
      id: deps.newId(),
      status: 'registering',
      live: [],
      generation,
      version: 0,
      epoch: 0,
      seq: 0,
      chain: GENESIS,
      registeredAt: now,
      updatedAt: now,
    },
    { action: 'registration-intended', time: now, trigger, evidence: { declared: declared(draft) } },
  );
}

function declared(draft: Draft): object {
  const { policy, mode, holders, secretName, target, adminSecret } = draft;
  return { policy, mode, holders, secretName, target, adminSecret };
}

/** What an interrupted attempt has reserved, brought in line with what is declared now; or reserved anew. */
export async function takeUp(
  deps: EngineDeps,
  found: Credential,
  draft: Draft,
  trigger: Trigger,
): Promise<Credential> {
  const changes = await changesTo(deps, found, draft);
  const provider = await deps.providerFor(found.type, found.provider);
  const message =
    found.status === 'registering'
      ? changes.some((change) => isFixed(change, provider)) &&
        'the declaration was corrected in what is fixed'
      : 'an emergency ended this registration';
  if (message !== false) {
    await undo(deps, found, trigger, { code: 'ERR_PREEMPTED', message });
    // Above every generation that was revoked, so that whatever comes late from there can't hit the new one.
    return reserve(deps, draft, trigger, found.generation + 1);
  }
  return changes.length === 0
    ? found
    : redeclare(deps, () => assertOurs(deps, found), draft, trigger, changes);
}

/**
 * The credential as it is now, if this registration may still go on: ERR_PREEMPTED where an emergency has taken over
 * since (its secret and users are no longer ours to touch), ERR_CONFLICT where another attempt has completed it.
 */
export async function assertOurs(deps: EngineDeps, reserved: Credential): Promise<Credential> {
  const now = await loadCredential(deps, reserved.id);
  if (now.epoch !== reserved.epoch || now.incident?.id !== reserved.incident?.id) {
    throw new RekeyError('ERR_PREEMPTED', `an emergency has taken over ${reserved.name}`, {
      remedy: 'look at the emergency; apply again once it has ended',
    });
  }
  if (now.status !== reserved.status) {
    throw new RekeyError('ERR_CONFLICT', `another attempt has registered ${reserved.name} meanwhile`, {
      remedy: 'apply again',
    });
  }
  return now;
}

/** Stores something about a registration under way; never past an emergency. */
export function attachOurs(
  deps: EngineDeps,
  reserved: Credential,
  change: Partial<Credential>,
  keys: readonly Key[] = [],
): Promise<Credential> {
  return untilCommitted(async () =>
    deps.ledger.attach({ ...(await assertOurs(deps, reserved)), ...change }, undefined, keys),
  );
}

/** Takes back what a registration has made, ends its logins first, and gives back what it has reserved. */
export async function undo(
  deps: EngineDeps,
  reserved: Credential,
  trigger: Trigger,
  failure: Pick<RekeyError, 'code' | 'message'>,
): Promise<void> {
  const { provider, target, ctx } = await upstream(deps, reserved);
  // From here on an emergency finds no secret that it could replace in, so that none is taken from under it.
  const { secretArn: _gone, ...bare } = await assertOurs(deps, reserved);
  const credential = await deps.ledger.attach(bare);
  const byHand: string[] = [];
  for (const handle of (await provider.list?.(target, ctx)) ?? []) {
    if (handle.token !== credential.id) continue;
    const deactivation = await provider.revoke(target, handle, { endSessions: true }, ctx);
    // Nobody was ever given it, and nobody else takes it: the record says what a person removes.
    if (awaitsOperator(deactivation)) byHand.push(deactivation.byHand);
    else assertConfirmed(deactivation);
  }
  const found = await deps.vault.describe(credential.secretName);
  if (found?.tags[TAG.credential] === credential.id) await deps.vault.discard(found.arn);
  await deps.ledger.release(
    await deps.ledger.commit({
      before: credential,
      after: credential,
      records: [
        {
          action: 'registration-undone',
          time: toInstant(deps.clock()),
          trigger,
          evidence: {
            code: failure.code,
            message: failure.message,
            ...(byHand.length === 0 ? {} : { byHand: byHand.join('; ') }),
          },
        },
      ],
    }),
  );
}
