import { toInstant } from '../domain/clock.ts';
import type { Credential, CredentialHandle } from '../domain/credential.ts';
import { awaitsOperator, operatorAwaited, type Revocation } from '../domain/evidence.ts';
import { isRekeyError, RekeyError } from '../domain/errors.ts';
import { isOwnLogin } from '../domain/roots.ts';
import type { Snapshots } from '../ports/snapshots.ts';
import type { EngineDeps } from './deps.ts';
import { intend } from './incident-commit.ts';
import { holds, isLater, notAdopted, type Emergency } from './incident.ts';
import { locate } from './locate.ts';
import { ownLogin } from './own-login.ts';
import { inTime, LEDGER_PATIENCE_MS } from './patience.ts';
import { describeHandle, upstream } from './state.ts';

/**
 * Kills every working credential of one declaration, now: the union of what the ledger knows and what the upstream
 * lists. Nothing is waited for that the revocation itself does not need: the intent is written beside it (I2, hard
 * decision 3). Runs any number of times; a replacement has a later generation and is never hit (hard decision 2).
 * @throws RekeyError ERR_UNAVAILABLE or ERR_ADMIN_DENIED where a handle could not be revoked; the others are.
 *   ERR_AWAITING_OPERATOR where only a person can, and hasn't.
 */
