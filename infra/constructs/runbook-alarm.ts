import { Duration } from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, TreatMissingData, type IMetric } from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';

/** Entries of docs/runbook.md that alarms link to; a test holds them against its headings. */
export type RunbookEntry =
  | 'rotation-failed'
  | 'rotation-overdue'
  | 'awaiting-operator'
  | 'consent-needed'
  | 'coordinator-failed'
  | 'refreshes-failing'
  | 'planner-failed'
  | 'emergency-failed'
  | 'revocation-errors'
  | 'function-errors'
  | 'dead-letters'
  | 'undelivered-events'
  | 'archive-lag'
  | 'audit-tampering'
  | 'publish-lag'
  | 'api-errors'
  | 'agent-api-errors'
  | 'directory-errors'
  | 'lists-not-signed'
  | 'emergency-under-way'
  | 'signal-held'
  | 'glass-broken'
  | 'signals-over-budget'
  | 'signals-refused'
  | 'signal-not-identified'
  | 'signals-failed'
  | 'unusual-use'
  | 'database-login-undecided'
  | 'database-log-not-understood'
  | 'usage-not-told';

export interface RunbookAlarmProps {
  /** What is wrong, in one sentence. */
  readonly summary: string;
  readonly entry: RunbookEntry;
  /** Where the runbook can be read. */
  readonly runbook: string;
  readonly metric: IMetric;
  readonly threshold: number;
  readonly evaluationPeriods?: number;
  /** Alarms where the metric stays below the threshold or tells nothing, instead of reaching it. */
  readonly below?: boolean;
  readonly topic: ITopic;
}

/** An alarm that says what it means and links to what to do about it. */
export class RunbookAlarm extends Construct {
  readonly alarm: Alarm;

  constructor(scope: Construct, id: string, props: RunbookAlarmProps) {
    super(scope, id);
    this.alarm = new Alarm(this, 'Alarm', {
      alarmDescription: `${props.summary} Runbook: ${props.runbook}#${props.entry}`,
      metric: props.metric,
      threshold: props.threshold,
      evaluationPeriods: props.evaluationPeriods ?? 1,
      ...(props.below === true
        ? {
            comparisonOperator: ComparisonOperator.LESS_THAN_THRESHOLD,
            treatMissingData: TreatMissingData.BREACHING,
          }
        : {
            comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treatMissingData: TreatMissingData.NOT_BREACHING,
          }),
    });
    this.alarm.addAlarmAction(new SnsAction(props.topic));
  }
}

/** Period of every alarm's metric. */
export const PERIOD = Duration.minutes(5);
