/**
 * A Lambda function. Its sandbox freezes between invocations, timers included: the credential is made at the start and
 * asked for its freshness at the beginning of each invocation.
 */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { secretsManagerVault } from '@rekey/client/secrets-manager';

const source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/partner-api',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 5 * 60, // the `ttl` of the holder of kind lambda
  fetchTimeoutSeconds: 2, // well below the function's own timeout
});

export async function handler(): Promise<{ versionId: string }> {
  const { versionId } = await source.freshAtInvocation();
  return { versionId };
}
