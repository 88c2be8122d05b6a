import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import type { InventoryPage } from '../../shared/adapters/secrets-inventory.ts';
import { StepFunctionsWorkflow } from '../../shared/adapters/step-functions-workflow.ts';
import { toInstant } from '../../shared/domain/clock.ts';
import { isRoot } from '../../shared/domain/roots.ts';
import type { Backstop } from '../../shared/engine/backstop.ts';
import { decommission } from '../../shared/engine/agents/decommission.ts';
import { registerPact } from '../../shared/engine/agents/register-pact.ts';
import { emergencyOf, startInParts } from '../../shared/engine/begin-emergency.ts';
import { confirmHolder } from '../../shared/engine/confirm.ts';
import { confirmEnd } from '../../shared/engine/confirm-end.ts';
import type { ConfirmRootAnswer, RootConfirmation } from '../../shared/engine/confirm-root.ts';
import type { Deactivation } from '../../shared/domain/evidence.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { pause, unpause, type PauseDeps } from '../../shared/engine/pause.ts';
import { reportFamilyLeak } from '../../shared/engine/families/leak.ts';
import { reportLeak, type LeakDeps } from '../../shared/engine/leak.ts';
import type { RegisterAnswer } from '../../shared/engine/register.ts';
import type { SignalDeps } from '../../shared/engine/signals/deps.ts';
import { receiveSignal } from '../../shared/engine/signals/receive.ts';
import { voteOnSignal } from '../../shared/engine/signals/vote.ts';
import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { FamilyLedger } from '../../shared/ports/families.ts';
import type { SignalStore } from '../../shared/ports/signals.ts';
import { DynamoDbSignals } from '../../shared/adapters/dynamodb-signals.ts';
import { DynamoDbUpstreamUses } from '../../shared/adapters/dynamodb-upstream-uses.ts';
import { rotateAll } from '../../shared/engine/staged.ts';
import { idOf, requestRotation } from '../../shared/engine/requests.ts';
import { requestRollback } from '../../shared/engine/rollback.ts';
import type { Subscribed, SubscriptionPage, Unsubscribed } from '../../shared/engine/subscriptions.ts';
import type { UnregisterAnswer } from '../../shared/engine/unregister.ts';
import { ENV } from '../../shared/names.ts';
import { revocationsByHand } from '../../shared/providers/by-hand.ts';
import { ask } from '../ask.ts';
import { setting } from '../compose.ts';
import { requestingEngine } from '../requesting-engine.ts';
import { certificatesBy } from './certificates.ts';
import { coordinatorBy } from './coordinator.ts';
import { typedFunctions } from './typed-functions.ts';
import { credentialOf, find } from './lookup.ts';
import { whoLetsIn } from './roots.ts';
import { createDiagnosisServices } from './diagnosis-services.ts';
import type { ControlServices } from './route.ts';

/** The API's services from the environment. No provider is among them: this function never meets an upstream. */
export function createServices(aws: AwsCalls = awsCallsFromEnvironment(process.env)): ControlServices {
  const clock = Date.now;
  const workflow = new StepFunctionsWorkflow({
    aws,
    lifecycleArn: setting(ENV.lifecycle),
    emergencyArn: setting(ENV.emergency),
    suspensionArn: setting(ENV.suspension),
  });
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  const ledger = new DynamoDbLedger(store);
  const functions = typedFunctions(ledger);
  const engine: EngineDeps & PauseDeps = {
    ...requestingEngine(store, ledger, workflow),
    alignBackstop: async (credentialId) => {
      const registrar = await functions.registrarOf(credentialId);
      const { backstop } = await ask<{ backstop: Backstop }>(aws, registrar, {
        action: 'align-backstop',
        credentialId,
      });
      return backstop;
    },
  };
  return servicesOver(engine, {
    register: async (request) =>
      ask<RegisterAnswer>(aws, functions.registrarFor(request.declaration.type), request),
    unregister: async (request) => {
      const registrar = await functions.registrarOf(request.name);
      return ask<UnregisterAnswer>(aws, registrar, { action: 'unregister', ...request });
    },
    recordRoot: async (request) => {
      const registrar = await functions.registrarOf(request.credentialId);
      return ask<ConfirmRootAnswer>(aws, registrar, { action: 'confirm-root', ...request });
    },
    signals: new DynamoDbSignals(store),
    upstreamUses: new DynamoDbUpstreamUses(store),
    signalPolicy: JSON.parse(setting(ENV.signalPolicy)) as SignalPolicy,
    inventory: (request) => ask<InventoryPage>(aws, setting(ENV.takeInventory), request),
    families: new DynamoDbFamilies(store),
    ...coordinatorBy((functionArn, request) => ask(aws, functionArn, request)),
    ...certificatesBy((functionArn, request) => ask(aws, functionArn, request)),
    ...subscriptionsBy((request) => ask(aws, setting(ENV.manageSubscriptions), request)),
    deactivation: async (ref) =>
      ask<Deactivation>(aws, await functions.verifierOf(ref.credentialId), { action: 'look', ...ref }),
    diagnosis: createDiagnosisServices(aws, {
      ask: (functionArn, request) => ask(aws, functionArn, request),
      registrarOf: async (nameOrId) => functions.registrarOf(nameOrId),
      list: () => ledger.list(),
    }),
  });
}

/** What other functions do for the API, with rights that it lacks. */
export interface Delegates extends Pick<
  ControlServices,
  | 'register'
  | 'askForConsent'
  | 'connectFamily'
  | 'inventory'
  | 'diagnosis'
  | 'subscriptions'
  | 'subscribe'
  | 'unsubscribe'
  | 'coordinator'
  | 'revokeCertificate'
