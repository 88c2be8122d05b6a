import type { AuditDraft } from '../../domain/audit.ts';
import { RekeyError } from '../../domain/errors.ts';
import type { Attempt, AttemptKind, Family } from '../../domain/families.ts';
import {
  assertKeepable,
  shortLifeOf,
  withAttempt,
  withFailure,
  withTokens,
} from '../../domain/family-refresh.ts';
import { knownTokens } from '../../domain/family-leak.ts';
import { gotOf, kept, notOurs, type Kept } from '../../domain/family-secret.ts';
import { fingerprint } from '../../domain/fingerprint.ts';
import type { Redacted } from '../../domain/redacted.ts';
import type { Trigger } from '../../domain/rotation.ts';
import type { TokenSet } from '../../domain/token-answer.ts';
import type { ConsentGiven } from '../../ports/authorization-server.ts';
import { EVENT } from '../../names.ts';
import { asClient } from './client.ts';
import { committed, recordOf, type FamilyDeps } from './deps.ts';
import { deliver, persist, storedBy } from './store.ts';
import { tellAgents } from './tell.ts';

/** What became of an attempt. */
export type Attempted =
  | { readonly outcome: 'refreshed' | 'consent-needed'; readonly family: Family }
  | { readonly outcome: 'failed'; readonly family: Family; readonly error: unknown }
  /** Somebody else was faster, or an emergency has come between: nothing was spent, or it is revoked. */
  | { readonly outcome: 'outrun' };

/** Whoever begins. */
interface Beginning {
  readonly kind: AttemptKind;
  readonly trigger: Trigger;
  /** With `consent`: what it has given. */
  readonly consent?: ConsentGiven;
}

/**
 * One attempt, from intent to end: the lease is taken and the intent committed in one, the server is asked once, its answer
 * is stored whole, given to agents, and committed. Killed anywhere, `finish` goes on from what is stored, or the next
 * attempt spends the token once more.
 * @throws whatever the vault throws: then the attempt stays as it is, until its lease ends
 */
export async function attemptNow(deps: FamilyDeps, family: Family, beginning: Beginning): Promise<Attempted> {
  const { kind, trigger } = beginning;
  const before = kind === 'refresh' ? await refreshTokenOf(deps, family) : undefined;
  const id = deps.newId();
  const after = withAttempt(family, { id, kind, trigger, now: deps.clock() });
  const begun = await committed(deps, { before: family, after }, (now) => now.attempt?.id === id);
  if (begun?.attempt === undefined) return { outcome: 'outrun' };
  let got: Kept;
  try {
    got = kept(await ask(deps, begun, beginning, before), before, deps.clock());
  } catch (error) {
    return fail(deps, begun, begun.attempt, error);
  }
  return finish(deps, begun, begun.attempt, await persist(deps, begun, begun.attempt, got));
}

async function refreshTokenOf(deps: FamilyDeps, family: Family): Promise<Redacted<string>> {
  const { tokens, refreshSecretName } = family;
  const stored = tokens && (await storedBy(deps, family, tokens.versionId));
  const token = stored?.refreshToken;
  if (token === undefined || fingerprint(token) !== tokens?.fingerprint) throw notOurs(refreshSecretName);
  return token;
}

async function ask(
  deps: FamilyDeps,
  { terms, tokens }: Family,
  { kind, consent }: Beginning,
  before: Redacted<string> | undefined,
): Promise<TokenSet> {
  const { server } = deps;
  const answer = await asClient(deps, terms, (secret, as) => {
    if (kind === 'refresh' && before !== undefined) return server.refresh(as, secret, before);
    if (consent !== undefined) return server.exchange(as, secret, consent);
    return server.clientCredentials(as, secret);
  });
  if (kind === 'refresh') return answer;
  const refreshable = answer.refreshToken !== undefined;
  try {
    assertKeepable(terms, { refreshable, expiresInSeconds: answer.expiresInSeconds });
  } catch (error) {
    // A server with one grant for each person would end with them what the family works with.
    if (tokens === undefined) await giveBack(deps, terms, answer);
    throw error;
  }
  if (kind === 'consent') return answer;
  // A client that acts for itself gets another access token as it has got this one.
  const { refreshToken: _unused, ...own } = answer;
  return own;
}

/** Tokens that nobody will use; one that can't be revoked dies by itself, or is nobody's. */
async function giveBack(
  deps: FamilyDeps,
  terms: Family['terms'],
  { refreshToken, accessToken }: TokenSet,
): Promise<void> {
  const [token, kind] =
    refreshToken === undefined ? ([accessToken, 'access'] as const) : ([refreshToken, 'refresh'] as const);
  await asClient(deps, terms, (secret, as) => deps.server.revoke(as, secret, token, kind)).catch(
    () => undefined,
  );
}

