/** An agent on OpenAI's SDK: one client for good, whatever happens to its key. */
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { createCredentialSource } from '@rekey/client';
import { openAiOptions } from '@rekey/client/openai';
import { secretsManagerVault } from '@rekey/client/secrets-manager';
import OpenAI from 'openai';

await using source = await createCredentialSource({
  secretId: process.env['SECRET_ID'] ?? 'agents/openai',
  vault: secretsManagerVault(new SecretsManagerClient()),
  lifetimeSeconds: 15 * 60,
});
const openai = new OpenAI(openAiOptions(source));

const answer = await openai.chat.completions.create({
  model: 'gpt-4.1-mini',
  messages: [{ role: 'user', content: 'Say hello.' }],
});
console.log(answer.choices[0]?.message.content);
