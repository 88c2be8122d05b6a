import { localAccountId, localRegion } from '../../local/settings.ts';
import type { AwsCalls } from '../../shared/adapters/aws-client.ts';
import { EventBridgePublisher } from '../../shared/adapters/eventbridge-publisher.ts';
import type { BusEvent } from './recorded.ts';

interface Put {
  readonly Entries: readonly {
    readonly Source: string;
    readonly DetailType: string;
    readonly Detail: string;
  }[];
}

/** An event of a tenant as EventBridge hands it on. */
export async function onTheBus(tenant: string, detailType: string, detail: object): Promise<BusEvent> {
  const put: Put[] = [];
  const aws = { json: async (_service: string, _operation: string, input: Put) => (put.push(input), {}) };
  await new EventBridgePublisher({
    // The publisher uses this one call of the class.
    aws: aws as unknown as AwsCalls,
    bus: 'bus',
    home: { tenant, account: localAccountId, region: localRegion },
  }).publish(detailType, detail);
  const [entry] = put.flatMap(({ Entries }) => Entries);
  if (entry === undefined) throw new Error(`nothing was published as ${detailType}`);
  return {
    source: entry.Source,
    'detail-type': entry.DetailType,
    detail: JSON.parse(entry.Detail) as BusEvent['detail'],
  };
}