> {
  unregister(
    request: Parameters<ControlServices['unregister']>[0] & { readonly ended: string | undefined },
  ): Promise<UnregisterAnswer>;
  deactivation: LeakDeps['deactivation'];
  recordRoot(request: RootConfirmation): Promise<ConfirmRootAnswer>;
  readonly families: FamilyLedger;
  readonly signals: SignalStore;
  readonly signalPolicy: SignalPolicy;
  readonly upstreamUses: ControlServices['upstreamUses'];
}

/** The API's services over an engine. */
export function servicesOver(engine: EngineDeps & PauseDeps, delegates: Delegates): ControlServices {
  const { ledger, readers, clock, workflow } = engine;
  const endedEmergency = async (name: string): Promise<string | undefined> => {
    const execution = (await find(ledger, name))?.incident?.execution;
    if (execution === undefined) return undefined;
    return (await workflow.emergency(execution))?.status === 'RUNNING' ? undefined : execution;
  };
  const signals: SignalDeps = {
    signals: delegates.signals,
    ledger,
    workflow,
    rotate: (request) => requestRotation(engine, request),
    families: {
      families: delegates.families,
      clock,
      revoke: (emergency) => delegates.coordinator.revoke(emergency),
      refresh: (request) => delegates.coordinator.refresh(request),
    },
    // What people send names no alert: it has fingerprints.
    alerts: { read: () => Promise.resolve(undefined) },
    clock,
  };
  return {
    ledger,
    readers,
    agents: engine.agents,
    upstreamUses: delegates.upstreamUses,
    families: delegates.families,
    coordinator: delegates.coordinator,
    clock,
    requestRotation: (request) => requestRotation(engine, request),
    rotateAll: (order) => rotateAll(engine, order),
    requestRollback: async ({ name, rotationId, trigger }) => ({
      rotation: await requestRollback(engine, {
        credentialId: await idOf(engine, name),
        rotationId,
        trigger,
      }),
    }),
    confirmHolder: async ({ name, rotationId, holder, trigger }) => ({
      rotation: await confirmHolder(engine, {
        credentialId: await idOf(engine, name),
        rotationId,
        holder,
        trigger,
      }),
    }),
    confirmEnd: async ({ name, rotationId, trigger }) => ({
      rotation: await confirmEnd(
        { ...engine, deactivation: delegates.deactivation },
        { credentialId: await idOf(engine, name), rotationId, trigger },
      ),
    }),
    confirmRoot: async ({ name, trigger, dryRun }) => {
      const root = await credentialOf(ledger, name);
      const letIn = isRoot(root.type)
        ? await whoLetsIn(root, { ledger, diagnosis: delegates.diagnosis })
        : [];
      const answer = await delegates.recordRoot({ credentialId: root.id, trigger, letIn, dryRun });
      return { ...answer, letIn };
    },
    register: delegates.register,
    registerPact: (request) => registerPact(engine, { ...request, operator: true }),
    decommission: (request) => decommission(engine, request),
    pause: async ({ name, trigger }) => pause(engine, { credentialId: await idOf(engine, name), trigger }),
    unpause: async ({ name, trigger }) =>
      unpause(engine, { credentialId: await idOf(engine, name), trigger }),
    unregister: async (request) =>
      delegates.unregister({ ...request, ended: await endedEmergency(request.name) }),
    askForConsent: delegates.askForConsent,
    revokeCertificate: delegates.revokeCertificate,
    connectFamily: delegates.connectFamily,
    inventory: delegates.inventory,
    subscriptions: delegates.subscriptions,
    subscribe: delegates.subscribe,
    unsubscribe: delegates.unsubscribe,
    startEmergency: async ({ credentials, incidentId, reason, actor, replace, token }) => {
      const begun = await startInParts(workflow, token, {
        incidentId,
        reason,
        actor,
        startedAt: toInstant(clock()),
        replace,
        credentials,
      });
      return { id: token, credentials: begun.map(({ credentialId }) => credentialId) };
    },
    emergency: (id) => emergencyOf(workflow, id),
    reportLeak: (report) =>
      reportLeak({ ...engine, deactivation: delegates.deactivation, revocationsByHand }, report),
    reportFamilyLeak: (report) =>
      reportFamilyLeak(
        {
          families: delegates.families,
          clock,
          revokeFamily: (emergency) => delegates.coordinator.revoke(emergency),
        },
        report,
      ),
    receiveSignal: (received) => {
      // A person may revoke anyhow: there is no budget, and the cap is a question to others.
      const { perHour: _none, ...policy } = delegates.signalPolicy;
      return receiveSignal(signals, { ...received, policy });
    },
    heldSignals: () => delegates.signals.allHeld(),
    voteOnSignal: (vote) => voteOnSignal(signals, vote),
    diagnosis: delegates.diagnosis,
  };
}

/** Subscriptions by the function that may touch rules. */
function subscriptionsBy(
  manage: <T extends object>(request: object) => Promise<T>,
): Pick<ControlServices, 'subscriptions' | 'subscribe' | 'unsubscribe'> {
  return {
    subscriptions: (page) => manage<SubscriptionPage>({ action: 'list', page }),
    subscribe: (request) => manage<Subscribed>({ action: 'subscribe', ...request }),
    unsubscribe: (request) => manage<Unsubscribed>({ action: 'unsubscribe', ...request }),
  };
}
