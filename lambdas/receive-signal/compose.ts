import { awsCallsFromEnvironment, type AwsCalls } from '../../shared/adapters/aws-client.ts';
import { GithubAlerts } from '../../shared/adapters/github-alerts.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { KeptSourceKeys } from '../../shared/adapters/source-keys.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { Redacted } from '../../shared/domain/redacted.ts';
import type { SignalSettings } from '../../shared/domain/signals/settings.ts';
import { ENV } from '../../shared/names.ts';
import type { Alerts } from '../../shared/ports/signals.ts';
import { listSetting, setting } from '../compose.ts';
import { composeSignals } from '../signal-deps.ts';
import type { SignalServices } from './answer.ts';

/** The services from the environment. No provider and no credential's secret is among them. */
export function createSignalServices(aws: AwsCalls = awsCallsFromEnvironment(process.env)): SignalServices {
  const clock = Date.now;
  const settings = JSON.parse(setting(ENV.signals)) as SignalSettings;
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
  const alerts = alertsOf(settings, (arn) => keys.secret(arn), privateHosts);
  const { deps, policy } = composeSignals(aws, alerts);
  return { settings, policy, keys, deps };
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
