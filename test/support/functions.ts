import { emergency as emergencyMachine } from '../../infra/machines/emergency.ts';
import { lifecycle as lifecycleMachine } from '../../infra/machines/lifecycle.ts';
import { suspension as suspensionMachine } from '../../infra/machines/suspension.ts';
import type { Machine } from '../../infra/machines/states.ts';
import { awaitGap } from '../../shared/engine/deferral.ts';
import type { Revocation } from '../../shared/domain/evidence.ts';
import { revokeNow } from '../../shared/engine/emergency.ts';
import { checkHolders } from '../../shared/engine/holders.ts';
import * as agents from '../../shared/engine/incident-agents.ts';
import * as outcome from '../../shared/engine/incident-outcome.ts';
import type { Emergency } from '../../shared/engine/incident.ts';
import { locate } from '../../shared/engine/locate.ts';
import { reconcile } from '../../shared/engine/reconcile.ts';
import * as replace from '../../shared/engine/replace.ts';
import { enterLifecycle, startRotation } from '../../shared/engine/requests.ts';
import { retire } from '../../shared/engine/retire.ts';
import { rollback } from '../../shared/engine/rollback.ts';
import { spoolRevocation } from '../../shared/engine/spool.ts';
import { reportUnmanaged } from '../../shared/engine/unmanaged.ts';
import { awaitWindow, verifyWindow } from '../../shared/engine/window.ts';
import type { SignalStore } from '../../shared/ports/signals.ts';
import { restoreHeld, suspendHeld, type HeldValue } from '../../shared/engine/suspend-held.ts';
import type { Snapshots } from '../../shared/ports/snapshots.ts';
import type {
  EmergencyInput,
  LifecycleOutcome,
  SuspensionInput,
  Workflow,
} from '../../shared/ports/workflow.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';
import type { ProcessDeps } from './faulty.ts';
import type { Machines } from './machines.ts';

/** As deployed on AWS (infra/config.ts). */
export const TIMING = { rotateTimeoutSeconds: 3600, reconcileEverySeconds: 300, stuckAfterSeconds: 900 };

/** What executions go by. */
export interface Definitions {
  readonly lifecycle: Machine;
  readonly emergency: Machine;
}

const PATIENCE = { timeout: { toSeconds: () => 60 } };
const TYPES = [
  'database',
  'llm-key',
  'vector-database-key',
  'root',
  'database-root',
  'signing-key',
  'agent-token',
  'certificate-authority',
  'oauth-client',
] as const;
const OF_TYPES = Object.fromEntries(TYPES.map((type) => [type, PATIENCE]));

/** The machines as infra defines them. */
export function definitions(): Definitions {
  return {
    lifecycle: lifecycleMachine(
      {
        'begin-rotation': PATIENCE,
        'check-holders': PATIENCE,
        verify: OF_TYPES,
        retire: OF_TYPES,
        rollback: OF_TYPES,
        reconcile: OF_TYPES,
      },
      TIMING,
    ),
    emergency: emergencyMachine({ 'record-emergency': PATIENCE, revoke: OF_TYPES, replace: OF_TYPES }),
  };
}

/** The machines, as what a process may ask of them; those of another version where they are given. */
export function workflowOf(
  machines: Machines,
  { lifecycle, emergency }: Definitions = definitions(),
): Workflow {
  return {
    async startLifecycle(input, attempt) {
      machines.start(lifecycle, `${input.rotationId}-${attempt}`, input);
    },
    async answer(taskToken: string, output: LifecycleOutcome) {
      machines.answer(taskToken, output);
    },
    async startEmergency(id: string, input: EmergencyInput) {
      machines.start(emergency, id, input);
      return (machines.executions.get(id)?.input as EmergencyInput | undefined) ?? input;
    },
    async startSuspension(id: string, input: SuspensionInput) {
      machines.start(suspensionMachine(OF_TYPES), id, input);
    },
    async emergency(id) {
      const found = machines.executions.get(id);
      if (found === undefined) return undefined;
      return {
        status: found.status,
        startedAt: new Date(found.startedAt).toISOString(),
        results: found.output,
      };
    },
  };
}

