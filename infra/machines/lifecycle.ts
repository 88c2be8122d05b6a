import type { CredentialType, FunctionName } from '../../shared/names.ts';
import {
  callback,
  callSeconds,
  caught,
  executionInput,
  expression,
  fail,
  task,
  typesIn,
  when,
  type ByType,
  type Callee,
  type Machine,
  type State,
} from './states.ts';

type OfType = 'verify' | 'retire' | 'rollback' | 'reconcile';
type Called = 'begin-rotation' | 'check-holders' | OfType;

/** What the lifecycle calls, with the function of each type where types have their own. */
export type LifecycleFunctions = Readonly<
  Record<'begin-rotation' | 'check-holders', Callee> &
    Record<OfType, Readonly<Partial<Record<CredentialType, Callee>>>>
>;

/** Executions that a version before types has started are of databases. */
const TYPE =
  "($exists($states.context.Execution.Input.type) ? $states.context.Execution.Input.type : 'database')";

const rotation = {
  credentialId: executionInput('credentialId'),
  rotationId: executionInput('rotationId'),
};

/** Only the name of an error travels on: its message may quote input. */
const toReconcile = caught('Reconcile', { cause: expression('$states.errorOutput.Error') });

const waitSeconds = (least: number): string =>
  expression(`$max([${least}, $ceil($states.input.waitSeconds)])`);

/**
 * One rotation from its announcement to its end (docs/architecture.md). Nothing here decides: each function reads
 * the ledger and says what comes next, so that a second execution can take over in any state.
 */
export function lifecycle(
  functions: LifecycleFunctions,
  options: { readonly rotateTimeoutSeconds: number },
): Machine {
  const named = (name: Called): FunctionName | ByType =>
    name === 'begin-rotation' || name === 'check-holders'
      ? name
      : { role: name, types: typesIn(functions[name]), type: TYPE };
  const seconds = (name: Called): number =>
    name === 'begin-rotation' || name === 'check-holders'
      ? callSeconds(functions[name])
      : callSeconds(...Object.values(functions[name]));
  const call = (name: Called, payload: object, next: string): State =>
    task({
      function: named(name),
      payload: { ...rotation, ...payload },
      timeoutSeconds: seconds(name),
      // The reconciler is the last resort: when it fails, so does the execution, which pages.
      ...(name === 'reconcile' ? {} : { catch: [toReconcile] }),
      next,
    });
  const look = (next: string, output: unknown): State =>
    task({
      function: 'check-holders',
      payload: rotation,
      timeoutSeconds: seconds('check-holders'),
      catch: [caught(next, output)],
      output,
      next,
    });
  return {
    Comment: 'Rekey: one rotation',
    QueryLanguage: 'JSONata',
    StartAt: 'Announce',
    States: {
      Announce: call('begin-rotation', { action: 'announce' }, 'Phase'),
      Phase: {
        Type: 'Choice',
        Choices: [
          when("$states.input.phase = 'over'", 'Done'),
          when("$states.input.phase = 'window'", 'Holders'),
        ],
        Default: 'Announced',
      },
      Announced: { Type: 'Wait', Seconds: waitSeconds(0), Next: 'Rotate' },
      Rotate: callback({
        function: 'begin-rotation',
        // `defers`: this definition can wait for the gap between sessions; one of a version before could not.
        payload: { action: 'rotate', ...rotation, defers: true },
        timeoutSeconds: options.rotateTimeoutSeconds,
        catch: [toReconcile],
        next: 'Outcome',
      }),
      Deferred: callback({
        function: 'begin-rotation',
        payload: { action: 'await-gap', ...rotation },
        timeoutSeconds: waitSeconds(1),
        catch: [caught('Rotate', {}, ['States.Timeout']), toReconcile],
        next: 'Outcome',
      }),
      Outcome: {
        Type: 'Choice',
        Choices: [
          when("$states.input.outcome = 'window'", 'Holders'),
          when("$states.input.outcome = 'verify'", 'Evidence'),
          // Not at once: what was refused a moment ago would only be refused again.
          when("$states.input.outcome = 'rotate'", 'Announced'),
          when("$states.input.outcome = 'deferred'", 'Deferred'),
          when("$states.input.outcome = 'rolling-back'", 'RollingBack'),
          when("$states.input.outcome in ['preempted', 'over']", 'Done'),
          when("$states.input.outcome = 'aborted'", 'Aborted'),
          when("$states.input.outcome = 'stuck'", 'Stuck'),
        ],
        Default: 'Unexpected',
      },
      // Both only look: without them the window goes on, and the proof is missing.
      Holders: look('Window', expression('$states.input')),
      Evidence: look('Verify', {}),
      Window: callback({
        function: named('verify'),
        payload: { action: 'await', ...rotation },
        timeoutSeconds: waitSeconds(1),
        catch: [caught('Evidence', {}, ['States.Timeout']), toReconcile],
        next: 'Outcome',
      }),
      Verify: call('verify', { action: 'verify' }, 'Decision'),
      Retire: call('retire', {}, 'Decision'),
      Decision: {
        Type: 'Choice',
        Choices: [
          when("$states.input.decision in ['wait', 'extend', 'soak']", 'Window'),
          when("$states.input.decision = 'retire'", 'Retire'),
          when("$states.input.decision in ['completed', 'keep', 'over']", 'Done'),
          when("$states.input.decision = 'hold'", 'Held'),
          when("$states.input.decision = 'rolling-back'", 'Rollback'),
        ],
        Default: 'Unexpected',
      },
      // As above: the reconciler says how long to wait before it is tried again.
      RollingBack: { Type: 'Wait', Seconds: waitSeconds(0), Next: 'Rollback' },
      Rollback: call('rollback', {}, 'Outcome'),
      Reconcile: call('reconcile', { cause: expression('$states.input.cause') }, 'Outcome'),
      Done: { Type: 'Succeed' },
      Aborted: fail('RotationAborted', 'The new credential never became current; agents stay on the old one'),
      Stuck: fail('RotationStuck', 'Nothing that Rekey may do by itself ends this rotation'),
      Held: fail('RotationHeld', 'Somebody still uses the old credential past the cap of the window'),
      Unexpected: fail('UnexpectedAnswer', 'A function answered what this machine does not know'),
    },
  };
}
