import { DynamoDBClient, GetItemCommand } from '@aws-sdk/client-dynamodb';
import { GetSecretValueCommand, SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

/** The start of a revocation as one would write it with the plain SDK: both clients at hand, the ledger read first. */
const ledger = new DynamoDBClient({});
export const secrets = new SecretsManagerClient({});

export async function handler(event: { credentialId: string }): Promise<object> {
  return ledger.send(
    new GetItemCommand({
      TableName: process.env['REKEY_TABLE'],
      Key: { pk: { S: `CRED#${event.credentialId}` }, sk: { S: 'HEAD' } },
      ConsistentRead: true,
    }),
  );
}

export const readAdmin = (secret: string): Promise<object> =>
  secrets.send(new GetSecretValueCommand({ SecretId: secret, VersionStage: 'AWSCURRENT' }));
