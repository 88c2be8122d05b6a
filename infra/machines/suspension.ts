import type { CredentialType } from '../../shared/names.ts';
import {
  callSeconds,
  caught,
  executionInput,
  expression,
  fail,
  OUTLASTING,
  task,
  typesIn,
  when,
  type Callee,
  type Machine,
} from './states.ts';

/** Values of one signal that are suspended or restored at once; a signal has no more of them than its fingerprints. */
const AT_ONCE = 40;

const about = {
  credentialId: expression('$states.input.credentialId'),
  handle: expression('$states.input.handle'),
  action: executionInput('action'),
  signalId: executionInput('signalId'),
  incidentId: executionInput('incidentId'),
  reason: executionInput('reason'),
  actor: executionInput('actor'),
};

/** Suspends or restores the values of a signal that is held (ADR 045), by the function of each type that would revoke them. */
export function suspension(revoke: Readonly<Partial<Record<CredentialType, Callee>>>): Machine {
  return {
    Comment: 'Rekey: suspension of what is held',
    QueryLanguage: 'JSONata',
    StartAt: 'Values',
    TimeoutSeconds: 6 * 3600,
    States: {
      Values: {
        Type: 'Map',
        Items: executionInput('values'),
        ItemSelector: {
          credentialId: expression('$states.context.Map.Item.Value.credentialId'),
          type: expression('$states.context.Map.Item.Value.type'),
          handle: expression('$states.context.Map.Item.Value.handle'),
        },
        MaxConcurrency: AT_ONCE,
        ItemProcessor: {
          ProcessorConfig: { Mode: 'INLINE' },
          StartAt: 'Change',
          States: {
            Change: task({
              function: { role: 'revoke', types: typesIn(revoke), type: '$states.input.type' },
              payload: about,
              timeoutSeconds: callSeconds(...Object.values(revoke)),
              retry: OUTLASTING,
              // One that fails keeps none of the others.
              catch: [caught('Changed', { credentialId: about.credentialId, outcome: 'failed' })],
              output: {
                credentialId: about.credentialId,
                outcome: expression('$states.result.Payload.outcome'),
              },
              next: 'Changed',
            }),
            Changed: { Type: 'Pass', End: true },
          },
        },
        Output: { results: expression('$states.result') },
        Next: 'Complete',
      },
      Complete: {
        Type: 'Choice',
        Choices: [when("$count($states.input.results[outcome = 'failed']) > 0", 'Incomplete')],
        Default: 'Done',
      },
      Done: { Type: 'Succeed' },
      Incomplete: fail('SuspensionIncomplete', expression('$string($states.input)')),
    },
  };
}
