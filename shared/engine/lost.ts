import { plannedToken, planOf } from '../domain/calendar.ts';
import { toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import type { EngineDeps } from './deps.ts';
import { requestRotation } from './requests.ts';
import { upstream } from './state.ts';

/** What became of a credential that its holders can't use any more. */
export interface Lost {
  readonly credentialId: string;
  /** The code of what went wrong, or what has begun. */
  readonly outcome: string;
}

/**
 * Begins a rotation of whatever died with what it was made under, as certificates do with their authority in its emergency: nobody
 * has asked for their end, and nothing else makes another. It waits until what it is made under works again. The token follows
 * from the version and the attempt, so that two at once, or one that died at any line, begin one.
 * @param type Only credentials of this type.
 */
export async function rotateLost(deps: EngineDeps, type: string): Promise<Lost[]> {
  const lost: Lost[] = [];
  let page: string | undefined;
  do {
    const { items, next } = await deps.ledger.list(page);
    for (const credential of items.filter((each) => each.type === type)) {
      try {
        const why = await lostWith(deps, credential);
        if (why === undefined) continue;
        await rotate(deps, credential, why);
        lost.push({ credentialId: credential.id, outcome: 'rotates' });
      } catch (error) {
        if (!isRekeyError(error)) throw error;
        lost.push({ credentialId: credential.id, outcome: error.code });
      }
    }
    page = next;
  } while (page !== undefined);
  return lost;
}

/** Why its holders have nothing that works, in words, where another one may be made now. */
async function lostWith(deps: EngineDeps, credential: Credential): Promise<string | undefined> {
  const { status, mode, current, paused, activeRotation } = credential;
  if (status !== 'active' || mode === 'observe' || current === undefined) return undefined;
  if (paused !== undefined || activeRotation !== undefined) return undefined;
  // One that has failed is tried again after the planner's own pauses.
  if ((planOf(credential).notBefore ?? '') > toInstant(deps.clock())) return undefined;
  const provider = await deps.providerFor(credential.type, credential.provider);
  if (provider.madeUnder === undefined) return undefined;
  const { target, ctx } = await upstream(deps, credential);
  const above = provider.madeUnder(target);
  if ((await ctx.registered?.(above))?.status !== 'active') return undefined;
  const seen = await provider.deactivation?.(target, current.handle, ctx);
  return seen?.confirmed === true ? `made under ${above}: ${seen.detail}` : undefined;
}

async function rotate(deps: EngineDeps, credential: Credential, reason: string): Promise<void> {
  let attempt = planOf(credential).attempts;
  while ((await deps.ledger.rotation(credential.id, plannedToken(credential, attempt))) !== undefined)
    attempt++;
  await requestRotation(deps, {
    name: credential.name,
    token: plannedToken(credential, attempt),
    trigger: { kind: 'planner', actor: `reconcile-${credential.type}`, reason },
  });
}