type Payload = {
  credentialId: string;
  rotationId: string;
  taskToken: string;
  action: string;
} & Emergency & {
    step: 'generate' | 'validate' | 'vault';
    cause: string;
    revocation: Revocation;
    results: unknown;
  } & Pick<HeldValue, 'signalId' | 'handle'>;

/** Where no test holds signals, none is held. */
const heldIn = ({ signals }: { signals?: Pick<SignalStore, 'held'> }): Pick<SignalStore, 'held'> =>
  signals ?? { held: () => Promise.resolve(undefined) };

/** The functions as lambdas/ composes them. */
export function call(
  deps: ProcessDeps & { snapshots: Snapshots; signals?: Pick<SignalStore, 'held'> },
  name: string,
  given: object,
): Promise<unknown> {
  const payload = given as Payload;
  // The functions of another type are the same ones, with other rights.
  const role = name.replace(
    /-(llm-key|vector-database-key|root|database-root|signing-key|agent-token|certificate-authority|oauth-client)$/,
    '-database',
  );
  switch (`${role} ${payload.action ?? payload.step ?? ''}`.trim()) {
    case 'begin-rotation announce':
      return enterLifecycle(deps, payload);
    case 'begin-rotation rotate':
      return startRotation(deps, payload);
    case 'begin-rotation await-gap':
      return awaitGap(deps, payload);
    case 'verify-database await':
      return awaitWindow(deps, payload);
    case 'verify-database verify':
      return verifyWindow(deps, payload);
    case 'check-holders':
      return checkHolders(deps, payload);
    case 'retire-database':
      return retire(deps, payload);
    case 'rollback-database':
      return rollback(deps, payload);
    case 'reconcile-database':
      return reconcile(deps, payload);
    case 'revoke-database suspend':
      return suspendHeld({ ...deps, signals: heldIn(deps) }, payload).then((done) => ({ outcome: done }));
    case 'revoke-database restore':
      return restoreHeld({ ...deps, signals: heldIn(deps) }, payload).then((done) => ({ outcome: done }));
    case 'revoke-database':
      return revokeNow(deps, payload);
    case 'record-emergency find-type':
      return locate(deps, payload.credentialId).then(({ credential: { type } }) => ({ type }));
    case 'record-emergency record':
      return outcome.recordRevocation(deps, payload, payload.revocation);
    case 'record-emergency spool':
      return spoolRevocation(deps, payload, payload.revocation);
    case 'record-emergency halt':
      return agents.halt(deps, payload, payload.revocation);
    case 'record-emergency resume':
      return agents.resume(deps, payload);
    case 'record-emergency superseded':
      return outcome.superseded(deps, payload);
    case 'record-emergency revocation-failed':
      return outcome.recordFailedRevocation(deps, payload, payload.cause);
    case 'record-emergency await-operator':
      return outcome.recordAwaitedOperator({ ...deps, revocationsByHand }, payload);
    case 'record-emergency unmanaged':
      return reportUnmanaged({ ...deps, revocationsByHand }, payload);
    case 'record-emergency replacement-failed':
      return outcome.recordFailedReplacement(deps, payload, payload);
    case 'record-emergency notify':
      return deps.events.publish('Emergency Ended', {
        incidentId: payload.incidentId,
        reason: payload.reason,
        results: payload.results,
      });
    case 'replace-database generate':
      return replace.generate(deps, payload);
    case 'replace-database sweep':
      return replace.sweepLate(deps, payload);
    case 'replace-database validate':
      return replace.validate(deps, payload);
    case 'replace-database vault':
      return replace.update(deps, payload);
    default:
      throw new Error(`no function ${name} (${payload.action})`);
  }
}
