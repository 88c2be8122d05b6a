import { localAccountId, localRegion } from '../../settings.ts';
import { serviceEventHeader, type Upstream } from '../upstream.ts';

/** Puts an event of Secrets Manager itself onto the default bus, in the form in which CloudTrail delivers it. */
export async function publishServiceEvent(
  upstream: Upstream,
  name: string,
  arn: string,
  token: string,
): Promise<void> {
  const now = new Date().toISOString();
  const detail = {
    eventVersion: '1.11',
    userIdentity: { accountId: localAccountId, invokedBy: 'secretsmanager.amazonaws.com' },
    eventTime: now,
    eventSource: 'secretsmanager.amazonaws.com',
    eventName: name,
    awsRegion: localRegion,
    sourceIPAddress: 'secretsmanager.amazonaws.com',
    userAgent: 'secretsmanager.amazonaws.com',
    requestParameters: null,
    responseElements: null,
    additionalEventData: { SecretId: arn, ClientRequestToken: token },
    eventID: crypto.randomUUID(),
    readOnly: false,
    eventType: 'AwsServiceEvent',
    managementEvent: true,
    recipientAccountId: localAccountId,
    eventCategory: 'Management',
  };
  await deliver(upstream, 'aws.secretsmanager', 'AWS Service Event via CloudTrail', detail, [arn]);
}

/** Puts a call of Secrets Manager onto the default bus, as CloudTrail delivers it: MiniStack records none. */
export async function publishApiCall(upstream: Upstream, record: object): Promise<void> {
  await deliver(upstream, 'aws.secretsmanager', 'AWS API Call via CloudTrail', record, []);
}

/** Puts what AWS Health tells onto the default bus, with what it is about. */
export async function publishHealth(
  upstream: Upstream,
  detail: object,
  entities: readonly string[],
): Promise<void> {
  await deliver(upstream, 'aws.health', 'AWS Health Event', detail, entities);
}

async function deliver(
  upstream: Upstream,
  source: string,
  detailType: string,
  detail: object,
  resources: readonly string[],
): Promise<void> {
  const entry = { Source: source, DetailType: detailType, Resources: resources };
  const input = { Entries: [{ ...entry, Detail: JSON.stringify(detail) }] };
  await upstream.call('events', 'AWSEvents.PutEvents', input, { [serviceEventHeader]: '1' });
}
