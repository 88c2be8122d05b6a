import { toInstant } from '../../domain/clock.ts';
import type { AuditAction } from '../../domain/audit.ts';
import type { Credential } from '../../domain/credential.ts';
import { isRekeyError, RekeyError } from '../../domain/errors.ts';
import { standingOf } from '../../domain/leak.ts';
import type { Trigger } from '../../domain/rotation.ts';
import {
  decide,
  isProven,
  onePerCredential,
  type Decision,
  type SignalMatch,
  type SignalPolicy,
} from '../../domain/signals/decide.ts';
import { withAlert } from '../../domain/signals/github.ts';
import { agentsOf } from '../../domain/policy.ts';
import { heldOf, type HeldSignal } from '../../domain/signals/held.ts';
import { tokenOf, type Signal } from '../../domain/signals/signal.ts';
import type { Ledger } from '../../ports/ledger.ts';
import type { Alerts, SignalStore } from '../../ports/signals.ts';
import type { SuspensionInput, Workflow } from '../../ports/workflow.ts';
import { retrying } from '../patience.ts';
import type { Requested } from '../requests.ts';
import { describeHandle, loadCredential } from '../state.ts';

/** What signals are received with. */
export interface SignalDeps {
  readonly signals: SignalStore;
  readonly ledger: Pick<Ledger, 'byFingerprint' | 'credential' | 'idByName' | 'commit'>;
  readonly workflow: Pick<Workflow, 'startEmergency' | 'startSuspension'>;
  readonly rotate: (request: { name: string; token: string; trigger: Trigger }) => Promise<Requested>;
  readonly alerts: Alerts;
  readonly clock: () => number;
}

/** A signal with who sends it and what the settings say of it. */
export interface Received {
  readonly signal: Signal;
  /** Stands in the audit trail: the name of a source, or the ARN of a person. */
  readonly actor: string;
  readonly policy: SignalPolicy;
  /** Names of credentials by what a source calls them. */
  readonly names?: Readonly<Record<string, string>>;
  /** Only says what would be done. */
  readonly dryRun?: boolean;
}

/** What has become of a signal. */
export interface SignalOutcome {
  readonly act: Decision['act'] | 'repeated' | 'over-budget';
  /** Names of the credentials that it is about. */
  readonly credentials: readonly string[];
  /** Of the emergency that was started, or of what is held. */
  readonly id?: string;
}

/**
 * Takes a signal of a source that is known. What was taken before is dropped; what is above the budget of its source is refused
 * and changes nothing. It is marked as taken at the end: whatever dies in between is joined by the repetition, under the same
 * ids.
 */
export async function receiveSignal(deps: SignalDeps, received: Received): Promise<SignalOutcome> {
  const { signal, policy, dryRun = false } = received;
  const { source, id } = signal;
  if (!dryRun) {
    if (await deps.signals.seen(source, id)) return { act: 'repeated', credentials: [] };
    if (!(await mayTake(deps, `${source}#LOOKED`, policy.perHour, LOOKS))) return OVER_BUDGET;
  }
  const whole = await completed(deps, signal);
  const matches = whole === undefined ? [] : await matchesOf(deps, received, whole);
  const decision = whole === undefined ? { act: 'nothing' as const } : decide(whole, matches, policy);
  // Made-up values that somebody has put where a source finds them take nothing from those that are ours.
  if (!dryRun && decision.act !== 'nothing' && !(await mayTake(deps, source, policy.perHour)))
    return OVER_BUDGET;
  const outcome =
    dryRun || whole === undefined
      ? { act: decision.act, credentials: namesOf(decision) }
      : await carryOut(deps, { ...received, signal: whole }, decision);
  // Beside what Rekey ends itself: a value that two credentials share may be in the hands of a person for one of them.
  const byHand = matches.filter(({ standing }) => standing === 'observed');
  if (!dryRun && decision.act !== 'by-hand' && whole !== undefined)
    await recordEach(
      deps,
      { ...received, signal: whole },
      onePerCredential(byHand),
      'observed',
      'signal-by-hand',
    );
  // A person who scans again after the credential was registered must not hear that it was taken before. A source's is
  // marked whatever came of it: a replay of it would take of the budget.
  const isForgotten = outcome.act === 'nothing' && policy.perHour === undefined;
  if (!dryRun && !isForgotten) await deps.signals.mark(source, id);
  return outcome;
}

const OVER_BUDGET: SignalOutcome = { act: 'over-budget', credentials: [] };
/** So many signals are looked at for each one that may do something. */
const LOOKS = 50;

/** There is no budget for people. */
async function mayTake(
  { signals }: SignalDeps,
  budget: string,
  perHour: number | undefined,
  times = 1,
): Promise<boolean> {
  return perHour === undefined || signals.take(budget, perHour * times);
}

/** With the value of its alert; undefined where that tells that nothing is to be done. */
async function completed(deps: SignalDeps, signal: Signal): Promise<Signal | undefined> {
  if (signal.alert === undefined) return signal;
  const alert = await deps.alerts.read(signal.alert);
  return alert === undefined ? signal : withAlert(signal, alert);
}

