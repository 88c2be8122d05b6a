import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbBaselines } from '../../shared/adapters/dynamodb-baselines.ts';
import type { WeighDeps } from '../../shared/engine/anomalies/weigh.ts';
import { composeSignals } from '../signal-deps.ts';

/** The services from the environment. No source signs here: AWS itself, and Rekey's own rules, tell. */
export function createNoticeServices(aws: AwsCalls = awsCallsFromEnvironment(process.env)): WeighDeps {
  const { deps, ledger, policy, store } = composeSignals(aws, {
    read: () => Promise.resolve(undefined),
  });
  return { signals: deps, ledger, policy, baselines: new DynamoDbBaselines(store), clock: deps.clock };
}
