import { RekeyError } from '../../domain/errors.ts';
import { CONSENT_REASONS, type Family } from '../../domain/families.ts';
import type { Trigger } from '../../domain/rotation.ts';
import { familyNamed, type FamilyDeps } from './deps.ts';
import { tend } from './tend.ts';

/**
 * Refreshes a family because somebody asks for it, due or not.
 * @throws RekeyError ERR_CONSENT, ERR_PAUSED, ERR_CONFLICT, and what the server refuses
 */
export async function refreshNow(
  deps: FamilyDeps,
  { name, trigger }: { readonly name: string; readonly trigger: Trigger },
): Promise<Family> {
  const { id } = await familyNamed(deps, name);
  const done = await tend(deps, id, { trigger, forced: true });
  switch (done.outcome) {
    case 'refreshed':
      return done.family;
    case 'failed':
      throw done.error;
    case 'busy':
    case 'outrun':
      throw new RekeyError('ERR_CONFLICT', `${name} is being refreshed by somebody else`, {
        remedy: `\`rekey show ${name}\` says what came of it`,
      });
    case 'consent-needed':
    case 'rested':
      throw refusalOf(done.family);
  }
}

function refusalOf({ name, needs, paused }: Family): RekeyError {
  if (paused !== undefined && needs === undefined) {
    return new RekeyError('ERR_PAUSED', `${name} is paused`, { remedy: `rekey unpause ${name}` });
  }
  return new RekeyError('ERR_CONSENT', `${name}: ${CONSENT_REASONS[needs?.why ?? 'first']}`, {
    remedy: `a person consents: rekey connect ${name}`,
  });
}
