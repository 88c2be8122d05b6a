import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbSignals } from '../../shared/adapters/dynamodb-signals.ts';
import type { RemindDeps } from '../../shared/engine/signals/remind.ts';
import { ENV } from '../../shared/names.ts';
import { setting } from '../compose.ts';

/** What people are reminded with of signals that wait for them, from the environment. */
export function composeReminders(aws: AwsCalls = awsCallsFromEnvironment(process.env)): RemindDeps {
  const clock = Date.now;
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  return {
    signals: new DynamoDbSignals(store),
    ledger: new DynamoDbLedger(store),
    families: { families: new DynamoDbFamilies(store) },
    clock,
  };
}