export async function revokeNow(
  deps: EngineDeps & { readonly snapshots: Snapshots },
  emergency: Emergency,
): Promise<Revocation> {
  const { credential, source } = await locate(deps, emergency.credentialId);
  // A copy may be older than the take-over: then what the upstream lists decides.
  if (credential.adoption === 'observed' && source === 'ledger') throw notAdopted(credential);
  // An intent that comes too late is the next state's: it must not begin anew over another emergency meanwhile.
  let awaited = true;
  // A late attempt leaves a later emergency's replacement alone. A copy may not know of that one: there all dies.
  const isKnownLater = isLater(emergency, credential);
  const isLeft = (found: Credential): boolean =>
    (source === 'ledger' || isKnownLater) && isLater(emergency, found);
  const generationOf = (found: Credential): number => lastOf(found, holds(emergency, found) || isLeft(found));
  const intent = inTime(
    intend(deps, emergency, { isLeft, isWanted: () => awaited }),
    LEDGER_PATIENCE_MS,
  ).finally(() => (awaited = false));
  const at = await upstream(deps, credential);
  const { provider, target, ctx } = at;
  const upTo = generationOf(credential);
  const known = credential.live.filter((handle) => handle.generation <= upTo);

  const login = isOwnLogin(credential) ? await ownLogin(credential, source, at) : undefined;
  const isLogin = ({ id }: CredentialHandle): boolean => id === login?.handle?.id;
  const witness = {
    ...ctx,
    live: [...credential.live, ...(login?.isOurs === true && login.handle ? [login.handle] : [])],
  };
  let loginsEnd: CredentialHandle | undefined;
  const kill = async (handle: CredentialHandle, generation: number) => ({
    handle: describeHandle(handle),
    // The slot is stamped with the emergency's generation, so that a step under way can't bring it back to life.
    deactivation: await provider.revoke(
      target,
      { ...handle, generation },
      { endSessions: true, compromised: true, ownLogin: isLogin(handle) },
      witness,
    ),
  });
  const isKnown = (handle: CredentialHandle): boolean =>
    handle.generation <= upTo && known.some((one) => one.id === handle.id);
  const listAll = async (): Promise<readonly CredentialHandle[]> => {
    try {
      return (await provider.list?.(target, witness)) ?? [];
    } catch (error) {
      // A login that is dead already was ended after an earlier attempt had listed; whether it is, its own end tells.
      if (login !== undefined && isRekeyError(error, 'ERR_ADMIN_DENIED')) return [];
      throw error;
    }
  };
  /** What may be Rekey's own login is spared; the login itself goes last. */
  const killAll = async (all: readonly CredentialHandle[], generation?: number) => {
    const stamped = all.map((handle) => ({ handle, upTo: generation ?? handle.generation }));
    for (const each of stamped.filter(({ handle }) => isLogin(handle)))
      loginsEnd = { ...each.handle, generation: each.upTo };
    const others = stamped.filter(({ handle }) => login?.mayBe(handle) !== true);
    return Promise.all(others.map((each) => kill(each.handle, each.upTo)));
  };
  const unknown = async () => {
    const listed = [...(await listAll()), ...(login?.handle === undefined ? [] : [login.handle])];
    const missed = listed.filter((handle) => handle.generation <= upTo && !isKnown(handle));
    // A snapshot may be older than the last rotation: what it can't know of dies too. One that knows this
    // emergency is not: what is newer there is the replacement.
    const stale = source === 'snapshot' && !holds(emergency, credential) && !isKnownLater;
    const newer = stale ? listed.filter((handle) => handle.generation > upTo) : [];
    return (await Promise.all([killAll(missed, upTo), killAll(newer)])).flat();
  };
  // From the intent on nobody else gets any further; what was brought to life until then is in the ledger.
  const late = async () => {
    const taken = await intent;
    const last = taken === undefined ? upTo : generationOf(taken);
    const missed = (taken?.live ?? []).filter((handle) => handle.generation <= last && !isKnown(handle));
    return killAll(missed, last);
  };
  const settled = await Promise.allSettled([
    ...known.map(async (handle) => killAll([handle], upTo)),
    unknown(),
    late(),
    ...(login?.doubt === undefined ? [] : [Promise.reject(login.doubt)]),
  ]);
  // Only once nothing else lives: nothing could be ended after it.
  const isAlone = settled.every(
    (result) =>
      result.status === 'fulfilled' && result.value.every(({ deactivation }) => deactivation.confirmed),
  );
  if (loginsEnd !== undefined && isAlone) {
    const last = kill(loginsEnd, loginsEnd.generation).then((killed) => [killed]);
    settled.push(...(await Promise.allSettled([last])));
  }
  const failed = settled.find((result) => result.status === 'rejected');
  const handles = settled.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  if (credential.adoption === 'observed' && handles.length === 0) throw notAdopted(credential);
  const waiting = handles.flatMap(({ deactivation }) => (awaitsOperator(deactivation) ? [deactivation] : []));
  const alive = handles.find(({ deactivation }) => !deactivation.confirmed);
  const taken = await intent;
  const spooled = taken === undefined && (await inTime(spool(deps, emergency), LEDGER_PATIENCE_MS)) === true;
  // First of all a person has to know what to do; what has failed beside it is tried again with it.
  if (waiting.length > 0) throw operatorAwaited(...waiting);
  if (failed !== undefined) throw failed.reason;
  if (alive !== undefined) {
    throw new RekeyError('ERR_UNAVAILABLE', `the revocation of ${alive.handle} is not confirmed`);
  }
  return {
    credentialId: credential.id,
    revokedAt: toInstant(deps.clock()),
    source,
    intent: taken !== undefined && holds(emergency, taken) ? 'ledger' : spooled ? 'spool' : 'nowhere',
    generation: taken === undefined ? upTo : generationOf(taken),
    handles,
  };
}

async function spool(
  deps: EngineDeps & { readonly snapshots: Snapshots },
  { credentialId, incidentId, emergencyId, reason, actor }: Emergency,
): Promise<true> {
  const time = toInstant(deps.clock());
  await deps.snapshots.spool({
    credentialId,
    incidentId,
    ...(emergencyId === undefined ? {} : { emergencyId }),
    reason,
    actor,
    time,
  });
  return true;
}

/** Everything up to this generation is to die: that of the incident, where its replacement may be there already. */
function lastOf({ incident, generation }: Credential, isIncidents: boolean): number {
  return incident !== undefined && isIncidents ? incident.generation : generation + 1;
}
