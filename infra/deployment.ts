import { Tags, Validations, type App } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { IDENTITY_TYPES, stackName, TAG, type StackRole } from '../shared/names.ts';
import type { Settings } from './config.ts';
import { AccessStack } from './stacks/access.ts';
import { AgentsStack } from './stacks/agents.ts';
import { ApiStack } from './stacks/api.ts';
import { EvidenceStack } from './stacks/evidence.ts';
import { FamiliesStack } from './stacks/families.ts';
import { IncidentStack } from './stacks/incident.ts';
import { MonitoringStack } from './stacks/monitoring.ts';
import { NetworkStack } from './stacks/network.ts';
import { RotationStack } from './stacks/rotation.ts';
import { hasSignals, SignalsStack } from './stacks/signals.ts';
import { StateStack } from './stacks/state.ts';
import { UsageStack } from './stacks/usage.ts';
import { VerifiersStack } from './stacks/verifiers.ts';

/** The stacks of one deployment, in the order in which they depend on each other. */
export interface Deployment {
  readonly state: StateStack;
  readonly evidence: EvidenceStack;
  readonly rotation: RotationStack;
  readonly incident: IncidentStack;
  readonly api: ApiStack;
  readonly agents: AgentsStack;
  readonly monitoring: MonitoringStack;
  readonly access: AccessStack;
}

/** Adds Rekey to `app`. Account and region are those of whoever deploys. */
export function addRekey(app: App, settings: Settings): Deployment {
  const named = (name: StackRole, description: string) => ({
    stackName: stackName(settings.stage, name),
    description: `Rekey ${settings.stage}: ${description}`,
    tags: { [TAG.stage]: settings.stage },
    settings,
  });
  const kept = { terminationProtection: true };
  const state = new StateStack(app, 'State', { ...named('state', 'ledger, keys, event bus'), ...kept });
  const evidence = new EvidenceStack(app, 'Evidence', {
    ...named('evidence', 'audit archive'),
    ...kept,
    state,
  });
  const network =
    settings.network?.endpoints === 'create'
      ? new NetworkStack(app, 'Network', {
          ...named('network', 'endpoints of the VPC'),
          network: settings.network,
          state,
        })
      : undefined;
  const verifiers = settings.types.some((type) => IDENTITY_TYPES.includes(type))
    ? new VerifiersStack(app, 'Verifiers', { ...named('verifiers', 'directory of identities'), state })
    : undefined;
  const families = settings.families
    ? new FamiliesStack(app, 'Families', { ...named('families', 'OAuth token families'), state })
    : undefined;
  const rotation = new RotationStack(app, 'Rotation', {
    ...named('rotation', 'rotation of credentials'),
    state,
    verifiers,
    network,
  });
  const incident = new IncidentStack(app, 'Incident', {
    ...named('incident', 'emergency revocation'),
    state,
    verifiers,
    rotation,
    network,
  });
  // Imports by hand tell CDK of no order.
  if (network !== undefined) for (const stack of [rotation, incident]) stack.addStackDependency(network);
  const signals = hasSignals(settings)
    ? new SignalsStack(app, 'Signals', {
        ...named('signals', 'intake of signals'),
        state,
        rotation,
        incident,
        families,
      })
    : undefined;
  const usage = new UsageStack(app, 'Usage', { ...named('usage', 'uses as upstreams tell of them'), state });
  const api = new ApiStack(app, 'Api', {
    ...named('api', 'control API'),
    state,
    rotation,
    incident,
    families,
    directory: verifiers,
  });
  const agents = new AgentsStack(app, 'Agents', { ...named('agents', 'API of agents'), state, rotation });
  const monitoring = new MonitoringStack(app, 'Monitoring', {
    ...named('monitoring', 'alarms and dashboard'),
    state,
    evidence,
    rotation,
    incident,
    api,
    agents,
    verifiers,
    families,
    signals,
    usage,
  });
  const access = new AccessStack(app, 'Access', {
    ...named('access', 'roles of people'),
    evidence,
    api,
    monitoring,
  });
  Tags.of(app).add(TAG.stage, settings.stage);
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  return { state, evidence, rotation, incident, api, agents, monitoring, access };
}
