import { randomUUID } from 'node:crypto';
import { Logger } from '@aws-lambda-powertools/logger';
import { awsCallsFromEnvironment, isAwsError, type AwsCalls } from '../shared/adapters/aws-client.ts';
import { DynamoDbAgents } from '../shared/adapters/dynamodb-agents.ts';
import { DynamoDbDirectory } from '../shared/adapters/dynamodb-directory.ts';
import { DynamoDbHeartbeats } from '../shared/adapters/dynamodb-heartbeats.ts';
import { DynamoDbLeaves } from '../shared/adapters/dynamodb-leaves.ts';
import { DynamoDbLedger } from '../shared/adapters/dynamodb-ledger.ts';
import { DynamoDbReaderLog } from '../shared/adapters/dynamodb-reader-log.ts';
import { DynamoDbRevocations } from '../shared/adapters/dynamodb-revocations.ts';
import { KmsSealer } from '../shared/adapters/kms-sealer.ts';
import { SecretsManagerVault } from '../shared/adapters/secrets-manager-vault.ts';
import { StepFunctionsWorkflow } from '../shared/adapters/step-functions-workflow.ts';
import type { Home } from '../shared/domain/credential.ts';
import { RekeyError } from '../shared/domain/errors.ts';
import type { EngineDeps } from '../shared/engine/deps.ts';
import type { Heartbeats } from '../shared/ports/heartbeats.ts';
import { CREDENTIAL_TYPES, ENV, type CredentialType } from '../shared/names.ts';
import type { IdentityReach } from '../shared/providers/provider.ts';
import { providerFor } from '../shared/providers/registry.ts';

/** The setting `name`; a function without it was deployed wrongly and says so at cold start. */
export function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new RekeyError('ERR_REQUEST', `the environment variable ${name} is missing`, {
      field: name,
      remedy: 'deploy the stack again; the function was made without it',
    });
  }
  return value;
}

/** Where this deployment is at home. */
export function home(): Home {
  return { tenant: setting(ENV.tenant), account: setting(ENV.account), region: setting('AWS_REGION') };
}

/** The setting `name` where a function may do without it. */
export function optionalSetting(name: string): string | undefined {
  const value = process.env[name];
  return value === undefined || value === '' ? undefined : value;
}

/** The credential type that this function is for. */
export function typeSetting(): CredentialType {
  const type = setting(ENV.type);
  const known = CREDENTIAL_TYPES.find((each) => each === type);
  if (known === undefined) throw new Error(`${ENV.type} is no credential type`);
  return known;
}

/** The setting `name` by credential type: `type=value`, with commas between. */
export function byTypeSetting(name: string): ReadonlyMap<string, string> {
  return new Map(
    listSetting(name).map((each) => {
      const at = each.indexOf('=');
      return [each.slice(0, at), each.slice(at + 1)] as const;
    }),
  );
}

/** The setting `name` as a list; empty where it isn't set. */
export function listSetting(name: string): string[] {
  return (optionalSetting(name) ?? '').split(',').filter((each) => each !== '');
}

/** What a function writes to its log. */
export type Log = Readonly<
  Record<'info' | 'warn' | 'error' | 'critical', (message: string, fields: Record<string, unknown>) => void>
>;

/**
 * Structured log of one function: constant messages with fields, never an event, never material. The logger is made
 * for the first line, so that the first call of an emergency doesn't wait for it.
 */
export function createLogger(): Log {
  let made: Logger | undefined;
  const logger = (): Logger =>
    (made ??= new Logger({ serviceName: optionalSetting('REKEY_FUNCTION') ?? 'rekey' }));
  return {
    info: (message, fields) => logger().info(message, fields),
    warn: (message, fields) => logger().warn(message, fields),
    error: (message, fields) => logger().error(message, fields),
    critical: (message, fields) => logger().critical(message, fields),
  };
}

/** An error as log fields: code and message are ours, upstream text stays out. */
export function errorFields(error: unknown): Record<string, unknown> {
  if (error instanceof RekeyError) return { error: error.toJSON() };
  return { error: { name: error instanceof Error ? error.name : 'unknown' } };
}

