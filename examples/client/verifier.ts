/** A verifier of agents' bearer tokens. Set DIRECTORY (output DirectoryUrl), SET, AUDIENCE and TOKEN. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { sigV4 } from '@rekey/client/sigv4';
import { createTokenVerifier } from '@rekey/client/verify';

const tokens = createTokenVerifier({
  directory: process.env['DIRECTORY'] ?? 'http://localhost:8080',
  set: process.env['SET'] ?? 'shop-agent',
  audience: process.env['AUDIENCE'] ?? 'orders',
  // The configuration of any client of the AWS SDK.
  sign: sigV4(new SecretsManagerClient().config),
});

const granted = await tokens.verify(process.env['TOKEN'] ?? '');
console.log(granted === undefined ? 'refused' : `agent ${granted.agent} may ${granted.scopes.join(', ')}`);
