import { diffDeclared } from '../domain/declared-diff.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { RekeyError } from '../domain/errors.ts';
import type { Trigger } from '../domain/rotation.ts';
import { examine, noticesOf, noticesOfAge } from './adopt-examine.ts';
import { look, observe, observeValue } from './adopt-observe.ts';
import { giveUp, isReplaced, takeOver } from './adopt-take-over.ts';
import type { EngineDeps } from './deps.ts';
import { changesTo, type Draft, type RegisterOptions } from './register-draft.ts';
import { isFixed, redeclare } from './register-update.ts';
import type { RegisterAnswer } from './register.ts';
import { assertNotPaused } from './start.ts';
import { loadCredential } from './state.ts';

/** Registers what exists: observed, and taken over at once where another mode is declared. */
export async function registerExisting(
  deps: EngineDeps,
  options: RegisterOptions,
  draft: Draft,
  trigger: Trigger,
  dryRun: boolean,
): Promise<RegisterAnswer> {
  const changes = diffDeclared(undefined, draft);
  const seen = await look(deps, options, draft, undefined);
  // Refusals come before anything is written.
  if (draft.mode !== 'observe') await examine(deps, options, draft, undefined);
  if (dryRun) return { outcome: 'registered', changes, notices: seen.notices };
  const observed = await observe(deps, draft, trigger, seen);
  const credential =
    draft.mode === 'observe' ? observed : await takeOver(deps, options, observed, draft, trigger);
  return { outcome: 'registered', changes, notices: seen.notices, credential };
}

/** Brings what is observed, or half taken over, in line with its declaration; leaving mode observe takes it over. */
export async function updateExisting(
  deps: EngineDeps,
  options: RegisterOptions,
  existing: Credential,
  draft: Draft,
  trigger: Trigger,
  dryRun: boolean,
): Promise<RegisterAnswer> {
  const changes = await changesTo(deps, existing, draft);
  if (draft.adoption === undefined) {
    throw new RekeyError('ERR_DECLARATION', `${existing.name} is observed, not created by Rekey`, {
      field: 'adopt',
      remedy: 'keep adopt: true in its entry',
    });
  }
  const provider = await deps.providerFor(existing.type, existing.provider);
  if (changes.some((change) => isFixed(change, provider)))
    return redo(deps, options, existing, draft, trigger, dryRun);
  if (draft.mode === 'observe' && !isReplaced(existing)) {
    const { notices, found } = await look(deps, options, draft, existing.id);
    const unread = existing.adoption === 'observed' && existing.current === undefined ? found : undefined;
    const isSame = changes.length === 0 && existing.adoption === 'observed' && unread === undefined;
    const outcome = isSame ? 'unchanged' : 'updated';
    if (dryRun || outcome === 'unchanged') return { outcome, changes, notices, credential: existing };
    if (existing.adoption === 'intended') {
      const why = { code: 'ERR_MODE' as const, message: 'mode observe was declared instead' };
      await giveUp(deps, options, existing, trigger, why);
    }
    const read = (): Promise<Credential> => loadCredential(deps, existing.id);
    const declared =
      changes.length === 0 ? await read() : await redeclare(deps, read, draft, trigger, changes);
    const credential =
      unread === undefined ? declared : await observeValue(deps, declared, draft, trigger, unread);
    return { outcome, changes, notices, credential };
  }
  assertNotPaused(existing);
  const examined = await examine(deps, options, draft, existing.id);
  const notices = [...noticesOfAge(deps, draft, examined), ...noticesOf(examined.report)];
  if (dryRun) return { outcome: 'updated', changes, notices, credential: existing };
  const credential = await takeOver(deps, options, existing, draft, trigger);
  return { outcome: 'updated', changes, notices, credential };
}

/** What is only observed may be declared anew in whatever it is: its chain ends, and another begins. */
async function redo(
  deps: EngineDeps,
  options: RegisterOptions,
  existing: Credential,
  draft: Draft,
  trigger: Trigger,
  dryRun: boolean,
): Promise<RegisterAnswer> {
  if (existing.adoption !== 'observed') {
    throw new RekeyError('ERR_CONFLICT', `a take-over of ${existing.name} is under way`, {
      field: 'mode',
      remedy: 'apply its entry as it was, in mode observe, which undoes that; then correct it',
    });
  }
  const changes = await changesTo(deps, existing, draft);
  const { notices } = await look(deps, options, draft, existing.id);
  if (draft.mode !== 'observe') await examine(deps, options, draft, existing.id);
  if (dryRun) return { outcome: 'updated', changes, notices, credential: existing };
  const ended = await deps.ledger.commit({
    before: existing,
    after: existing,
    records: [
      {
        action: 'registration-undone',
        time: toInstant(deps.clock()),
        trigger,
        evidence: { code: 'ERR_DECLARATION', message: 'the declaration was corrected in what is fixed' },
      },
    ],
  });
  await deps.ledger.release(ended);
  return { ...(await registerExisting(deps, options, draft, trigger, false)), outcome: 'updated', changes };
}
