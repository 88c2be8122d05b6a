import { bad, ok, type Check } from './diagnosis.ts';

/** How CloudTrail names the service of which reads are to be told. */
const SOURCE = 'secretsmanager.amazonaws.com';

/** What a trail logs, basic or advanced, as CloudTrail describes it. */
export interface EventSelector {
  readonly ReadWriteType?: string;
  readonly IncludeManagementEvents?: boolean;
  /** Only of an advanced one; all of them must be met. */
  readonly FieldSelectors?: readonly FieldSelector[];
}

/** A condition of an advanced event selector. */
export interface FieldSelector {
  readonly Field: string;
  readonly Equals?: readonly string[];
  readonly NotEquals?: readonly string[];
}

/** A trail; undefined is what of it could not be looked at. */
export interface SeenTrail {
  readonly name: string;
  readonly logging: boolean | undefined;
  readonly selectors: readonly EventSelector[] | undefined;
}

/** Whether anybody tells of reads of secrets: EventBridge learns of them only where a trail logs them. */
export function trailCheck(trails: readonly SeenTrail[]): Check {
  const about = 'reads of secrets';
  const seen = trails.map(({ name, logging, selectors }) => ({
    name,
    logging,
    reads: selectors?.some(logsReads),
  }));
  const logs = seen.find(({ logging, reads }) => logging === true && reads === true);
  if (logs !== undefined) return ok('deployment', about, `are logged by the trail ${logs.name}`);
  const may = seen.find(({ logging, reads }) => logging !== false && reads !== false);
  if (may !== undefined) {
    return bad(
      'not-checked',
      'deployment',
      about,
      `CloudTrail does not say whether the trail ${may.name} logs them`,
      'allow you cloudtrail:GetTrailStatus and cloudtrail:GetEventSelectors on it; of a trail of the organisation, ask its owner',
    );
  }
  return bad(
    'warn',
    'deployment',
    about,
    `are seen by nobody: ${trails.length === 0 ? 'there is no trail' : 'no trail logs read-only management events'}`,
    'have a trail log management events in this region, reads included (docs/holders.md, "Readers that nobody declared"), ' +
      'or do without: set readers to "off"',
  );
}

/** GetSecretValue is a read-only management event. */
function logsReads({ ReadWriteType, IncludeManagementEvents, FieldSelectors }: EventSelector): boolean {
  if (FieldSelectors === undefined) return IncludeManagementEvents !== false && ReadWriteType !== 'WriteOnly';
  const admits = (field: string, value: string): boolean =>
    FieldSelectors.filter(({ Field }) => Field === field).every(
      ({ Equals, NotEquals }) => Equals?.includes(value) !== false && NotEquals?.includes(value) !== true,
    );
  return (
    FieldSelectors.some(({ Field, Equals }) => Field === 'eventCategory' && Equals?.includes('Management')) &&
    admits('readOnly', 'true') &&
    admits('eventSource', SOURCE)
  );
}
