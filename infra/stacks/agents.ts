import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { Settings } from '../config.ts';
import { AgentApi } from '../constructs/agent-api.ts';
import type { RotationStack } from './rotation.ts';
import type { StateStack } from './state.ts';

export interface AgentsStackProps extends StackProps {
  readonly settings: Settings;
  readonly state: StateStack;
  readonly rotation: RotationStack;
}

/** What Rekey and the agents tell each other. */
export class AgentsStack extends Stack {
  readonly api: AgentApi;

  constructor(scope: Construct, id: string, props: AgentsStackProps) {
    super(scope, id, props);
    const { settings, state, rotation } = props;
    this.api = new AgentApi(this, 'Agents', { settings, state, lifecycleArn: rotation.lifecycleArn });
  }
}
