import { randomBytes } from 'node:crypto';
import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { joseSignatures } from '../../shared/adapters/jose-signatures.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import { RememberingSealer } from '../../shared/adapters/remembering-sealer.ts';
import { StepFunctionsWorkflow } from '../../shared/adapters/step-functions-workflow.ts';
import type { AgentDeps } from '../../shared/engine/agents/deps.ts';
import { ENV } from '../../shared/names.ts';
import { setting } from '../compose.ts';

/** The API's services from the environment. No vault is among them: this function never meets a secret. */
export function createServices(aws: AwsCalls = awsCallsFromEnvironment(process.env)): AgentDeps {
  const clock = Date.now;
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  return {
    ledger: new DynamoDbLedger(store),
    agents: new DynamoDbAgents(store),
    sealer: new RememberingSealer(new KmsSealer({ aws, key: setting(ENV.sealingKey) })),
    signatures: joseSignatures,
    workflow: new StepFunctionsWorkflow({
      aws,
      lifecycleArn: setting(ENV.lifecycle),
      emergencyArn: '',
      suspensionArn: '',
    }),
    clock,
    newNonce: () => randomBytes(24).toString('base64url'),
  };
}
