import { trailCheck, type EventSelector, type SeenTrail } from '../shared/domain/diagnose-trails.ts';
import { bad, type Check } from '../shared/domain/diagnosis.ts';
import type { AwsContext } from './aws.ts';
import { failureOf } from './failure.ts';

interface Trail {
  readonly Name: string;
  readonly TrailARN: string;
  readonly HasCustomEventSelectors?: boolean;
}

/** What a trail logs unless somebody has said otherwise. */
const DEFAULT: readonly EventSelector[] = [{ ReadWriteType: 'All', IncludeManagementEvents: true }];

/** Whether a trail of the account or its organisation tells of reads of secrets, as far as the caller may see. */
export async function checkTrails(aws: AwsContext, readers: string | undefined): Promise<Check> {
  const unknown = (detail: string, remedy: string): Check =>
    bad('not-checked', 'deployment', 'reads of secrets', detail, remedy);
  if (readers === undefined)
    return unknown('the stack rotation does not say whether they are to be seen', 'deploy this version');
  try {
    // Those of other regions and of the organisation that log here are among them.
    const listed = await aws.json<{ trailList?: readonly Trail[] }>('cloudtrail', 'DescribeTrails', {});
    if ('refused' in listed) {
      return unknown(
        `CloudTrail refuses to list its trails (${listed.refused.code})`,
        'allow you cloudtrail:DescribeTrails',
      );
    }
    return trailCheck(await Promise.all((listed.answer.trailList ?? []).map((trail) => look(aws, trail))));
  } catch (error) {
    const { message, remedy = 'try again' } = failureOf(error);
    return unknown(message, remedy);
  }
}

async function look(aws: AwsContext, { Name, TrailARN, HasCustomEventSelectors }: Trail): Promise<SeenTrail> {
  const [status, selectors] = await Promise.all([
    aws.json<{ IsLogging?: boolean }>('cloudtrail', 'GetTrailStatus', { Name: TrailARN }),
    HasCustomEventSelectors === false ? DEFAULT : selectorsOf(aws, TrailARN),
  ]);
  return { name: Name, logging: 'answer' in status ? status.answer.IsLogging : undefined, selectors };
}

async function selectorsOf(
  aws: AwsContext,
  TrailName: string,
): Promise<readonly EventSelector[] | undefined> {
  const given = await aws.json<{
    EventSelectors?: readonly EventSelector[] | null;
    AdvancedEventSelectors?: readonly EventSelector[] | null;
  }>('cloudtrail', 'GetEventSelectors', { TrailName });
  if ('refused' in given) return undefined;
  return [...(given.answer.EventSelectors ?? []), ...(given.answer.AdvancedEventSelectors ?? [])];
}
