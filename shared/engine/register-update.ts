import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import type { FieldChange } from '../domain/declared-diff.ts';
import { RekeyError } from '../domain/errors.ts';
import { redeclared } from '../domain/knowledge.ts';
import type { Trigger } from '../domain/rotation.ts';
import { alignBackstop } from './backstop.ts';
import type { AnyProvider } from '../providers/provider.ts';
import type { EngineDeps } from './deps.ts';
import {
  changesTo,
  noticesOfHolders,
  preflight,
  type Draft,
  type RegisterOptions,
} from './register-draft.ts';
import type { RegisterAnswer } from './register.ts';
import { loadCredential, untilCommitted } from './state.ts';

/** Brings a registered credential in line with its declaration. */
export async function update(
  deps: EngineDeps,
  options: RegisterOptions,
  existing: Credential,
  draft: Draft,
  trigger: Trigger,
  dryRun: boolean,
): Promise<RegisterAnswer> {
  const changes = await changesTo(deps, existing, draft);
  const provider = await deps.providerFor(existing.type, existing.provider);
  const fixed = changes.find((change) => isFixed(change, provider));
  if (fixed !== undefined) {
    throw new RekeyError('ERR_DECLARATION', `${fixed.field} of ${existing.name} can't be changed`, {
      field: fixed.field,
      remedy:
        fixed.field === 'adopt'
          ? 'write adopt as it was when the credential was registered'
          : 'declare a new credential under another name and move its holders there',
    });
  }
  if (changes.length === 0) {
    // What an earlier attempt has declared but could not schedule any more.
    const credential = dryRun ? existing : await schedule(deps, options, existing);
    return { outcome: 'unchanged', changes, credential };
  }
  const isAsBefore = draft.adminSecret === existing.adminSecret && !changes.some(isOfTarget);
  const reached = isAsBefore ? [] : await preflight(deps, draft, existing.id);
  const notices = [...reached, ...noticesOfHolders(draft)];
  if (dryRun) return { outcome: 'updated', changes, notices, credential: existing };
  const credential = await redeclare(deps, () => loadCredential(deps, existing.id), draft, trigger, changes);
  return { outcome: 'updated', changes, notices, credential: await schedule(deps, options, credential) };
}

/** What can't change once a credential is registered. */
export function isFixed(
  { field }: FieldChange,
  { changeable = [] }: Pick<AnyProvider, 'changeable'>,
): boolean {
  const [part = '', name = ''] = field.split('.');
  if (part === 'target' && changeable.includes(name)) return false;
  return ['type', 'provider', 'secret', 'adopt', 'target'].includes(part);
}

function isOfTarget({ field }: FieldChange): boolean {
  return field.startsWith('target.');
}

/** Gives Secrets Manager the schedule that follows from the policy, where it has another. */
async function schedule(deps: EngineDeps, options: RegisterOptions, { id }: Credential): Promise<Credential> {
  await alignBackstop(deps, options, id);
  return loadCredential(deps, id);
}

/** Commits what a declaration may change at any time. */
export function redeclare(
  deps: EngineDeps,
  read: () => Promise<Credential>,
  draft: Draft,
  trigger: Trigger,
  changes: readonly FieldChange[],
): Promise<Credential> {
  return untilCommitted(async () => {
    const before = await read();
    return deps.ledger.commit({
      before,
      after: {
        ...before,
        policy: draft.policy,
        mode: draft.mode,
        holders: draft.holders,
        knownBy: redeclared(draft.knownBy, before.knownBy, before.current),
        // Otherwise it stays as it is: a newer version may have written more into it.
        ...(changes.some(isOfTarget) ? { target: draft.target } : {}),
        ...(draft.adminSecret === undefined ? {} : { adminSecret: draft.adminSecret }),
        ...(draft.root === undefined ? {} : { root: draft.root }),
      },
      records: [
        {
          action: 'declaration-changed',
          time: toInstant(deps.clock()),
          trigger,
          holders: draft.holders.map((holder) => holder.name),
          evidence: { changes },
        },
      ],
    });
  });
}