async function matchesOf(
  { ledger }: SignalDeps,
  { names = {} }: Received,
  signal: Signal,
): Promise<SignalMatch[]> {
  const keys = await Promise.all(signal.fingerprints.map((each) => ledger.byFingerprint(each)));
  const byValue = await Promise.all(
    keys.flat().map(async (key): Promise<SignalMatch[]> => {
      const credential = await ledger.credential(key.credentialId);
      const standing = standingOf(key, credential, tokenOf(signal));
      return credential === undefined || standing === 'gone' ? [] : [{ credential, standing, key }];
    }),
  );
  const name = signal.subject === undefined ? undefined : ownValue(names, signal.subject);
  const id = name === undefined ? undefined : await ledger.idByName(name);
  const named = id === undefined ? undefined : await ledger.credential(id);
  return [
    ...byValue.flat(),
    ...(named === undefined
      ? []
      : [
          {
            credential: named,
            standing: named.adoption === 'observed' ? ('observed' as const) : ('live' as const),
          },
        ]),
  ];
}

/** A name of a prototype maps to nothing. */
function ownValue(names: Readonly<Record<string, string>>, subject: string): string | undefined {
  return Object.hasOwn(names, subject) ? names[subject] : undefined;
}

function namesOf(decision: Decision): string[] {
  return 'of' in decision ? decision.of.map(({ credential }) => credential.name) : [];
}

async function carryOut(deps: SignalDeps, received: Received, decision: Decision): Promise<SignalOutcome> {
  const done = { act: decision.act, credentials: namesOf(decision) };
  const id = tokenOf(received.signal);
  switch (decision.act) {
    case 'revoke':
      if (!(await mayRevoke(deps, received, decision.of.length))) {
        const why = `with it signals of ${received.signal.source} would revoke more than ${received.policy.maxCredentials} credentials within the hour`;
        await hold(deps, received, { ...decision, act: 'hold', why });
        return { ...done, act: 'hold', id };
      }
      // Before anything is recorded (ADR 009).
      await startEmergency(deps, {
        ...received,
        id,
        credentials: decision.of.map(({ credential }) => credential),
      });
      await recordEach(deps, received, decision.of, 'revoking');
      return { ...done, id };
    case 'rotate':
      return rotateEach(deps, received, decision);
    case 'hold':
      await hold(deps, received, decision);
      return { ...done, id };
    case 'by-hand':
      await recordEach(deps, received, decision.of, 'observed', 'signal-by-hand');
      return done;
    case 'note':
      await recordEach(deps, received, decision.of, 'ended');
      return done;
    case 'look':
    case 'nothing':
      return done;
  }
}

/**
 * The cap holds for all signals of a source within an hour: many small ones go no further than one that is large. The same
 * signal again, or beside itself, counts once: else it would be held beside the emergency that it has started.
 */
function mayRevoke({ signals }: SignalDeps, { signal, policy }: Received, count: number): Promise<boolean> {
  return signals.take(`${signal.source}#REVOKED`, policy.maxCredentials, count, tokenOf(signal));
}

/** Starts what a signal or two people ask for; under the same id it is joined. */
export async function startEmergency(
  { workflow, clock }: Pick<SignalDeps, 'workflow' | 'clock'>,
  {
    id,
    actor,
    credentials,
    signal,
  }: {
    readonly id: string;
    readonly actor: string;
    readonly credentials: readonly Pick<Credential, 'id' | 'type'>[];
    readonly signal: Pick<Signal, 'source' | 'url'>;
  },
): Promise<void> {
  await workflow.startEmergency(id, {
    incidentId: incidentOf(id),
    reason: reasonOf(signal),
    actor,
    startedAt: toInstant(clock()),
    replace: true,
    credentials: credentials.map((each) => ({ credentialId: each.id, type: each.type })),
  });
}

/** What operators call the incident of a signal, until they call it otherwise. */
export function incidentOf(id: string): string {
  return `signal-${id.slice(0, 8)}`;
}

function reasonOf({ source, url }: Pick<Signal, 'source' | 'url'>): string {
  return `a signal of ${source}${url === undefined ? '' : `, ${url}`}`;
}

/** What can't be rotated now although its value was found is held for people; a rotation that was merely due is left to the planner. */
async function rotateEach(
  deps: SignalDeps,
  received: Received,
  decision: Extract<Decision, { act: 'rotate' }>,
): Promise<SignalOutcome> {
  const { signal, actor } = received;
  const trigger: Trigger = { kind: 'signal', actor, reason: reasonOf(signal) };
  const refused: SignalMatch[] = [];
  const whys: string[] = [];
  for (const match of decision.of) {
    const { credential } = match;
    try {
      await deps.rotate({ name: credential.id, token: tokenOf(signal, credential.id), trigger });
    } catch (error) {
      if (!isRekeyError(error) || WORTH_ANOTHER_TRY.has(error.code)) throw error;
      if (await isEndedAnyhow(deps, match)) continue;
      refused.push(match);
      whys.push(error.message);
    }
  }
  if (signal.kind === 'rotate' || refused.length === 0)
    return { act: 'rotate', credentials: namesOf(decision) };
  const waiting: Extract<Decision, { act: 'hold' }> = {
    act: 'hold',
    of: refused,
    why: `it can't be rotated now: ${whys.join('; ')}`,
  };
  await hold(deps, received, waiting);
  return { act: 'hold', credentials: namesOf(waiting), id: tokenOf(signal) };
}

