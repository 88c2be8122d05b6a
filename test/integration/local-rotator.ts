// A rotation function as small as can be, for the tests of the gateway's rotation: the four steps by the book.
import { AwsClient } from 'aws4fetch';

const env = process.env;
const client = new AwsClient({
  accessKeyId: env['AWS_ACCESS_KEY_ID'] ?? '',
  secretAccessKey: env['AWS_SECRET_ACCESS_KEY'] ?? '',
  sessionToken: env['AWS_SESSION_TOKEN'] ?? '',
  region: env['AWS_REGION'] ?? '',
  service: 'secretsmanager',
  retries: 0,
});

async function call(operation: string, input: object): Promise<Record<string, unknown>> {
  const answer = await client.fetch(env['AWS_ENDPOINT_URL'] ?? '', {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.1',
      'x-amz-target': `secretsmanager.${operation}`,
      'user-agent': 'rekey/0.0.0 fn/test-rotator',
    },
    body: JSON.stringify(input),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${operation}: ${text}`);
  return JSON.parse(text);
}

interface Event {
  readonly Step: string;
  readonly SecretId: string;
  readonly ClientRequestToken: string;
}

export async function handler(event: Event): Promise<void> {
  const { Step: step, SecretId, ClientRequestToken: token } = event;
  if (step === 'createSecret') {
    const pending = await call('GetSecretValue', {
      SecretId,
      VersionId: token,
      VersionStage: 'AWSPENDING',
    }).catch(() => undefined);
    if (pending !== undefined) return;
    const SecretString = `value-of-${token}`;
    await call('PutSecretValue', {
      SecretId,
      ClientRequestToken: token,
      SecretString,
      VersionStages: ['AWSPENDING'],
    });
  } else if (step === 'testSecret') {
    await call('GetSecretValue', { SecretId, VersionId: token, VersionStage: 'AWSPENDING' });
  } else if (step === 'finishSecret') {
    const stages = Object.entries((await call('DescribeSecret', { SecretId }))['VersionIdsToStages'] ?? {});
    const current = stages.find(([, labels]) => Array.isArray(labels) && labels.includes('AWSCURRENT'))?.[0];
    if (current === token) return;
    await call('UpdateSecretVersionStage', {
      SecretId,
      VersionStage: 'AWSCURRENT',
      MoveToVersionId: token,
      RemoveFromVersionId: current,
    });
  }
}
