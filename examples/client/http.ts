/** Requests that carry a rotating key, sent again with the next one where it is refused. Set API_URL and SECRET_ID. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { rotatingFetch } from '@rekey/client/fetch';
import { secretsManagerVault } from '@rekey/client/secrets-manager';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/partner-api',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 5 * 60,
});
const send = rotatingFetch(source, {
  headers: (credential) => ({ 'x-api-key': credential.reveal() }),
  statuses: [401], // this API answers 403 where a right is missing
});

const answer = await send(`${process.env['API_URL'] ?? 'http://localhost:8080'}/things`);
console.log('answered', answer.status);
