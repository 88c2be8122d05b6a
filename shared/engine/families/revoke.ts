import { createHash } from 'node:crypto';
import { fromInstant, toInstant } from '../../domain/clock.ts';
import { isRekeyError } from '../../domain/errors.ts';
import type { Family, FamilyIncident } from '../../domain/families.ts';
import { needingConsent, triedAgain } from '../../domain/family-refresh.ts';
import { noToken } from '../../domain/family-secret.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { TokenKind } from '../../ports/authorization-server.ts';
import { EVENT } from '../../names.ts';
import { untilCommitted } from '../state.ts';
import { asClient } from './client.ts';
import { committed, familyNamed, loadFamily, recordOf, type FamilyDeps } from './deps.ts';
import { storedBy } from './store.ts';
import { tellAgents } from './tell.ts';

/** An emergency of a family. */
export interface FamilyEmergency {
  readonly name: string;
  readonly incidentId: string;
  readonly trigger: Trigger;
}

/**
 * Ends a family: the intent takes the lease from whoever has it, then agents lose the access token and are told to halt, and
 * the server revokes (RFC 7009) all that descends from the consent. Only a new consent brings the family back. What can't be
 * revoked now is tried again by the coordinator's schedule.
 */
export async function revokeFamily(deps: FamilyDeps, emergency: FamilyEmergency): Promise<Family> {
  const family = await untilCommitted(() => intend(deps, emergency));
  return completeRevocation(deps, family);
}

async function intend(deps: FamilyDeps, { name, incidentId, trigger }: FamilyEmergency): Promise<Family> {
  const before = await familyNamed(deps, name);
  const { tokens, attempt, trouble, incident } = before;
  if (incident !== undefined && before.status === 'consent-needed' && incident.id === incidentId)
    return before;
  const since = toInstant(deps.clock());
  const emergency: Trigger = { ...trigger, kind: 'emergency' };
  // Whoever was slower than its lease may have stored what it got since.
  const lost = [...(attempt?.lost ?? []), ...(trouble?.lost ?? [])];
  const replaced = tokens?.replaced ?? [];
  const pending = [tokens?.versionId, attempt?.id, ...lost, ...replaced, ...(incident?.pending ?? [])].filter(
    (id) => id !== undefined,
  );
  const earlier = [
    ...(tokens?.earlier ?? []).map(({ versionId }) => versionId),
    ...(incident?.earlier ?? []),
  ];
  const isEmpty = pending.length === 0;
  if (isEmpty && !getsByItself(before)) return before;
  return deps.families.commit({
    before,
    after: {
      ...needingConsent(before, 'revoked', deps.clock()),
      tokens: undefined,
      incident: {
        id: incidentId,
        trigger: emergency,
        since,
        consentedAt: tokens?.consentedAt ?? incident?.consentedAt,
        pending: [...new Set(pending)],
        ...(earlier.length === 0 ? {} : { earlier: [...new Set(earlier)] }),
        until: attempt?.until ?? since,
        ...(isEmpty ? { outcome: 'none' } : {}),
      },
    },
    records: [
      recordOf(deps, before, 'emergency-intended', emergency, {
        incidentId,
        ...(attempt === undefined ? {} : { evidence: { preempted: attempt.id } }),
      }),
    ],
  });
}

/** Whoever waits for a person has nothing and gets nothing; a client that acts for itself would fetch its first token. */
function getsByItself({ terms, needs }: Family): boolean {
  return terms.grant === 'client_credentials' && needs?.why !== 'revoked';
}

/**
 * Does what is left of an emergency. Each step may run twice, and none waits for one that fails: what has failed is still to
 * be done.
 * @returns the family as it is then; `incident.pending` has what is still to be revoked
 */
export async function completeRevocation(deps: FamilyDeps, family: Family): Promise<Family> {
  const { incident } = family;
  if (incident === undefined || incident.pending.length === 0) return family;
  // Before the server is asked, which may let one wait until this process ends.
  const taken = await failureOf(() => takeAway(deps, family, incident));
  const halted = await failureOf(() => tellAgents(deps, EVENT.halt, family, incident));
  const revoked = await revokeAll(deps, family, incident);
  const failures = [revoked.failed, taken, halted].filter((code) => code !== undefined);
  const isOver = failures.length === 0 && deps.clock() >= fromInstant(incident.until);
  const pending = isOver ? [] : incident.pending;
  return concluded(deps, family, incident, { ...revoked, pending, failed: failures[0] });
}

