/** An agent on Anthropic's SDK: one client for good, whatever happens to its key. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import Anthropic from '@anthropic-ai/sdk';
import { createCredentialSource } from '@rekey/client';
import { anthropicOptions } from '@rekey/client/anthropic';
import { secretsManagerVault } from '@rekey/client/secrets-manager';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/anthropic',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 15 * 60,
});
const anthropic = new Anthropic(anthropicOptions(source));

const answer = await anthropic.messages.create({
  model: 'claude-sonnet-4-5',
  max_tokens: 100,
  messages: [{ role: 'user', content: 'Say hello.' }],
});
console.log(answer.content.map((part) => (part.type === 'text' ? part.text : '')).join(''));
