import { awsCallsFromEnvironment } from '../../shared/adapters/aws-client.ts';

/** The least that a function of ours can do: one signed call. */
const aws = awsCallsFromEnvironment(process.env);

export async function handler(event: { credentialId: string }): Promise<object> {
  return aws.json('dynamodb', 'GetItem', {
    TableName: process.env['REKEY_TABLE'],
    Key: { pk: { S: `CRED#${event.credentialId}` }, sk: { S: 'HEAD' } },
    ConsistentRead: true,
  });
}
