import type { CredentialType } from '../../shared/names.ts';
import {
  callSeconds,
  caught,
  CROWDED,
  BRIEF,
  executionInput,
  expression,
  fail,
  ONCE_MORE,
  OUTLASTING,
  PASSING,
  PATIENT,
  SELDOM,
  SHORT_OF_ROOM,
  task,
  URGENT,
  WHILE_AWAITED,
  WITHOUT_ROOM,
  typesIn,
  when,
  type Callee,
  type Machine,
  type State,
} from './states.ts';

type OfType = 'revoke' | 'replace';
type Called = 'record-emergency' | OfType;

/** What the emergency calls, with the function of each type where types have their own. */
export type EmergencyFunctions = Readonly<
  Record<'record-emergency', Callee> & Record<OfType, Readonly<Partial<Record<CredentialType, Callee>>>>
>;

/** What a revocation throws that waits for a person (shared/domain/errors.ts). */
const AWAITED = 'ERR_AWAITING_OPERATOR';

/** What a record throws where something came to life while the revocation was under way. */
const ESCAPED = 'ERR_ESCAPED';

/** What is asked of an upstream by a process that dies has come to it by then, since a call takes ten seconds at most. */
const LATE_SECONDS = 30;

/**
 * So many are one execution: some 50 events are recorded of each, and 1,620 where every service refuses for as long as anything is
 * tried again. 25,000 are what one execution may have. What is beyond goes to executions of their own, and waits for none of these.
 */
const AT_ONCE = 15;

/** All batches of the largest request at once: no revocation waits for another. */
const BATCHES_AT_ONCE = 67;

/** What did not end as it was asked for. */
const UNHAPPY =
  "$states.input.results[status != 'superseded' and status != ($states.context.Execution.Input.replace ? 'replaced' : 'halted')]";

/** Of many, what a cause holds: 32,768 characters. */
const IN_SHORT = `[(${UNHAPPY})[[0..299]].{"credentialId": credentialId, "status": status}]`;

const incident = {
  // What is done already is recognised by the execution that was asked for: a second emergency may name the same incident.
  emergencyId: expression(
    '($exists($states.context.Execution.Input.emergencyId) ? $states.context.Execution.Input.emergencyId : $states.context.Execution.Name)',
  ),
  incidentId: executionInput('incidentId'),
  reason: executionInput('reason'),
  actor: executionInput('actor'),
  startedAt: executionInput('startedAt'),
};

const told = { incidentId: executionInput('incidentId'), results: expression('$states.input') };

const credentialId = expression('$states.input.credentialId');
const revocation = expression('$states.input.revocation');
const cause = expression('$states.errorOutput.Error');

/** What an item hands on: which credential of which type, nothing else. */
const carried = { credentialId, type: expression('$states.input.type') };

/**
 * Revokes and replaces credentials in the order of I2. The revocation is the first call for each credential and waits
 * for nothing; only where nobody could tell its type, and so whose function revokes it, that is asked before. An error never leaves its item: it would end the map and with it the revocation of the others.
 */
export function emergency(functions: EmergencyFunctions): Machine {
  return {
    Comment: 'Rekey: emergency revocation',
    QueryLanguage: 'JSONata',
    StartAt: 'Size',
    TimeoutSeconds: 12 * 3600,
    States: {
      Size: {
        Type: 'Choice',
        Choices: [when(`$count($states.input.credentials) > ${AT_ONCE}`, 'Batches')],
        Default: 'Credentials',
      },
      Credentials: { ...credentials(functions), Next: 'Notify' },
      Batches: {
        Type: 'Map',
        Label: 'Batches',
        Items: expression(`$partition($states.input.credentials, ${AT_ONCE})`),
        // The input of an execution of its own, with which it runs as the small ones do.
        ItemSelector: {
          credentials: expression('$states.context.Map.Item.Value'),
          replace: executionInput('replace'),
          ...incident,
        },
        MaxConcurrency: BATCHES_AT_ONCE,
        // One that is lost keeps none from its end; it is missed below.
        ToleratedFailurePercentage: 100,
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' },
          StartAt: 'Batch',
          States: {
            Batch: {
              ...credentials(functions),
              Output: { results: expression('$states.result') },
              End: true,
            },
          },
        },
        Output: expression('[$states.result.results]'),
        Next: 'Notify',
      },
      Notify: task({
        function: 'record-emergency',
        payload: { action: 'notify', ...incident, results: expression('$states.input') },
        timeoutSeconds: callSeconds(functions['record-emergency']),
        // That the team isn't told pages by the failure, which has the results.
        catch: [caught('Incomplete', told)],
        output: told,
        next: 'Complete',
      }),
      Complete: {
        Type: 'Choice',
        Choices: [
          when(`$count(${UNHAPPY}) > 0`, 'Incomplete'),
          // A batch was lost.
          when(
            '$count($states.input.results) < $count($states.context.Execution.Input.credentials)',
            'Incomplete',
          ),
        ],
        Default: 'Done',
      },
      Done: { Type: 'Succeed' },
      // A failed execution has no output: what became of each credential stands in the cause.
      Incomplete: fail(
        'EmergencyIncomplete',
        expression(
          `$string({"results": $count($states.input.results) > ${AT_ONCE} ? ${IN_SHORT} : $states.input.results})`,
        ),
      ),
    },
  };
}

