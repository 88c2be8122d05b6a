import { randomUUID } from 'node:crypto';
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from '@aws-sdk/client-secrets-manager';
import { ADMIN_SECRET, asSuperuser, DATABASE, tryLogin } from '../../local/demo/database.ts';
import type { World } from '../../local/demo/world.ts';
import { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../../shared/adapters/dynamodb-agents.ts';
import { DynamoDbLedger } from '../../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../../shared/adapters/dynamodb-reader-log.ts';
import { KmsSealer } from '../../shared/adapters/kms-sealer.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { StepFunctionsWorkflow } from '../../shared/adapters/step-functions-workflow.ts';
import type { Credential } from '../../shared/domain/credential.ts';
import { parseEntry } from '../../shared/domain/declaration.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { EngineDeps } from '../../shared/engine/deps.ts';
import { register } from '../../shared/engine/register.ts';
import { OUTPUT, TAG, type CredentialType } from '../../shared/names.ts';
import { providerFor } from '../../shared/providers/registry.ts';
import { FakeOpenAi } from '../fakes/openai.ts';
import { FakePinecone } from '../fakes/pinecone.ts';
import { inParallel } from '../support/in-parallel.ts';

const ACTOR = 'bench';
const AT_ONCE = 8;

/** Credentials of one type: what is declared of the n-th, and how its upstream is asked with a value of its secret. */
export interface Kind {
  readonly type: CredentialType;
  readonly provider: string;
  readonly admin: string;
  target(n: number): object;
  takes(secret: string): Promise<boolean>;
}

/** A credential that works, and the value of its secret. */
export interface Made {
  readonly kind: Kind;
  readonly credential: Credential;
  readonly value: string;
}

/** One upstream of each of three types: PostgreSQL itself, and two played ones. */
export async function startKinds(
  world: World,
  count: number,
): Promise<readonly [Kind[], () => Promise<void>]> {
  const openai = await FakeOpenAi.start();
  const pinecone = await FakePinecone.start();
  pinecone.deletionMs = 0;
  const stop = async (): Promise<void> => {
    await openai[Symbol.asyncDispose]();
    await pinecone[Symbol.asyncDispose]();
  };
  const vault = new SecretsManagerClient(world.stack.clientConfig);
  const admin = async (type: CredentialType, value: object): Promise<string> => {
    const Name = `agents/admin/${type}`;
    const Tags = [
      { Key: TAG.admin, Value: type },
      { Key: TAG.stage, Value: 'local' },
    ];
    await vault.send(new CreateSecretCommand({ Name, SecretString: JSON.stringify(value), Tags }));
    return Name;
  };
  await asSuperuser(
    world.server,
    DATABASE,
    Array.from(
      { length: count },
      (_, n) => `CREATE ROLE many_${n} NOLOGIN; GRANT many_${n} TO rekey_admin WITH ADMIN OPTION;`,
    ).join('\n'),
  );
  const openaiUrl = `${openai.server.url}/v1`;
  const { url: pineconeUrl } = pinecone.server;
  const { host, port, caPem: ca } = world.server;
  const database: Kind = {
    type: 'database',
    provider: 'postgresql',
    admin: ADMIN_SECRET,
    target: (n) => ({
      host,
      port,
      database: DATABASE,
      ownerRole: `many_${n}`,
      tls: { mode: 'verify-full', ca },
    }),
    takes: async (secret) => {
      const { username: user, password } = JSON.parse(secret) as { username: string; password: string };
      return (await tryLogin(world.server, { user, password })) === 'accepted';
    },
  };
  const llmKey: Kind = {
    type: 'llm-key',
    provider: 'openai',
    admin: await admin('llm-key', { adminKey: openai.adminKey, baseUrl: openaiUrl }),
    target: (n) => ({ project: `proj_${n}`, serviceAccount: 'sa', label: `many-${n}`, baseUrl: openaiUrl }),
    takes: (secret) => isTaken(`${openaiUrl}/models`, { authorization: `Bearer ${keyIn(secret)}` }),
  };
  const vectorKey: Kind = {
    type: 'vector-database-key',
    provider: 'pinecone',
    admin: await admin('vector-database-key', {
      clientId: pinecone.clientId,
      clientSecret: pinecone.clientSecret,
      loginUrl: pinecone.login.url,
      baseUrl: pineconeUrl,
    }),
    target: (n) => ({
      project: randomUUID(),
      label: `many-${n}`,
      roles: ['ControlPlaneViewer', 'DataPlaneEditor'],
      baseUrl: pineconeUrl,
    }),
    takes: (secret) =>
      isTaken(`${pineconeUrl}/indexes`, {
        'api-key': keyIn(secret),
        'x-pinecone-api-version': '2026-04',
      }),
  };
  vault.destroy();
  return [[database, llmKey, vectorKey], stop];
}

function keyIn(secret: string): string {
  return (JSON.parse(secret) as { apiKey: string }).apiKey;
}

async function isTaken(url: string, headers: Readonly<Record<string, string>>): Promise<boolean> {
  return (await fetch(url, { headers })).ok;
}

/** The ledger of a deployed stack. */
export function ledgerOf(world: World): DynamoDbLedger {
  return new DynamoDbLedger(storeOf(world));
}

function storeOf(world: World) {
  const { stack } = world;
  const aws = new AwsCalls({
    region: stack.region,
    endpoint: stack.endpoint,
    credentials: stack.clientConfig.credentials,
    caller: 'bench',
  });
  return { aws, table: world.output(OUTPUT.table), tenant: 'default', clock: Date.now };
}

/** Rotation has no part in this: the secret is given no schedule, whose test would call a function for each. */
class UnscheduledVault extends SecretsManagerVault {
  override async configureRotation(): Promise<void> {
    return Promise.resolve();
  }
}

/**
 * Registers `count` credentials, of each kind in turn, by the engine itself: in the ledger, the vault and the upstreams they are
 * what the deployed function would have made. Each has an agent as its holder that will never acknowledge anything.
 */
export async function registerMany(world: World, kinds: readonly Kind[], count: number): Promise<Made[]> {
  const { stack } = world;
  const store = storeOf(world);
  const vault = new UnscheduledVault(store.aws);
  const deps: EngineDeps = {
    ledger: new DynamoDbLedger(store),
    readers: new DynamoDbReaderLog(store),
    agents: new DynamoDbAgents(store),
    sealer: new KmsSealer({ aws: store.aws, key: '' }),
    vault,
    workflow: new StepFunctionsWorkflow({
      aws: store.aws,
      lifecycleArn: '',
      emergencyArn: '',
      suspensionArn: '',
    }),
    providerFor,
    readAdmin: async (secret) => {
      const text = await vault.read(secret, { stage: 'AWSCURRENT' });
      if (text === undefined) throw new RekeyError('ERR_NOT_FOUND', `there is no secret ${secret}`);
      return text;
    },
    clock: Date.now,
    newId: randomUUID,
    reach: { privateHosts: ['127.0.0.1'], aws: store.aws },
    timing: { stuckAfterSeconds: 900 },
  };
  const options = {
    home: { tenant: store.tenant, account: stack.accountId, region: stack.region },
    stage: 'local',
    limits: { minWindowSeconds: 1 },
    rotationFunction: () => '',
    secretsKey: world.output(OUTPUT.secretsKey),
  };
  const reader = new SecretsManagerClient(stack.clientConfig);
  const made: Made[] = [];
  const numbers = Array.from({ length: count }, (_, n) => n);
  await inParallel(
    numbers,
    async (n) => {
      const kind = kinds[n % kinds.length];
      if (kind === undefined) throw new Error('there is no kind');
      const { type, provider, admin } = kind;
      const name = `many-${n}`;
      const agent = `arn:aws:iam::${stack.accountId}:role/agent-${n}`;
      const declaration = parseEntry({
        name,
        type,
        provider,
        secret: `agents/${name}`,
        admin,
        target: kind.target(n),
        policy: { evidenceOfUse: 'holders' },
        holders: [{ kind: 'client', name: `agent-${n}`, principal: agent }],
      });
      const { credential } = await register(deps, options, { declaration, actor: ACTOR, dryRun: false });
      if (credential === undefined) throw new Error(`${name} was not registered`);
      const { SecretString: value = '' } = await reader.send(
        new GetSecretValueCommand({ SecretId: credential.secretName }),
      );
      made.push({ kind, credential, value });
    },
    AT_ONCE,
  );
  reader.destroy();
  return made;
}
