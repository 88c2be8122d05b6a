import { randomUUID } from 'node:crypto';
import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { DynamoDbSignals } from '../../shared/adapters/dynamodb-signals.ts';
import { GithubAlerts } from '../../shared/adapters/github-alerts.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { KeptSourceKeys } from '../../shared/adapters/source-keys.ts';
import type { Store } from '../../shared/adapters/ledger-table.ts';
import { StepFunctionsWorkflow } from '../../shared/adapters/step-functions-workflow.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Redacted } from '../../shared/domain/redacted.ts';
import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import type { SignalFamilies } from '../../shared/engine/signals/families.ts';
import { requestRotation } from '../../shared/engine/requests.ts';
import { ENV } from '../../shared/names.ts';
import type { Alerts } from '../../shared/ports/signals.ts';
import { ask } from '../ask.ts';
import { listSetting, optionalSetting, setting } from '../compose.ts';
import type { SignalServices } from './answer.ts';

/** The services from the environment. No provider and no credential's secret is among them. */
export function createSignalServices(aws: AwsCalls = awsCallsFromEnvironment(process.env)): SignalServices {
  const clock = Date.now;
  const settings = JSON.parse(setting(ENV.signals)) as SignalSettings;
  const policy = JSON.parse(setting(ENV.signalPolicy)) as SignalPolicy;
  const privateHosts = listSetting(ENV.privateUpstreams);
  const vault = new SecretsManagerVault(aws);
  const readSecret = async (arn: string): Promise<Redacted<string>> => {
    const text = await vault.read(arn, { stage: 'AWSCURRENT' });
    if (text !== undefined) return text;
    throw new RekeyError('ERR_DECLARATION', 'a secret of the setting `signals` does not exist', {
      field: 'signals',
    });
  };
  const keys = new KeptSourceKeys({
    privateHosts,
    partnerKeysUrl: settings['github-partner']?.keysUrl ?? '',
    readSecret,
    clock,
  });
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  const ledger = new DynamoDbLedger(store);
  const workflow = new StepFunctionsWorkflow({
    aws,
    lifecycleArn: setting(ENV.lifecycle),
    emergencyArn: setting(ENV.emergency),
  });
  const never = (): never => {
    throw new RekeyError('ERR_PROTOCOL', 'receive-signal has no part in this');
  };
  const engine: EngineDeps = {
    ledger,
    readers: new DynamoDbReaderLog(store),
    agents: new DynamoDbAgents(store),
    sealer: { seal: never },
    workflow,
    vault,
    providerFor: never,
    readAdmin: never,
    clock,
    newId: randomUUID,
    reach: { privateHosts: [] },
    timing: { stuckAfterSeconds: Number(setting(ENV.stuckAfter)) },
  };
  return {
    settings,
    policy,
    keys,
    deps: {
      signals: new DynamoDbSignals(store),
      ledger,
      workflow,
      rotate: (request) => requestRotation(engine, request),
      families: familiesOf(aws, store),
      alerts: alertsOf(settings, (arn) => keys.secret(arn), privateHosts),
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

function alertsOf(
  { github }: SignalSettings,
  secret: (arn: string) => Promise<Redacted<string>>,
  privateHosts: readonly string[],
): Alerts {
  // Without that source nothing names an alert.
  if (github === undefined) return { read: () => Promise.resolve(undefined) };
  const { apiUrl, tokenSecretArn } = github;
  return new GithubAlerts({ apiUrl, privateHosts, token: () => secret(tokenSecretArn) });
}
