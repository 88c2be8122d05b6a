import { randomUUID } from 'node:crypto';
import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { DynamoDbSignals } from '../../shared/adapters/dynamodb-signals.ts';
import { GithubAlerts } from '../../shared/adapters/github-alerts.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { KeptSourceKeys } from '../../shared/adapters/source-keys.ts';
import { StepFunctionsWorkflow } from '../../shared/adapters/step-functions-workflow.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Redacted } from '../../shared/domain/redacted.ts';
import type { SignalPolicy } from '../../shared/domain/signals/decide.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { requestRotation } from '../../shared/engine/requests.ts';
import { ENV } from '../../shared/names.ts';
import type { Alerts } from '../../shared/ports/signals.ts';
import { listSetting, setting } from '../compose.ts';
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
    suspensionArn: setting(ENV.suspension),
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
      alerts: alertsOf(settings, (arn) => keys.secret(arn), privateHosts),
      clock,
    },
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
