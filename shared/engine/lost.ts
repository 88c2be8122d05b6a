import { plannedToken, planOf } from '../domain/calendar.ts';
import { plusSeconds, toInstant } from '../domain/clock.ts';
import type { Credential } from '../domain/credential.ts';
import { isRekeyError } from '../domain/errors.ts';
import { advance, loserOf, type Rotation } from '../domain/rotation.ts';
import type { EngineDeps } from './deps.ts';
import { drive } from './drive.ts';
import { requestRotation } from './requests.ts';
import { answerCallback, answered, commit, upstream } from './state.ts';

/** What became of a credential that its holders can't use any more. */
export interface Lost {
  readonly credentialId: string;
  /** The code of what went wrong, or what has begun. */
  readonly outcome: string;
}

/**
 * Begins a rotation of whatever died with what it was made under, as certificates do with their authority in its emergency: nobody
 * has asked for their end, and nothing else makes another. It waits until what it is made under works again. The token follows
 * from the version and the attempt, so that two at once, or one that died at any line, begin one. One that is under way and waits for
 * holders waits no longer, where neither of its keys works.
 * @param type Only credentials of this type.
 */
export async function rotateLost(deps: EngineDeps, type: string): Promise<Lost[]> {
  const lost: Lost[] = [];
  let page: string | undefined;
  do {
    const { items, next } = await deps.ledger.list(page);
    for (const credential of items.filter((each) => each.type === type)) {
      try {
        const found = await lostWith(deps, credential);
        if (found === undefined) continue;
        const { active, why } = found;
        if (active === undefined) await rotate(deps, credential, why);
        else await goOn(deps, credential, { active, why });
        lost.push({ credentialId: credential.id, outcome: active === undefined ? 'rotates' : 'goes on' });
      } catch (error) {
        // Whatever it is: the others have nothing that works either.
        lost.push({
          credentialId: credential.id,
          outcome: isRekeyError(error) ? error.code : 'ERR_INTERNAL',
        });
      }
    }
    page = next;
  } while (page !== undefined);
  return lost;
}

/** Why its holders have nothing that works, in words, where another one may be made now; with the rotation under way, if any. */
async function lostWith(
  deps: EngineDeps,
  credential: Credential,
): Promise<{ readonly why: string; readonly active?: Rotation } | undefined> {
  const { id, status, mode, current, paused, activeRotation } = credential;
  if (status !== 'active' || mode === 'observe' || current === undefined || paused !== undefined)
    return undefined;
  const active = activeRotation === undefined ? undefined : await deps.ledger.rotation(id, activeRotation);
  if (activeRotation !== undefined && (active === undefined || !waits(active))) return undefined;
  // One that has failed is tried again after the planner's own pauses.
  if ((planOf(credential).notBefore ?? '') > toInstant(deps.clock())) return undefined;
  const provider = await deps.providerFor(credential.type, credential.provider);
  if (provider.madeUnder === undefined) return undefined;
  const { target, ctx } = await upstream(deps, credential);
  const above = provider.madeUnder(target);
  if ((await ctx.registered?.(above))?.status !== 'active') return undefined;
  const other = active === undefined ? undefined : loserOf(active)?.handle;
  const looks = [current.handle, ...(other === undefined ? [] : [other])].map(async (handle) =>
    provider.deactivation?.(target, handle, ctx),
  );
  const [seen, ...others] = await Promise.all(looks);
  if ([seen, ...others].some((each) => each?.confirmed !== true)) return undefined;
  return { why: `made under ${above}: ${seen?.detail}`, ...(active === undefined ? {} : { active }) };
}

/** Whether a rotation waits for holders that can't move, since nothing works that they have. */
function waits({ phase, window, urgent }: Rotation): boolean {
  return phase === 'announced' ? urgent !== true : window !== undefined && phase !== 'revoking';
}

async function rotate(deps: EngineDeps, credential: Credential, reason: string): Promise<void> {
  let attempt = planOf(credential).attempts;
  while ((await deps.ledger.rotation(credential.id, plannedToken(credential, attempt))) !== undefined)
    attempt++;
  await requestRotation(deps, {
    name: credential.name,
    token: plannedToken(credential, attempt),
    trigger: { kind: 'planner', actor: `reconcile-${credential.type}`, reason },
    urgent: true,
  });
}

/** Lets a rotation go on that waits for them: it begins, or its window ends, which the next look follows with another. */
async function goOn(
  deps: EngineDeps,
  credential: Credential,
  { active, why }: { readonly active: Rotation; readonly why: string },
): Promise<void> {
  const checkAt = plusSeconds(toInstant(deps.clock()), deps.timing.stuckAfterSeconds);
  if (active.phase === 'announced') {
    const urgent: Rotation = { ...active, urgent: true, checkAt };
    await drive(deps, { credential: await deps.ledger.attach(credential, urgent), rotation: urgent });
    return;
  }
  const ending = await commit(deps, credential, {
    rotation: advance(answered(active), 'revoking', { repairs: 0, stuck: false, checkAt }),
    record: { action: 'revocation-intended', evidence: { lost: why } },
  });
  await answerCallback(deps, active, 'over', 0);
  await drive(deps, ending);
}