/** Each credential by itself, all at once. */
function credentials(functions: EmergencyFunctions): State {
  return {
    Type: 'Map',
    Items: executionInput('credentials'),
    MaxConcurrency: AT_ONCE,
    ItemProcessor: {
      ProcessorConfig: { Mode: 'INLINE' },
      StartAt: 'Typed',
      States: itemStates(functions),
    },
  };
}

/** What differs from step to step. */
interface Step {
  readonly output?: object;
  /** Caught before everything else. */
  readonly before?: readonly object[];
  readonly retry?: readonly object[];
}

function itemStates(functions: EmergencyFunctions): Record<string, State> {
  /** A call that hands on the credential; its failure ends this credential with `status`. */
  const step = (
    name: Called,
    payload: object,
    next: string,
    onError: object,
    { output = carried, before = [], retry = PATIENT }: Step = {},
  ): State =>
    task({
      function:
        name === 'record-emergency'
          ? name
          : { role: name, types: typesIn(functions[name]), type: '$states.input.type' },
      payload: { ...payload, credentialId, ...incident },
      timeoutSeconds:
        name === 'record-emergency'
          ? callSeconds(functions[name])
          : callSeconds(...Object.values(functions[name])),
      retry,
      catch: [...before, onError],
      output,
      next,
    });
  const failed = caught('RevocationFailed', { credentialId, cause });
  const revoke = (retry: readonly object[], before: readonly object[] = [], next = 'Record'): State =>
    step('revoke', {}, next, failed, {
      output: { ...carried, revocation: expression('$states.result.Payload') },
      before,
      retry,
    });
  /** The agents halt and, once the ledger takes its record, a person is paged, as where it has failed; then it is tried again in `next`. */
  const delayed = (next: string, output: object = carried): State =>
    step(
      'record-emergency',
      { action: 'revocation-failed', cause: expression('$states.input.cause') },
      next,
      caught(next, output),
      { output, before: unmanaged, retry: [...SHORT_OF_ROOM, ...ONCE_MORE] },
    );
  const findType = (retry: readonly object[], before: readonly object[] = []): State =>
    step('record-emergency', { action: 'find-type' }, 'Revoke', failed, {
      output: { credentialId, type: expression('$states.result.Payload.type') },
      before: [...unmanaged, ...before],
      retry: [{ ErrorEquals: ['ERR_NOT_FOUND'], MaxAttempts: 0 }, ...retry, ...URGENT],
    });
  const overtaken = [caught('Superseded', carried, ['ERR_PREEMPTED'])];
  const unmanaged = [caught('Unmanaged', { credentialId }, ['ERR_NOT_FOUND'])];
  const record = (
    action: string,
    next: string,
    onError: object,
    more: Step & { with?: object } = {},
  ): State =>
    step('record-emergency', { action, ...more.with }, next, onError, { before: overtaken, ...more });
  const ends = (status: string): object => caught('Ended', { credentialId, status });
  const replacing = (stepName: string, next: string): State =>
    step(
      'replace',
      { step: stepName },
      next,
      caught('ReplacementFailed', { ...carried, step: stepName, cause }),
      { before: overtaken, retry: [...WITHOUT_ROOM, ...PATIENT] },
    );
  return {
    Typed: {
      Type: 'Choice',
      Choices: [when('$exists($states.input.type)', 'Revoke')],
      Default: 'FindType',
    },
    // Ledger and snapshots were silent as the emergency was asked for; or somebody has asked by hand.
    FindType: findType(
      [...SHORT_OF_ROOM, ...BRIEF],
      [caught('TypeDelayed', { credentialId, cause }, PASSING)],
    ),
    TypeDelayed: delayed('FindTypeLate', { credentialId }),
    FindTypeLate: findType(OUTLASTING),

    Revoke: revoke(
      [{ ErrorEquals: [AWAITED], MaxAttempts: 0 }, ...CROWDED, ...URGENT],
      [caught('AwaitOperator', carried, [AWAITED]), caught('Delayed', { ...carried, cause }, PASSING)],
    ),
    // Whatever comes of telling: the upstream is asked until it refuses what was to die.
    AwaitOperator: step(
      'record-emergency',
      { action: 'await-operator' },
      'EndedByHand',
      caught('EndedByHand', carried),
    ),
    EndedByHand: revoke([...WHILE_AWAITED, ...WITHOUT_ROOM, ...URGENT]),
    // An upstream that is down or throttles.
    Delayed: delayed('StillAlive'),
    StillAlive: revoke([...OUTLASTING, ...URGENT]),
    // The agents' halt doesn't wait for a ledger that is down.
    Record: record('record', 'Halt', caught('HaltUnrecorded', { ...carried, revocation }), {
      with: { revocation },
      before: [...overtaken, caught('Escaped', carried, [ESCAPED])],
      retry: [...SHORT_OF_ROOM, ...ONCE_MORE],
    }),
    // By now the emergency holds the credential: nothing else comes to life.
    Escaped: revoke(
      [...SHORT_OF_ROOM, ...URGENT],
      [caught('EscapeDelayed', { ...carried, cause }, PASSING)],
      'RecordLate',
    ),
    Halt: record('halt', 'Replace', ends('halt-failed'), { retry: OUTLASTING }),
    Replace: {
      Type: 'Choice',
      Choices: [when('$states.context.Execution.Input.replace', 'Generate')],
      Default: 'Late',
    },
    Late: { Type: 'Wait', Seconds: LATE_SECONDS, Next: 'Sweep' },
    Sweep: step('replace', { step: 'sweep' }, 'Halted', failed, {
      before: overtaken,
      retry: [...WITHOUT_ROOM, ...PATIENT],
    }),
    Generate: replacing('generate', 'Validate'),
    Validate: replacing('validate', 'Vault'),
    Vault: replacing('vault', 'Resume'),
    Resume: record('resume', 'Replaced', ends('resume-failed'), { retry: OUTLASTING }),

    // Never taken for superseded: what could not be revoked may still work.
    RevocationFailed: step(
      'record-emergency',
      { action: 'revocation-failed', cause: expression('$states.input.cause') },
      'NotRevoked',
      ends('revocation-failed'),
      { output: { credentialId }, before: unmanaged, retry: OUTLASTING },
    ),
    // Unregistered since the emergency was asked for: the results say what a person does now.
    Unmanaged: step('record-emergency', { action: 'unmanaged' }, 'Ended', ends('revocation-failed'), {
      output: {
        credentialId,
        status: 'revocation-failed',
        byHand: expression('$states.result.Payload.byHand'),
      },
    }),
    // The credential is dead and nobody could write that down: the agents are halted all the same, nothing is issued until it is.
    HaltUnrecorded: record('halt', 'RecordLate', caught('RecordLate', { ...carried, revocation }), {
      with: { revocation },
      output: { ...carried, revocation },
      retry: [...WITHOUT_ROOM, ...BRIEF],
    }),
    RecordLate: record('record', 'Halt', caught('Spool', { ...carried, revocation }), {
      with: { revocation },
      before: [...overtaken, caught('EscapedLate', carried, [ESCAPED])],
      retry: SELDOM,
    }),
    EscapeDelayed: delayed('EscapedLate'),
    // While nothing could be recorded a rotation may have gone on; the refusal of the record has fenced it off. The agents were told.
    EscapedLate: revoke([...OUTLASTING, ...URGENT], [], 'RecordAgain'),
    RecordAgain: record('record', 'Halt', caught('Spool', { ...carried, revocation }), {
      with: { revocation },
      retry: [...SHORT_OF_ROOM, ...ONCE_MORE],
    }),
    // For the reconciler, which writes it down once the ledger is back.
    Spool: step('record-emergency', { action: 'spool', revocation }, 'Unrecorded', ends('record-failed'), {
      retry: OUTLASTING,
    }),
    // A later emergency has taken the credential over: it kills, halts and replaces; what became of it counts.
    Superseded: step('record-emergency', { action: 'superseded' }, 'Ended', ends('halted'), {
      output: { credentialId, status: expression('$states.result.Payload.status') },
    }),
    ReplacementFailed: record('replacement-failed', 'Halted', ends('halted'), {
      with: { step: expression('$states.input.step'), cause: expression('$states.input.cause') },
    }),

    Replaced: ended('replaced'),
    Halted: ended('halted'),
    NotRevoked: ended('revocation-failed'),
    Unrecorded: ended('record-failed'),
    Ended: { Type: 'Pass', End: true },
  };
}

function ended(status: string): State {
  return { Type: 'Pass', Output: { credentialId, status }, End: true };
}
