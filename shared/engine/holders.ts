import { toInstant, type Instant } from '../domain/clock.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import {
  evidenceOf,
  functionSeen,
  notSeen,
  redeployment,
  serviceSeen,
  withEvidence,
  type EcsEvidence,
  type HolderEvidence,
} from '../domain/holder-evidence.ts';
import { needsLook, type EcsRestartHolder, type LambdaHolder } from '../domain/holders.ts';
import { isPaused } from '../domain/rotation.ts';
import type { HolderWatch } from '../ports/holder-watch.ts';
import type { EngineDeps } from './deps.ts';
import { commit, load, untilCommitted, type Loaded } from './state.ts';

/** What `check-holders` works with; no other function may touch workloads. */
export type HolderDeps = EngineDeps & { readonly watch: HolderWatch };

/** For the log: how many holders were looked at and redeployed, and of how many the look told nothing. */
export interface HoldersAnswer {
  readonly looked: number;
  readonly redeployed: number;
  readonly troubles: number;
}

const LOOKS_AT_ONCE = 10;

/**
 * Looks at the holders whose proof time alone doesn't give, and keeps what it saw beside the rotation. A service that
 * runs tasks from before the window is redeployed, once per window; the way back is a window of its own. Nothing here
 * decides: what can't be seen is missing proof (docs/holders.md).
 * @throws RekeyError ERR_NOT_PROPAGATED where a deployment was asked for that ECS doesn't show yet: call again.
 */
export function checkHolders(
  deps: HolderDeps,
  ref: { credentialId: string; rotationId: string },
): Promise<HoldersAnswer> {
  return untilCommitted(async () => {
    const state = await load(deps, ref.credentialId, ref.rotationId);
    const { credential, rotation } = state;
    const opensAt = rotation.window?.opensAt;
    const holders = credential.holders.filter(needsLook);
    const open = ['window', 'rolling-back'].includes(rotation.phase) && rotation.epoch === credential.epoch;
    const stopped = !open || isPaused(rotation, credential);
    if (stopped || opensAt === undefined || holders.length === 0)
      return { looked: 0, redeployed: 0, troubles: 0 };
    const seen = await atOnce(holders, (holder) => lookAt(deps, holder, opensAt, rotation.holderEvidence));
    const redeployed = await redeploy(deps, state, holders, seen);
    return {
      looked: seen.length,
      redeployed,
      troubles: seen.filter(({ trouble }) => trouble !== undefined).length,
    };
  });
}

/** One look. One that fails leaves what was seen before. */
async function lookAt(
  deps: HolderDeps,
  holder: EcsRestartHolder | LambdaHolder,
  opensAt: Instant,
  evidence: readonly HolderEvidence[] | undefined,
): Promise<HolderEvidence> {
  const look = { holder: holder.name, opensAt, now: deps.clock() };
  try {
    if (holder.kind === 'lambda') {
      const found = await deps.watch.function(holder.function);
      return functionSeen(look, found, evidenceOf(evidence, { kind: 'lambda', name: holder.name }, opensAt));
    }
    const found = await deps.watch.service(holder.cluster, holder.service);
    return serviceSeen(
      look,
      found,
      evidenceOf(evidence, { kind: 'ecs-restart', name: holder.name }, opensAt),
    );
  } catch (error) {
    return notSeen(look, holder.kind, evidenceOf(evidence, holder, opensAt), inWords(error));
  }
}

/** Keeps what was seen, and redeploys what has to be: the intent first, then the call, then what became of it. */
async function redeploy(
  deps: HolderDeps,
  { credential, rotation }: Loaded,
  holders: readonly (EcsRestartHolder | LambdaHolder)[],
  seen: readonly HolderEvidence[],
): Promise<number> {
  const opensAt = rotation.window?.opensAt ?? '';
  const now = deps.clock();
  const services = seen.filter((each) => each.kind === 'ecs-restart');
  const due = services.filter((each) => redeployment(each, now) === 'due');
  const holderEvidence = withEvidence(rotation.holderEvidence, seen, opensAt);
  if (due.length === 0) {
    await deps.ledger.attach(credential, { ...rotation, holderEvidence });
  } else {
    const intended = due.map((each): EcsEvidence => ({ ...each, restartIntendedAt: toInstant(now) }));
    const stored = await intend(
      deps,
      { credential, rotation },
      withEvidence(holderEvidence, intended, opensAt),
      due,
    );
    const tried = await atOnce(intended, (each) => redeployOne(deps, holders, each));
    await deps.ledger.attach(stored.credential, {
      ...stored.rotation,
      holderEvidence: withEvidence(stored.rotation.holderEvidence, tried, opensAt),
    });
    services.push(...tried);
  }
  if (services.some((each) => redeployment(each, now) === 'in doubt' && each.trouble === undefined)) {
    throw new RekeyError('ERR_NOT_PROPAGATED', 'a deployment was asked for that ECS does not show yet', {
      remedy: 'look again in a moment',
    });
  }
  return due.length;
}

/** The intent, with its record where it is the first for this window. */
async function intend(
  deps: HolderDeps,
  { credential, rotation }: Loaded,
  holderEvidence: readonly HolderEvidence[],
  due: readonly EcsEvidence[],
): Promise<Loaded> {
  const intended = { ...rotation, holderEvidence };
  const first = due.filter(({ restartIntendedAt }) => restartIntendedAt === undefined);
  if (first.length === 0)
    return { credential: await deps.ledger.attach(credential, intended), rotation: intended };
  return commit(deps, credential, {
    rotation: intended,
    record: { action: 'redeployment-intended', evidence: { services: first.map(({ holder }) => holder) } },
  });
}

/** Whether it has begun is known by the answer; where that is lost, the next look tells. */
async function redeployOne(
  deps: HolderDeps,
  holders: readonly (EcsRestartHolder | LambdaHolder)[],
  intended: EcsEvidence,
): Promise<EcsEvidence> {
  const holder = holders.find(({ kind, name }) => kind === 'ecs-restart' && name === intended.holder);
  if (holder?.kind !== 'ecs-restart') return intended;
  try {
    await deps.watch.redeploy(holder.cluster, holder.service);
    return { ...intended, redeployed: true };
  } catch (error) {
    if (isRekeyError(error) && error.retryable) return intended;
    return { ...intended, trouble: inWords(error) };
  }
}

/** Ours say what to do; the text of anything else stays out, since it may quote input. */
function inWords(error: unknown): string {
  if (!isRekeyError(error)) return 'an unexpected error';
  return error.remedy === undefined ? error.message : `${error.message} (${error.remedy})`;
}

async function atOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += LOOKS_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(from, from + LOOKS_AT_ONCE).map(work))));
  }
  return results;
}