async function concluded(
  deps: FamilyDeps,
  family: Family,
  incident: FamilyIncident,
  { outcome, pending, failed, versions }: Revoked & { readonly pending: readonly string[] },
): Promise<Family> {
  const { id: incidentId, trigger, told = false } = incident;
  const isOver = pending.length === 0;
  const about = { incidentId, correlationId: incident.pending[0] ?? incidentId };
  // A person has to know, once: as soon as something fails, or at the end where the server can't do it.
  const tells = !told && (failed !== undefined || (isOver && outcome === 'unsupported'));
  const failure = recordOf(deps, family, 'emergency-revocation-failed', trigger, {
    ...about,
    deactivation: 'NOT CONFIRMED',
    evidence: {
      code: failed ?? 'unsupported',
      byHand: `revoke what client ${family.terms.client.id} was granted at ${serverName(family)}`,
    },
  });
  const revoked = recordOf(deps, family, 'emergency-revoked', trigger, {
    ...about,
    deactivation: 'CONFIRMED',
    evidence: { revoked: versions },
  });
  const end = [
    ...(outcome === 'revoked' ? [revoked] : []),
    recordOf(deps, family, 'agents-halted', trigger, about),
  ];
  const after = {
    ...family,
    incident: {
      ...incident,
      pending,
      told: told || tells,
      ...(isOver ? { outcome } : triedAgain(incident, deps.clock(), failed !== undefined)),
    },
  };
  const records = [...(tells ? [failure] : []), ...(isOver ? end : [])];
  return (
    (await committed(deps, { before: family, after, records }, () => false)) ??
    (await loadFamily(deps, family.id))
  );
}

async function failureOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return isRekeyError(error) ? error.code : 'ERR_INTERNAL';
  }
}

function serverName({ terms }: Family): string {
  return terms.server.issuer ?? terms.server.tokenEndpoint ?? 'its server';
}

interface Revoked {
  readonly outcome: 'revoked' | 'unsupported';
  /** The code of what went wrong, if something did. */
  readonly failed: string | undefined;
  /** Versions whose tokens the server has confirmed as revoked. */
  readonly versions: readonly string[];
}

/**
 * Revokes what each version holds. All of it again once whoever was at it is dead: until then they may store another one, and
 * nothing says that it is the one that is pending.
 */
async function revokeAll(
  deps: FamilyDeps,
  family: Family,
  { pending, earlier = [] }: FamilyIncident,
): Promise<Revoked> {
  const answers = new Set<'revoked' | 'unsupported' | 'nothing'>();
  const versions: string[] = [];
  let failed: string | undefined;
  const whole = pending.map((versionId) => ({ versionId, isSpent: false }));
  for (const { versionId, isSpent } of [
    ...whole,
    ...earlier.map((id) => ({ versionId: id, isSpent: true })),
  ]) {
    const code = await failureOf(async () => {
      const answer = await revokeVersion(deps, family, versionId, isSpent);
      // That an earlier one is ended says nothing of the newest.
      if (!isSpent || answer === 'unsupported') answers.add(answer);
      if (answer === 'revoked') versions.push(versionId);
    });
    failed ??= code;
  }
  // Where nothing was found that could be revoked, nothing says that nothing lives.
  const isRevoked = answers.has('revoked') && !answers.has('unsupported');
  return { outcome: isRevoked ? 'revoked' : 'unsupported', failed, versions };
}

async function revokeVersion(
  deps: FamilyDeps,
  family: Family,
  versionId: string,
  isSpent: boolean,
): Promise<'revoked' | 'unsupported' | 'nothing'> {
  const stored = await storedBy(deps, family, versionId);
  if (stored === undefined) return 'nothing';
  const { terms } = family;
  const end = (token: NonNullable<typeof stored.refreshToken>, kind: TokenKind) =>
    asClient(deps, terms, (secret, as) => deps.server.revoke(as, secret, token, kind));
  const { refreshToken, accessToken } = stored;
  // Of a refresh token that is spent a server may say anything; the newest one has ended the family.
  if (isSpent || refreshToken === undefined) return end(accessToken, 'access');
  // A server need not end access tokens with the refresh token (RFC 7009, 2.1).
  return worse(await end(refreshToken, 'refresh'), await end(accessToken, 'access'));
}

function worse(one: 'revoked' | 'unsupported', other: 'revoked' | 'unsupported'): 'revoked' | 'unsupported' {
  return one === 'revoked' ? other : one;
}

/** Twice: so that no label of the agents' secret leads to a token any more. The same at every repetition. */
async function takeAway(
  { vault, clock }: FamilyDeps,
  family: Family,
  { since, until }: FamilyIncident,
): Promise<void> {
  const { secretName } = family;
  for (const n of [1, 2])
    await vault.put(secretName, versionOf(family, since, n), noToken(since), 'AWSCURRENT');
  // Whoever was at it may have left one there until its lease has ended.
  if (clock() < fromInstant(until)) return;
  const { versions = {} } = (await vault.describe(secretName)) ?? {};
  for (const [versionId, stages] of Object.entries(versions))
    if (stages.includes('AWSPENDING')) await vault.stripPending(secretName, versionId);
}

function versionOf({ id }: Family, since: string, n: number): string {
  return createHash('sha256').update(`${id} ${since} ${n}`).digest('hex');
}
