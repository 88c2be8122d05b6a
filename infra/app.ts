import { App } from 'aws-cdk-lib';
import { readSettings, SettingsError } from './config.ts';
import { addRekey } from './deployment.ts';

// The only reader of context and environment: everything below takes what it needs as properties.
const app = new App({ analyticsReporting: false });
const context = (name: string): unknown => app.node.tryGetContext(name);
const account = process.env['CDK_DEFAULT_ACCOUNT'];

try {
  const settings = readSettings({
    stage: context('stage'),
    tenant: context('tenant'),
    settings: context('settings'),
    allowComplianceLock: context('allowComplianceLock'),
    account,
    // Without credentials the CDK CLI names a region all the same, which nobody has chosen.
    region: account === undefined ? undefined : process.env['CDK_DEFAULT_REGION'],
  });
  addRekey(app, settings);
  app.synth();
} catch (error) {
  if (!(error instanceof SettingsError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
