import { CreateSecretCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { TAG, type CredentialType } from '../shared/names.ts';
import { FakeOpenAi } from '../test/fakes/openai.ts';
import { writeDeclaration } from './demo/declaration.ts';
import type { World } from './demo/world.ts';

/** Types of what a stand-in for OpenAI has. */
export const KEY_TYPES: readonly CredentialType[] = ['llm-key', 'root'];

const ADMIN = 'agents/admin/openai';
const NAME = 'support-agent';

/** What `npm run local -- --keys` has beside databases. */
export interface LocalKeys extends AsyncDisposable {
  /** What to type. */
  readonly lines: readonly string[];
}

/** Starts the stand-in, stores its administrative key as a person would, and declares a key below it and that key itself. */
export async function localKeys({ stack, dir }: World): Promise<LocalKeys> {
  const fake = await FakeOpenAi.start();
  const baseUrl = `${fake.server.url}/v1`;
  const vault = new SecretsManagerClient(stack.clientConfig);
  const tags = { [TAG.admin]: 'llm-key', [TAG.type]: 'root', [TAG.stage]: 'local' };
  await vault.send(
    new CreateSecretCommand({
      Name: ADMIN,
      SecretString: JSON.stringify({ adminKey: fake.adminKey, baseUrl }),
      Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })),
    }),
  );
  vault.destroy();
  // Short times that only the local stage allows; OpenAI itself tells of a use an hour later.
  const policy = { window: '20s', deadline: '90s', cap: '5m', evidenceOfUse: 'holders' };
  const key = {
    name: NAME,
    type: 'llm-key',
    provider: 'openai',
    secret: `agents/${NAME}`,
    admin: ADMIN,
    target: { project: 'proj_1', serviceAccount: 'sa_1', label: NAME, baseUrl },
    policy: { ...policy, interval: '14d' },
    holders: [{ kind: 'polling', name: 'support-agents', ttl: '2s' }],
  };
  const root = {
    name: 'openai-admin',
    provider: 'openai-admin',
    secret: ADMIN,
    owner: 'platform',
    scope: 'API keys of the project proj_1',
    target: { label: 'rekey', baseUrl },
    policy: { ...policy, interval: '60d' },
  };
  const file = await writeDeclaration(dir, [key], 'keys.yaml', [root]);
  return {
    [Symbol.asyncDispose]: async () => fake[Symbol.asyncDispose](),
    lines: [
      `A stand-in for OpenAI listens on ${baseUrl}. A key of it, made below an administrative key that Rekey rotates as well:`,
      '',
      `  npx rekey apply -f ${file}`,
      `  npx rekey rotate ${NAME} --wait`,
      `  npx rekey revoke ${NAME} --incident INC-2 --reason "seen in a log" --wait`,
      '  npx rekey roots',
      '',
    ],
  };
}
