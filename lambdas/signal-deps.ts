import type { AwsCalls } from '../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../shared/adapters/dynamodb-families.ts';
import { DynamoDbLedger } from '../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbSignals } from '../shared/adapters/dynamodb-signals.ts';
import type { Store } from '../shared/adapters/ledger-table.ts';
import { StepFunctionsWorkflow } from '../shared/adapters/step-functions-workflow.ts';
import { RekeyError } from '../shared/domain/errors.ts';
import type { SignalPolicy } from '../shared/domain/signals/decide.ts';
import { requestRotation } from '../shared/engine/requests.ts';
import type { SignalDeps } from '../shared/engine/signals/deps.ts';
import type { SignalFamilies } from '../shared/engine/signals/families.ts';
import { ENV } from '../shared/names.ts';
import type { Alerts } from '../shared/ports/signals.ts';
import { ask } from './ask.ts';
import { optionalSetting, setting } from './compose.ts';
import { requestingEngine } from './requesting-engine.ts';

/** What signals are acted on with, wherever they come from. */
export interface SignalParts {
  readonly deps: SignalDeps;
  readonly ledger: DynamoDbLedger;
  readonly policy: SignalPolicy;
  readonly store: Store;
}

/** From the environment. No provider and no credential's secret is among it. */
export function composeSignals(aws: AwsCalls, alerts: Alerts): SignalParts {
  const clock = Date.now;
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  const ledger = new DynamoDbLedger(store);
  const workflow = new StepFunctionsWorkflow({
    aws,
    lifecycleArn: setting(ENV.lifecycle),
    emergencyArn: setting(ENV.emergency),
    suspensionArn: setting(ENV.suspension),
  });
  const engine = requestingEngine(store, ledger, workflow);
  return {
    policy: JSON.parse(setting(ENV.signalPolicy)) as SignalPolicy,
    ledger,
    store,
    deps: {
      signals: new DynamoDbSignals(store),
      ledger,
      workflow,
      rotate: (request) => requestRotation(engine, request),
      families: familiesOf(aws, store),
      alerts,
      clock,
    },
  };
}

/** Tokens of families are found here; the coordinator ends and refreshes, where there is one. */
function familiesOf(aws: AwsCalls, store: Store): SignalFamilies {
  const coordinator = optionalSetting(ENV.refreshFamilies);
  const call = async (request: object): Promise<object> => {
    if (coordinator !== undefined) return ask(aws, coordinator, request);
    throw new RekeyError('ERR_DECLARATION', 'this deployment has no token families any more', {
      field: 'families',
      remedy: 'set families: true in its settings, and deploy (docs/oauth.md)',
    });
  };
  return {
    families: new DynamoDbFamilies(store),
    clock: store.clock,
    revoke: (emergency) => call({ action: 'revoke', ...emergency }),
    refresh: (request) => call({ action: 'refresh', ...request }),
  };
}
