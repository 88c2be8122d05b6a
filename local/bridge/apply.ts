import { AwsClient } from 'aws4fetch';
import { recordOf, recordsOf, stringsOf } from '../json.ts';
import type { LocalStack } from '../stack.ts';

type Properties = Readonly<Record<string, unknown>>;
/** What CloudFormation would call the resource, had its template given it no name. */
type Named = { readonly defaultName: string };
type Call = (service: string, target: string, input: object) => Promise<Record<string, unknown>>;

const appliers: Readonly<
  Record<string, (call: Call, properties: Properties, named: Named) => Promise<void>>
> = {
  'AWS::Athena::NamedQuery': async (call, properties) => {
    const { WorkGroup } = properties;
    const { NamedQueryIds } = await call('athena', 'AmazonAthena.ListNamedQueries', { WorkGroup });
    for (const NamedQueryId of stringsOf(NamedQueryIds)) {
      const { NamedQuery } = await call('athena', 'AmazonAthena.GetNamedQuery', { NamedQueryId });
      // Named queries have no key of their own: the one of the deployment before makes room.
      if (recordOf(NamedQuery)['Name'] === properties['Name']) {
        await call('athena', 'AmazonAthena.DeleteNamedQuery', { NamedQueryId });
      }
    }
    await call('athena', 'AmazonAthena.CreateNamedQuery', properties);
  },
  'AWS::Events::Archive': async (call, { SourceArn, EventPattern, ...given }, { defaultName }) => {
    const rest = { ArchiveName: defaultName.slice(0, 48), ...given };
    const pattern = EventPattern === undefined ? {} : { EventPattern: JSON.stringify(EventPattern) };
    const { Archives } = await call('events', 'AWSEvents.ListArchives', {});
    const exists = recordsOf(Archives).some((archive) => archive['ArchiveName'] === rest.ArchiveName);
    if (exists) await call('events', 'AWSEvents.UpdateArchive', { ...rest, ...pattern });
    else await call('events', 'AWSEvents.CreateArchive', { ...rest, ...pattern, EventSourceArn: SourceArn });
  },
  'AWS::SecretsManager::ResourcePolicy': async (call, { SecretId, ResourcePolicy, BlockPublicPolicy }) => {
    const policy = { SecretId, ResourcePolicy: JSON.stringify(ResourcePolicy), BlockPublicPolicy };
    await call('secretsmanager', 'secretsmanager.PutResourcePolicy', policy);
  },
  'AWS::SecretsManager::RotationSchedule': async (call, properties) => {
    const { SecretId, RotationLambdaARN, RotationRules, RotateImmediatelyOnUpdate } = properties;
    await call('secretsmanager', 'secretsmanager.RotateSecret', {
      SecretId,
      RotationLambdaARN,
      RotationRules,
      ClientRequestToken: crypto.randomUUID(),
      RotateImmediately: RotateImmediatelyOnUpdate !== false,
    });
  },
};

/** Applies a resource that was taken out of its template through the API of its service. */
export async function applyBridged(
  stack: LocalStack,
  type: string,
  properties: Properties,
  named: Named,
): Promise<void> {
  const apply = appliers[type];
  if (apply === undefined) return;
  const client = new AwsClient({ ...stack.clientConfig.credentials, region: stack.region, retries: 3 });
  await apply(
    async (service, target, input) => {
      const answer = await client.fetch(stack.endpoint, {
        method: 'POST',
        headers: {
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': target,
          'user-agent': 'rekey/bridge',
        },
        body: JSON.stringify(input),
        aws: { service },
      });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`${type}: ${target} failed: ${text.slice(0, 500)}`);
      return text === '' ? {} : recordOf(JSON.parse(text));
    },
    properties,
    named,
  );
}
