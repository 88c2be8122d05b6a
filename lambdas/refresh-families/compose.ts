import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { awsCallsFromEnvironment, isAwsError } from '../../shared/adapters/aws-client.ts';
import { DynamoDbFamilies } from '../../shared/adapters/dynamodb-families.ts';
import { EventBridgePublisher } from '../../shared/adapters/eventbridge-publisher.ts';
import { OAuthServer } from '../../shared/adapters/oauth-server.ts';
import { SecretsManagerVault } from '../../shared/adapters/secrets-manager-vault.ts';
import { RekeyError } from '../../shared/domain/errors.ts';
import type { FamilyDeps } from '../../shared/engine/families/deps.ts';
import type { FamilyOptions } from '../../shared/engine/families/register.ts';
import { ENV, FAMILY_TYPE } from '../../shared/names.ts';
import { home, listSetting, setting } from '../compose.ts';

/** What the coordinator works with. */
export interface Parts {
  readonly deps: FamilyDeps;
  readonly options: FamilyOptions;
}

/** The coordinator's parts, from the environment. */
export function composeFamilies(): Parts {
  const aws = awsCallsFromEnvironment(process.env);
  const clock = Date.now;
  const vault = new SecretsManagerVault(aws);
  return {
    deps: {
      families: new DynamoDbFamilies({ aws, table: setting(ENV.table), tenant: setting(ENV.tenant), clock }),
      vault,
      server: new OAuthServer({ privateHosts: listSetting(ENV.privateUpstreams) }),
      events: new EventBridgePublisher({ aws, bus: setting(ENV.bus), home: home() }),
      readClientSecret: async (secret, stage) => readable(secret, vault.read(secret, { stage })),
      clock,
      newId: randomUUID,
      pause: sleep,
    },
    options: {
      home: home(),
      stage: setting(ENV.stage),
      secretPrefix: setting(ENV.secretPrefix),
      secretsKey: setting(ENV.secretsKey),
      sealingKey: setting(ENV.sealingKey),
    },
  };
}

/** The role reads client secrets by their tag only, so one that is missing or untagged shows as a denial. */
async function readable<T>(secret: string, reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!isAwsError(error, 'AccessDeniedException')) throw error;
    throw new RekeyError('ERR_ADMIN_DENIED', `Rekey may not read the client secret ${secret}`, {
      field: 'client.secret',
      remedy:
        `create it where it is missing, tag it rekey:admin=${FAMILY_TYPE}, and where a key of your own encrypts it, ` +
        'name that key in the setting adminSecretKeyArns',
      cause: error,
    });
  }
}