const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set([
  'ERR_UNAVAILABLE',
  'ERR_TIMEOUT',
  'ERR_NOT_PROPAGATED',
  'ERR_CONFLICT',
]);

/** Whether the key that was found isn't current any more: the rotation that is under way ends it. */
async function isEndedAnyhow({ ledger }: SignalDeps, { credential, key }: SignalMatch): Promise<boolean> {
  const now = await ledger.credential(credential.id);
  return (
    key !== undefined &&
    now?.activeRotation !== undefined &&
    now.paused === undefined &&
    now.current !== undefined &&
    now.current.fingerprint !== key.fingerprint
  );
}

/** The signal waits, and the trail of the first credential says so, in one transaction. */
async function hold(
  deps: SignalDeps,
  { signal, actor, policy }: Received,
  decision: Extract<Decision, { act: 'hold' }>,
): Promise<void> {
  const suspends = await maySuspend(deps, { signal, policy }, decision.of);
  const waiting = heldOf(signal, decision, actor, policy, deps.clock(), suspends);
  const [first] = waiting.credentials;
  if (first === undefined) return;
  const stands = await retrying(async () => {
    // Somebody may have decided on it since: a repetition opens nothing again.
    const found = await deps.signals.held(waiting.id);
    if (found !== undefined) return found;
    const before = await loadCredential(deps, first.credentialId);
    await deps.ledger.commit({
      before,
      after: before,
      held: waiting,
      records: [
        {
          action: 'signal-held',
          time: waiting.heldAt,
          trigger: { kind: 'signal', actor, reason: reasonOf(signal) },
          correlationId: waiting.id,
          incidentId: incidentOf(waiting.id),
          ...aboutKey(decision.of[0]?.key),
          evidence: { why: waiting.why, credentials: waiting.credentials, glassAt: waiting.glassAt },
        },
      ],
    });
    return waiting;
  });
  if (stands.status === 'held')
    await startSuspension(deps, stands, 'suspend', { actor, reason: reasonOf(signal) });
}

/**
 * Whether what is held is suspended meanwhile (ADR 045): only a value that its source has shown, and only as far as the source's own
 * cap of suspensions goes, in agents.
 */
async function maySuspend(
  { signals }: SignalDeps,
  { signal, policy: { suspendHeld = 0 } }: Pick<Received, 'signal' | 'policy'>,
  of: readonly SignalMatch[],
): Promise<boolean> {
  if (suspendHeld === 0 || !isProven(signal, of)) return false;
  const agents = Math.max(1, agentsOf(of.flatMap(({ credential }) => credential.holders)));
  return signals.take(`${signal.source}#SUSPENDED`, suspendHeld, agents, tokenOf(signal));
}

/** Suspends or restores what is held with that, under an id that follows from the signal's: the same again is joined. */
export async function startSuspension(
  { workflow }: Pick<SignalDeps, 'workflow'>,
  { id, suspends, credentials }: HeldSignal,
  action: SuspensionInput['action'],
  by: { readonly actor: string; readonly reason: string },
): Promise<void> {
  const values = credentials.flatMap(({ credentialId, type, handle }) =>
    handle === undefined ? [] : [{ credentialId, type, handle }],
  );
  if (suspends !== true || values.length === 0) return;
  await workflow.startSuspension(action === 'suspend' ? id : `${id}-restore`, {
    action,
    signalId: id,
    incidentId: incidentOf(id),
    ...by,
    values,
  });
}

async function recordEach(
  deps: SignalDeps,
  { signal, actor }: Received,
  matches: readonly SignalMatch[],
  outcome: string,
  action: AuditAction = 'leak-reported',
): Promise<void> {
  const id = tokenOf(signal);
  for (const { credential, key } of matches) {
    await retrying(async () => {
      const before = await loadCredential(deps, credential.id);
      await deps.ledger.commit({
        before,
        after: before,
        records: [
          {
            action,
            time: toInstant(deps.clock()),
            trigger: { kind: 'signal', actor, reason: reasonOf(signal) },
            correlationId: id,
            incidentId: incidentOf(id),
            ...aboutKey(key),
            evidence: {
              outcome,
              source: signal.source,
              verified: signal.verified,
              observedAt: signal.observedAt,
            },
          },
        ],
      });
    });
  }
}

function aboutKey(key: SignalMatch['key']): { oldFingerprint?: string; oldHandle?: string } {
  return key === undefined ? {} : { oldFingerprint: key.fingerprint, oldHandle: describeHandle(key.handle) };
}

/** The refusal of what is above the budget of its source. */
export function overBudget(source: string): RekeyError {
  return new RekeyError(
    'ERR_CAPACITY',
    `more signals of ${source} than are taken in an hour; this one was not`,
    {
      remedy: 'send it again within the next hour; docs/runbook.md says what to look at',
    },
  );
}