/** Gives agents what is stored, and commits. Every line may run twice. */
export async function finish(
  deps: FamilyDeps,
  family: Family,
  attempt: Attempt,
  stored: Kept,
): Promise<Attempted> {
  if ((await deliver(deps, family, attempt, stored)) === 'outrun') {
    const now = await deps.families.family(family.id);
    return now?.tokens?.versionId === attempt.id
      ? { outcome: 'refreshed', family: now }
      : { outcome: 'outrun' };
  }
  const got = gotOf(attempt.id, stored);
  const { trouble, incident } = family;
  const { trigger } = attempt;
  const about = {
    newFingerprint: got.fingerprint,
    correlationId: attempt.id,
    evidence: {
      attempt: attempt.number,
      // Before it nobody could have what it brought.
      begunAt: attempt.since,
      expiresAt: got.expiresAt,
      rotated: family.tokens?.fingerprint !== got.fingerprint,
      ...(attempt.lost.length === 0 ? {} : { afterLost: attempt.lost }),
      ...(trouble === undefined ? {} : { afterFailures: trouble.failures, code: trouble.code }),
    },
  };
  const isConsent = attempt.kind === 'consent' || family.status !== 'active';
  const action = isConsent ? 'consent-given' : 'tokens-refreshed';
  const after = withTokens(family, attempt, got);
  // Told before it is recorded: told twice does no harm.
  if (incident !== undefined) await tellAgents(deps, EVENT.resume, family, incident);
  const done = await committed(
    deps,
    {
      before: family,
      after,
      records: [
        recordOf(deps, family, action, trigger, about),
        ...shortened(deps, family, after, attempt),
        ...(incident === undefined
          ? []
          : [recordOf(deps, family, 'agents-resumed', trigger, { incidentId: incident.id })]),
      ],
      tokens: knownTokens(family.id, attempt.id, stored),
    },
    (now) => now.tokens?.versionId === attempt.id,
  );
  return done === undefined ? { outcome: 'outrun' } : { outcome: 'refreshed', family: done };
}

/** That access tokens live too short from now on: a consent to such ones is refused, but a server may change its mind. Said once. */
function shortened(deps: FamilyDeps, before: Family, { tokens }: Family, attempt: Attempt): AuditDraft[] {
  const lifeSeconds = tokens && shortLifeOf(tokens);
  if (lifeSeconds === undefined || (before.tokens && shortLifeOf(before.tokens)) !== undefined) return [];
  const message = `access tokens of this server live ${lifeSeconds} seconds now`;
  const evidence = { attempt: attempt.number, code: 'ERR_POLICY', message, lifeSeconds };
  return [
    recordOf(deps, before, 'refresh-endangered', attempt.trigger, { correlationId: attempt.id, evidence }),
  ];
}

/**
 * Commits what a refusal means. Before consent is asked for because an answer was lost, the lost ones are looked for once
 * more: whoever was slower than its lease may have stored one since.
 */
async function fail(deps: FamilyDeps, family: Family, attempt: Attempt, error: unknown): Promise<Attempted> {
  const failed = withFailure(family, attempt, error, deps.clock());
  if (failed.outcome === 'consent-needed') {
    for (const id of attempt.lost.toReversed()) {
      const late = await storedBy(deps, family, id);
      if (late !== undefined) return finish(deps, family, { ...attempt, id }, late);
    }
  }
  const records = recordsOf(deps, family, attempt, failed, error);
  const done = await committed(
    deps,
    { before: family, after: failed.family, records },
    (now) => now.attempt === undefined && now.attempts === attempt.number,
  );
  if (done === undefined) return { outcome: 'outrun' };
  return failed.outcome === 'consent-needed'
    ? { outcome: 'consent-needed', family: done }
    : { outcome: 'failed', family: done, error };
}

function recordsOf(
  deps: FamilyDeps,
  family: Family,
  attempt: Attempt,
  failed: ReturnType<typeof withFailure>,
  error: unknown,
) {
  const code = error instanceof RekeyError ? error.code : 'ERR_INTERNAL';
  const message = error instanceof RekeyError ? error.message : 'something that Rekey does not expect';
  const evidence = { attempt: attempt.number, code, message };
  if (failed.outcome === 'dropped') return [];
  if (failed.outcome === 'consent-needed') {
    const why = failed.family.needs?.why;
    const about = { correlationId: attempt.id, evidence: { ...evidence, why, lost: attempt.lost } };
    return [recordOf(deps, family, 'consent-needed', attempt.trigger, about)];
  }
  if (failed.tell === undefined) return [];
  return [recordOf(deps, family, failed.tell, attempt.trigger, { correlationId: attempt.id, evidence })];
}