/** When the functions that run by schedule last completed a run, from the environment. */
export function composeHeartbeats(aws: AwsCalls = awsCallsFromEnvironment(process.env)): Heartbeats {
  const tenant = setting(ENV.tenant);
  return new DynamoDbHeartbeats({ aws, table: setting(ENV.table), tenant, clock: Date.now });
}

/** The parts that every function of the engine uses, from the environment. */
export function composeEngine(aws: AwsCalls = awsCallsFromEnvironment(process.env)): EngineDeps {
  const vault = new SecretsManagerVault(aws);
  const clock = Date.now;
  const store = { aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock };
  return {
    ledger: new DynamoDbLedger(store),
    readers: new DynamoDbReaderLog(store),
    agents: new DynamoDbAgents(store),
    sealer: new KmsSealer({ aws, key: optionalSetting(ENV.sealingKey) ?? '' }),
    vault,
    workflow: new StepFunctionsWorkflow({
      aws,
      lifecycleArn: optionalSetting(ENV.lifecycle) ?? '',
      emergencyArn: optionalSetting(ENV.emergency) ?? '',
      suspensionArn: '',
    }),
    providerFor,
    readAdmin: async (adminSecret) => {
      const text = await readable(adminSecret, vault.read(adminSecret, { stage: 'AWSCURRENT' }));
      if (text !== undefined) return text;
      throw new RekeyError(
        'ERR_NOT_FOUND',
        `there is no secret ${adminSecret} with the administrative login`,
        {
          field: 'admin',
          remedy: 'create it, and tag it rekey:admin with the credential type that it administers',
        },
      );
    },
    clock,
    newId: randomUUID,
    reach: { privateHosts: listSetting(ENV.privateUpstreams), aws, ...identities(aws) },
    timing: { stuckAfterSeconds: Number(optionalSetting(ENV.stuckAfter) ?? 900) },
  };
}

/** The directory, for functions of identities. */
function identities(aws: AwsCalls): { readonly identities?: IdentityReach } {
  const table = optionalSetting(ENV.directory);
  if (table === undefined) return {};
  const store = { aws, table, tenant: setting(ENV.tenant), clock: Date.now };
  const sealer = new KmsSealer({ aws, key: setting(ENV.sealingKey) });
  const stage = setting(ENV.stage);
  const url = directoryUrl();
  const statusKey = optionalSetting(ENV.statusKey);
  const statusUrl = optionalSetting(ENV.statusUrl);
  return {
    identities: {
      directory: new DynamoDbDirectory(store),
      leaves: new DynamoDbLeaves(store),
      revocations: new DynamoDbRevocations(store),
      sealer,
      stage,
      ...(url === undefined ? {} : { url }),
      ...(statusKey === undefined ? {} : { statusKey }),
      ...(statusUrl === undefined ? {} : { statusUrl }),
    },
  };
}

/** Where an endpoint of its own stands for AWS, as in the local stack, APIs are below that. */
function directoryUrl(): string | undefined {
  const url = optionalSetting(ENV.directoryUrl);
  const endpoint = optionalSetting('AWS_ENDPOINT_URL');
  if (url === undefined || endpoint === undefined) return url;
  return `${endpoint}/_aws/execute-api/${new URL(url).hostname.split('.')[0] ?? ''}`;
}

/** Roles may read a secret by its tag only, so one that is missing or untagged shows as a denial. */
async function readable<T>(adminSecret: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!isAwsError(error, 'AccessDeniedException')) throw error;
    throw new RekeyError('ERR_ADMIN_DENIED', `Rekey may not read the administrative secret ${adminSecret}`, {
      field: 'admin',
      remedy:
        'create it where it is missing, tag it rekey:admin with the credential type that it administers, and where a ' +
        'key of your own encrypts it, name that key in the setting adminSecretKeyArns',
      cause: error,
    });
  }
}
