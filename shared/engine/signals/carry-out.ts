import { toInstant } from '../../domain/clock.ts';
import type { Credential } from '../../domain/credential.ts';
import { isRekeyError } from '../../domain/errors.ts';
import type { Trigger } from '../../domain/rotation.ts';
import {
  agentsHit,
  credentialsIn,
  familiesIn,
  type CredentialMatch,
  type Decision,
  type SignalMatch,
} from '../../domain/signals/decide.ts';
import { incidentOf, reasonOf, tokenOf, type Signal } from '../../domain/signals/signal.ts';
import { startOnce } from '../begin-emergency.ts';
import { allOver } from '../each.ts';
import type { Received, SignalDeps, SignalOutcome } from './deps.ts';
import { recordFamilies, refreshFamilies, revokeFamilies, type SignalFamilies } from './families.ts';
import { aboutSignal, hold, recordEach } from './notes.ts';
import { tellUnusual } from './unusual.ts';

/** Does what was decided. Every line may run twice: what it starts has ids that follow from the signal's. */
export async function carryOut(
  deps: SignalDeps,
  received: Received,
  decision: Decision,
): Promise<SignalOutcome> {
  const done = { act: decision.act, ...namesOf(decision) };
  const id = tokenOf(received.signal);
  switch (decision.act) {
    case 'revoke': {
      const why = await overCaps(deps, received, decision.of);
      if (why !== undefined) {
        await hold(deps, received, { ...decision, act: 'hold', why });
        return { ...done, act: 'hold', id };
      }
      // Before anything is recorded (ADR 009).
      await startEmergency(deps, {
        ...received,
        id,
        credentials: credentialsIn(decision.of).map(({ credential }) => credential),
        families: familiesIn(decision.of).map(({ family }) => family.name),
      });
      await recordEach(deps, received, decision.of, 'revoking');
      return done.credentials.length === 0 ? done : { ...done, id };
    }
    case 'rotate': {
      // Before all else: a rotation that can't begin for now must not keep it from people.
      if (received.signal.kind === 'unusual') await tellUnusual(deps, received, decision);
      return rotateEach(deps, received, decision);
    }
    case 'tell':
      await tellUnusual(deps, received, decision);
      return done;
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
 * Why it is too much for one hour, or was when it was held; undefined where it is not. The caps hold for all signals of a source within 60 minutes: many
 * small ones go no further than one that is large. The same signal again, or beside itself, counts once: else it would be held
 * beside the emergency that it has started. What one cap holds may have taken of the other, which is the safe side.
 */
async function overCaps(
  { signals }: SignalDeps,
  { signal, policy }: Received,
  of: readonly SignalMatch[],
): Promise<string | undefined> {
  const { maxCredentials, maxAgents } = policy;
  const [source, id, agents] = [signal.source, tokenOf(signal), agentsHit(of)];
  // Whoever has held it may have died before it was remembered, and people may have decided: room that there is by now is none for it.
  const before = await signals.held(id);
  if (before !== undefined) return before.why;
  const past = (what: string): string => `with it signals of ${source} would ${what} within the hour`;
  if (!(await signals.take(`${source}#REVOKED`, maxCredentials, of.length, id)))
    return past(`revoke more than ${maxCredentials} credentials`);
  if (agents > 0 && !(await signals.take(`${source}#AGENTS`, maxAgents, agents, id)))
    return past(`halt more than ${maxAgents} agents`);
  return undefined;
}

/** Starts what a signal or two people ask for; under the same id it is joined. A family that isn't ended delays no other one. */
export async function startEmergency(
  {
    workflow,
    families: coordinator,
    clock,
  }: Pick<SignalDeps, 'workflow' | 'clock'> & {
    readonly families: Pick<SignalFamilies, 'revoke'>;
  },
  {
    id,
    actor,
    credentials,
    families,
    signal,
  }: {
    readonly id: string;
    readonly actor: string;
    readonly credentials: readonly Pick<Credential, 'id' | 'type'>[];
    /** Names of token families. */
    readonly families: readonly string[];
    readonly signal: Pick<Signal, 'source' | 'url'>;
  },
): Promise<void> {
  const [incidentId, reason] = [incidentOf(id), reasonOf(signal)];
  const ending = revokeFamilies(coordinator, families, {
    incidentId,
    trigger: { kind: 'signal', actor, reason },
  });
  const starting =
    credentials.length === 0
      ? Promise.resolve()
      : startOnce(workflow, id, {
          incidentId,
          reason,
          actor,
          startedAt: toInstant(clock()),
          replace: true,
          credentials: credentials.map((each) => ({ credentialId: each.id, type: each.type })),
        });
  await allOver([starting, ending]);
}

/** What a decision is about, by name. */
export function namesOf(decision: Decision): Pick<SignalOutcome, 'credentials' | 'families'> {
  const of = 'of' in decision ? decision.of : [];
  const families = familiesIn(of).map(({ family }) => family.name);
  return {
    credentials: credentialsIn(of).map(({ credential }) => credential.name),
    ...(families.length === 0 ? {} : { families }),
  };
}

/**
 * What can't be rotated now although its value was found is held for people; a rotation that was merely due is left to the
 * planner, and of what is unusual a person is told anyhow.
 */
async function rotateEach(
  deps: SignalDeps,
  received: Received,
  decision: Extract<Decision, { act: 'rotate' }>,
): Promise<SignalOutcome> {
  const { signal, actor } = received;
  const trigger: Trigger = { kind: 'signal', actor, reason: reasonOf(signal) };
  const refused: SignalMatch[] = [];
  const whys: string[] = [];
  for (const match of credentialsIn(decision.of)) {
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
  const families = familiesIn(decision.of);
  const left = await refreshFamilies(deps.families, families, trigger, (code) => WORTH_ANOTHER_TRY.has(code));
  refused.push(...left.map(({ match }) => match));
  whys.push(...left.map(({ why }) => why));
  await recordFamilies(
    deps.families,
    families.filter((match) => !refused.includes(match)),
    aboutSignal(received, 'rotating'),
  );
  if (signal.kind === 'rotate' || signal.kind === 'unusual' || refused.length === 0)
    return { act: 'rotate', ...namesOf(decision) };
  const waiting: Extract<Decision, { act: 'hold' }> = {
    act: 'hold',
    of: refused,
    why: `it can't be rotated now: ${whys.join('; ')}`,
  };
  await hold(deps, received, waiting);
  return { act: 'hold', ...namesOf(waiting), id: tokenOf(signal) };
}

const WORTH_ANOTHER_TRY: ReadonlySet<string> = new Set([
  'ERR_UNAVAILABLE',
  'ERR_TIMEOUT',
  'ERR_NOT_PROPAGATED',
  'ERR_CONFLICT',
]);

/** Whether the key that was found isn't current any more: the rotation that is under way ends it. */
async function isEndedAnyhow({ ledger }: SignalDeps, { credential, key }: CredentialMatch): Promise<boolean> {
  const now = await ledger.credential(credential.id);
  return (
    key !== undefined &&
    now?.activeRotation !== undefined &&
    now.paused === undefined &&
    now.current !== undefined &&
    now.current.fingerprint !== key.fingerprint
  );
}
